"""An order as the broker keeps it: its legs, its fills and the statuses it may go through.

The trap: there is no "partially filled" status. A partial fill is a Live order whose remaining quantity shrank.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import gcd

from qmterm.core.errors import InvariantBroken
from qmterm.core.instruments import is_option, underlying_of
from qmterm.core.orders import Action, Leg


class Status(StrEnum):
    """The words on the wire."""

    RECEIVED = "Received"
    ROUTED = "Routed"
    IN_FLIGHT = "In Flight"
    LIVE = "Live"
    CONTINGENT = "Contingent"
    CANCEL_REQUESTED = "Cancel Requested"
    REPLACE_REQUESTED = "Replace Requested"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    EXPIRED = "Expired"
    REJECTED = "Rejected"
    REMOVED = "Removed"


class OrderType(StrEnum):
    LIMIT = "Limit"
    MARKET = "Market"
    STOP = "Stop"
    STOP_LIMIT = "Stop Limit"


_S = Status
TERMINAL = frozenset({_S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED, _S.REMOVED})
_STOPPABLE = {_S.CANCEL_REQUESTED, _S.REPLACE_REQUESTED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED}
NEXT: dict[Status, frozenset[Status]] = {
    _S.CONTINGENT: frozenset({_S.RECEIVED, _S.ROUTED, _S.REMOVED, *_STOPPABLE}),
    _S.RECEIVED: frozenset({_S.ROUTED, *_STOPPABLE}),
    _S.ROUTED: frozenset({_S.IN_FLIGHT, _S.LIVE, *_STOPPABLE}),
    _S.IN_FLIGHT: frozenset({_S.LIVE, *_STOPPABLE}),
    _S.LIVE: frozenset({_S.FILLED, *_STOPPABLE}),
    _S.CANCEL_REQUESTED: frozenset({_S.FILLED, _S.CANCELLED, _S.EXPIRED}),
    _S.REPLACE_REQUESTED: frozenset({_S.FILLED, _S.CANCELLED, _S.LIVE, _S.RECEIVED, _S.EXPIRED}),
}


@dataclass(frozen=True, slots=True)
class Fill:
    fill_id: str
    quantity: int
    price: Decimal
    time_ns: int


@dataclass(slots=True)
class OrderLeg:
    symbol: str
    action: Action
    quantity: int
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return sum(fill.quantity for fill in self.fills)

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled

    @property
    def instrument_type(self) -> str:
        return "Equity Option" if is_option(self.symbol) else "Equity"


@dataclass(slots=True)
class SimOrder:
    """Prices follow core/orders.py: net per unit, positive = credit. Times are market time, UTC ns."""

    order_id: int
    legs: list[OrderLeg]
    order_type: OrderType
    time_in_force: str
    price: Decimal | None
    stop_trigger: Decimal | None
    received_ns: int
    updated_ns: int
    session: date  # the session it works in first; a Day order ends with it
    status: Status = Status.RECEIVED
    external_identifier: str | None = None
    source: str | None = None
    strict: bool = False
    behavior: str = "immediate"
    gtc_date: date | None = None  # the last day of a GTD order
    contingent_status: str | None = None
    replaces: int | None = None
    replaced_by: int | None = None
    complex_id: int | None = None
    complex_tag: str | None = None
    preflight_id: int | None = None
    edited: bool = False
    triggered: bool = False
    reject_reason: str | None = None
    in_flight_ns: int | None = None
    live_ns: int | None = None
    cancelled_ns: int | None = None
    terminal_ns: int | None = None
    waiting_since_ns: int | None = None  # since when it could fill: the start of matching's patience
    hold_fill_until_ns: int = 0  # a late fill: not before this
    broken_leg: bool = False  # one leg filled alone: the others never will
    reserved: Decimal = Decimal(0)  # buying power the whole order was accepted with

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def underlying(self) -> str:
        return underlying_of(self.legs[0].symbol)

    @property
    def units(self) -> int:
        return gcd(*(leg.quantity for leg in self.legs))

    @property
    def whole_legs(self) -> list[Leg]:
        """The order's legs as core words, with the quantities of the whole order."""
        return [Leg(leg.symbol, leg.action, leg.quantity) for leg in self.legs]

    @property
    def remaining_units(self) -> int:
        units = self.units
        return min(leg.remaining // (leg.quantity // units) for leg in self.legs)

    @property
    def partly_filled(self) -> bool:
        return any(leg.fills for leg in self.legs)

    @property
    def executions(self) -> int:
        return max(len(leg.fills) for leg in self.legs)

    @property
    def can_be_cancelled(self) -> bool:
        return not self.terminal and self.status not in (Status.CANCEL_REQUESTED, Status.REPLACE_REQUESTED)

    @property
    def reserved_now(self) -> Decimal:
        """Buying power still held for what is not filled."""
        if self.terminal or not self.units:
            return Decimal(0)
        return self.reserved * self.remaining_units / self.units

    def become(self, status: Status, now_ns: int) -> None:
        """Change status; InvariantBroken when the life cycle does not allow it."""
        if status not in NEXT.get(self.status, frozenset()):
            raise InvariantBroken(f"order {self.order_id} cannot go from {self.status} to {status}")
        self.status = status
        self.updated_ns = now_ns
        self.contingent_status = None
        if status is Status.IN_FLIGHT:
            self.in_flight_ns = now_ns
        elif status is Status.LIVE:
            self.live_ns = self.live_ns or now_ns
            self.waiting_since_ns = now_ns
        elif status is Status.CANCELLED:
            self.cancelled_ns = now_ns
        if status in TERMINAL:
            self.terminal_ns = now_ns

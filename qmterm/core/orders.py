"""Orders, their life, and what the broker says of them.

Price convention (the tastytrade SDK's): `net_price` is dollars per share of one whole unit of the order,
**positive = credit received, negative = debit paid**. Zero is not a price we send.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from qmterm.core.instruments import is_option
from qmterm.core.reasons import Reason


class Action(StrEnum):
    """Values are tastytrade's wire words."""

    BUY_TO_OPEN = "Buy to Open"
    SELL_TO_OPEN = "Sell to Open"
    BUY_TO_CLOSE = "Buy to Close"
    SELL_TO_CLOSE = "Sell to Close"

    # Kept with each word: an order asks two dozen times on its way.
    buys: bool
    opens: bool
    sign: int  # +1 adds to the position, -1 takes away

    def __init__(self, word: str) -> None:
        self.buys = word.startswith("Buy")
        self.opens = word.endswith("Open")
        self.sign = 1 if self.buys else -1


class TimeInForce(StrEnum):
    """Values are tastytrade's wire words."""

    DAY = "Day"
    GTC = "GTC"
    GTD = "GTD"  # good until a date of its own
    IOC = "IOC"  # what does not fill at once is cancelled

    @property
    def outlives_day(self) -> bool:
        return self in (TimeInForce.GTC, TimeInForce.GTD)


class OrderKind(StrEnum):
    """Values are tastytrade's wire words."""

    LIMIT = "Limit"
    MARKET = "Market"
    STOP = "Stop"  # a market order once the trigger is reached
    STOP_LIMIT = "Stop Limit"

    priced: bool
    stopped: bool

    def __init__(self, word: str) -> None:
        self.priced = word.endswith("Limit")
        self.stopped = word.startswith("Stop")


class Purpose(StrEnum):
    """Why an order exists. Everything but ENTRY only reduces risk and is never refused by limits."""

    ENTRY = "entry"
    EXIT = "exit"
    SCALE_OUT = "scale-out"
    FLATTEN = "flatten"
    EXTERNAL = "external"  # placed elsewhere, adopted


class BracketRole(StrEnum):
    """What an order is in its bracket: the trigger opens, a target and a stop close; of those two one fills."""

    TRIGGER = "trigger"
    TARGET = "target"
    STOP = "stop"


class OrderState(StrEnum):
    INTENT = "intent"  # durable on disk, nothing sent
    SENT = "sent"  # handed to the wire, no answer yet
    UNKNOWN = "unknown"  # the answer was lost: counted at its worst case, never sent again
    RECEIVED = "received"
    ROUTED = "routed"
    CONTINGENT = "contingent"
    LIVE = "live"
    CANCEL_REQUESTED = "cancel requested"
    REPLACE_REQUESTED = "replace requested"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REMOVED = "removed"
    NOT_ACCEPTED = "not accepted"  # absent from two complete read-backs: watched until the session ends
    NOT_SENT = "not sent"  # an intent that was stopped, or found after a crash, before its send

    terminal: bool  # both are set below
    working: bool  # may still fill, as far as we know: UNKNOWN, SENT and an intent about to be sent included


_S = OrderState
_TERMINAL = frozenset({_S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED, _S.REMOVED, _S.NOT_ACCEPTED, _S.NOT_SENT})
for _state in OrderState:
    _state.terminal, _state.working = _state in _TERMINAL, _state not in _TERMINAL

_AT_BROKER = frozenset({_S.RECEIVED, _S.ROUTED, _S.CONTINGENT, _S.LIVE, _S.CANCEL_REQUESTED, _S.REPLACE_REQUESTED})
_ENDS = frozenset({_S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.REJECTED, _S.REMOVED})

# What may follow what. The broker may skip steps (a poll sees Live first), never go back from an end; a
# NOT_ACCEPTED order may still turn up (adopted with an alarm).
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    _S.INTENT: _AT_BROKER | _ENDS | {_S.SENT, _S.NOT_SENT, _S.UNKNOWN},
    _S.SENT: _AT_BROKER | _ENDS | {_S.UNKNOWN, _S.NOT_SENT},  # kept back at the wire itself
    _S.UNKNOWN: _AT_BROKER | _ENDS | {_S.NOT_ACCEPTED},
    _S.RECEIVED: (_AT_BROKER | _ENDS) - {_S.RECEIVED},
    # What waited for a trigger and was let go never waits again: that would be old news.
    _S.ROUTED: (_AT_BROKER | _ENDS) - {_S.RECEIVED, _S.ROUTED, _S.CONTINGENT},
    _S.CONTINGENT: (_AT_BROKER | _ENDS) - {_S.CONTINGENT},
    _S.LIVE: (_AT_BROKER | _ENDS) - {_S.RECEIVED, _S.ROUTED, _S.CONTINGENT, _S.LIVE},
    _S.CANCEL_REQUESTED: _ENDS | {_S.LIVE},
    # Back to where it was when its replacement was called off.
    _S.REPLACE_REQUESTED: _ENDS | {_S.LIVE, _S.RECEIVED, _S.ROUTED},
    _S.NOT_ACCEPTED: _AT_BROKER | _ENDS,
    _S.FILLED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.REMOVED: frozenset(),
    _S.NOT_SENT: frozenset(),
}


def may_become(old: OrderState, new: OrderState) -> bool:
    """True when `new` may follow `old`."""
    return new in TRANSITIONS[old]


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of an order; `quantity` is contracts or shares of the whole order, always positive."""

    symbol: str
    action: Action
    quantity: int

    @property
    def multiplier(self) -> int:
        return 100 if is_option(self.symbol) else 1


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """What we mean to send, complete, as it is written to the journal before anything leaves.

    `quantity` is units of the order (contracts of a single leg, spreads of a multi-leg order); `max_loss` is
    dollars for the whole order at the worst price it may get, fees included, None for an order that only reduces risk.
    `net_price` is None where the kind has none; `stop_trigger` dollars per share of one unit, positive.
    """

    intent_id: str  # travels as tastytrade's external-identifier
    created_ns: int
    strategy: str
    underlying: str
    purpose: Purpose
    legs: tuple[Leg, ...]
    quantity: int
    net_price: Decimal | None
    time_in_force: TimeInForce = TimeInForce.DAY
    max_loss: Decimal | None = None
    plan_id: str = ""  # the plan or position this serves: the answer to "why"
    reason: Reason | None = None
    kind: OrderKind = OrderKind.LIMIT
    stop_trigger: Decimal | None = None
    good_until: date | None = None  # the last day of a GTD order, New York
    replaces: str | None = None  # id of the intent whose order this one takes the place of
    worst_price: Decimal | None = None  # how far the machine may walk the price; None: the price is as it is
    bracket_id: str | None = None  # the same on all orders of one bracket
    role: BracketRole | None = None

    @property
    def counted_price(self) -> Decimal | None:
        """The dearest limit this order may ever work at, whoever replaces it; None: any price."""
        return self.net_price if self.worst_price is None else self.worst_price

    @property
    def rests(self) -> bool:
        """A protective exit that stands at the broker: it closes what its trigger opened, or what is held already."""
        return self.role in (BracketRole.TARGET, BracketRole.STOP)

    @property
    def reduces(self) -> bool:
        return self.purpose is not Purpose.ENTRY and not any(leg.action.opens for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one leg. `price` is dollars per share, positive; `fees` dollars, positive = paid."""

    fill_id: str
    broker_order_id: str
    symbol: str
    action: Action
    quantity: int
    price: Decimal
    time_ns: int
    fees: Decimal = Decimal(0)

    @property
    def cash_flow(self) -> Decimal:
        """Dollars into the account, fees taken off."""
        multiplier = 100 if is_option(self.symbol) else 1
        return -self.action.sign * self.quantity * multiplier * self.price - self.fees


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker reports it (stream, poll or answer): always the full object, never a diff."""

    broker_id: str
    external_id: str | None
    account: str
    underlying: str
    state: OrderState
    legs: tuple[Leg, ...]
    fills: tuple[Fill, ...]
    net_price: Decimal | None
    time_in_force: str
    received_ns: int
    updated_ns: int
    reject_reason: str | None = None
    replaces: str | None = None
    remaining: tuple[int, ...] = ()  # per leg, same order
    kind: OrderKind | None = OrderKind.LIMIT  # None: a word we do not know
    stop_trigger: Decimal | None = None
    good_until: date | None = None
    replaced_by: str | None = None  # also names a replacement that was called off
    complex_id: str | None = None  # of the bracket at the broker that it belongs to
    role: BracketRole | None = None


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """`quantity` is signed: + long, − short. `updated_ns` is the broker's own stamp of it, 0 where there is none."""

    symbol: str
    quantity: int
    average_open_price: Decimal
    multiplier: int
    mark: Decimal | None = None
    updated_ns: int = 0
    realized_today: Decimal | None = None  # dollars before fees, at the average price; None: not told


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Dollars."""

    cash: Decimal
    net_liquidating_value: Decimal
    option_buying_power: Decimal
    maintenance_requirement: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class DryRun:
    """The broker's own estimate for an order that was not placed; dollars, + = received."""

    buying_power_change: Decimal
    fees: Decimal
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountState:
    """All the broker says about the account in one look: what recovery and reconciliation compare with."""

    account: str
    balance: AccountBalance
    positions: tuple[BrokerPosition, ...]
    orders: tuple[BrokerOrder, ...]  # created or updated today, any state, plus any still working
    complete: bool = True  # every page was read


# What the account stream delivers, always as full objects.
BrokerEvent = BrokerOrder | BrokerPosition | AccountBalance

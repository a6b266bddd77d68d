"""The order desk: what is accepted, refused, cancelled and replaced. What happens to orders later is in life.py.

Every change leaves as a full object. Two posts are two orders: the external identifier is echoed, never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from qmterm.core.calendar import Phase
from qmterm.core.clock import et_date
from qmterm.sim.brokerage.book import Book
from qmterm.sim.brokerage.margin import Standing, standing
from qmterm.sim.brokerage.orders import OrderLeg, SimOrder, Status
from qmterm.sim.brokerage.preflight import (
    Effect,
    effect_of,
    form_problems,
    instrument_problems,
    margin_problem,
    price_problems,
    settle_closing_legs,
)
from qmterm.sim.brokerage.refusals import Problem, cannot_update, not_found, preflight_failed
from qmterm.sim.brokerage.ticket import Ticket
from qmterm.sim.brokerage.wire import NEXT_SESSION, Json, render_effect, render_order
from qmterm.sim.brokerage.world import BrokerageWorld

FIRST_ORDER_ID = 1_000_001
FIRST_COMPLEX_ID = 500_001
_ZERO = Decimal(0)
_EXTENDED = ("Ext", "GTC Ext")


@dataclass(slots=True)
class ComplexOrder:
    """OCO, OTO or OTOCO: simple orders that start and stop each other."""

    complex_id: int
    kind: str
    orders: list[SimOrder]
    trigger: SimOrder | None = None
    terminal_ns: int | None = None
    received_ns: int = 0
    updated_ns: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a check found: the order as it would be taken, its effect and its warnings."""

    ticket: Ticket
    effect: Effect
    warnings: list[Problem] = field(default_factory=list)


class Desk:
    """Owns the orders of one account."""

    def __init__(self, world: BrokerageWorld, book: Book, account: str, emit: Callable[[str, Json], None]) -> None:
        self.world = world
        self.book = book
        self.account = account
        self.emit = emit
        self.orders: dict[int, SimOrder] = {}
        self.complexes: dict[int, ComplexOrder] = {}
        self.balance_changed = False
        self.before_fill: Callable[[], None] = lambda: None  # the ledger's chance to remember how it was

    # --- looking ---

    @property
    def now_ns(self) -> int:
        return self.world.now_ns

    def working(self) -> list[SimOrder]:
        return [order for order in self.orders.values() if not order.terminal]

    def closers(self, without: Iterable[int] = ()) -> list[SimOrder]:
        """Orders that count against what can still be closed (waiting children and replacements do not yet)."""
        left_out = set(without)
        return [
            order
            for order in self.working()
            if order.status is not Status.CONTINGENT and order.order_id not in left_out
        ]

    def reserved(self, without: Iterable[int] = ()) -> Decimal:
        left_out = set(without)
        return sum((order.reserved_now for order in self.working() if order.order_id not in left_out), _ZERO)

    def standing(self) -> Standing:
        return standing(self.book.cash, self.book.holdings(), self.reserved(), self.world)

    def find(self, order_id: int) -> SimOrder:
        order = self.orders.get(order_id)
        if order is None:
            raise not_found(f"order {order_id}")
        return order

    def session(self) -> date:
        """The session an order placed now works in: today until its close, else the next."""
        today = et_date(self.now_ns)
        calendar = self.world.calendar
        if calendar.is_session(today) and self.now_ns < calendar.close_ns(today):
            return today
        return calendar.next(today)

    def open_for(self, time_in_force: str) -> bool:
        phase = self.world.phase
        return phase is Phase.REGULAR or (time_in_force in _EXTENDED and phase in (Phase.PRE, Phase.POST))

    # --- checking ---

    def check(self, ticket: Ticket, without: tuple[int, ...] = (), contingent: bool = False) -> Accepted:
        """All preflight checks; Refused with every problem found. A contingent child's closing legs wait."""
        problems = form_problems(ticket, et_date(self.now_ns)) + price_problems(ticket)
        problems += instrument_problems(ticket, self.world)
        if problems:
            raise preflight_failed(tuple(problems))
        if not contingent:
            ticket, problems = settle_closing_legs(ticket, self.book, self.closers(without))
        effect = effect_of(ticket, self.book, self.reserved(without), self.world)
        poor = None if contingent else margin_problem(effect)
        problems = [*problems, *([poor] if poor else [])]
        if problems:
            refused = preflight_failed(tuple(problems))
            refused.data = {"buying-power-effect": render_effect(effect)}
            raise refused
        warnings = [] if self.open_for(ticket.time_in_force) else [NEXT_SESSION]
        return Accepted(ticket, effect, warnings)

    # --- taking ---

    def new_order(self, ticket: Ticket, reserved: Decimal) -> SimOrder:
        """Register an order in the state Received, without telling anybody."""
        now = self.now_ns
        order = SimOrder(
            order_id=FIRST_ORDER_ID + len(self.orders),
            legs=[OrderLeg(leg.symbol, leg.action, leg.quantity) for leg in ticket.legs],
            order_type=ticket.order_type,
            time_in_force=ticket.time_in_force,
            price=ticket.price,
            stop_trigger=ticket.stop_trigger,
            received_ns=now,
            updated_ns=now,
            session=self.session(),
            external_identifier=ticket.external_identifier,
            source=ticket.source,
            strict=ticket.strict,
            behavior=ticket.behavior,
            gtc_date=ticket.gtc_date,
            reserved=reserved,
        )
        self.orders[order.order_id] = order
        return order

    def place(self, ticket: Ticket) -> tuple[SimOrder, Accepted]:
        accepted = self.check(ticket)
        order = self.new_order(accepted.ticket, max(_ZERO, -accepted.effect.change_in_buying_power))
        self.report(order)
        self.balance_changed = True
        return order, accepted

    def cancel(self, order_id: int) -> SimOrder:
        """Ask for a cancel; the end comes with a later step."""
        order = self.find(order_id)
        if not order.can_be_cancelled:
            raise cannot_update(f"Order {order_id} is {order.status} and cannot be cancelled.")
        if order.status is Status.CONTINGENT:
            self.finish(order, Status.CANCELLED)
        else:
            order.become(Status.CANCEL_REQUESTED, self.now_ns)
            self.report(order)
        return order

    def replace(self, order_id: int, ticket: Ticket) -> SimOrder:
        """A new order for what is still open of an old one; it waits until the old one is cancelled."""
        old = self.find(order_id)
        if not old.can_be_cancelled or old.status is Status.CONTINGENT or old.broken_leg:
            raise cannot_update(f"Order {order_id} is {old.status} and cannot be replaced.")
        accepted = self.check(ticket, without=(order_id,))
        new = self.new_order(accepted.ticket, max(_ZERO, -accepted.effect.change_in_buying_power))
        new.reserved = max(_ZERO, new.reserved - old.reserved_now)
        new.status = Status.CONTINGENT
        new.contingent_status = "Pending Order"
        new.replaces = old.order_id
        old.replaced_by = new.order_id
        old.edited = True
        old.become(Status.REPLACE_REQUESTED, self.now_ns)
        self.report(old)
        self.report(new)
        return new

    # --- telling ---

    def report(self, order: SimOrder, hide_legs: frozenset[int] = frozenset()) -> None:
        self.emit("Order", render_order(order, self.account, hide_legs))

    def move(self, order: SimOrder, status: Status) -> None:
        order.become(status, self.now_ns)
        self.report(order)

    def finish(self, order: SimOrder, status: Status, reason: str | None = None) -> None:
        """End an order and free what it reserved."""
        order.reject_reason = reason
        self.move(order, status)
        self.balance_changed = True


def remaining_ticket(order: SimOrder) -> Ticket:
    """What is still open of an order, as a ticket."""
    legs = tuple(leg for leg in order.whole_legs)
    left = tuple(
        type(leg)(leg.symbol, leg.action, open_leg.remaining) for leg, open_leg in zip(legs, order.legs, strict=True)
    )
    return Ticket(
        legs=left,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        price=order.price,
        stop_trigger=order.stop_trigger,
        external_identifier=order.external_identifier,
        source=order.source,
        strict=order.strict,
        behavior=order.behavior,
        gtc_date=order.gtc_date,
    )

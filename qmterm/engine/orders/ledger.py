"""The order ledger's memory: one record an order, matched to what the broker reports.

Pure state, no I/O: the desk (desk.py) does the sending and the journalling around it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Self

from qmterm.core.clock import NS, et_date
from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import (
    TRANSITIONS,
    BracketRole,
    BrokerOrder,
    Fill,
    OrderIntent,
    OrderKind,
    OrderState,
    Purpose,
    TimeInForce,
    may_become,
)
from qmterm.core.reasons import Reason
from qmterm.engine.show.wording import describe_order
from qmterm.risk.worst_case import Part

ADOPTED = "ext-"  # before the broker's number: our id of an order that somebody placed elsewhere
CANCEL_AGAIN_S = 15.0
CANCEL_REST_NS = 1_000_000_000  # market time after a cancel that was refused or not confirmed: no storm of cancels
DAY_NS = 86_400 * NS
_ENDS = frozenset(state for state in OrderState if not TRANSITIONS[state])  # for good
_UNANSWERED = (OrderState.SENT, OrderState.UNKNOWN, OrderState.NOT_ACCEPTED)
_RELEASED = (OrderState.RECEIVED, OrderState.ROUTED, OrderState.LIVE)  # an exit that waits for nothing any more
_CALLED_OFF = (OrderState.REJECTED, OrderState.REMOVED)


@dataclass(slots=True)
class OrderRecord:
    """One order of ours (or one placed elsewhere and adopted) and everything known of it."""

    intent: OrderIntent
    state: OrderState
    broker_id: str | None = None
    complex_id: str | None = None  # the broker's number of the bracket it belongs to
    reason: str = ""
    fills: dict[str, Fill] = field(default_factory=dict)
    external: bool = False
    known_since: float = 0.0  # monotonic seconds
    decided_at: float | None = None  # monotonic seconds when the decision had all its data
    scanned_at: float | None = None  # monotonic seconds when the pass that found it began
    acknowledged_ms: float | None = None
    alarmed: bool = False  # its moved position was told once
    unknown_since: float = 0.0  # monotonic seconds when its outcome was lost
    filled_at: float = 0.0  # monotonic seconds when the broker called it filled
    absent_since: float | None = None  # when the first complete read-back without it began
    moved_since: float | None = None  # the same, of an order in no list whose position moved
    looked_up_at: float | None = None  # monotonic seconds when it was last asked for by its number
    missing_since: float | None = None  # ... and the broker first said that it knows no such order
    cancel_asked: bool = False
    cancel_asked_at: float = 0.0  # monotonic seconds
    cancels_out: int = 0  # that left and have no answer yet
    cancel_rests_until_ns: int = 0  # market time; a person's cancel does not wait for it
    unwanted: bool = False  # a person cancelled it before the broker named it, or what it takes the place of
    gives_way: bool = False  # unwanted by the machine: a stop needs it gone
    withdrawn: Reason | None = None  # why it has to go, whatever a person allows later: a kill, a disarm
    spared: bool = False  # a person's close sent under HALT: the sweep of cancels leaves it alone
    worked_from_ns: int = 0  # market time it was sent
    decided_on: Mapping[str, object] | None = None  # the quotes behind the decision (priced.py)
    parts_seen: tuple[OrderIntent, tuple[Fill, ...], bool, Sequence[Part]] | None = field(
        default=None, compare=False, repr=False
    )  # fillable.py's, and what they hold for

    @property
    def working(self) -> bool:
        return self.state.working

    @property
    def taken_away(self) -> bool:
        """An exit that rests at the broker and that a person wants gone: it is not put back."""
        return self.unwanted and self.intent.rests

    def cancelling(self, monotonic: float, now_ns: int) -> bool:
        """A cancel was asked and may still come; one that led to nothing is asked again after a while."""
        if self.cancels_out or now_ns < self.cancel_rests_until_ns:
            return True
        return self.cancel_asked and monotonic - self.cancel_asked_at < CANCEL_AGAIN_S

    def describe(self) -> str:
        """`BUY 2 NVDA 17APR26 175C @ 4.15 db live 1/2`."""
        return f"{describe_order(self.intent)} {self.state.value} {self.filled_units}/{self.intent.quantity}"

    def filled(self, symbol: str) -> int:
        """Contracts of one leg executed so far."""
        return sum(fill.quantity for fill in self.fills.values() if fill.symbol == symbol)

    @property
    def filled_units(self) -> int:
        """Whole units filled on every leg."""
        if not self.fills or not self.intent.legs or not self.intent.quantity:
            return 0
        return min(
            self.filled(leg.symbol) * self.intent.quantity // leg.quantity for leg in self.intent.legs if leg.quantity
        )

    @property
    def remaining_units(self) -> int:
        return max(0, self.intent.quantity - self.filled_units)

    @property
    def worst_loss(self) -> Decimal:
        """Dollars still at risk in the unfilled part; the whole of it while the outcome is unknown."""
        if not self.working or self.intent.max_loss is None or self.intent.quantity == 0:
            return Decimal(0)
        return self.intent.max_loss * self.remaining_units / self.intent.quantity

    def remaining(self, symbol: str) -> int:
        """Contracts of one leg that may still execute."""
        if not self.working:
            return 0
        wanted = sum(leg.quantity for leg in self.intent.legs if leg.symbol == symbol)
        return max(0, wanted - self.filled(symbol))


@dataclass(frozen=True, slots=True)
class DayFills:
    """One day's executions, summed up."""

    day_trades: int  # contracts or shares, by symbol, that were both opened and closed
    sold: Decimal  # dollars that sales brought, before fees

    @classmethod
    def of(cls, records: Iterable[OrderRecord], day: date) -> Self:
        opened: set[str] = set()
        closed: set[str] = set()
        sold = Decimal(0)
        for record in records:
            for fill in record.fills.values():
                if et_date(fill.time_ns) == day:
                    (opened if fill.action.opens else closed).add(fill.symbol)
                    if not fill.action.buys:
                        sold += fill.cash_flow
        return cls(len(opened & closed), sold)


class Ledger:
    """All records, found by our id or the broker's."""

    def __init__(self) -> None:
        self._records: dict[str, OrderRecord] = {}
        self._unended: dict[str, OrderRecord] = {}  # of them, in the same order: what a state may still come after
        self._entries: list[OrderRecord] = []  # by their time: entries that replace nothing
        self._by_broker_id: dict[str, OrderRecord] = {}
        self._replacing: dict[str, list[str]] = {}  # intent id -> those that were to take its place, oldest first
        self._brackets: dict[str, list[str]] = {}  # bracket id -> its intents
        self._filled: dict[str, OrderRecord] = {}  # those that have fills
        self.changes = 0  # orders and fills that were added: whoever keeps what he made of them looks here
        self._filling = 0  # of those, what changed fills
        self._day: tuple[date, int, DayFills] | None = None  # and for which `_filling` it holds
        self.kept: tuple[object, object] | None = None  # exposure.py's, and what it holds for

    def add(self, record: OrderRecord) -> None:
        name = record.intent.intent_id
        again = name in self._records
        self.changes += 1
        self._records[name] = record
        self._unended[name] = record
        if again:
            self._unended = dict(self._records)
            self._entries = [entry for entry in self._entries if entry.intent.intent_id != name]
        if record.intent.purpose is Purpose.ENTRY and record.intent.replaces is None:
            insort(self._entries, record, key=_made_at)
        if record.intent.replaces is not None:
            self._replacing.setdefault(record.intent.replaces, []).append(record.intent.intent_id)
        if record.intent.bracket_id is not None:
            self._brackets.setdefault(record.intent.bracket_id, []).append(record.intent.intent_id)
        if record.broker_id:
            self._by_broker_id[record.broker_id] = record
        if self._filled.pop(name, None) is not None:
            self._filling += 1
        if record.fills:
            self._filled[name] = record
            self._filling += 1

    def fill(self, record: OrderRecord, fill: Fill) -> None:
        """Keep an execution with its order; one that it has already stays as it is."""
        if fill.fill_id not in record.fills:
            record.fills[fill.fill_id] = fill
            self._filled[record.intent.intent_id] = record
            self.changes += 1
            self._filling += 1

    def filled_on(self, day: date) -> DayFills:
        """What filled on that New York day. A decision asks each time, and a day's fills are many: it is kept."""
        if self._day is None or self._day[:2] != (day, self._filling):
            self._day = day, self._filling, DayFills.of(self._filled.values(), day)
        return self._day[2]

    def get(self, intent_id: str) -> OrderRecord | None:
        return self._records.get(intent_id)

    def find(self, order: BrokerOrder) -> OrderRecord | None:
        """Whose order is it? Our tag, while it names no other order of the broker; then the broker's own id.

        A tag can stand on two orders (edited elsewhere, or entered twice): the second is one of its own. A number of
        the broker's can come again too (a sandbox that starts anew each day), so a tag of ours outranks it.
        """
        tagged = self._records.get(order.external_id) if order.external_id else None
        if tagged is not None and tagged.broker_id in (None, order.broker_id):
            return tagged
        known = self._by_broker_id.get(order.broker_id)
        if known is not None and (tagged is None or known.external or self.root(known) is self.root(tagged)):
            return known
        return self._expected(order)

    def _expected(self, order: BrokerOrder) -> OrderRecord | None:
        """Our replacement whose answer was lost and whose order does not carry its tag: known by what it replaces."""
        original = self._by_broker_id.get(order.replaces or "")
        if original is None or order.external_id not in (None, "", original.intent.intent_id):
            return None
        for record in reversed(self.replacing(original)):
            intent = record.intent
            alike = (intent.net_price, intent.kind) == (order.net_price, order.kind)
            if alike and record.broker_id is None and record.state in _UNANSWERED:
                return record
        return None

    def name(self, record: OrderRecord, broker_id: str) -> None:
        record.broker_id = broker_id
        self._by_broker_id[broker_id] = record

    @property
    def records(self) -> tuple[OrderRecord, ...]:
        return tuple(self._records.values())

    @property
    def working(self) -> tuple[OrderRecord, ...]:
        """A day's orders are many and those that may still fill few: each is looked at until it has ended for good."""
        for name in [name for name, record in self._unended.items() if record.state in _ENDS]:
            del self._unended[name]
        return tuple([record for record in self._unended.values() if record.state.working])

    def watch_again(self) -> None:
        """One that had ended for good works after all: look through all of them anew."""
        self._unended = dict(self._records)

    def entries_after(self, ns: int) -> list[OrderRecord]:
        """Entries made later than that (market time). A step of an entry's price is none of its own."""
        return self._entries[bisect_right(self._entries, ns, key=_made_at) :]

    def count_after(self, ns: int) -> int:
        """How many `entries_after` names."""
        return len(self._entries) - bisect_right(self._entries, ns, key=_made_at)

    # --- orders that take each other's place ---

    def original(self, record: OrderRecord) -> OrderRecord | None:
        """The order it is to take the place of."""
        return self._records.get(record.intent.replaces or "")

    def replacing(self, record: OrderRecord) -> list[OrderRecord]:
        """All that were to take its place, oldest first, whatever became of them."""
        return [self._records[name] for name in self._replacing.get(record.intent.intent_id, ())]

    def root(self, record: OrderRecord) -> OrderRecord:
        """The first order of its chain that is known."""
        if record.intent.replaces is None:
            return record
        seen = {record.intent.intent_id}
        while (before := self.original(record)) is not None and before.intent.intent_id not in seen:
            seen.add(before.intent.intent_id)
            record = before
        return record

    def next_id(self, record: OrderRecord, now_ns: int) -> str:
        """An id for what is to take its place: the first order's, numbered, and before it the days since that was made.

        After a restart the steps of last month are not here, but in the journal: counted anew they would be its ids.
        The days stand in front because the screen, and who types, know an order by the end of its id.
        """
        root, number = self.root(record).intent, 1
        days = (now_ns - root.created_ns) // DAY_NS
        name = f"{days}.{root.intent_id}" if days else root.intent_id
        while f"{name}.{number}" in self._records:
            number += 1
        return f"{name}.{number}"

    def taken_over(self, record: OrderRecord) -> OrderRecord | None:
        """Who has its place at the broker, once it was cancelled for that."""
        if record.state is not OrderState.CANCELLED:
            return None
        return next((r for r in self.replacing(record) if r.broker_id and r.state not in _CALLED_OFF), None)

    def without(self, *records: OrderRecord) -> Ledger:
        """All orders but some and those that take their place."""
        others, roots = Ledger(), {self.root(record).intent.intent_id for record in records}
        for other in self._records.values():
            if self.root(other).intent.intent_id not in roots:
                others.add(other)
        return others

    @property
    def chains(self) -> tuple[tuple[OrderRecord, ...], ...]:
        """Working orders, grouped where one at most fills what is left: those that take each other's place, and the
        exits of a bracket. Exits that wait for a trigger can fill nothing yet and are in no group.
        """
        return self.chains_of(self.working)

    def chains_of(self, working: Iterable[OrderRecord]) -> tuple[tuple[OrderRecord, ...], ...]:
        """`chains` of what was found working a moment ago."""
        found: dict[tuple[str, str], list[OrderRecord]] = {}
        for record in working:
            if not self.dormant(record):
                found.setdefault(self._group(record), []).append(record)
        return tuple(tuple(chain) for chain in found.values())

    def _group(self, record: OrderRecord) -> tuple[str, str]:
        if record.intent.rests and record.intent.bracket_id is not None:
            return "bracket", record.intent.bracket_id
        return "order", self.root(record).intent.intent_id

    # --- brackets ---

    def bracket(self, record: OrderRecord) -> list[OrderRecord]:
        """All orders of its bracket; itself alone when it is in none."""
        names = self._brackets.get(record.intent.bracket_id or "")
        return [record] if names is None else [self._records[name] for name in names]

    def trigger(self, record: OrderRecord) -> OrderRecord | None:
        """The order that an exit waits for; None when there is none (any more): it closes what is held."""
        if not record.intent.rests:
            return None
        return next((r for r in self.bracket(record) if r.intent.role is BracketRole.TRIGGER), None)

    def dormant(self, record: OrderRecord) -> bool:
        """An exit whose trigger has filled nothing: there is nothing yet that it could close."""
        trigger = self.trigger(record)
        if trigger is None or trigger.fills or record.fills:
            return False
        return trigger.state is not OrderState.FILLED and record.state not in _RELEASED

    def resting(self, symbol: str) -> list[OrderRecord]:
        """Protective exits of ours in `symbol` that rest at the broker, or are on their way there."""
        return [record for record in self.working if _rests_on(record, symbol) and not self.dormant(record)]

    @property
    def unknown(self) -> tuple[OrderRecord, ...]:
        return tuple(record for record in self.working if record.state is OrderState.UNKNOWN)

    def closing(self, symbol: str, *, resting: bool = True, beside: Collection[str] = ()) -> int:
        """Contracts of `symbol` that working orders may still close; without `resting`, beside our resting exits.

        Orders of the plans `beside` are not counted.
        """
        return sum(
            max(record.remaining(symbol) if _closes(record, symbol) else 0 for record in chain)
            for chain in self.chains
            if (resting or not _rests_on(chain[0], symbol)) and chain[0].intent.plan_id not in beside
        )


def _made_at(record: OrderRecord) -> int:
    return record.intent.created_ns


def _rests_on(record: OrderRecord, symbol: str) -> bool:
    return record.intent.rests and not record.external and record.intent.legs[0].symbol == symbol


def _closes(record: OrderRecord, symbol: str) -> bool:
    return any(leg.symbol == symbol and not leg.action.opens for leg in record.intent.legs)


def next_state(record: OrderRecord, reported: OrderState) -> OrderState | None:
    """The state to move to, or None when the report is old news (streams and polls overtake each other)."""
    if reported is record.state or not may_become(record.state, reported):
        return None
    return reported


def new_fills(record: OrderRecord, order: BrokerOrder) -> Iterable[Fill]:
    """Executions in the report that the record does not hold yet, oldest first."""
    return sorted(
        (fill for fill in order.fills if fill.fill_id not in record.fills),
        key=lambda fill: (fill.time_ns, fill.fill_id),
    )


_FORCES = {force.value: force for force in TimeInForce} | {"GTC Ext": TimeInForce.GTC}


def adopt(order: BrokerOrder, now_ns: int, monotonic: float) -> OrderRecord:
    """A record for an order that somebody placed elsewhere: shown and watched, never repriced by the machine."""
    quantity = min((leg.quantity for leg in order.legs), default=0)
    intent = OrderIntent(
        intent_id=f"{ADOPTED}{order.broker_id}",
        created_ns=order.received_ns or now_ns,
        strategy="external",
        underlying=order.underlying,
        purpose=Purpose.EXTERNAL,
        legs=order.legs,
        quantity=quantity,
        net_price=order.net_price or None,
        time_in_force=_FORCES.get(order.time_in_force, TimeInForce.DAY),
        max_loss=_external_worst_loss(order),
        kind=order.kind or (OrderKind.LIMIT if order.net_price else OrderKind.MARKET),
        stop_trigger=order.stop_trigger,
        good_until=order.good_until,
        bracket_id=None if order.complex_id is None else f"{ADOPTED}bracket-{order.complex_id}",
        role=order.role if order.complex_id is not None else None,
    )
    return OrderRecord(
        intent=intent,
        state=order.state,
        broker_id=order.broker_id,
        complex_id=order.complex_id,
        external=True,
        known_since=monotonic,
        worked_from_ns=order.received_ns,
    )


def _external_worst_loss(order: BrokerOrder) -> Decimal | None:
    """What an adopted opening order can lose at most: its debit or its sold strikes; None when it only closes."""
    opening = [leg for leg in order.legs if leg.action.opens]
    if not opening or order.net_price is None:
        return None
    if order.net_price < 0:
        return -order.net_price * min(leg.quantity for leg in order.legs) * order.legs[0].multiplier
    # A credit that opens: no bound is known to us, so the sold strikes are counted in full.
    sold = (leg for leg in opening if not leg.action.buys and is_option(leg.symbol))
    return sum((parse_option(leg.symbol).strike * leg.quantity * leg.multiplier for leg in sold), Decimal(0))

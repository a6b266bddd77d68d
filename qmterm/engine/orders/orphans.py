"""Legs that stand alone because an order of several legs ended unequally filled: told with an alarm, and closed.

The broker fills the units of a spread in ratio; where it reports otherwise and the order is over, what is left is not
the position anybody wanted (DESIGN.md 5). Legs that open and legs that close are looked at apart, as a roll has both.
The trap: news of a leg may be late. An order that the broker calls filled is filled; only one that ended another way,
with all orders that took its place, leaves a leg alone. And whatever closed the leg since counts, whoever did it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from qmterm.core.clock import NS, Clock
from qmterm.core.instruments import underlying_of
from qmterm.core.orders import Leg, OrderIntent, OrderState, Purpose
from qmterm.core.protocols import QuoteSource
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exit_orders import exit_price
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.structure import closed
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.wording import describe_leg

UNEVEN_NS = 15 * NS  # market time after its latest fill: by then a poll has seen the missing legs
REARM_NS = 300 * NS  # after a person refused a closer
_STRANGE = (OrderState.UNKNOWN, OrderState.FILLED)  # more fills may turn up


@dataclass(frozen=True, slots=True)
class Orphan:
    """`leg` closes what stands alone, of the order `root`."""

    root: OrderRecord
    leg: Leg

    @property
    def name(self) -> tuple[str, str]:
        return self.root.intent.intent_id, self.leg.symbol


class Orphans:
    def __init__(
        self,
        book: Book,
        ledger: Ledger,
        quotes: QuoteSource,
        ticks: TickBook,
        clock: Clock,
        log: RunLog,
        loose: Callable[[str, str], int | None] = lambda _plan_id, _symbol: None,
    ) -> None:
        """`loose` gives the contracts of a symbol that a plan's guard has in no whole unit; None: there is no guard."""
        self._book = book
        self._ledger = ledger
        self._quotes = quotes
        self._ticks = ticks
        self._clock = clock
        self._log = log
        self._loose = loose
        self._told: set[tuple[str, str]] = set()
        self._called_off: dict[str, int] = {}  # symbol -> market time at which a person refused

    def look(self, spoken_for: Callable[[str], int]) -> tuple[OrderIntent, ...]:
        """Closing orders that leave now, what was sold first; each leg alone is told once.

        `spoken_for` gives the contracts of a symbol that whole positions need: these are nobody's to close.
        """
        now = self._clock.now()
        found = sorted(self._alone(spoken_for), key=lambda orphan: not orphan.leg.action.buys)
        for orphan in found:
            if orphan.name not in self._told:
                code, leg = Reason.ORPHAN_LEG.value, describe_leg(orphan.leg)
                text = f"{code}: an order ended with some legs only; to be closed: {leg}"
                self._log.alarm("ORD", text, orphan.leg.symbol, order=orphan.root.intent.intent_id)
        self._told |= {orphan.name for orphan in found}
        orders = []
        for orphan in found:
            symbol = orphan.leg.symbol
            rested = now - self._called_off.get(symbol, -REARM_NS) >= REARM_NS
            left = orphan.leg.quantity - self._ledger.closing(symbol, resting=False)
            if rested and left > 0:
                order = self._order(orphan, left, now)
                if order is not None:
                    orders.append(order)
        return tuple(orders)

    def call_off(self, symbol: str) -> None:
        """A person refused the closer: it is asked again after a while."""
        self._called_off[symbol] = self._clock.now()

    # --- finding ---

    def _alone(self, spoken_for: Callable[[str], int]) -> Iterator[Orphan]:
        for root, chain in self._ended():
            filled = {leg.symbol: sum(record.filled(leg.symbol) for record in chain) for leg in root.intent.legs}
            last = max(fill.time_ns for record in chain for fill in record.fills.values())
            for leg in _unequal(root.intent, filled):
                left = self._loose(root.intent.plan_id, leg.symbol)  # a guard counts every close, however many legs
                if left is None:
                    left = leg.quantity - self._closed_since(leg, last)
                held = -leg.action.sign * self._book.quantity(leg.symbol)
                count = min(leg.quantity, left, held - spoken_for(leg.symbol))
                if count > 0:
                    yield Orphan(root, Leg(leg.symbol, leg.action, count))

    def _closed_since(self, leg: Leg, last_ns: int) -> int:
        """Contracts that orders for this leg alone closed, whoever sent them."""
        return sum(
            fill.quantity
            for record in self._ledger.records
            if len(record.intent.legs) == 1
            for fill in record.fills.values()
            if fill.symbol == leg.symbol and fill.action is leg.action and fill.time_ns >= last_ns
        )

    def _ended(self) -> Iterator[tuple[OrderRecord, list[OrderRecord]]]:
        """Orders of several legs of ours that are over, each with all that took its place."""
        chains: dict[str, list[OrderRecord]] = {}
        for record in self._ledger.records:
            if len(record.intent.legs) > 1 and not record.external:
                chains.setdefault(self._ledger.root(record).intent.intent_id, []).append(record)
        for chain in chains.values():
            over = not any(record.working or record.state in _STRANGE for record in chain)
            if over and any(record.fills for record in chain):
                yield chain[0], chain

    # --- closing ---

    def _order(self, orphan: Orphan, wanted: int, now_ns: int) -> OrderIntent | None:
        """For `wanted` contracts: what no working order closes already."""
        leg, root = orphan.leg, orphan.root.intent
        free = abs(closable(self._book, self._ledger, leg.symbol, resting=False))
        count, quote = min(wanted, free), self._quotes.quote(leg.symbol)
        position = self._book.position(leg.symbol)
        if not count or quote is None or position is None:
            return None
        stem = f"o{root.intent_id}-{leg.symbol.replace(' ', '')}"
        number = 1
        while self._ledger.get(f"{stem}-{number}") is not None:
            number += 1
        selling = not leg.action.buys
        price = exit_price(quote, number - 1, self._ticks.of(leg.symbol), selling=selling)
        if price is None:
            return None
        return OrderIntent(
            intent_id=f"{stem}-{number}",
            created_ns=now_ns,
            strategy=position.strategy,
            underlying=underlying_of(leg.symbol),
            purpose=Purpose.EXIT,
            legs=(Leg(leg.symbol, leg.action, count),),
            quantity=count,
            net_price=price if selling else -price,
            plan_id=root.plan_id,  # what stands alone is no part of whoever holds the same contract
            reason=Reason.ORPHAN_LEG,
        )


def uneven(record: OrderRecord, now_ns: int) -> bool:
    """A working order whose legs filled unequally, and whose latest fill is no news any more."""
    intent = record.intent
    if len(intent.legs) < 2 or not record.fills or now_ns - max(f.time_ns for f in record.fills.values()) < UNEVEN_NS:
        return False
    return any(_unequal(intent, {leg.symbol: record.filled(leg.symbol) for leg in intent.legs}))


def _unequal(intent: OrderIntent, filled: Mapping[str, int]) -> Iterator[Leg]:
    """Closing legs for what has no partner: too much was opened, or too little closed."""
    opening = [leg for leg in intent.legs if leg.action.opens]
    closing = [leg for leg in intent.legs if not leg.action.opens]
    if len(opening) > 1:
        whole = min(filled[leg.symbol] // _ratio(intent, leg) for leg in opening)
        for leg in opening:
            if (extra := filled[leg.symbol] - whole * _ratio(intent, leg)) > 0:
                yield closed(leg, extra)
    if len(closing) > 1:
        begun = max(-(-filled[leg.symbol] // _ratio(intent, leg)) for leg in closing)
        for leg in closing:
            if (owed := begun * _ratio(intent, leg) - filled[leg.symbol]) > 0:
                yield Leg(leg.symbol, leg.action, owed)


def _ratio(intent: OrderIntent, leg: Leg) -> int:
    return max(1, leg.quantity // max(1, intent.quantity))

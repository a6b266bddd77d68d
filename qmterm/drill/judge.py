"""The judge reads the simulator's ledger, never ours, and compares the journal's file with it.

The trap: the engine's own opinion of itself is exactly what a drill must not trust. Only the limits are
watched while the day runs, because the last state does not show them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from qmterm.core.settings.risk import RiskSettings
from qmterm.drill.cover import alone
from qmterm.drill.judge_limits import Limits, ours
from qmterm.engine.ladder import Level
from qmterm.journal.state import JournalState
from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.orders import SimOrder

COUNTS = (
    "duplicate_orders",
    "orders_without_intent",
    "lost_fills",
    "doubled_fills",
    "position_differences",
    "closes_that_opened",
    "limit_breaches",
    "legs_alone",
)
_CENT = Decimal("0.01")


@dataclass(slots=True)
class Findings:
    """What was wrong, each thing with one sentence."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def add(self, count: str, text: str) -> None:
        self.counts[count] += 1
        self.lines.append(f"{count}: {text}")

    @property
    def clean(self) -> bool:
        return not self.counts


class Judge:
    def __init__(self, brokerage: Brokerage, risk: RiskSettings) -> None:
        self._brokerage = brokerage
        self._seen_orders = 0
        self.withdrawn: set[str] | None = None  # orders that a person cancelled; None: nobody counts them
        self.findings = Findings()
        self._limits = Limits(brokerage, risk, self._breach)

    # --- while the day runs ---

    def after_order(self) -> None:
        """An order was taken: are its limits kept if everything of ours that works fills?"""
        orders = list(self._brokerage.desk.orders.values())
        fresh, self._seen_orders = orders[self._seen_orders :], len(orders)
        fresh = [order for order in fresh if ours(order) and _opens(order)]
        if fresh:
            self._limits.check(fresh, [order for order in orders if ours(order)])

    def _breach(self, text: str) -> None:
        self.findings.add("limit_breaches", text)

    def said_flat(self) -> None:
        """At its end the engine claims that the account is flat: is it, and does nothing work?"""
        held, working = self._brokerage.book.holdings(), self._brokerage.desk.working()
        if any(held.values()) or working:
            self.findings.add(
                "position_differences", f"said to be flat with {dict(held)} held and {len(list(working))} order(s)"
            )

    def stuck(self, left: str) -> None:
        """A flatten that is not through must name what is left."""
        if not left:
            self.findings.add("position_differences", "a flatten is not through and nothing is said to be left")

    # --- at the end ---

    def close(self, saved: JournalState, positions: Mapping[str, int], cash: Decimal) -> Findings:
        """`saved` is the journal's file after the last life ended, the rest the book rebuilt from it."""
        self._judge_orders(saved)
        self._limits.check_strategies({order.intent.intent_id: order.intent.strategy for order in saved.orders})
        self._judge_fills(saved)
        self._judge_closes(saved)
        theirs = self._brokerage.book.holdings()
        if not _halted(saved):
            for text in alone(self._brokerage.desk.orders, self._brokerage.book.transactions, self.withdrawn):
                self.findings.add("legs_alone", text)
        for symbol in sorted(theirs.keys() | positions.keys()):
            if theirs.get(symbol, 0) != positions.get(symbol, 0):
                self.findings.add(
                    "position_differences",
                    f"{symbol}: broker {theirs.get(symbol, 0)}, ours {positions.get(symbol, 0)}",
                )
        if abs(cash - self._brokerage.book.cash) >= _CENT:
            self.findings.add("position_differences", f"cash: broker {self._brokerage.book.cash}, ours {cash}")
        return self.findings

    def _judge_orders(self, saved: JournalState) -> None:
        intents = {order.intent.intent_id for order in saved.orders}
        tags = Counter(order.external_identifier for order in self._brokerage.desk.orders.values() if ours(order))
        for tag, count in tags.items():
            if count > 1:
                self.findings.add("duplicate_orders", f"{tag} stands on {count} orders")
            if tag not in intents:
                self.findings.add("orders_without_intent", f"{tag} is in no journal")

    def _judge_fills(self, saved: JournalState) -> None:
        ours: defaultdict[str, int] = defaultdict(int)
        for stored in saved.fills:
            ours[stored.fill.fill_id.partition("#")[0]] += stored.fill.quantity
        for order in self._brokerage.desk.orders.values():
            for leg in order.legs:
                for fill in leg.fills:
                    counted = ours.pop(fill.fill_id, 0)
                    if counted < fill.quantity:
                        self.findings.add("lost_fills", f"{fill.fill_id}: {counted} of {fill.quantity} {leg.symbol}")
                    elif counted > fill.quantity:
                        self.findings.add("doubled_fills", f"{fill.fill_id}: {counted} for {fill.quantity}")
        for fill_id, quantity in ours.items():
            self.findings.add("doubled_fills", f"{fill_id}: {quantity} that the broker never filled")

    def _judge_closes(self, saved: JournalState) -> None:
        """A close of ours that the broker took as an open, or that carried a position through zero."""
        intents = {order.intent.intent_id: order.intent for order in saved.orders}
        for order in self._brokerage.desk.orders.values():
            intent = intents.get(order.external_identifier or "")
            if intent is None or not ours(order):
                continue
            for meant, taken in zip(intent.legs, order.legs, strict=True):
                if meant.action is not taken.action:
                    self.findings.add("closes_that_opened", f"order {order.order_id} {meant.action} as {taken.action}")
        held: Counter[str] = Counter()
        for row in self._brokerage.book.transactions:
            if row.action is None or row.symbol is None:
                continue
            before = held[row.symbol]
            held[row.symbol] += row.action.sign * row.quantity
            closing = row.order_id is not None and not row.action.opens
            if closing and abs(before) < row.quantity:
                self.findings.add("closes_that_opened", f"order {row.order_id} closed {row.quantity} of {before}")


def _halted(saved: JournalState) -> bool:
    """A day that ends in HALT: no machine sends anything there, what stands alone is a person's to close."""
    return saved.ladder is not None and saved.ladder.state == Level.HALT.label


def _opens(order: SimOrder) -> bool:
    return all(leg.action.opens for leg in order.legs)

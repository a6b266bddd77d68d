"""Differences that have stood are adopted: the broker's word, its cause, journalled, and no profit or loss of ours.

The trap: until all of a comparison is adopted the account's value is neither the old nor the new one; so book, marks
and what losses are measured from move together, before anything is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from qmterm.core.orders import AccountState
from qmterm.engine.losses import DOCUMENT as DAY
from qmterm.engine.orders.causes import Cause, flow_of
from qmterm.engine.orders.explaining import Explainer
from qmterm.engine.orders.reconcile import Difference
from qmterm.engine.orders.recovery import adopt_difference
from qmterm.engine.orders.splits import Successor, owners_of
from qmterm.engine.show.wording import structure_label
from qmterm.engine.trader import Trader

FEE_DRIFT = Decimal("5.00")  # dollars of cash difference that is put down to fees and adopted with a note


class AdoptionJournal(Protocol):
    async def write_document(self, name: str, body: dict[str, object]) -> None: ...

    async def write_adjustment(self, symbol: str | None, amount: Decimal, reason: str, time_ns: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was adopted in words, and of that what nothing explains."""

    texts: tuple[str, ...]
    serious: tuple[str, ...]


class Adoption:
    def __init__(self, trader: Trader, journal: AdoptionJournal, explainer: Explainer) -> None:
        self._trader = trader
        self._journal = journal
        self._explainer = explainer
        self.on_flow: Callable[[Decimal], None] = lambda _dollars: None  # set by the engine: arming measures losses too

    async def adopt(self, confirmed: Sequence[Difference], state: AccountState) -> Adopted:
        """Take the broker's word for all of them, keep that on the disk and say it. JournalError when that fails."""
        trader, now = self._trader, self._trader.clock.now()
        causes = self._explainer.name(confirmed, FEE_DRIFT)
        # All at once, before anything is awaited: a fill that is counted in between must not be undone by older news,
        # and nobody may measure a loss between the two.
        heirs = self._explainer.heirs(confirmed)
        changes, flow = self._take_over(confirmed, causes, state, heirs)
        # Before the adjustments are on the disk: after a crash the same difference would show again, a guard not.
        for guard in await trader.guards.follow(heirs):
            text = f"split: the stops now watch {guard.state.quantity} {structure_label(guard.legs)}"
            trader.log.warn("STOP", text, guard.symbol)
        texts = tuple(f"{difference} ({cause.text})" for difference, cause in zip(confirmed, causes, strict=True))
        rows = [
            self._journal.write_adjustment(difference.symbol or None, change, f"reconcile: {text}", now)
            for difference, change, text in zip(confirmed, changes, texts, strict=True)
        ]
        if flow:  # beside them: after a crash the base must not be without what the cash was moved by
            rows.append(self._journal.write_document(DAY, trader.day.to_dict()))
        await asyncio.gather(*rows)
        for difference, text, cause in zip(confirmed, texts, causes, strict=True):
            write = trader.log.warn if cause.explained else trader.log.alarm
            write("RECO", f"difference adopted: {text}", difference.symbol or "cash", cause=cause.kind.value)
        serious = (text for text, cause in zip(texts, causes, strict=True) if not cause.explained)
        return Adopted(texts, tuple(serious))

    def _take_over(
        self,
        confirmed: Sequence[Difference],
        causes: Sequence[Cause],
        state: AccountState,
        heirs: dict[str, Successor],
    ) -> tuple[list[Decimal], Decimal]:
        """The change of each, and the dollars that came or went, which are no profit and no loss."""
        trader, now = self._trader, self._trader.clock.now()
        book, owners = trader.book, owners_of(trader.book, heirs)
        averages = {position.symbol: position.average for position in book.positions}
        changes = [adopt_difference(book, d.symbol, d.theirs, state, now, owners.get(d.symbol)) for d in confirmed]
        averages |= {position.symbol: position.average for position in book.positions}
        trader.marks.update()  # of what is new as well

        def price_of(symbol: str) -> Decimal:
            mark = trader.marks.of(symbol)
            return averages[symbol] if mark is None else mark.price

        flow = flow_of(zip(confirmed, changes, causes, strict=True), price_of)
        trader.day.flow(flow)
        self.on_flow(flow)
        return changes, flow

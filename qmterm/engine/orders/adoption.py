"""Differences that have stood are adopted: the broker's word, its cause, journalled, and no profit or loss of ours.

The traps: until all of a comparison is adopted the account's value is neither the old nor the new one; so book, marks
and what losses are measured from move together, before anything is awaited. And a change that the disk does not get is
found once more by the next start, while what losses are measured from has it already; so each is written until it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from qmterm.core.errors import JournalError
from qmterm.core.orders import AccountState
from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.losses import DOCUMENT as DAY
from qmterm.engine.orders.causes import Cause, flow_of
from qmterm.engine.orders.explaining import Explainer
from qmterm.engine.orders.reconcile import Difference
from qmterm.engine.orders.recovery import adopt_difference
from qmterm.engine.orders.splits import Successor, owners_of
from qmterm.engine.patience import DiskPatience
from qmterm.engine.show.wording import structure_label
from qmterm.engine.trader import Trader

FEE_DRIFT = Decimal("5.00")  # dollars of cash difference that is put down to fees and adopted with a note


class AdoptionJournal(Protocol):
    async def write_adjustment(self, symbol: str | None, amount: Decimal, reason: str, time_ns: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was adopted in words, of that what nothing explains, and what of it the disk is to keep."""

    texts: tuple[str, ...]
    serious: tuple[str, ...]
    heirs: Mapping[str, Successor]
    flow: Decimal  # dollars that came or went


class Adoption:
    def __init__(
        self,
        trader: Trader,
        journal: AdoptionJournal,
        explainer: Explainer,
        day_rows: KeptRows,
        patience: DiskPatience,
    ) -> None:
        self._trader = trader
        self._journal = journal
        self._explainer = explainer
        self._day_rows = day_rows
        self._patience = patience
        self._owed: list[tuple[str | None, Decimal, str, int]] = []  # adjustments to give to the journal, in order
        self.on_flow: Callable[[Decimal], None] = lambda _dollars: None  # set by the engine: arming measures losses too

    def adopt(self, confirmed: Sequence[Difference], state: AccountState) -> Adopted:
        """Take the broker's word for all of them and say it; `keep` is to follow at once.

        Nothing is awaited: a fill that is counted in between must not be undone by older news, and nobody may measure
        a loss between the two.
        """
        trader, now = self._trader, self._trader.clock.now()
        causes = self._explainer.name(confirmed, FEE_DRIFT)
        heirs = self._explainer.heirs(confirmed)
        changes, flow = self._take_over(confirmed, causes, state, heirs)
        texts = tuple(f"{difference} ({cause.text})" for difference, cause in zip(confirmed, causes, strict=True))
        for difference, change, text in zip(confirmed, changes, texts, strict=True):
            self._owed.append((difference.symbol or None, change, f"reconcile: {text}", now))
        for difference, text, cause in zip(confirmed, texts, causes, strict=True):
            write = trader.log.warn if cause.explained else trader.log.alarm
            write("RECO", f"difference adopted: {text}", difference.symbol or "cash", cause=cause.kind.value)
        serious = (text for text, cause in zip(texts, causes, strict=True) if not cause.explained)
        return Adopted(texts, tuple(serious), heirs, flow)

    async def keep(self, adopted: Adopted) -> None:
        """What was adopted on the disk. JournalError when that fails: `again` goes on with it."""
        trader = self._trader
        try:
            # Before the adjustments are on the disk: after a crash the same difference would show again, a guard not.
            for guard in await trader.guards.follow(adopted.heirs):
                text = f"split: the stops now watch {guard.state.quantity} {structure_label(guard.legs)}"
                trader.log.warn("STOP", text, guard.symbol)
        finally:  # whatever became of those: each of them is written until it is on the disk
            rows = [self._write()]
            if adopted.flow:  # beside them: after a crash the base must not be without what the cash was moved by
                rows.append(self._keep_day())
            await self._patience.wait(asyncio.gather(*rows))

    async def again(self) -> None:
        """Once a turn: what failed, in its order. If it fails again that is told, not raised: stops stand behind it."""
        if not self._owed:
            return
        try:
            await self._patience.wait(self._write())
        except JournalError as error:
            self._patience.failed(error)

    async def _write(self) -> None:
        """Give the journal all that is owed; what it does not take is owed again, before what came meanwhile."""
        owed, self._owed[:] = tuple(self._owed), ()
        ends = await asyncio.gather(*(self._journal.write_adjustment(*row) for row in owed), return_exceptions=True)
        self._owed[:0] = [row for row, end in zip(owed, ends, strict=True) if end is not None]
        for end in ends:
            if end is not None:
                raise end

    async def _keep_day(self) -> None:
        await self._day_rows.write(DAY)

    def _take_over(
        self,
        confirmed: Sequence[Difference],
        causes: Sequence[Cause],
        state: AccountState,
        heirs: Mapping[str, Successor],
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

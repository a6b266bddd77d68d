"""Fills what the stream missed: the market's latest minute by snapshot, what is left by single calls, positions first.

The trap: a snapshot tells the latest minute only, so while the stream is down one must be taken in every minute, before
the next one hides it. Single bars, thousands perhaps, therefore stand back for it. And repair must not become a storm:
one runs at a time, its calls are what the plan's budget gives in half a minute, waits grow while it fails, and what a
plan refuses is not asked again in this session.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import numpy as np

from qmterm.core.bars import BoolArray
from qmterm.core.clock import to_et
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.bars.live import Tell
from qmterm.market.board.board import Board
from qmterm.market.board.minutes import MINUTE_NS
from qmterm.market.board.sane import sane_bar
from qmterm.market.records import BarColumns, SnapshotColumns
from qmterm.market.rest.budget import MINUTE_S, Priority, asking_for
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.gaps import MinuteLedger
from qmterm.market.stream.order import Standing, repair_order

WITHIN_S = 30.0  # the calls of one round are what the budget gives in this time
_TOGETHER = 8  # calls between two looks at whether a snapshot is due
_MOST_FAILURES = 3  # of single symbols, before a round is given up
_MS = 1_000_000
_RETRY_S = 1.0  # before a failed repair is tried again, doubled each time
_LONGEST_RETRY_S = 4.0  # whole again within ten seconds of the service's return
_BEHIND_RETRY_S = 20.0  # before a snapshot of the whole market that had nothing new is taken again
_NAMED = 8  # symbols in a line of the log


class MinuteRepair:
    """`snapshot` reads the whole market onto the board, None = the plan has none; `standing`: what matters now."""

    def __init__(
        self,
        board: Board,
        rest: PolygonRest,
        snapshot: Callable[[], Awaitable[SnapshotColumns | None]],
        standing: Callable[[], Standing],
        monotonic: Callable[[], float],
        per_minute: int,
        tell: Tell = lambda symbol, text: None,
    ) -> None:
        self._board, self._rest, self._snapshot, self._standing = board, rest, snapshot, standing
        self._monotonic = monotonic
        self._calls = max(1, int(per_minute * WITHIN_S / MINUTE_S))
        self._tell = tell
        self.ledger = MinuteLedger()
        self._no_bars = False  # the plan refuses today's minute bars
        self._no_snapshot = False
        self._known_until_ns = 0  # the newest minute (its start) that a snapshot has settled
        self._failed: Counter[int] = Counter()  # rows whose bars could not be read: they go last
        self._not_before_s = 0.0
        self._failures = 0
        self._told = (0, 0, 0)  # minutes lost and repaired, and symbols, as they were said last
        self._task: asyncio.Task[bool] | None = None
        self.last_failure = ""

    def start_session(self, open_ns: int, close_ns: int) -> None:
        if (open_ns, close_ns) != self.ledger.session:
            self._no_bars = self._no_snapshot = False
            self._failures, self._not_before_s, self._known_until_ns = 0, 0.0, 0
            self._failed.clear()
            self._told = (0, 0, 0)
        self.ledger.start_session(open_ns, close_ns)

    def look(self, now_ns: int) -> bool:
        """Judge the minutes that are over; True when a repair is due and something can be done."""
        missing = self.ledger.judge(now_ns, self._board.minutes, len(self._board.stocks))
        if not missing or self._monotonic() < self._not_before_s:
            return False
        return self._snapshot_due or (not self._no_bars and self.ledger.lost_bars.unknown > 0)

    def service_is_back(self) -> None:
        """A sign of life: no more waiting because of what failed before."""
        self._not_before_s = 0.0

    def begin(self, now_ns: int) -> None:
        """`repair` beside everything else, one at a time."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self.repair(now_ns), name="repair minutes")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def repair(self, now_ns: int) -> bool:
        """One round; False when something failed (the ledger says what is still lost)."""
        round_ = _Round(self._calls)
        starts = self.ledger.missing_minutes
        ordered = self._ordered()
        # One more than what is held tells whether single calls work at all.
        first = ordered[: 1 + sum(priority is Priority.POSITIONS for _, priority in ordered)]
        try:
            # Beside each other, so that neither waits for the other's time-out; taken in a fixed order.
            answers, snapshot = await asyncio.gather(
                self._ask(first, starts, round_), self._take_snapshot(round_, starts)
            )
            self._take_bars(answers, starts)
            if snapshot is not None:
                self.check(snapshot, now_ns)
            if answers:
                await self._read_rest(round_)
        finally:
            self._report()
        behind = snapshot is not None and bool(starts) and starts[-1] > self._known_until_ns
        self.last_failure = round_.failure or ("the snapshot does not know the latest minute yet" if behind else "")
        if not self.last_failure:
            self._failures = 0
            return True
        self._failures += 1
        wait = min(_LONGEST_RETRY_S, _RETRY_S * 2.0 ** (self._failures - 1)) if round_.failure else _BEHIND_RETRY_S
        self._not_before_s = self._monotonic() + wait
        return False

    def check(self, snapshot: SnapshotColumns, now_ns: int) -> None:
        """Take each symbol's newest minute where we never got it; `now_ns` is when the snapshot was asked for.

        A bar that is not whole (a plan may leave parts out) stands in by its close; an impossible one is none.
        """
        stocks, ring = self._board.stocks, self._board.minutes
        self.ledger.judge(now_ns, ring, len(stocks))  # or it would settle minutes that are found missing only later
        rows = np.fromiter((stocks.numbers[s] for s in snapshot.symbols), dtype=np.int64, count=len(snapshot))
        close = snapshot.minute_close
        prices = np.stack(
            [snapshot.minute_open, snapshot.minute_high, snapshot.minute_low, close, snapshot.minute_volume]
        )
        told: BoolArray = np.isfinite(prices.sum(axis=0))
        whole: BoolArray = told & sane_bar(*prices)
        absent = self.ledger.check_symbols(rows, snapshot.minute_ns, whole, now_ns, ring)
        prices = np.where(whole, prices, np.stack([close, close, close, close, np.full(len(close), np.nan)]))
        possible = whole | ~told
        taken = absent & (close > 0) & possible
        ring.write_rows(rows[taken], snapshot.minute_ns[taken] // MINUTE_NS, prices[:, taken])
        # One that traded today but does not say in which minute last, or how, has told nothing.
        says = np.where(snapshot.minute_ns > 0, possible, ~(snapshot.day_volume > 0))
        self._known_until_ns = max(
            self._known_until_ns,
            self.ledger.told_by_snapshot(rows[says], snapshot.minute_ns[says], snapshot.updated_ns, now_ns),
        )

    def lost_symbols(self, most: int) -> tuple[str, ...]:
        """Symbols that lack a minute, those that matter first."""
        ordered = repair_order(self._standing(), self.ledger.lost_bars.rows, self._board.stocks)
        return tuple(self._board.stocks.symbols[row] for row, _ in ordered[:most])

    # --- inside ---

    @property
    def _snapshot_due(self) -> bool:
        missing = self.ledger.missing_minutes
        return not self._no_snapshot and bool(missing) and missing[-1] > self._known_until_ns

    def _ordered(self) -> list[tuple[int, Priority]]:
        """Who lacks a minute: what matters first, and within a class what has not failed before."""
        ordered = repair_order(self._standing(), self.ledger.lost_bars.rows, self._board.stocks)
        return sorted(ordered, key=lambda pair: (pair[1], self._failed[pair[0]]))

    async def _take_snapshot(self, round_: _Round, starts: tuple[int, ...]) -> SnapshotColumns | None:
        """Where one is due, or nothing is missing and somebody wants to compare."""
        if starts and not self._snapshot_due:
            return None
        try:
            snapshot = await self._snapshot()
        except DataError as failure:
            round_.fail(failure)
            return None
        self._no_snapshot = snapshot is None
        return snapshot

    async def _read_rest(self, round_: _Round) -> None:
        """Bars of whom no snapshot told, as far as the round's calls go and until another minute wants a snapshot."""
        wanted, newest = self._ordered(), max(self.ledger.missing_minutes, default=0)
        for first in range(0, len(wanted), _TOGETHER):
            starts = self.ledger.missing_minutes
            if not starts or (starts[-1] > newest and self._snapshot_due):
                return
            self._take_bars(await self._ask(wanted[first : first + _TOGETHER], starts, round_), starts)
            if round_.calls <= 0 or round_.failures >= _MOST_FAILURES or self._no_bars:
                return

    async def _ask(
        self, wanted: list[tuple[int, Priority]], starts: tuple[int, ...], round_: _Round
    ) -> list[tuple[int, BarColumns]]:
        """The bars of these rows over all minutes that are missing; those that could not be read are left out."""
        found: list[tuple[int, BarColumns]] = []
        asked = [] if self._no_bars else wanted[: max(0, round_.calls)]
        round_.calls -= len(asked)

        async def ask(row: int, priority: Priority) -> None:
            symbol = self._board.stocks.symbols[row]
            try:
                with asking_for(priority):
                    bars = await self._rest.aggs(
                        symbol, 1, "minute", starts[0] // _MS, (starts[-1] + MINUTE_NS) // _MS - 1
                    )
            except NotEntitled:
                self._no_bars = True
            except DataError as failure:
                self._failed[row] += 1
                round_.fail(failure)
            else:
                found.append((row, bars))

        await asyncio.gather(*(ask(*pair) for pair in asked))
        return sorted(found, key=lambda answer: answer[0])

    def _take_bars(self, answers: list[tuple[int, BarColumns]], starts: tuple[int, ...]) -> None:
        open_ns, close_ns = self.ledger.session
        for row, bars in answers:
            columns = (bars.start_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
            for start_ns, *prices in zip(*(column.tolist() for column in columns), strict=True):
                if open_ns <= start_ns < close_ns:
                    self._board.minutes.write(row, start_ns, *prices)
            self.ledger.told_by_bars(row, starts[0], starts[-1])

    def _report(self) -> None:
        """A line in the log when the loss has become another one."""
        bars = self.ledger.lost_bars
        lost, mended, unknown = self.ledger.lost, self.ledger.mended, len(bars.rows)
        if (lost, mended, unknown) == self._told:
            return
        self._told = lost, mended, unknown
        had = f"{mended} minutes repaired: {bars.by_snapshot:,} bars by snapshot, {bars.by_bars:,} by single calls"
        if not lost:
            self._tell("", had)
            return
        since = to_et(self.ledger.missing_minutes[0]).strftime("%H:%M")
        names = ", ".join(self.lost_symbols(_NAMED)) or "every stock"
        more = f" and {unknown - _NAMED:,} more" if unknown > _NAMED else ""
        self._tell("", f"{lost} minutes since {since} are lost for {names}{more} ({had})")


class _Round:
    """What one repair may still ask, and what went wrong in it."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.failures = 0
        self.failure = ""

    def fail(self, failure: DataError) -> None:
        self.failures += 1
        self.failure = self.failure or str(failure)

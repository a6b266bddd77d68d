"""Fills what the stream missed: the whole market's latest values at once, minute bars of the symbols that matter.

The trap: repair must not become a storm. One repair runs at a time, waits grow while it fails, the symbols that
matter are bounded, and what a plan refuses is not asked again in this session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.board.board import Board
from qmterm.market.board.minutes import DEPTH, MINUTE_NS
from qmterm.market.records import BarColumns, SnapshotColumns
from qmterm.market.rest.budget import Priority, asking_for
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.gaps import MinuteLedger

MOST_SYMBOLS = 50  # whose minute bars one repair reads
_MS = 1_000_000
_RETRY_S = 2.0  # real seconds before a failed repair is tried again, doubled each time
_LONGEST_RETRY_S = 60.0


class MinuteRepair:
    """`snapshot` reads the whole market onto the board, None = the plan has none; `matters`: symbols, best first."""

    def __init__(
        self,
        board: Board,
        rest: PolygonRest,
        snapshot: Callable[[], Awaitable[SnapshotColumns | None]],
        matters: Callable[[], Sequence[str]],
        monotonic: Callable[[], float],
    ) -> None:
        self._board, self._rest, self._snapshot, self._matters = board, rest, snapshot, matters
        self._monotonic = monotonic
        self.ledger = MinuteLedger()
        self._no_bars = False  # the plan refuses today's minute bars
        self._no_snapshot = False
        self._not_before_s = 0.0
        self._failures = 0
        self._task: asyncio.Task[bool] | None = None
        self.last_failure = ""

    def start_session(self, open_ns: int, close_ns: int) -> None:
        if (open_ns, close_ns) != self.ledger.session:
            self._no_bars = self._no_snapshot = False
            self._failures, self._not_before_s = 0, 0.0
        self.ledger.start_session(open_ns, close_ns)

    def look(self, now_ns: int) -> bool:
        """Judge the minutes that are over; True when a repair is due."""
        missing = self.ledger.judge(now_ns, self._board.minutes, len(self._board.stocks))
        return missing and not self._no_snapshot and self._monotonic() >= self._not_before_s

    def begin(self, now_ns: int) -> None:
        """`repair` beside everything else, one at a time."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self.repair(now_ns), name="repair minutes")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def repair(self, now_ns: int) -> bool:
        """Everything that is missing now; False when it has to be tried again (the ledger says what is still lost)."""
        starts = self.ledger.missing_minutes
        try:
            snapshot = await self._snapshot()
            if snapshot is None:
                self._no_snapshot = True
            else:
                self.check(snapshot, now_ns)
            if starts:
                await self._read_bars(starts)
        except DataError as failure:
            self._failures += 1
            wait = min(_LONGEST_RETRY_S, _RETRY_S * 2.0 ** (self._failures - 1))
            self._not_before_s = self._monotonic() + wait
            self.last_failure = str(failure)
            return False
        self._failures, self.last_failure = 0, ""
        if snapshot is not None:
            self.ledger.repaired(starts)
        return True

    def check(self, snapshot: SnapshotColumns, now_ns: int) -> None:
        """Compare each symbol's newest minute with the vendor's; of one we never got its close is taken.

        A snapshot's columns keep a minute's close only: all four prices of the bar become it, until bars are read.
        """
        stocks, ring = self._board.stocks, self._board.minutes
        rows = np.fromiter((stocks.numbers[s] for s in snapshot.symbols), dtype=np.int64, count=len(snapshot))
        absent = self.ledger.check_symbols(rows, snapshot.minute_ns, now_ns, ring)
        for at in np.flatnonzero(absent & (snapshot.minute_close > 0)).tolist():
            close = float(snapshot.minute_close[at])
            ring.write(int(rows[at]), int(snapshot.minute_ns[at]), close, close, close, close)

    async def _read_bars(self, starts: tuple[int, ...]) -> None:
        first = max(starts[0], starts[-1] - (DEPTH - 1) * MINUTE_NS)  # the ring holds no more
        for symbol in [] if self._no_bars else list(self._matters())[:MOST_SYMBOLS]:
            try:
                with asking_for(Priority.WATCH):
                    bars = await self._rest.aggs(symbol, 1, "minute", first // _MS, (starts[-1] + MINUTE_NS) // _MS - 1)
            except NotEntitled:
                self._no_bars = True
                return
            self._write(symbol, bars)

    def _write(self, symbol: str, bars: BarColumns) -> None:
        row = self._board.stocks.numbers.get(symbol)
        if row is None:
            return
        open_ns, close_ns = self.ledger.session
        columns = (bars.start_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
        for start_ns, *prices in zip(*(column.tolist() for column in columns), strict=True):
            if open_ns <= start_ns < close_ns:
                self._board.minutes.write(row, start_ns, *prices)

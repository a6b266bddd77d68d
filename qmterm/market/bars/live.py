"""Minute bars of the watched stocks from their own trades: checked against the vendor's, standing in for a late one.

The trap: a bar of ours is only worth something when its stock's trades were heard from the minute's first moment to its
last. A channel that was confirmed, dropped or overrun within a minute makes none of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import IntArray
from qmterm.core.clock import to_et
from qmterm.core.conditions import ConditionBook
from qmterm.market.bars.trades import MINUTE_NS, BarColumns, Bits, TradeColumns, bits_of, minute_bars
from qmterm.market.board.board import Board
from qmterm.market.board.trades import CONDITIONS, NO_CONDITION, TradeTape

SETTLE_NS = 10_000_000_000  # after its end a minute's trades and the vendor's bar of it are taken to be here
_NAMES = ("open", "high", "low", "close", "volume")
_SHIFT = 1 << np.arange(0, 16 * CONDITIONS, 16, dtype=np.uint64)

Tell = Callable[[str, str], None]  # (symbol, text) of something worth a line in the log


class LiveBars:
    """`turn` once a turn of whoever owns the board; all times are the market's."""

    def __init__(self, board: Board, tape: TradeTape, tell: Tell = lambda symbol, text: None) -> None:
        self._board = board
        self._tape = tape
        self._tell = tell
        self.book = ConditionBook()
        self._told_unknown: set[int] = set()
        self._channels: frozenset[str] = frozenset()
        self._drops = 0
        self._heard_since: dict[int, int] = {}  # row: from when on all its trades came
        self._trades: list[TradeColumns] = []  # of minutes that are not settled
        self._sequence = 0
        self._stood_in = 0  # minutes (since the epoch) below this were looked at for bars that did not come
        self._settled = 0  # and these were compared, and their trades are gone
        self._differing: set[int] = set()
        self.checked = 0
        self.differ = 0
        self.own = 0

    # --- in ---

    def hear(self, channels: frozenset[str], drops: int, now_ns: int) -> None:
        """The stream's confirmed channels now, and how often it broke so far."""
        if channels == self._channels and drops == self._drops:
            return
        before = self._heard_since if drops == self._drops else {}
        numbers = self._board.stocks.numbers
        rows = [numbers[name[2:]] for name in channels if name.startswith("T.") and name[2:] in numbers]
        self._heard_since = {row: before.get(row, now_ns) for row in rows}
        self._channels, self._drops = channels, drops

    def turn(self, now_ns: int) -> None:
        """Take what the tape holds; where a minute has ended, let its bars stand in, or compare them."""
        self._take(now_ns)
        over, settled = (now_ns - self._board.grace_ns) // MINUTE_NS, (now_ns - SETTLE_NS) // MINUTE_NS
        if over <= self._stood_in and settled <= self._settled:
            return
        bars = self._bars(max(over, settled))
        self._stand_in(bars, over)
        self._compare(bars, settled)
        self._stood_in, self._settled = max(over, self._stood_in), max(settled, self._settled)
        self._forget(self._settled)

    # --- inside ---

    def _take(self, now_ns: int) -> None:
        taken = self._tape.take()
        if taken.dropped:
            self._heard_since = dict.fromkeys(self._heard_since, now_ns)
        if not len(taken):
            return
        sequence = np.arange(self._sequence, self._sequence + len(taken))
        self._sequence += len(taken)
        bits = self._bits(taken.conditions)
        self._trades.append(TradeColumns.of(taken.row, taken.price, taken.size, bits, taken.time_ns, sequence))
        for number in sorted(self.book.unknown.keys() - self._told_unknown):
            self._told_unknown.add(number)
            self._tell("", f"trade condition {number} is in no table: its trades count fully in our bars")

    def _bits(self, conditions: IntArray) -> Bits:
        """What each trade may move; each list of conditions is looked up once."""
        packed = ((conditions + 1).astype(np.uint64) * _SHIFT).sum(axis=1, dtype=np.uint64)
        _, first, back = np.unique(packed, return_index=True, return_inverse=True)
        alike = [[code for code in row if code != NO_CONDITION] for row in conditions[first].tolist()]
        found: NDArray[np.uint8] = bits_of(alike, self.book)[back.ravel()]
        return found

    def _bars(self, before_minute: int) -> BarColumns:
        """Of minutes of the session that are over, from trades heard from the first to the last."""
        held = _joined(self._trades)
        bars = minute_bars(_taken(held, held.time_ns < before_minute * MINUTE_NS))
        since = np.array([self._heard_since.get(row, 2**62) for row in bars.row.tolist()], dtype=np.int64)
        open_ns, close_ns = self._board.session.tolist()
        whole = (since <= bars.start_ns) & (bars.start_ns >= open_ns) & (bars.start_ns < close_ns)
        return BarColumns(*(getattr(bars, name)[whole] for name in BarColumns.__slots__))

    def _stand_in(self, bars: BarColumns, over: int) -> None:
        """Where the vendor's bar of a minute has not come, five-minute closes and stops go by ours."""
        ring = self._board.minutes
        for minute, at in _by_minute(bars, self._stood_in, over):
            absent = at[np.isnan(ring.told(minute, bars.row[at])[3])]
            for number in absent.tolist():
                row = int(bars.row[number])
                prices = (float(getattr(bars, name)[number]) for name in _NAMES[:4])
                if ring.write(row, minute * MINUTE_NS, *prices):
                    self.own += 1

    def _compare(self, bars: BarColumns, settled: int) -> None:
        for minute, at in _by_minute(bars, self._settled, settled):
            theirs = self._board.minutes.told(minute, bars.row[at])
            ours = np.stack([getattr(bars, name)[at] for name in _NAMES])
            there = ~np.isnan(theirs[3])
            same = (ours == theirs) | ((theirs == 0) & (np.arange(5) == 4)[:, None])  # some bars tell no volume
            self.checked += int(np.count_nonzero(there))
            for place in np.flatnonzero(there & ~same.all(axis=0)).tolist():
                self.differ += 1
                row = int(bars.row[at[place]])
                if row not in self._differing:
                    self._differing.add(row)
                    which = int(np.argmin(same[:, place]))
                    words = f"{_NAMES[which]} {ours[which, place]:.10g}, theirs {theirs[which, place]:.10g}"
                    clock = to_et(minute * MINUTE_NS).strftime("%H:%M")
                    symbol = self._board.stocks.symbols[row]
                    self._tell(symbol, f"{symbol}: our bars differ from the vendor's, first at {clock}: {words}")

    def _forget(self, before_minute: int) -> None:
        """Trades of settled minutes; one that comes later still is nobody's."""
        held = _joined(self._trades)
        kept = _taken(held, held.time_ns >= before_minute * MINUTE_NS)
        self._trades = [kept] if len(kept.row) else []


_COLUMNS = ("row", "price", "size", "bits", "time_ns", "sequence")
_NONE = TradeColumns.of([], [], [], np.zeros(0, dtype=np.uint8), [])


def _joined(parts: list[TradeColumns]) -> TradeColumns:
    if len(parts) < 2:
        return parts[0] if parts else _NONE
    return TradeColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))


def _taken(trades: TradeColumns, kept: NDArray[np.bool_]) -> TradeColumns:
    return TradeColumns(*(getattr(trades, name)[kept] for name in _COLUMNS))


def _by_minute(bars: BarColumns, first: int, end: int) -> list[tuple[int, IntArray]]:
    """Places of the bars of each minute from `first` up to `end`, in the order of time."""
    minutes = bars.start_ns // MINUTE_NS
    wanted = np.unique(minutes[(minutes >= first) & (minutes < end)])
    return [(int(minute), np.flatnonzero(minutes == minute)) for minute in wanted]

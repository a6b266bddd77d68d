"""Five-minute bars of every symbol from the stream's minute bars: the last ten minutes of each as a ring of columns.

The trap: minute bars come late, twice, or corrected. A five-minute bar is therefore never accumulated; it is read
from the minutes held, and is complete by the clock (its end plus the grace), not by what happened to arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.market.board.sane import sane_bar

MINUTE_NS = 60_000_000_000
SPAN = 5  # minutes in a bar
FIVE_NS = SPAN * MINUTE_NS
DEPTH = 2 * SPAN
UNTOLD = float("nan")  # volume of a bar that is not the vendor's


@dataclass(frozen=True, slots=True)
class FiveMinuteBar:
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    minutes: int  # minutes seen so far, at most five
    complete: bool


class MinuteRing:
    """Minutes are numbered since the epoch; each symbol holds at most the minutes `number % 10` leaves room for."""

    def __init__(self, capacity: int) -> None:
        self._capacity = 0
        self._stamp: IntArray = np.zeros((DEPTH, 0), dtype=np.int64)
        self._prices: NDArray[np.float64] = np.zeros((5, DEPTH, 0))  # open, high, low, close, volume
        self._carry_minute: IntArray = np.zeros(0, dtype=np.int64)
        self._carry_close: FloatArray = np.zeros(0)
        self.resize(capacity)

    @property
    def capacity(self) -> int:
        return self._capacity

    def resize(self, capacity: int) -> None:
        """Make room for more symbols; what is held stays."""
        kept = self._capacity
        stamp = np.zeros((DEPTH, capacity), dtype=np.int64)
        stamp[:, :kept] = self._stamp
        prices = np.full((5, DEPTH, capacity), np.nan)
        prices[:, :, :kept] = self._prices
        carry_minute = np.zeros(capacity, dtype=np.int64)
        carry_minute[:kept] = self._carry_minute
        carry_close = np.full(capacity, np.nan)
        carry_close[:kept] = self._carry_close
        self._capacity = capacity
        self._stamp, self._prices = stamp, prices
        self._carry_minute, self._carry_close = carry_minute, carry_close
        # Item access through a memoryview costs a third of numpy's, and this runs for every bar of the market.
        self._stamps: memoryview[int] = stamp.reshape(-1).data
        self._opens, self._highs, self._lows, self._closes, self._volumes = (_floats(block) for block in prices)

    @property
    def arrays(self) -> tuple[IntArray, NDArray[np.float64], IntArray, FloatArray]:
        """(minute numbers, prices and volumes, carried minute and close) for the decoder; valid until `resize`."""
        return self._stamp, self._prices, self._carry_minute, self._carry_close

    def write(
        self,
        row: int,
        start_ns: int,
        open_: float,
        high: float,
        low: float,
        close: float,
        volume: float = UNTOLD,
    ) -> bool:
        """Take one minute bar (again, or corrected); False when it is too old to matter, or impossible.

        A bar without a volume only stands in: it is not one that the vendor has told as such.
        """
        minute = start_ns // MINUTE_NS
        at = (minute % DEPTH) * self._capacity + row
        held = self._stamps[at]
        if minute < held or not sane_bar(open_, high, low, close, volume):
            return False
        if minute > held > self._carry_minute[row]:
            self._carry_minute[row] = held
            self._carry_close[row] = self._closes[at]
        self._stamps[at] = minute
        self._opens[at], self._highs[at], self._lows[at], self._closes[at] = open_, high, low, close
        self._volumes[at] = volume
        return True

    def write_rows(self, rows: IntArray, minutes: IntArray, prices: FloatArray) -> None:
        """`write` of one minute each for many symbols, each once; `prices` (5, rows): open to close, and the volume."""
        possible = np.asarray(sane_bar(*prices), dtype=np.bool_)
        rows, minutes, prices = rows[possible], minutes[possible], prices[:, possible]
        slots = minutes % DEPTH
        held = self._stamp[slots, rows]
        passed = (minutes > held) & (held > self._carry_minute[rows])
        self._carry_close[rows[passed]] = self._prices[3, slots[passed], rows[passed]]
        self._carry_minute[rows[passed]] = held[passed]
        taken = minutes >= held
        self._stamp[slots[taken], rows[taken]] = minutes[taken]
        self._prices[:, slots[taken], rows[taken]] = prices[:, taken]

    def seen(self, minute: int, count: int) -> BoolArray:
        """Of which of the first `count` symbols the vendor's bar of a minute (since the epoch) is still held."""
        slot = minute % DEPTH
        seen: BoolArray = (self._stamp[slot, :count] == minute) & ~np.isnan(self._prices[4, slot, :count])
        return seen

    def told(self, minute: int, rows: IntArray) -> FloatArray:
        """Open, high, low, close and volume, (5, rows), of the vendor's bars of a minute; NaN where there is none."""
        slot = minute % DEPTH
        there = (self._stamp[slot, rows] == minute) & ~np.isnan(self._prices[4, slot, rows])
        return np.where(there, self._prices[:, slot, rows], np.nan)

    def holds(self, rows: IntArray, minutes: IntArray, whole: BoolArray) -> BoolArray:
        """Whether each row's bar of the given minute is held; where `whole`, only one that the vendor told counts."""
        slots = minutes % DEPTH
        held: BoolArray = self._stamp[slots, rows] == minutes
        held &= ~(whole & np.isnan(self._prices[4, slots, rows]))
        return held

    def last_close(self, row: int, now_ns: int, grace_ns: int) -> tuple[float, int] | None:
        """Close and end of one symbol's latest complete five-minute bar; None before the first."""
        border = (now_ns - grace_ns) // FIVE_NS * SPAN  # minutes below this belong to complete bars
        minute, close = int(self._carry_minute[row]), float(self._carry_close[row])
        for at in range(row, DEPTH * self._capacity, self._capacity):
            if minute < self._stamps[at] < border:
                minute, close = self._stamps[at], self._closes[at]
        return (close, (minute // SPAN + 1) * FIVE_NS) if 0 < minute < border else None

    def last_closes(self, now_ns: int, grace_ns: int, count: int) -> tuple[FloatArray, IntArray]:
        """`last_close` of every symbol; NaN and 0 when there is none yet."""
        border = (now_ns - grace_ns) // FIVE_NS * SPAN
        stamps = self._stamp[:, :count]
        candidates = np.where(stamps < border, stamps, 0)
        slot = candidates.argmax(axis=0)
        rows = np.arange(count)
        minute = candidates[slot, rows]
        close = self._prices[3][slot, rows]
        carried = self._carry_minute[:count]
        older = (carried > minute) & (carried < border)
        minute = np.where(older, carried, minute)
        close = np.where(minute > 0, np.where(older, self._carry_close[:count], close), np.nan)
        return close, np.where(minute > 0, (minute // SPAN + 1) * FIVE_NS, 0)

    def bar(self, row: int, start_ns: int, now_ns: int, grace_ns: int) -> FiveMinuteBar | None:
        """The five-minute bar that starts at an instant, as far as its minutes are held; None without any."""
        first = start_ns // FIVE_NS * SPAN
        slots = [number % DEPTH for number in range(first, first + SPAN) if self._stamp[number % DEPTH, row] == number]
        if not slots:
            return None
        opens, highs, lows, closes = self._prices[:4, slots, row]
        end_ns = (first + SPAN) * MINUTE_NS
        return FiveMinuteBar(
            start_ns=first * MINUTE_NS,
            open=float(opens[0]),
            high=float(highs.max()),
            low=float(lows.min()),
            close=float(closes[-1]),
            minutes=len(slots),
            complete=now_ns >= end_ns + grace_ns,
        )


def _floats(block: FloatArray) -> memoryview[float]:
    return cast("memoryview[float]", block.reshape(-1).data)

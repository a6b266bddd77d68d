"""Latest values of many instruments as numpy columns that grow: one table for stocks, one for option contracts.

The trap: arrays are replaced when a table grows. Readers take a column from the table each time and keep none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import filterfalse

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.quotes import Quote

_FLOATS = (
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "last",
    "day_open",
    "day_high",
    "day_low",
    "day_vwap",
    "day_volume",
    "prev_close",
    "prev_volume",
    "bar_close",
    "band_high",
    "band_low",
)
_TIMES = ("quote_ns", "trade_ns", "arrival_ns", "bar_ns", "band_ns", "halted_ns")
FLOAT_ROW = {name: number for number, name in enumerate(_FLOATS)}  # of `float_block`
TIME_ROW = {name: number for number, name in enumerate(_TIMES)}  # of `time_block`
# A price made this much later than the halt ends it, should the resumption have been lost in a drop. What was dealt
# just before a halt is reported within ten seconds; later reports carry a condition that keeps them from being the
# last price.
HALT_GRACE_NS = 10_000_000_000
_ZERO = frozenset({"bid_size", "ask_size", "day_volume", "prev_volume"})  # the others are unknown (NaN) at first


class QuoteTable:
    """Columns are exactly as long as the table; unknown prices are NaN, unknown times 0. One writer: the engine."""

    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray  # shares, or contracts
    ask_size: FloatArray
    last: FloatArray
    day_open: FloatArray
    day_high: FloatArray
    day_low: FloatArray
    day_vwap: FloatArray
    day_volume: FloatArray
    prev_close: FloatArray
    prev_volume: FloatArray
    bar_close: FloatArray  # of the latest minute or second bar
    band_high: FloatArray  # limit up, limit down
    band_low: FloatArray
    quote_ns: IntArray  # exchange time of the quote
    trade_ns: IntArray  # exchange time of `last`
    arrival_ns: IntArray  # market time when the quote arrived here
    bar_ns: IntArray  # end of the latest bar
    band_ns: IntArray  # exchange time of the price bands
    halted_ns: IntArray  # since when trading is halted by its bands (only NASDAQ's own say so); 0 = it is not

    def __init__(self, symbols: Iterable[str] = (), wire: Callable[[str], str] | None = None) -> None:
        """`wire` spells a symbol as the stream does, where that differs from our key."""
        self._wire = wire
        self._capacity = 0
        self.float_block: FloatArray = np.zeros((len(_FLOATS), 0))  # every price column with its spare room
        self.time_block: IntArray = np.zeros((len(_TIMES), 0), dtype=np.int64)
        self.symbols: list[str] = []
        self.numbers: dict[str, int] = {}
        self._wire_numbers: dict[str, int] = self.numbers if wire is None else {}
        self._spelled = 0  # rows that `_wire_numbers` knows
        self.generation = 0  # goes up whenever the arrays behind the columns are replaced
        self.add(symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def wire_numbers(self) -> dict[str, int]:
        """Rows by the stream's spelling, which nobody needs before the stream names one: a chain brings thousands."""
        if self._wire is not None and self._spelled < len(self.symbols):
            rows = range(self._spelled, len(self.symbols))
            self._wire_numbers.update(zip(map(self._wire, self.symbols[self._spelled :]), rows, strict=True))
            self._spelled = len(self.symbols)
        return self._wire_numbers

    def rows(self, symbols: Sequence[str]) -> IntArray:
        """Each symbol's row, a new one where there was none."""
        found = list(map(self.numbers.get, symbols))
        if None in found:
            first = len(self.symbols)
            self.add(symbols)
            if len(self.symbols) - first == len(symbols):  # all new, none twice: they lie in their own order
                return np.arange(first, len(self.symbols))
            found = list(map(self.numbers.__getitem__, symbols))
        return np.array(found, dtype=np.int64)

    def add(self, symbols: Iterable[str]) -> None:
        """Give every new symbol a row; known ones keep theirs."""
        fresh = list(filterfalse(self.numbers.__contains__, dict.fromkeys(symbols)))
        numbers = range(len(self.symbols), len(self.symbols) + len(fresh))
        self.numbers.update(zip(fresh, numbers, strict=True))
        self.symbols += fresh
        if len(self.symbols) > self._capacity or not self._capacity:
            self._grow(max(256, len(self.symbols) + len(self.symbols) // 2))
        self._expose()

    def quote(self, number: int) -> Quote | None:
        """The row as a Quote; None when there never was one."""
        time_ns = int(self.quote_ns[number])
        if not time_ns:
            return None
        return Quote(
            symbol=self.symbols[number],
            bid=float(self.bid[number]),
            ask=float(self.ask[number]),
            bid_size=int(self.bid_size[number]),
            ask_size=int(self.ask_size[number]),
            time_ns=time_ns,
            arrival_ns=int(self.arrival_ns[number]),
        )

    def _grow(self, capacity: int) -> None:
        kept = self._capacity
        floats = np.full((len(_FLOATS), capacity), np.nan)
        for name in _ZERO:
            floats[FLOAT_ROW[name]] = 0.0
        times = np.zeros((len(_TIMES), capacity), dtype=np.int64)
        floats[:, :kept], times[:, :kept] = self.float_block, self.time_block
        self.float_block, self.time_block = floats, times
        self._capacity = capacity
        self.generation += 1

    def _expose(self) -> None:
        count = len(self.symbols)
        for name, number in FLOAT_ROW.items():
            setattr(self, name, self.float_block[number, :count])
        for name, number in TIME_ROW.items():
            setattr(self, name, self.time_block[number, :count])

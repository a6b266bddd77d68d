"""Latest values of many instruments as numpy columns that grow: one table for stocks, one for option contracts.

The trap: arrays are replaced when a table grows. Readers take a column from the table each time and keep none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

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
_TIMES = ("quote_ns", "trade_ns", "arrival_ns", "bar_ns")
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

    def __init__(self, symbols: Iterable[str] = (), wire: Callable[[str], str] | None = None) -> None:
        """`wire` spells a symbol as the stream does, where that differs from our key."""
        self._wire = wire
        self._capacity = 0
        self._blocks: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {}
        self.symbols: list[str] = []
        self.numbers: dict[str, int] = {}
        self.wire_numbers: dict[str, int] = self.numbers if wire is None else {}
        self.generation = 0  # goes up whenever the arrays behind the columns are replaced
        self.add(symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def capacity(self) -> int:
        return self._capacity

    def add(self, symbols: Iterable[str]) -> None:
        """Give every new symbol a row; known ones keep theirs."""
        fresh = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.numbers]
        numbers = range(len(self.symbols), len(self.symbols) + len(fresh))
        self.numbers.update(zip(fresh, numbers, strict=True))
        self.symbols += fresh
        if self._wire is not None:
            self.wire_numbers.update(zip(map(self._wire, fresh), numbers, strict=True))
        if len(self.symbols) > self._capacity or not self._blocks:
            self._grow(max(256, len(self.symbols) + len(self.symbols) // 2))
        self._expose()

    def block(self, name: str) -> NDArray[np.float64] | NDArray[np.int64]:
        """A column with its spare room, for the decoder's memoryviews; valid while `generation` stays."""
        return self._blocks[name]

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
        for name in (*_FLOATS, *_TIMES):
            fresh: NDArray[np.float64] | NDArray[np.int64]
            if name in _TIMES:
                fresh = np.zeros(capacity, dtype=np.int64)
            else:
                fresh = np.full(capacity, 0.0 if name in _ZERO else np.nan)
            if kept:
                fresh[:kept] = self._blocks[name]
            self._blocks[name] = fresh
        self._capacity = capacity
        self.generation += 1

    def _expose(self) -> None:
        count = len(self.symbols)
        for name, block in self._blocks.items():
            setattr(self, name, block[:count])

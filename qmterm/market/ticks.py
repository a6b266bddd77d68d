"""What answers about single moments become: last trades and quotes, ticks, one day's prices, mixed snapshots.

Times are UTC nanoseconds with 0 = unknown; stock sizes are shares, option sizes contracts. The trap: REST counts the
sizes of stock quotes in round lots, of option quotes in contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from qmterm.core.bars import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class LastTrade:
    symbol: str
    price: float
    size: float
    time_ns: int
    exchange: int
    conditions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LastQuote:
    """The national best bid and offer."""

    symbol: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class TradeTicks:
    """Oldest first. Not `complete` when there are more than were asked for."""

    symbol: str
    time_ns: IntArray  # of the SIP
    price: FloatArray
    size: FloatArray
    exchange: IntArray
    sequence: IntArray
    correction: IntArray  # 0 = none
    conditions: tuple[tuple[int, ...], ...]
    complete: bool
    malformed: int

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class QuoteTicks:
    """Oldest first. Not `complete` when there are more than were asked for."""

    symbol: str
    time_ns: IntArray
    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray
    sequence: IntArray
    complete: bool
    malformed: int

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class DayPrices:
    """One session of one symbol with its prices outside the regular hours; None where nothing traded."""

    symbol: str
    day: date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    pre_market: float | None
    after_hours: float | None


@dataclass(frozen=True, slots=True)
class UniversalRow:
    """One instrument of any kind; `error` is not empty when the vendor does not know it."""

    symbol: str
    kind: str  # stocks | options | indices
    error: str
    market_status: str
    price: float | None  # last trade, else the session's close, else an index's value
    bid: float | None
    ask: float | None
    time_ns: int
    previous_close: float | None
    change_pct: float | None
    volume: float | None
    open_interest: float | None
    iv: float | None
    delayed: bool


@dataclass(frozen=True, slots=True)
class IndicatorSeries:
    """The vendor's own indicator, oldest first: for comparison with ours, never for a decision."""

    symbol: str
    kind: str  # sma | ema | rsi | macd
    time_ns: IntArray
    value: FloatArray
    signal: FloatArray  # of macd, else NaN
    histogram: FloatArray

"""What REST answers become: typed columns and rows of our own, never vendor objects.

Times are UTC nanoseconds with 0 = unknown, prices dollars per share with NaN = the plan or the answer has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class MarketStatus:
    market: str  # open | closed | extended-hours
    early_hours: bool
    after_hours: bool
    server_ns: int
    exchanges: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SnapshotColumns:
    """Every symbol of the market at one moment, one entry a symbol; sizes in shares."""

    symbols: tuple[str, ...]
    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray
    quote_ns: IntArray
    last: FloatArray
    trade_ns: IntArray
    day_open: FloatArray
    day_high: FloatArray
    day_low: FloatArray
    day_close: FloatArray
    day_volume: FloatArray
    day_vwap: FloatArray
    minute_open: FloatArray
    minute_high: FloatArray
    minute_low: FloatArray
    minute_close: FloatArray
    minute_volume: FloatArray
    minute_ns: IntArray  # start of the latest minute bar
    prev_close: FloatArray
    prev_volume: FloatArray
    updated_ns: IntArray
    delayed: bool
    malformed: int  # rows that could not be read, left out

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True, slots=True)
class GroupedColumns:
    """One session's daily bar of every symbol, split-adjusted as of the day it was pulled."""

    day: date
    symbols: tuple[str, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    malformed: int = 0

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars of one symbol, oldest first; `start_ns` is each bar's start."""

    symbol: str
    start_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray

    def __len__(self) -> int:
        return len(self.start_ns)


@dataclass(frozen=True, slots=True)
class OptionRows:
    """The vendor's chain snapshot of one underlying, one entry a contract, sorted by expiry, strike, call first."""

    underlying: str
    occ: tuple[str, ...]
    expiry: NDArray[np.datetime64]
    strike: FloatArray
    is_call: BoolArray
    multiplier: IntArray
    adjusted: BoolArray
    bid: FloatArray
    ask: FloatArray
    bid_size: IntArray
    ask_size: IntArray
    quote_ns: IntArray
    last: FloatArray
    trade_ns: IntArray
    day_volume: IntArray  # of the session in day_ns
    day_ns: IntArray  # when the day bar was last touched, 0 = never traded
    open_interest: IntArray  # −1 unknown
    iv: FloatArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    spot: float | None  # the vendor's newest price of the underlying, None without a stocks plan
    spot_ns: int
    delayed: bool
    malformed: int

    def __len__(self) -> int:
        return len(self.occ)


@dataclass(frozen=True, slots=True)
class Dividend:
    symbol: str
    ex_date: date
    amount: float  # of its currency, per share as there were on the ex-date: a later split does not change it
    pay_date: date | None
    frequency: int  # payments a year, 0 = one-time
    kind: str  # CD cash, SC special, LT/ST capital gains
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Split:
    symbol: str
    day: date
    split_from: float
    split_to: float

    @property
    def ratio(self) -> float:
        """New shares for one old share."""
        return self.split_to / self.split_from


@dataclass(frozen=True, slots=True)
class EarningsDate:
    symbol: str
    day: date
    time: str  # as the vendor says it, '' unknown
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Insight:
    symbol: str
    sentiment: str  # positive | neutral | negative
    reasoning: str


@dataclass(frozen=True, slots=True)
class NewsItem:
    news_id: str
    published_ns: int
    title: str
    publisher: str
    symbols: tuple[str, ...]
    url: str
    description: str
    keywords: tuple[str, ...]
    insights: tuple[Insight, ...]


@dataclass(frozen=True, slots=True)
class YieldCurve:
    """Treasury par yields of one day in percent, by the vendor's names (`yield_1_month`, …), missing ones left out."""

    day: date
    yields: Mapping[str, float]

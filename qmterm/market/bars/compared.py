"""A session's bars made from its own trades, beside the vendor's: one, five and sixty minutes, and the day.

The traps: the vendor's own hour begins at the full hour, so its hours are made here from its minutes as ours are from
our own. Its day counts volume outside the session too, so of the day only the four prices are judged. Trades are as
they traded, so the vendor's bars are asked for unadjusted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import to_et
from qmterm.core.conditions import ConditionBook
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market import records
from qmterm.market.bars.spans import intraday
from qmterm.market.bars.trades import AUCTION_NS, BarColumns, TradeColumns, bits_of, daily_bars, minute_bars
from qmterm.market.rest.client import PolygonRest
from qmterm.market.ticks import TradeTicks

MOST_TRADES = 5_000_000
PRICES = ("open", "high", "low", "close")
_CLOSE_ENOUGH = 1e-9  # of a price; volumes are whole shares, or fractions that are rounded on the wire
_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Bars of one length; `differ` says of the first few which number is another."""

    name: str
    ours: int
    theirs: int
    equal: int  # of the bars that both have
    differ: tuple[str, ...]

    @property
    def same(self) -> bool:
        return self.ours == self.theirs == self.equal


@dataclass(frozen=True, slots=True)
class Comparison:
    symbol: str
    day: date
    trades: int
    complete: bool  # every trade of the session was read
    unknown: Mapping[int, int]  # conditions in no table, with how many trades have them: they count fully
    spans: tuple[Span, ...]
    volume: float  # shares of the session in our day
    vendor_volume: float | None  # in theirs, extended hours among them

    @property
    def same(self) -> bool:
        return all(span.same for span in self.spans)


async def compare(rest: PolygonRest, calendar: SessionCalendar, symbol: str, day: date, now_ns: int) -> Comparison:
    """Of a session that is over; DataError when its trades or bars cannot be had, or there are none."""
    open_ns, close_ns = calendar.open_ns(day), calendar.close_ns(day)
    book = ConditionBook()
    with contextlib.suppress(NotEntitled):  # our own list then holds
        book.learn(rule for row in await rest.conditions("stocks") if (rule := row.rule) is not None)
    ticks = await rest.trade_ticks(symbol, open_ns, min(close_ns + AUCTION_NS, now_ns), MOST_TRADES)
    if not len(ticks):
        raise DataError(f"no trades of {symbol} on {day}")
    tape = _tape(ticks, book)
    minutes = _within(minute_bars(tape), open_ns, close_ns)
    official = daily_bars(tape, calendar, day)

    first_ms, last_ms = open_ns // 1_000_000, close_ns // 1_000_000 - 1
    theirs = _columns(await rest.aggs(symbol, 1, "minute", first_ms, last_ms, adjusted=False))
    fives = _columns(await rest.aggs(symbol, 5, "minute", first_ms, last_ms, adjusted=False))
    days = _columns(await rest.aggs(symbol, 1, "day", day, day, adjusted=False))

    def longer(of: BarColumns, length: int) -> BarColumns:
        panel = intraday(of, (symbol,), length, calendar, (day,), now_ns)
        kept = slice(panel.close.shape[1] - int(panel.bars[0]), None)
        o, h, l, c = (getattr(panel, name)[0, kept] for name in PRICES)  # noqa: E741
        return _bars(panel.start_ns[0, kept], o, h, l, c, panel.volume[0, kept])

    days.start_ns[:] = open_ns  # the vendor stamps a day with its midnight
    found = (
        _span("1 minute", minutes, _within(theirs, open_ns, close_ns), volume=True),
        _span("5 minutes", longer(minutes, 5), _within(fives, open_ns, close_ns), volume=True),
        _span("60 minutes", longer(minutes, 60), longer(theirs, 60), volume=True),
        _span("day", official, days, volume=False),
    )
    volume = float(official.volume.sum())
    told = float(days.volume[0]) if len(days) else None
    return Comparison(symbol, day, len(ticks), ticks.complete, dict(book.unknown), found, volume, told)


# --- inside ---


def _tape(ticks: TradeTicks, book: ConditionBook) -> TradeColumns:
    return TradeColumns.of(
        np.zeros(len(ticks), dtype=np.int64),
        ticks.price,
        ticks.size,
        bits_of(ticks.conditions, book),
        ticks.time_ns,
        ticks.sequence,
        ticks.correction,
    )


def _columns(bars: records.BarColumns) -> BarColumns:
    return _bars(bars.start_ns.copy(), bars.open, bars.high, bars.low, bars.close, bars.volume)


def _bars(
    start_ns: IntArray, open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray
) -> BarColumns:
    """Bars of the one symbol, of which no average price and no number of trades is known."""
    none = np.zeros(len(start_ns), dtype=np.int64)
    return BarColumns(none, start_ns, open_, high, low, close, volume, np.full(len(start_ns), np.nan), none)


def _within(bars: BarColumns, open_ns: int, close_ns: int) -> BarColumns:
    kept = (bars.start_ns >= open_ns) & (bars.start_ns < close_ns)
    return BarColumns(*(getattr(bars, name)[kept] for name in BarColumns.__slots__))


def _span(name: str, ours: BarColumns, theirs: BarColumns, *, volume: bool) -> Span:
    _, mine, other = np.intersect1d(ours.start_ns, theirs.start_ns, return_indices=True)
    names = (*PRICES, "volume") if volume else PRICES
    off = np.stack([_differs(getattr(ours, n)[mine], getattr(theirs, n)[other], n) for n in names])
    at = np.flatnonzero(off.any(axis=0))
    words = [_words(names[int(off[:, n].argmax())], ours, int(mine[n]), theirs, int(other[n])) for n in at[:3]]
    only = [(ours, theirs, "theirs is missing"), (theirs, ours, "ours is missing")]
    for have, lack, text in only:
        words += [f"{_clock(stamp)} {text}" for stamp in np.setdiff1d(have.start_ns, lack.start_ns)[:3].tolist()]
    return Span(name, len(ours), len(theirs), len(mine) - len(at), tuple(words))


def _differs(ours: FloatArray, theirs: FloatArray, name: str) -> IntArray:
    allowed = _SHARE if name == "volume" else _CLOSE_ENOUGH * np.abs(theirs)
    return np.asarray(~(np.abs(ours - theirs) <= allowed), dtype=np.int64)


def _words(name: str, ours: BarColumns, mine: int, theirs: BarColumns, other: int) -> str:
    here, there = float(getattr(ours, name)[mine]), float(getattr(theirs, name)[other])
    return f"{_clock(int(ours.start_ns[mine]))} {name} {here:.10g}, theirs {there:.10g}"


def _clock(stamp: int) -> str:
    return f"{to_et(stamp):%H:%M}"

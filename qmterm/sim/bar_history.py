"""Bars of one instrument: daily bars and their groups, minutes of the running day, minutes made up for the past.

The trap: minutes of a session before the start never happened. They are drawn from the day's own bar (a bridge
through its open, high, low and close) by seed, symbol and day, so they agree with it and with themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import NS, et_date, from_et
from qmterm.sim.curves import volume_curve
from qmterm.sim.listing import Contracts
from qmterm.sim.market import BarRow, Market
from qmterm.sim.past import DayBars
from qmterm.sim.randomness import generator
from qmterm.sim.session import MINUTE_NS, MinuteBars

MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Bars:
    """Columns over time, oldest first: start in Unix ms, dollars, shares or contracts."""

    start_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray

    def __len__(self) -> int:
        return len(self.start_ms)

    def where(self, mask: BoolArray) -> Bars:
        o, h, l, c = (column[mask] for column in (self.open, self.high, self.low, self.close))  # noqa: E741
        return Bars(self.start_ms[mask], o, h, l, c, self.volume[mask], self.vwap[mask])

    def scaled(self, factor: FloatArray) -> Bars:
        """As traded before splits: prices times, volume divided by the factor of each bar."""
        o, h, l, c = (np.round(column * factor, 4) for column in (self.open, self.high, self.low, self.close))  # noqa: E741
        return Bars(self.start_ms, o, h, l, c, np.round(self.volume / factor), np.round(self.vwap * factor, 4))


def bars_of(rows: list[BarRow]) -> Bars:
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return Bars(table[:, 0].astype(np.int64), *(table[:, column] for column in range(1, 7)))


def day_start_ms(day: date) -> int:
    """Midnight New York of a day: how the service stamps daily bars."""
    return from_et(day) // MS


def daily(world: Market, symbol: int, first: date, last: date) -> Bars:
    """Daily bars in [first, last], the running day included once it has traded."""
    days = [bars for bars in world.history.rows if first <= bars.day <= last]
    rows = [_day_row(bars, symbol, world.unit) for bars in days if bars.volume[symbol] > 0]
    today = world.today
    if first <= today.day <= last and today.day not in world.history.index and today.volume[symbol] > 0:
        rows.append(_day_row(today.day_bars(), symbol, world.unit))
    return bars_of(rows)


def _day_row(bars: DayBars, symbol: int, unit: float) -> BarRow:
    prices = (bars.open[symbol], bars.high[symbol], bars.low[symbol], bars.close[symbol])
    o, h, l, c = (float(value) / unit for value in prices)  # noqa: E741
    return (day_start_ms(bars.day), o, h, l, c, float(bars.volume[symbol]), float(bars.vwap[symbol]) / unit)


def minutes(world: Market, symbol: int, first_ms: int, last_ms: int) -> Bars:
    """Minute bars that start in [first, last]; only minutes with a trade, and only completed ones."""
    rows: list[BarRow] = []
    day = et_date(first_ms * MS)
    end = min(et_date(last_ms * MS), world.today.day)
    while day <= end:
        if day == world.today.day:
            rows += lived(world.today.minutes, symbol, world.unit)
        elif day in world.finished_minutes:
            rows += lived(world.finished_minutes[day], symbol, world.unit)
        else:
            rows += world.past_minutes(day, symbol)
        day += timedelta(days=1)
    table = bars_of(rows)
    return table.where((table.start_ms >= first_ms) & (table.start_ms <= last_ms))


def lived(bars: list[MinuteBars], symbol: int, unit: float) -> list[BarRow]:
    rows = []
    for minute in bars:
        place = int(np.searchsorted(minute.symbol, symbol))
        if place == len(minute.symbol) or minute.symbol[place] != symbol:
            continue
        prices = (minute.open[place], minute.high[place], minute.low[place], minute.close[place])
        o, h, l, c = (float(value) / unit for value in prices)  # noqa: E741
        rows.append((minute.start_ns // MS, o, h, l, c, float(minute.volume[place]), float(minute.vwap[place])))
    return rows


def average_price(o: float, h: float, l: float, c: float) -> float:  # noqa: E741
    """What a made-up minute bar says as its volume-weighted average."""
    return round((o + h + l + c) / 4.0, 4)


def made_up(world: Market, bars: DayBars, symbol: int) -> list[BarRow]:
    opening, closing = world.calendar.open_ns(bars.day), world.calendar.close_ns(bars.day)
    count = (closing - opening) // MINUTE_NS
    rng = generator(world.seed, f"minutes {symbol}", bars.day)
    o, h, l, c = (float(getattr(bars, name)[symbol]) for name in ("open", "high", "low", "close"))  # noqa: E741
    walk = np.concatenate([[0.0], np.cumsum(rng.standard_normal(count))])
    share = np.linspace(0.0, 1.0, count + 1)
    bridge = walk - share * walk[-1]
    path = o + (c - o) * share
    room_up, room_down = h - path, path - l
    scale_up = np.max(bridge / np.maximum(room_up, 0.5))
    scale_down = np.max(-bridge / np.maximum(room_down, 0.5))
    path = path + np.where(bridge > 0, bridge / max(scale_up, 1e-9), bridge / max(scale_down, 1e-9))
    points = np.clip(np.rint(path), l, h)
    points[0], points[-1] = o, c
    first, last = points[:-1], points[1:]
    high, low = np.maximum(first, last), np.minimum(first, last)
    high[int(np.argmax(high))], low[int(np.argmin(low))] = h, l
    volume = np.floor(float(bars.volume[symbol]) * volume_curve(count) * rng.uniform(0.6, 1.4, count))
    start = opening // MS + 60_000 * np.arange(count)
    average = np.round((first + high + low + last) / 400.0, 4)
    columns = (start, first / 100, high / 100, low / 100, last / 100, np.maximum(volume, 1), average)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def grouped(bars: Bars, bucket: IntArray) -> Bars:
    """Bars merged by bucket (their start in ms), which must not decrease."""
    if not len(bars):
        return bars
    edge = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))
    end = np.concatenate([edge[1:], [len(bucket)]]) - 1
    volume = np.add.reduceat(bars.volume, edge)
    return Bars(
        start_ms=bucket[edge],
        open=bars.open[edge],
        high=np.maximum.reduceat(bars.high, edge),
        low=np.minimum.reduceat(bars.low, edge),
        close=bars.close[end],
        volume=volume,
        vwap=np.round(np.add.reduceat(bars.vwap * bars.volume, edge) / np.maximum(volume, 1), 4),
    )


def option_daily(world: Market, contracts: Contracts, symbol: int, first: date, last: date) -> Bars:
    """Daily bars of one contract, valued by the model at each session's stock prices (today's surface)."""
    rows = []
    days = [bars for bars in world.history.rows[-60:] if first <= bars.day <= last]
    if first <= world.today.day <= last and world.today.day not in world.history.index and world.today.volume[symbol]:
        days.append(world.today.day_bars())
    interest = world.open_interest(contracts)
    for bars in days:
        closing = world.calendar.close_ns(bars.day)
        values = [
            float(world.option_values(contracts, getattr(bars, name) / world.unit, closing - back * NS)[0])
            for name, back in (("open", 23_400), ("high", 11_700), ("low", 11_700), ("close", 0))
        ]
        running = bars.day == world.today.day
        volume = world.option_volume(contracts, interest)[0 if running else 1][0]
        if volume and np.isfinite(values).all():
            o, c = round(values[0], 2), round(values[3], 2)
            high, low = round(max(values), 2), round(min(values), 2)
            rows.append((day_start_ms(bars.day), o, high, low, c, float(volume), round((high + low + c) / 3, 4)))
    return bars_of(rows)

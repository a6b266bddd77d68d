"""The running session of a replay as columns by symbol number: what its bars and frames have told so far.

Prices are dollars as the source has them. The trap: nothing here is filled in. A symbol without a bar today keeps
yesterday's close as `last` with time 0, and a last price that came with a bar has no size: no trade was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.sim.past import DayBars
from qmterm.sim.session import ROLL_NS, MinuteBars


@dataclass(slots=True)
class LatestMinute:
    """Each symbol's latest minute bar: 0 before the first, an average of NaN is not known."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    end_ns: IntArray
    vwap: FloatArray

    @property
    def columns(self) -> tuple[NDArray[np.float64] | NDArray[np.int64], ...]:
        return self.open, self.high, self.low, self.close, self.volume, self.end_ns, self.vwap


class ReplayDay:
    def __init__(self, calendar: SessionCalendar, day: date, previous: DayBars) -> None:
        count = len(previous.close)
        self.day = day
        self.open_ns = calendar.open_ns(day)
        self.close_ns = calendar.close_ns(day)
        self.roll_ns = self.open_ns - ROLL_NS
        self.last: FloatArray = np.array(previous.close, dtype=np.float64)
        self.last_size = np.zeros(count)
        self.last_ns = np.zeros(count, dtype=np.int64)
        self.open, self.high, self.low, self.close, self.volume, self.turnover, self.all_volume = np.zeros((7, count))
        self.bid, self.ask, self.bid_lots, self.ask_lots = np.zeros((4, count))
        self.quote_ns = np.zeros(count, dtype=np.int64)
        self.minutes: list[MinuteBars] = []
        self.halted = np.zeros(count, dtype=np.bool_)  # bars and quotes do not tell of halts
        self.any_halted = False
        o, h, l, c, v = np.zeros((5, count))  # noqa: E741
        self._latest = LatestMinute(o, h, l, c, v, np.zeros(count, dtype=np.int64), np.full(count, np.nan))

    @property
    def latest_minute(self) -> tuple[NDArray[np.float64] | NDArray[np.int64], ...]:
        return self._latest.columns

    def take_minute(self, bars: MinuteBars, day_volume: FloatArray | None = None) -> MinuteBars:
        """Bars of one minute, with the day's volume as the source tells it or as it adds up here."""
        who, volume = bars.symbol, bars.volume.astype(np.float64)
        if day_volume is None:
            self.all_volume[who] += volume
        else:
            self.all_volume[who] = np.where(day_volume > 0, day_volume, self.all_volume[who] + volume)
        newer = bars.end_ns >= self.last_ns[who]
        later = who[newer]
        self.last[later], self.last_ns[later] = bars.close[newer], bars.end_ns
        self.last_size[later] = 0  # a bar's close: whose trade it was is not told
        latest = self._latest
        latest.open[who], latest.high[who], latest.low[who], latest.close[who] = (
            bars.open, bars.high, bars.low, bars.close,
        )  # fmt: skip
        latest.volume[who], latest.end_ns[who], latest.vwap[who] = volume, bars.end_ns, bars.vwap
        if self.open_ns <= bars.start_ns < self.close_ns:
            first = self.volume[who] == 0
            self.open[who] = np.where(first, bars.open, self.open[who])
            self.high[who] = np.where(first, bars.high, np.maximum(self.high[who], bars.high))
            self.low[who] = np.where(first, bars.low, np.minimum(self.low[who], bars.low))
            self.close[who] = bars.close
            self.volume[who] += volume
            self.turnover[who] += np.where(volume > 0, bars.vwap * volume, 0.0)
        told = replace(bars, day_volume=self.all_volume[who].astype(np.int64))
        self.minutes.append(told)
        return told

    def take_official(self, bars: DayBars) -> None:
        """The session's own daily bar at its close, for symbols whose minutes were not told."""
        who = np.flatnonzero((self.volume == 0) & (bars.volume > 0))
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self, name)[who] = getattr(bars, name)[who]
        self.turnover[who] = np.nan
        self.last[who], self.last_ns[who] = bars.close[who], self.close_ns
        self.all_volume[who] = bars.volume[who]

    def day_bars(self) -> DayBars:
        known = (self.volume > 0) & np.isfinite(self.turnover)
        vwap = np.where(known, self.turnover / np.maximum(self.volume, 1), 0.0)
        o, h, l, c = (column.copy() for column in (self.open, self.high, self.low, self.close))  # noqa: E741
        return DayBars(self.day, o, h, l, c, self.volume.copy(), vwap)

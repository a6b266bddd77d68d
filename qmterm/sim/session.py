"""One day of trading of all symbols: latent prices move each step, some names trade, bars fill.

Pre-market and after hours move in steps of a minute, the regular session in steps of a second. Only `step`
consumes randomness, always in the same order, so the path depends on nothing but seed and day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS
from qmterm.sim.companies import SECTORS
from qmterm.sim.curves import cumulative, variance_curve, volume_curve
from qmterm.sim.past import YEAR, CentsArray, DayBars, PriceArray, to_cents
from qmterm.sim.prints import ConditionedPrints, conditioned
from qmterm.sim.randomness import generator
from qmterm.sim.universe import MARKET_VOLATILITY, RANGE, SECTOR_VOLATILITY, Universe

MINUTE_NS = 60 * NS
ROLL_NS = 6 * 3600 * NS  # before the open: 03:30, when yesterday's day bars are cleared
PRE_NS = 330 * MINUTE_NS  # 04:00
POST_NS = 240 * MINUTE_NS  # after the close
REGULAR_VARIANCE, QUIET_VARIANCE = 0.72, 0.05  # shares of a day's variance; the rest is the overnight gap
QUIET_VOLUME = 0.04  # share of a day's volume in each of pre-market and after hours


@dataclass(frozen=True, slots=True)
class MinuteBars:
    """Bars of one minute, only of symbols that traded, by symbol number: prices in the world's unit, and shares."""

    end_ns: int
    symbol: NDArray[np.int32]
    open: PriceArray
    high: PriceArray
    low: PriceArray
    close: PriceArray
    volume: NDArray[Any]
    day_volume: IntArray  # so far
    vwap: FloatArray  # dollars, NaN where the source has none

    @property
    def start_ns(self) -> int:
        return self.end_ns - MINUTE_NS


@dataclass(frozen=True, slots=True)
class Trades:
    """Who traded in one step: the stream's per-second bars, and the prints that they are made of."""

    time_ns: int
    symbol: NDArray[np.int64]
    price: CentsArray
    volume: NDArray[np.int32]  # shares of the step, those of `conditioned` included
    conditioned: ConditionedPrints
    regular: bool


class TradingDay:
    """State columns of the running session, indexed by symbol number. Prices in cents unless said otherwise."""

    def __init__(
        self, universe: Universe, calendar: SessionCalendar, day: date, seed: int, fair: FloatArray, last: CentsArray
    ) -> None:
        self.universe = universe
        self.day = day
        self.open_ns = calendar.open_ns(day)
        self.close_ns = calendar.close_ns(day)
        self.roll_ns = self.open_ns - ROLL_NS
        self.pre_ns = self.open_ns - PRE_NS
        self.end_ns = self.close_ns + POST_NS
        count = len(universe)
        self.fair = fair.copy()  # dollars
        self.last = last.copy()
        self.last_size = np.full(count, 100, dtype=np.int32)
        self.last_ns = np.zeros(count, dtype=np.int64)
        self.open = np.zeros(count, dtype=np.int32)
        self.high = np.zeros(count, dtype=np.int32)
        self.low = np.zeros(count, dtype=np.int32)
        self.close = np.zeros(count, dtype=np.int32)  # last regular trade
        self.volume = np.zeros(count, dtype=np.int64)  # regular
        self.turnover = np.zeros(count, dtype=np.float64)  # cents × shares
        self.all_volume = np.zeros(count, dtype=np.int64)
        self.halted = np.zeros(count, dtype=np.bool_)
        self.any_halted = False
        self.halted_ns = np.zeros(count, dtype=np.int64)  # the instant of the last quote before the latest halt
        self.frozen = self.fair.copy()  # dollars: what a halted name was worth when it was halted
        self.minutes: list[MinuteBars] = []
        self.latest_minute = np.zeros((6, count), dtype=np.int64)  # o h l c v, end ns
        self._clear_minute()

        self._seed = seed
        self._rng = generator(seed, "trading day", day)
        daily = YEAR**-0.5
        self._own = (universe.own_volatility * daily).astype(np.float32)
        self._market, self._sector = MARKET_VOLATILITY * daily, SECTOR_VOLATILITY * daily
        seconds = (self.close_ns - self.open_ns) // NS
        self._variance = variance_curve(seconds) * REGULAR_VARIANCE
        self._shares = volume_curve(seconds)
        self._done = cumulative(self._shares)
        self._per_second = (universe.volume / seconds).astype(np.float32)
        self._activity = np.minimum(0.97, self._per_second / 120.0).astype(np.float32)
        self._drift, self.busy = self._in_play()
        self._gapped = False

    def _in_play(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Today's trend of each name (log return over the session) and how unusually busy it is."""
        rng, universe = self._rng, self.universe
        count = len(universe)
        daily = universe.volatility * YEAR**-0.5
        drift = np.where(universe.regime == RANGE, 0.0, universe.atr_distance * daily / 17.0)
        in_play = rng.random(count) < 0.06
        drift += np.where(in_play, daily * rng.normal(0.5, 1.3, count), 0.0)
        busy = np.where(in_play, 2.5, 0.9 + 0.2 * rng.random(count))
        self.in_play = np.flatnonzero(in_play)
        return drift.astype(np.float32), busy.astype(np.float32)

    @property
    def quoted(self) -> FloatArray:
        """Dollars that quotes are made of: those of halted names stand still."""
        return np.where(self.halted, self.frozen, self.fair) if self.any_halted else self.fair

    def quote_ns(self, step_ns: int) -> IntArray:
        """When each stock's quote is of, for a market whose latest step was at `step_ns`."""
        return np.where(self.halted, self.halted_ns, step_ns)

    # --- stepping ---

    def next_step_ns(self, now_ns: int) -> int | None:
        """When the next step falls due, None when the day is over."""
        if now_ns < self.pre_ns:
            return self.pre_ns
        if now_ns < self.open_ns or now_ns >= self.close_ns:
            due = (now_ns // MINUTE_NS + 1) * MINUTE_NS
            return due if due <= self.end_ns else None
        return (now_ns // NS + 1) * NS

    def step(self, time_ns: int, fall: FloatArray | None = None) -> Trades | None:
        """Move to `time_ns`; `fall` takes dividends off on the first step of the day."""
        if not self._gapped:
            self._gap(fall)
            self._gapped = True
            return None
        if self.open_ns < time_ns <= self.close_ns:
            second = (time_ns - self.open_ns) // NS - 1
            variance, share = float(self._variance[second]), float(self._shares[second])
            activity = self._activity * np.float32(share * len(self._shares))
        else:
            variance, share = QUIET_VARIANCE / 330.0, QUIET_VOLUME / 330.0
            activity = np.minimum(np.float32(0.6), self._activity * np.float32(0.8))
        return self._move(time_ns, variance, share, activity)

    def _gap(self, fall: FloatArray | None) -> None:
        rng, share = self._rng, 1.0 - REGULAR_VARIANCE - 2 * QUIET_VARIANCE
        self.fair *= np.exp(share**0.5 * self._shock(rng.standard_normal(len(self.universe), dtype=np.float32)))
        if fall is not None:
            self.fair = np.maximum(self.fair - fall, 0.01)

    def _shock(self, own: NDArray[np.float32]) -> NDArray[np.float32]:
        """One whole day's worth of log return of every name, market and sector parts included."""
        common = self._rng.standard_normal(1 + len(SECTORS))
        sectors = (common[1:] * self._sector).astype(np.float32)
        sectors[-1] = 0.0
        out = own * self._own
        out += self.universe.beta * np.float32(common[0] * self._market)
        out += sectors[self.universe.sector]
        return np.asarray(out, dtype=np.float32)

    def _move(self, time_ns: int, variance: float, share: float, activity: NDArray[np.float32]) -> Trades | None:
        rng, count = self._rng, len(self.universe)
        own = rng.standard_normal(count, dtype=np.float32)
        luck = rng.random(count, dtype=np.float32)
        change = self._shock(own)
        change *= np.float32(variance**0.5)
        change += self._drift * np.float32(variance)
        jumps = rng.poisson(count * variance / 40.0)
        if jumps:
            who = rng.integers(0, count, jumps)
            np.add.at(change, who, (self._own[who] * rng.normal(0, 1.6, jumps)).astype(np.float32))
        self.fair *= 1.0 + change
        np.maximum(self.fair, 0.01, out=self.fair)
        closing = time_ns == self.close_ns or time_ns == self.open_ns + NS
        traded = np.arange(count) if closing else np.flatnonzero(luck < activity)
        if self.any_halted:
            traded = traded[~self.halted[traded]]
        if not len(traded):
            self._end_minute(time_ns)
            return None
        fair = self.fair[traded]
        half = fair * self.universe.half_spread[traded] * np.sign(own[traded])
        price = to_cents(fair if closing else fair + half)
        eager = np.minimum(luck[traded] / np.maximum(activity[traded], 1e-6), 0.999) if not closing else luck[traded]
        expected = self._per_second[traded] * self.busy[traded] * np.float32(share * len(self._shares))
        size = expected / np.minimum(np.maximum(activity[traded], 1e-6), 1.0) * -np.log1p(-eager)
        shares = np.maximum(size, 1).astype(np.int32)
        begun = self._minute_volume[traded] > 0
        extra = conditioned(self._seed, time_ns, traded, price, shares, self._minute_open[traded], begun)
        self._record(time_ns, traded, price, shares, extra)
        self._end_minute(time_ns)
        return Trades(time_ns, traded, price, shares, extra, self.open_ns < time_ns <= self.close_ns)

    # --- bars ---

    def _record(
        self,
        time_ns: int,
        who: IntArray,
        price: CentsArray,
        shares: NDArray[np.int32],
        extra: ConditionedPrints,
    ) -> None:
        self.last[who] = price
        self.last_size[who] = shares
        self.last_ns[who] = time_ns
        self.all_volume[who] += shares
        fresh = self._minute_volume[who] == 0
        self._minute_open[who] = np.where(fresh, price, self._minute_open[who])
        self._minute_high[who] = np.where(fresh, price, np.maximum(self._minute_high[who], price))
        self._minute_low[who] = np.where(fresh, price, np.minimum(self._minute_low[who], price))
        self._minute_volume[who] += shares
        turnover = price.astype(np.float64) * shares
        turnover[extra.of] += (extra.price.astype(np.float64) - price[extra.of]) * extra.size
        self._minute_turnover[who] += turnover
        if self.open_ns < time_ns <= self.close_ns:
            first = self.volume[who] == 0
            self.open[who] = np.where(first, price, self.open[who])
            self.high[who] = np.where(first, price, np.maximum(self.high[who], price))
            self.low[who] = np.where(first, price, np.minimum(self.low[who], price))
            self.close[who] = price
            self.volume[who] += shares
            self.turnover[who] += turnover

    def _clear_minute(self) -> None:
        count = len(self.universe)
        self._minute_open = np.zeros(count, dtype=np.int32)
        self._minute_high = np.zeros(count, dtype=np.int32)
        self._minute_low = np.zeros(count, dtype=np.int32)
        self._minute_volume = np.zeros(count, dtype=np.int32)
        self._minute_turnover = np.zeros(count, dtype=np.float64)  # cents × shares

    def _end_minute(self, time_ns: int) -> None:
        if time_ns % MINUTE_NS:
            return
        who = np.flatnonzero(self._minute_volume).astype(np.int32)
        bars = MinuteBars(
            end_ns=time_ns,
            symbol=who,
            open=self._minute_open[who],
            high=self._minute_high[who],
            low=self._minute_low[who],
            close=self.last[who],
            volume=self._minute_volume[who],
            day_volume=self.all_volume[who],
            vwap=np.round(self._minute_turnover[who] / self._minute_volume[who] / 100.0, 4),
        )
        self.minutes.append(bars)
        self.latest_minute[:, who] = (
            bars.open,
            bars.high,
            bars.low,
            bars.close,
            bars.volume,
            np.full(len(who), time_ns),
        )
        self._clear_minute()

    def day_bars(self) -> DayBars:
        """The session as one daily bar each (after the close: the official one)."""
        vwap = np.where(self.volume > 0, self.turnover / np.maximum(self.volume, 1), 0.0)
        return DayBars(
            self.day,
            self.open.copy(),
            self.high.copy(),
            self.low.copy(),
            self.close.copy(),
            self.volume.copy(),
            np.rint(vwap).astype(np.int32),
        )

    def second(self, now_ns: int) -> int:
        """Whole seconds of the regular session that are done at an instant."""
        return int(min(max(now_ns - self.open_ns, 0) // NS, len(self._shares)))

    @property
    def volume_done(self) -> FloatArray:
        """Share of the regular session's usual volume that is done after each second, from 0."""
        return self._done

"""Weekly bars from daily ones, and the multi-timeframe score: five votes a timeframe, weighted (QUANT.md 2.2, 2.3).

The trap: the running week is not a bar. A week counts only once its last session is in the panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import common_shape, to_float
from qmterm.quant.indicators.features import Features
from qmterm.quant.kernel import array_kernel

VOTES = 5
TIE = 0.0005  # of the price: closer than this votes 0
USABLE_WEIGHT = 0.60
DEFAULT_WEIGHTS: Mapping[str, float] = {"1W": 0.20, "1D": 0.40, "60m": 0.25, "5m": 0.15}

_NO_DAY = np.iinfo(np.int64).min  # what NaT is as an integer
_ROUNDING = 1e-12


class MtfScore(NamedTuple):
    """score in [−1, 1], NaN where no timeframe has votes; agreement is the weight share with the score's sign.

    `weight` is Σ weights of the timeframes that have votes; the score is usable from `USABLE_WEIGHT` on.
    """

    score: FloatArray
    agreement: FloatArray
    usable: BoolArray
    weight: FloatArray


def timeframe_votes(features: Features) -> FloatArray:
    """(symbols, 5) votes in {−1, 0, +1}; a row of NaN where the timeframe has too few bars.

    Close against EMA20, EMA20 against SMA50, MACD histogram, RSI14 (above 55, below 45), SMA20 against itself five
    bars ago. A series that never moved has no RSI and votes 0 there.
    """
    tie = TIE * features.close
    rsi = features.rsi14
    votes = np.stack(
        [
            _sign(features.close - features.ema20, tie),
            _sign(features.ema20 - features.sma50, tie),
            _sign(features.macd_hist, np.nextafter(tie, 0.0)),  # the only tie that must be strictly inside
            (rsi > 55.0).astype(np.float64) - (rsi < 45.0),
            _sign(features.sma20 - features.sma20_5ago, tie),
        ],
        axis=-1,
    )
    missing = np.isnan(features.sma50) | np.isnan(features.macd_hist)
    votes[missing] = np.nan
    return votes


def mtf_score(votes: Mapping[str, ArrayLike], weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> MtfScore:
    """The weighted score over timeframes; each entry is (…, 5) votes, NaN (or absent) where there are none."""
    means: dict[str, FloatArray] = {}
    for name, given in votes.items():
        array = to_float(name, given)
        if name not in weights:
            raise BadInput(f"timeframe {name!r} has no weight; known are {', '.join(weights)}")
        if array.ndim == 0 or array.shape[-1] != VOTES:
            raise BadInput(f"timeframe {name!r} has shape {array.shape}: its last axis must hold {VOTES} votes")
        means[name] = array.mean(axis=-1)
    shape = common_shape(**{name: mean.shape for name, mean in means.items()})
    weight = np.zeros(shape)
    total = np.zeros(shape)
    for name, mean in means.items():
        weight += np.where(np.isnan(mean), 0.0, weights[name])
        total += np.where(np.isnan(mean), 0.0, weights[name] * mean)
    score = np.full(shape, np.nan)
    np.divide(total, weight, out=score, where=weight > 0)
    direction = _sign(score, np.full(shape, _ROUNDING))
    agreeing = np.zeros(shape)
    for name, mean in means.items():
        same = (_sign(mean, np.full(mean.shape, _ROUNDING)) == direction) & (direction != 0)
        agreeing += np.where(same, weights[name], 0.0)
    agreement = np.full(shape, np.nan)
    np.divide(agreeing, weight, out=agreement, where=weight > 0)
    return MtfScore(score, agreement, weight >= USABLE_WEIGHT - _ROUNDING, weight)


def weekly_bars(panel: DailyPanel, calendar: SessionCalendar) -> DailyPanel:
    """Complete weeks of every row, right-aligned; a bar's day is the week's last bar of that symbol."""
    week_of_last = _week(np.int64(np.datetime64(panel.last_session, "D").astype(np.int64)))
    following = np.datetime64(calendar.next(panel.last_session), "D").astype(np.int64)
    limit = week_of_last if _week(following) == week_of_last else week_of_last + 1
    # Days are read as integers in place: a copy of them costs as much as the weeks.
    days = np.ascontiguousarray(panel.days.astype("datetime64[D]", copy=False)).view(np.int64)
    columns = panel.close.shape[1] // 4 + 2  # a row of even shorter weeks (halts) loses its oldest
    prices = np.empty((5, len(panel), columns))
    ends: IntArray = np.empty((len(panel), columns), dtype=np.int64)
    bars = np.zeros(len(panel), dtype=np.int64)
    if len(panel):
        daily = (
            np.ascontiguousarray(block, dtype=np.float64)
            for block in (panel.open, panel.high, panel.low, panel.close, panel.volume)
        )
        _weeks(len(panel), days, *daily, limit, prices, ends, bars)
    return DailyPanel(
        symbols=panel.symbols,
        last_session=panel.last_session,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=prices[4],
        bars=bars,
        stale=panel.stale,
        days=ends.view("datetime64[D]"),
    )


def _sign(value: FloatArray, tie: FloatArray) -> FloatArray:
    return np.where(np.isnan(value), np.nan, (value > tie).astype(np.float64) - (value < -tie))


def _week(day: np.int64) -> int:
    """Number of the Monday-to-Sunday week of a day counted from 1970-01-01, a Thursday."""
    return int((day + 3) // 7)


@array_kernel(small=0, parallel_from=1000)
def _weeks(
    begin: int,
    stop: int,
    days: NDArray[np.int64],
    opens: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    closes: FloatArray,
    volumes: FloatArray,
    limit: int,
    weekly: FloatArray,
    ends: NDArray[np.int64],
    bars: NDArray[np.int64],
) -> None:
    """Walks each row from its newest bar back, so that weeks come out right-aligned; skips weeks from `limit` on."""
    border = limit * 7 - 3  # the first day of the running week
    for i in range(begin, stop):
        column = weekly.shape[2]
        last = days.shape[1]
        while last > 0 and days[i, last - 1] >= border:
            last -= 1
        while last > 0 and column > 0:
            day = days[i, last - 1]
            if day == _NO_DAY:
                break
            monday = day - (day + 3) % 7
            first = last - 1
            high, low, volume = highs[i, first], lows[i, first], volumes[i, first]
            while first > 0 and days[i, first - 1] >= monday:
                first -= 1
                high = max(high, highs[i, first])
                low = min(low, lows[i, first])
                volume += volumes[i, first]
            column -= 1
            ends[i, column] = day
            weekly[0, i, column] = opens[i, first]
            weekly[1, i, column] = high
            weekly[2, i, column] = low
            weekly[3, i, column] = closes[i, last - 1]
            weekly[4, i, column] = volume
            last = first
        bars[i] = weekly.shape[2] - column
        ends[i, :column] = _NO_DAY
        weekly[:, i, :column] = np.nan

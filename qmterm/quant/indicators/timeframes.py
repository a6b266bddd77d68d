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
from qmterm.quant.kernel import kernel

VOTES = 5
TIE = 0.0005  # of the price: closer than this votes 0
USABLE_WEIGHT = 0.60
DEFAULT_WEIGHTS: Mapping[str, float] = {"1W": 0.20, "1D": 0.40, "60m": 0.25, "5m": 0.15}

_NO_DAY = np.iinfo(np.int64).min  # what NaT is as an integer
_ROUNDING = 1e-12


class MtfScore(NamedTuple):
    """score in [−1, 1], NaN where no timeframe has votes; agreement is the weight share with the score's sign."""

    score: FloatArray
    agreement: FloatArray
    usable: BoolArray


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
    return MtfScore(score, agreement, weight >= USABLE_WEIGHT - _ROUNDING)


def weekly_bars(panel: DailyPanel, calendar: SessionCalendar) -> DailyPanel:
    """Complete weeks of every row, right-aligned; a bar's day is the week's last bar of that symbol."""
    week_of_last = _week(np.int64(np.datetime64(panel.last_session, "D").astype(np.int64)))
    following = np.datetime64(calendar.next(panel.last_session), "D").astype(np.int64)
    limit = week_of_last if _week(following) == week_of_last else week_of_last + 1
    days = np.ascontiguousarray(panel.days.astype("datetime64[D]").astype(np.int64))
    columns = panel.close.shape[1] // 4 + 2  # a row of even shorter weeks (halts) loses its oldest
    shape = (len(panel), columns)
    prices = np.full((5, *shape), np.nan)
    ends: IntArray = np.full(shape, _NO_DAY, dtype=np.int64)
    bars = np.zeros(len(panel), dtype=np.int64)
    _aggregate(days, panel.open, panel.high, panel.low, panel.close, panel.volume, limit, prices, ends, bars)
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
        days=ends.astype("datetime64[D]"),
    )


def _sign(value: FloatArray, tie: FloatArray) -> FloatArray:
    return np.where(np.isnan(value), np.nan, (value > tie).astype(np.float64) - (value < -tie))


def _week(day: np.int64) -> int:
    """Number of the Monday-to-Sunday week of a day counted from 1970-01-01, a Thursday."""
    return int((day + 3) // 7)


@kernel
def _aggregate(
    days: NDArray[np.int64],
    opens: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    closes: FloatArray,
    volumes: FloatArray,
    limit: int,
    weekly: FloatArray,
    ends: IntArray,
    bars: IntArray,
) -> None:
    """Walks each row from its newest bar back, so that weeks come out right-aligned; skips weeks from `limit` on."""
    for i in range(days.shape[0]):
        column = weekly.shape[2]
        week = limit
        for t in range(days.shape[1] - 1, -1, -1):
            day = days[i, t]
            if day == _NO_DAY:
                break
            own = (day + 3) // 7
            if own >= limit:
                continue
            if own != week:
                if column == 0:
                    break
                column -= 1
                week = own
                ends[i, column] = day
                bars[i] += 1
                weekly[1, i, column] = highs[i, t]
                weekly[2, i, column] = lows[i, t]
                weekly[3, i, column] = closes[i, t]
                weekly[4, i, column] = 0.0
            weekly[0, i, column] = opens[i, t]
            weekly[1, i, column] = max(weekly[1, i, column], highs[i, t])
            weekly[2, i, column] = min(weekly[2, i, column], lows[i, t])
            weekly[4, i, column] += volumes[i, t]

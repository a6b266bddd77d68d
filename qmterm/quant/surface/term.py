"""At-the-money volatility by expiry: term structure, constant maturities, forward vol, event flag (QUANT.md 3.6).

Between expiries total variance σ²·T is linear in T. The trap: the calendar year stretches the last days (a session is
1/252 of trading but 1/365 of calendar time), so expiries under 7 DTE are left out of IV30, slope and event flag.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten
from qmterm.quant.surface.curves import Curves
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.status import StatusArray, SurfaceStatus

DAYS = 365.0
IV30_YEARS = 30 / DAYS
IV90_YEARS = 90 / DAYS
MIN_DTE = 7
EVENT_RATIO = 1.5  # front forward variance over the next


class AtmVols(NamedTuple):
    """One entry an expiry; NaN where status is not OK."""

    vol: FloatArray
    status: StatusArray


class MaturityVol(NamedTuple):
    """`interpolated` is False when only one side of the maturity had an expiry and its IV was taken as it is."""

    value: float
    interpolated: bool


class ForwardVols(NamedTuple):
    """Entry i is between expiry i − 1 and i (before the first: from now); NaN where status is not OK."""

    vol: FloatArray
    status: StatusArray


@dataclass(frozen=True, slots=True)
class TermStructure:
    """Known expiries only, by time. `slope` and `event` are None where there are not the expiries to tell."""

    years: FloatArray
    vol: FloatArray
    forward: ForwardVols
    iv30: MaturityVol | None
    iv90: MaturityVol | None
    slope: float | None  # IV90 − IV30, both interpolated
    event: bool | None  # the front's forward variance is more than 1.5 times the next


def atm_vols(ladder: Ladder, iv: ArrayLike, forward: ArrayLike) -> AtmVols:
    """Volatility at K = F of each expiry, linear in K between the nearest strikes that have one.

    `iv` one a contract (NaN unknown), `forward` single or one an expiry. Each strike answers with its out-of-the-money
    option, or the other one. Nothing is extrapolated: NOT_BRACKETED when no known strike lies on one of the sides.
    """
    forwards = ladder.expiry_column("forward", forward)
    vols = ladder.either(ladder.vol_column("iv", iv), forwards)
    curves = Curves.through(ladder.expiries, ladder.expiry, ladder.strike, vols)
    vol, inside = curves.at(np.arange(ladder.expiries), forwards)
    status = np.select(
        [~(np.isfinite(forwards) & (forwards > 0)), curves.sizes == 0, ~inside],
        [SurfaceStatus.BAD_INPUT, SurfaceStatus.NO_QUOTE, SurfaceStatus.NOT_BRACKETED],
        SurfaceStatus.OK,
    ).astype(np.int8)
    return AtmVols(np.where(status == SurfaceStatus.OK, vol, np.nan), status)


def iv_at(years: Sequence[float], vols: Sequence[float], maturity: float) -> MaturityVol | None:
    """Volatility of a constant maturity: total variance, linear in time between the expiries around it.

    Leave out expiries under 7 DTE before. None when no expiry has a volatility, or for a maturity that is not ahead.
    """
    if len(years) != len(vols):
        raise BadInput(f"{len(years)} expiries but {len(vols)} volatilities")
    points = sorted((t, v) for t, v in zip(years, vols, strict=True) if 0 < t < math.inf and 0 < v < math.inf)
    if not points or not 0 < maturity < math.inf:
        return None
    before = [point for point in points if point[0] <= maturity]
    after = [point for point in points if point[0] >= maturity]
    if not before or not after:
        return MaturityVol((before[-1] if before else after[0])[1], interpolated=False)
    (t1, v1), (t2, v2) = before[-1], after[0]
    if t1 == t2:
        return MaturityVol(v1, interpolated=True)
    w1, w2 = v1 * v1 * t1, v2 * v2 * t2
    return MaturityVol(math.sqrt((w1 + (w2 - w1) * (maturity - t1) / (t2 - t1)) / maturity), interpolated=True)


def iv30(years: Sequence[float], vols: Sequence[float]) -> MaturityVol | None:
    """30-day implied volatility; see `iv_at`."""
    return iv_at(years, vols, IV30_YEARS)


def forward_vol(t1: ArrayLike, vol1: ArrayLike, t2: ArrayLike, vol2: ArrayLike) -> FloatArray:
    """√((w2 − w1)/(T2 − T1)) with w = σ²T, element by element.

    NaN where it is negative (calendar arbitrage), unless 0 ≤ T1 < T2, or where an input is unknown.
    """
    shape, (early, first, late, second) = flatten(t1=t1, vol1=vol1, t2=t2, vol2=vol2)
    with np.errstate(all="ignore"):
        variance = (second * second * late - first * first * early) / (late - early)
        usable = (early >= 0) & (late > early) & (first >= 0) & (second >= 0) & np.isfinite(variance)
        return np.sqrt(np.where(usable & (variance >= 0), variance, np.nan)).reshape(shape)


def term_structure(years: ArrayLike, vols: ArrayLike, dte: ArrayLike) -> TermStructure:
    """What the at-the-money volatilities of all expiries say together; expiries in any order, NaN vols left out.

    `dte` (calendar days) decides which expiries IV30, slope and event flag rest on.
    """
    _, (times, sigmas, days) = flatten(years=years, vols=vols, dte=dte)
    order = _known(times, sigmas)
    times, sigmas, days = times[order], sigmas[order], days[order]
    late = days >= MIN_DTE
    t, v = times[late].tolist(), sigmas[late].tolist()
    near, far = iv_at(t, v, IV30_YEARS), iv_at(t, v, IV90_YEARS)
    both = near is not None and far is not None and near.interpolated and far.interpolated
    return TermStructure(
        years=times,
        vol=sigmas,
        forward=_forward_vols(times, sigmas),
        iv30=near,
        iv90=far,
        slope=far.value - near.value if both and near is not None and far is not None else None,
        event=event_flag(t, v),
    )


def event_flag(years: Sequence[float], vols: Sequence[float]) -> bool | None:
    """True when the variance a year up to the first expiry exceeds 1.5 times that between the first and the second.

    Expiries ascend, those under 7 DTE left out. A next variance below nothing (calendar arbitrage) is exceeded too.
    None with fewer than two, or where one of those is unknown.
    """
    if len(years) < 2 or not (0 < years[0] < years[1] < math.inf and min(vols[:2]) > 0 and sum(vols[:2]) < math.inf):
        return None
    front = vols[0] * vols[0]
    following = (vols[1] * vols[1] * years[1] - front * years[0]) / (years[1] - years[0])
    return bool(front > EVENT_RATIO * following)


def _known(times: FloatArray, vols: FloatArray) -> IntArray:
    """Numbers of the expiries with a volatility, by time; of equal times the first."""
    usable = np.flatnonzero(np.isfinite(times) & (times > 0) & np.isfinite(vols) & (vols > 0))
    order = usable[np.argsort(times[usable], kind="stable")]
    return np.asarray(order[np.r_[np.ones(min(1, order.size), np.bool_), np.diff(times[order]) > 0]])


def _forward_vols(times: FloatArray, vols: FloatArray) -> ForwardVols:
    before_time, before_vol = np.r_[0.0, times][:-1], np.r_[0.0, vols][:-1]
    vol = forward_vol(before_time, before_vol, times, vols)
    status = np.where(np.isnan(vol), SurfaceStatus.NEGATIVE_VARIANCE, SurfaceStatus.OK).astype(np.int8)
    return ForwardVols(vol, status)

"""European option prices and Greeks (Black–Scholes–Merton, continuous dividend yield) on arrays, QUANT.md 3.3.

Units are those of the screen: theta $ per calendar day, vega $ per volatility point, rho $ per 1 %, vanna delta per
point, charm delta per day. The trap: an element with a NaN, zero or negative spot, strike, time or volatility is NaN
in every output, alone and without a warning; an expired option is the caller's to value at intrinsic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.arrays import Steps, flatten, option_columns
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import INV_SQRT_TWO_PI, cdf
from qmterm.quant.options.european_lanes import (
    CALL,
    LANES,
    LEAST,
    MOST,
    fill_lanes,
    makes_sense,
    read_lanes,
    write_lanes,
)
from qmterm.quant.options.european_terms import DAYS, five_greeks, tails


class Greeks(NamedTuple):
    """Per share; one array each, in the arguments' common shape."""

    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    rho: FloatArray
    vanna: FloatArray
    charm: FloatArray


def price(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Values in dollars per share; arguments broadcast, rates and volatility are decimals."""
    shape, size, calls, numbers, steps = option_columns(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    out = np.empty((1, size))
    _prices(size, numbers, calls, steps, out)
    return out.reshape(shape)


def black(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Black's value on a forward or future, exp(−rT)·φ(F·N(φd1) − K·N(φd2)): what cash-settled index options use.

    It is `price` with the forward as spot and the rate as yield; the same holds for `greeks` and for solvers, whose
    delta, gamma and rho are then those of the forward.
    """
    return price(forward, strike, years, rate, rate, vol, is_call)


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
) -> Greeks:
    """The seven Greeks per share; theta is the raw formula (see `display_theta` for the last day)."""
    shape, size, calls, numbers, steps = option_columns(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    out = np.empty((7, size))
    _greeks(size, numbers, calls, steps, out)
    return Greeks(*out.reshape(7, *shape))


def display_theta(theta: ArrayLike, years: ArrayLike) -> FloatArray:
    """Theta as shown: on the last day only the part of a day that is left, so never more than the time value."""
    shape, (raw, left) = flatten(theta=theta, years=years)
    return np.asarray(raw * np.minimum(1.0, left * DAYS)).reshape(shape)


def probability_in_the_money(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Risk-neutral probability of ending beyond the strike, N(φ·d2)."""
    shape, size, calls, numbers, steps = option_columns(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    out = np.empty((1, size))
    _in_the_money(size, numbers, calls, steps, out)
    return out.reshape(shape)


# Rows of a block of lanes: the arguments in their order, then what is worked out.
SPOT, STRIKE, YEARS, RATE, YIELD, VOL = range(6)
ROWS = 14
OUT = 7


@piece
def _sides(
    spot: float, strike: float, years: float, rate: float, dividend_yield: float, vol: float
) -> tuple[float, float, float, float]:
    """(F, K', ln(F/K'), σ√T) of european_terms; NaN for all where the option makes no sense."""
    good = makes_sense(spot, strike, years, rate, dividend_yield) & (years > 0.0) & (vol > 0.0) & (vol <= MOST)
    nothing = 0.0 if good else np.nan
    asset = spot * exp(-dividend_yield * years)
    cash = strike * exp(-rate * years)
    total = max(vol * np.sqrt(abs(years)), LEAST)  # never 0, for terms divide by it
    return asset + nothing, cash + nothing, log(spot / strike) + (rate - dividend_yield) * years, total + nothing


@array_kernel()
def _prices(
    low: int, high: int, numbers: tuple[FloatArray, ...], calls: BoolArray, steps: Steps, out: FloatArray
) -> None:
    lanes = np.empty((ROWS, LANES))
    fill_lanes(lanes, numbers, calls, steps)
    for first in range(low, high, LANES):
        count = min(LANES, high - first)
        read_lanes(lanes, first, count, numbers, calls, steps)
        for j in range(count):
            asset, cash, moneyness, s = _sides(
                lanes[SPOT, j], lanes[STRIKE, j], lanes[YEARS, j], lanes[RATE, j], lanes[YIELD, j], lanes[VOL, j]
            )
            d, e, near_tail, far_tail, _ = tails(abs(moneyness), s)
            near, far = min(asset, cash), max(asset, cash)
            outside = (lanes[CALL, j] > 0.5) == (asset < cash)
            part = 0.5 * (near_tail - far_tail if d < 0.0 else near_tail + far_tail) * e
            value = near * (part if d < 0.0 else 1.0 - part)
            lanes[OUT, j] = value + (0.0 if outside else far - near)
        write_lanes(lanes, OUT, first, count, out, 1)


@array_kernel()
def _in_the_money(
    low: int, high: int, numbers: tuple[FloatArray, ...], calls: BoolArray, steps: Steps, out: FloatArray
) -> None:
    lanes = np.empty((ROWS, LANES))
    fill_lanes(lanes, numbers, calls, steps)
    for first in range(low, high, LANES):
        count = min(LANES, high - first)
        read_lanes(lanes, first, count, numbers, calls, steps)
        for j in range(count):
            _, _, moneyness, s = _sides(
                lanes[SPOT, j], lanes[STRIKE, j], lanes[YEARS, j], lanes[RATE, j], lanes[YIELD, j], lanes[VOL, j]
            )
            d2 = moneyness / s - 0.5 * s
            lanes[OUT, j] = cdf(d2 if lanes[CALL, j] > 0.5 else -d2)
        write_lanes(lanes, OUT, first, count, out, 1)


@array_kernel()
def _greeks(
    low: int, high: int, numbers: tuple[FloatArray, ...], calls: BoolArray, steps: Steps, out: FloatArray
) -> None:
    lanes = np.empty((ROWS, LANES))
    fill_lanes(lanes, numbers, calls, steps)
    for first in range(low, high, LANES):
        count = min(LANES, high - first)
        read_lanes(lanes, first, count, numbers, calls, steps)
        for j in range(count):
            spot, years, rate, dividend_yield = lanes[SPOT, j], lanes[YEARS, j], lanes[RATE, j], lanes[YIELD, j]
            asset, cash, moneyness, s = _sides(spot, lanes[STRIKE, j], years, rate, dividend_yield, lanes[VOL, j])
            d, e, near_tail, far_tail, inverse = tails(abs(moneyness), s)
            near = min(asset, cash)
            density = INV_SQRT_TWO_PI * near * e
            part = 0.5 * near_tail * e
            delta, gamma, theta, vega, rho = five_greeks(
                spot,
                years,
                rate,
                dividend_yield,
                asset,
                cash,
                lanes[CALL, j] > 0.5,
                s,
                density,
                near * (part if d < 0.0 else 1.0 - part),
                near * 0.5 * far_tail * e,
            )
            d2 = moneyness * inverse - 0.5 * s
            turn = (2.0 * (rate - dividend_yield) * years * inverse - d2) / (2.0 * years)
            lanes[OUT, j] = delta
            lanes[OUT + 1, j] = gamma
            lanes[OUT + 2, j] = theta
            lanes[OUT + 3, j] = vega
            lanes[OUT + 4, j] = rho
            lanes[OUT + 5, j] = -density * d2 * 0.01 / (spot * lanes[VOL, j])
            lanes[OUT + 6, j] = (dividend_yield * delta - density / spot * turn) / DAYS
        write_lanes(lanes, OUT, first, count, out, 7)

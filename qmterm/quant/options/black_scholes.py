"""European option prices and Greeks (Black–Scholes–Merton, continuous dividend yield) on arrays, QUANT.md 3.3.

Units are those of the screen: theta $ per calendar day, vega $ per volatility point, rho $ per 1 %, vanna delta per
point, charm delta per day. The trap: an element with a NaN, zero or negative spot, strike, time or volatility is NaN
in every output, alone and without a warning; an expired option is the caller's to value at intrinsic.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.arrays import flatten, flatten_options
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import cdf, pdf

DAYS = 365.0


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
    shape, calls, numbers = flatten_options(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    out = np.empty(calls.size)
    _prices(calls.size, numbers, calls, out)
    return out.reshape(shape)


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
    shape, calls, numbers = flatten_options(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    out = np.empty((7, calls.size))
    _greeks(calls.size, numbers, calls, out)
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
    shape, calls, numbers = flatten_options(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    out = np.empty(calls.size)
    _in_the_money(calls.size, numbers, calls, out)
    return out.reshape(shape)


@piece
def _usable(s: float, k: float, t: float, r: float, q: float, v: float) -> bool:
    return (
        s > 0.0
        and k > 0.0
        and t > 0.0
        and v > 0.0
        and math.isfinite(s)
        and math.isfinite(k)
        and math.isfinite(t)
        and math.isfinite(r)
        and math.isfinite(q)
        and math.isfinite(v)
    )


@array_kernel()
def _prices(
    low: int,
    high: int,
    numbers: FloatArray,
    calls: BoolArray,
    out: FloatArray,
) -> None:
    for i in range(low, high):
        s, k, t, r, q, v = numbers[0, i], numbers[1, i], numbers[2, i], numbers[3, i], numbers[4, i], numbers[5, i]
        if not _usable(s, k, t, r, q, v):
            out[i] = np.nan
            continue
        sd = v * math.sqrt(t)
        d1 = (math.log(s / k) + (r - q) * t) / sd + 0.5 * sd
        phi = 1.0 if calls[i] else -1.0
        value = phi * (s * math.exp(-q * t) * cdf(phi * d1) - k * math.exp(-r * t) * cdf(phi * (d1 - sd)))
        out[i] = max(0.0, value)


@array_kernel()
def _in_the_money(
    low: int,
    high: int,
    numbers: FloatArray,
    calls: BoolArray,
    out: FloatArray,
) -> None:
    for i in range(low, high):
        s, k, t, r, q, v = numbers[0, i], numbers[1, i], numbers[2, i], numbers[3, i], numbers[4, i], numbers[5, i]
        if not _usable(s, k, t, r, q, v):
            out[i] = np.nan
            continue
        sd = v * math.sqrt(t)
        d2 = (math.log(s / k) + (r - q) * t) / sd - 0.5 * sd
        out[i] = cdf(d2 if calls[i] else -d2)


@piece
def _greeks_of(numbers: FloatArray, i: int, call: bool, out: FloatArray) -> None:
    s, k, t, r, q, v = numbers[0, i], numbers[1, i], numbers[2, i], numbers[3, i], numbers[4, i], numbers[5, i]
    if not _usable(s, k, t, r, q, v):
        for j in range(7):
            out[j, i] = np.nan
        return
    root = math.sqrt(t)
    sd = v * root
    d1 = (math.log(s / k) + (r - q) * t) / sd + 0.5 * sd
    d2 = d1 - sd
    phi = 1.0 if call else -1.0
    eq = math.exp(-q * t)
    ek = k * math.exp(-r * t)
    n1 = eq * pdf(d1)
    c1 = cdf(phi * d1)
    c2 = cdf(phi * d2)
    out[0, i] = phi * eq * c1
    out[1, i] = n1 / (s * sd)
    out[2, i] = (-s * n1 * v / (2.0 * root) - phi * r * ek * c2 + phi * q * s * eq * c1) / DAYS
    out[3, i] = s * n1 * root / 100.0
    out[4, i] = phi * t * ek * c2 / 100.0
    out[5, i] = -n1 * d2 / v / 100.0
    out[6, i] = (phi * q * eq * c1 - n1 * (2.0 * (r - q) * t - d2 * sd) / (2.0 * t * sd)) / DAYS


@array_kernel()
def _greeks(low: int, high: int, numbers: FloatArray, calls: BoolArray, out: FloatArray) -> None:
    for i in range(low, high):
        _greeks_of(numbers, i, calls[i], out)

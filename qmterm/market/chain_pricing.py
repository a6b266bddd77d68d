"""Implied volatilities and Greeks of a whole chain at once from its quotes (QUANT.md 3.5), on arrays.

The trap: a contract without a volatility still needs Greeks (an untraded wing is held by somebody). Its IV stays
unknown, with the code why; its Greeks come from the volatilities of its neighbours in the same expiry.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.ticks import program_for, table_of
from qmterm.market.quality import mids
from qmterm.quant.kernel import PARALLEL_FROM
from qmterm.quant.options.black_scholes import display_theta, greeks
from qmterm.quant.options.implied_vol import IvStatus, implied_vol

LOW_VEGA_TICKS = 0.1  # below this many ticks a volatility point moves nothing that can be quoted


@dataclass(frozen=True, slots=True)
class ChainNumbers:
    iv: FloatArray  # NaN unless the status is OK or LOW_VEGA
    iv_status: NDArray[np.int8]
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    rho: FloatArray


def price_chain(
    root: str,
    spot: float,
    strike: FloatArray,
    expiry: NDArray[np.datetime64],
    years: FloatArray,
    is_call: BoolArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
) -> ChainNumbers:
    """Everything of all contracts; columns sorted by expiry, then strike.

    Runs on the caller's thread, so it is kept below the size from which kernels go parallel (core/compute.py).
    """
    cut = _cut(expiry)
    if cut:
        low, high = (
            price_chain(
                root,
                spot,
                strike[part],
                expiry[part],
                years[part],
                is_call[part],
                rate[part],
                dividend_yield[part],
                bid[part],
                ask[part],
            )
            for part in (slice(None, cut), slice(cut, None))
        )
        return ChainNumbers(
            *(np.concatenate((getattr(low, field.name), getattr(high, field.name))) for field in fields(ChainNumbers))
        )
    middle, crossed, wide = mids(bid, ask)
    iv, status = implied_vol(middle, spot, strike, years, rate, dividend_yield, is_call)
    status = status.copy()
    unquoted = status == IvStatus.NO_QUOTE
    status[unquoted & crossed] = IvStatus.CROSSED
    status[unquoted & wide] = IvStatus.WIDE_SPREAD

    smile = _smile(iv, strike, expiry, is_call, spot)
    numbers = greeks(spot, strike, years, rate, dividend_yield, smile, is_call)
    flat = (status == IvStatus.OK) & (numbers.vega < LOW_VEGA_TICKS * _ticks(root, middle))
    status[flat] = IvStatus.LOW_VEGA
    return ChainNumbers(
        iv=iv,
        iv_status=status,
        delta=numbers.delta,
        gamma=numbers.gamma,
        theta=display_theta(numbers.theta, years),
        vega=numbers.vega,
        rho=numbers.rho,
    )


def warm_up() -> None:
    """Load the compiled kernels (seconds on a fresh machine): once, before the market needs the loop."""
    one = np.ones(1)
    day = np.array(["2030-01-18"], dtype="datetime64[D]")
    price_chain("X", 100.0, 100.0 * one, day, one, one > 0, 0.04 * one, 0.0 * one, 9.9 * one, 10.1 * one)


def _cut(expiry: NDArray[np.datetime64]) -> int:
    """Where to split a chain that is too large: the border between expiries nearest the middle; 0 = nowhere."""
    if expiry.size < PARALLEL_FROM:
        return 0
    borders = np.flatnonzero(expiry[1:] != expiry[:-1]) + 1
    return int(borders[np.abs(borders - expiry.size // 2).argmin()]) if borders.size else 0


def _smile(
    iv: FloatArray, strike: FloatArray, expiry: NDArray[np.datetime64], is_call: BoolArray, spot: float
) -> FloatArray:
    """Each contract's own volatility, or its expiry's at that strike: linear between strikes, flat beyond."""
    known = ~np.isnan(iv)
    if known.all() or not known.any():
        return iv
    out = iv.copy()
    # The out-of-the-money side of a strike knows its volatility better: its price is all time value.
    outside = known & (is_call == (strike >= spot))
    borders = np.flatnonzero(np.r_[True, expiry[1:] != expiry[:-1], True])
    for first, last in pairwise(borders.tolist()):
        block = slice(first, last)
        source = outside[block] if outside[block].any() else known[block]
        if not source.any():
            continue
        unknown = ~known[block]
        out[block][unknown] = np.interp(strike[block][unknown], strike[block][source], iv[block][source])
    return out


def _ticks(root: str, price: FloatArray) -> FloatArray:
    """The tick at each price of one option class."""
    out = np.full(price.shape, np.nan)
    for threshold, size in reversed(table_of(program_for(root)).steps):
        out[price < (np.inf if threshold is None else float(threshold))] = float(size)
    return out

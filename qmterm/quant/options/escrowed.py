"""American options with cash dividends under the escrowed model: value, Greeks, implied volatility (QUANT.md 3.4, 3.5).

The share is S − PV(D), which is lognormal, plus the dividends to come; exercise counts the whole share. A table without
dividends is allowed: then this is the plain American option, for rates of any sign. The trap: theta is the value a day
later at the same spot, and a dividend that goes ex within that day is taken to be about to (the holder may still
exercise), so nothing jumps when an ex-date is a day away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.quant.arrays import Shape, flatten_options
from qmterm.quant.options import escrowed_work as work
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.escrowed_bounds import (
    GREEKS,
    IN_RATE,
    IN_VOL,
    IN_YEARS,
    IN_YIELD,
    OUT_DELTA,
    OUT_PRICE,
    OUT_VOL,
    OUTPUTS,
    PRICES,
    SOLVE,
)
from qmterm.quant.options.escrowed_calls import call_block
from qmterm.quant.options.escrowed_put_rule import MOST_WINDOWS
from qmterm.quant.options.escrowed_puts import put_block
from qmterm.quant.options.implied_vol import IvStatus, StatusArray
from qmterm.quant.options.implied_vol import implied_vol as european_implied_vol
from qmterm.quant.options.solved import Solved

_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)


class EscrowedGreeks(NamedTuple):
    """Per share, in the arguments' common shape; bumps of QUANT.md 3.4, theta NaN on the last day."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    rho: FloatArray


def price(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable,
) -> FloatArray:
    """Values in dollars per share; NaN for elements with a bad number or dividends worth more than the share."""
    shape, out, _ = _work(
        PRICES, is_call, dividends, spot=spot, strike=strike, years=years, rate=rate,
        dividend_yield=dividend_yield, vol=vol, price=0.0,
    )  # fmt: skip
    values: FloatArray = out[OUT_PRICE].reshape(shape)
    return values


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable,
) -> EscrowedGreeks:
    """Value and the five Greeks; NaN as for `price`."""
    shape, out, _ = _work(
        GREEKS, is_call, dividends, spot=spot, strike=strike, years=years, rate=rate,
        dividend_yield=dividend_yield, vol=vol, price=0.0,
    )  # fmt: skip
    answer = out.reshape(OUTPUTS, *shape)
    return EscrowedGreeks(answer[OUT_PRICE], *answer[OUT_DELTA:])


def solve(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable,
) -> Solved:
    """The volatility that explains each price, and the Greeks there; NaN with the reason in `status` elsewhere.

    The order of the checks is that of `implied_vol`. Bounds: from the best exercise at a date known now (today, an
    ex-date, expiry) to the spot of a call, the strike of a put.
    """
    shape, out, status = _work(
        SOLVE, is_call, dividends, spot=spot, strike=strike, years=years, rate=rate,
        dividend_yield=dividend_yield, vol=1.0, price=price,
    )  # fmt: skip
    answer = out.reshape(OUTPUTS, *shape)
    return Solved(answer[OUT_VOL], status.reshape(shape), *answer[OUT_DELTA:])


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable,
) -> tuple[FloatArray, StatusArray]:
    """(volatility, status) as `solve` finds them."""
    solved = solve(price, spot, strike, years, rate, dividend_yield, is_call, dividends)
    return solved.iv, solved.status


def _work(
    mode: int, is_call: ArrayLike, dividends: DividendTable, **arguments: ArrayLike
) -> tuple[Shape, FloatArray, StatusArray]:
    shape, calls, numbers = flatten_options(is_call, **arguments)
    size = calls.size
    dividends.fits(size)
    if mode == SOLVE:
        spot, strike, years, rate, dividend_yield, _, price = numbers
        with np.errstate(all="ignore"):
            escrowed = spot - dividends.present_value(rate, years)
        numbers[IN_VOL], _ = european_implied_vol(price, escrowed, strike, years, rate, dividend_yield, calls)
    out = np.empty((OUTPUTS, size))
    status = np.empty(size, dtype=np.int8)
    left = _in_blocks(mode, numbers, calls, dividends, out, status)
    if left.size == size:
        work.work(size, mode, numbers, calls, dividends.times, dividends.amounts, out, status)
    elif left.size:
        few = dividends.take(left)
        some, codes = np.empty((OUTPUTS, left.size)), np.empty(left.size, dtype=np.int8)
        work.work(left.size, mode, numbers[:, left], calls[left], few.times, few.amounts, some, codes)
        out[:, left], status[left] = some, codes
    return shape, out, status


def _in_blocks(
    mode: int,
    numbers: FloatArray,
    calls: BoolArray,
    dividends: DividendTable,
    out: FloatArray,
    status: StatusArray,
) -> IntArray:
    """Fills in what the two methods for blocks of options can do; the other options."""
    simple = (numbers[IN_YIELD] == 0.0) & (numbers[IN_RATE] >= 0.0)
    dates = dividends.counted(numbers[IN_YEARS]).sum(axis=1)
    puts = np.flatnonzero(simple & ~calls & (numbers[IN_RATE] > 0.0) & (dates <= MOST_WINDOWS))
    # Options of one block cost as much as the one with most dates.
    puts = puts[np.argsort(dates[puts].astype(np.int8), kind="stable")]
    alone = np.flatnonzero(simple & calls)
    left = np.ones(calls.size, dtype=np.bool_)
    for block, rows in ((put_block, puts), (call_block, alone)):
        if rows.size:
            block(rows.size, mode, rows, numbers, dividends.times, dividends.amounts, out, status)
            left[rows] = status[rows] == _NO_CONVERGENCE
    return np.flatnonzero(left)

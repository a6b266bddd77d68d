"""Implied volatility of the American prices on which the joint Newton iteration gave up: a bracket that cannot fail.

Few need it: prices within a hair of exercise value, where volatility has next to no say. The trap: there the model's
own error exceeds the time value, so a volatility counts as found when the model meets the price to PRICE_TOLERANCE of
the strike; what misses by more is NO_CONVERGENCE.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.options.american_block import OUT_IV, OUT_PRICE, solve_block
from qmterm.quant.options.american_lanes import PRICE, STOCK, STRIKE, VOL
from qmterm.quant.options.american_prices import price_block
from qmterm.quant.options.solved import IvStatus, StatusArray

LOWEST, HIGHEST = 1e-4, 5.0
HALVINGS = 34
PRICE_TOLERANCE = 2e-5
# Rounds: the first attempt, the second from another start, and a boundary at a given volatility.
QUICK, LONG, BOUNDARY = 3, 12, 12
SECOND_START = 1.5  # times the European volatility, from which the first attempt began

_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)


def search(numbers: FloatArray, calls: BoolArray, out: FloatArray, status: StatusArray) -> None:
    """Fill `out` and `status` (see solve_block) for all options, quickly for nearly all and surely for the rest."""
    solve_block(calls.size, numbers, calls, True, QUICK, out, status)
    left = np.flatnonzero(status == _NO_CONVERGENCE)
    if left.size:
        some = numbers[:, left]
        some[VOL] = np.minimum(some[VOL] * SECOND_START, HIGHEST)
        found, codes = _answers(left.size, out.shape[0])
        solve_block(left.size, some, calls[left], True, LONG, found, codes)
        out[:, left], status[left] = found, codes
        left = np.flatnonzero(status == _NO_CONVERGENCE)
    if left.size:
        out[:, left], status[left] = _bracket(numbers[:, left], calls[left], out.shape[0])


def _answers(size: int, rows: int) -> tuple[FloatArray, StatusArray]:
    return np.full((rows, size), np.nan), np.full(size, _NO_CONVERGENCE, dtype=np.int8)


def _bracket(numbers: FloatArray, calls: BoolArray, rows: int) -> tuple[FloatArray, StatusArray]:
    """Halve [LOWEST, HIGHEST], in the logarithm, around the volatility at which the model meets each price."""
    low = np.full(calls.size, np.log(LOWEST))
    high = np.full(calls.size, np.log(HIGHEST))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        numbers[VOL] = np.exp(middle)
        # A boundary that does not settle (volatility next to nothing) counts as a price at its floor.
        below = ~(_prices(numbers, calls) >= numbers[PRICE])
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    numbers[VOL] = np.exp(high)
    found, codes = _answers(calls.size, rows)
    solve_block(calls.size, numbers, calls, False, BOUNDARY, found, codes)
    meets = np.abs(found[OUT_PRICE] - numbers[PRICE]) <= PRICE_TOLERANCE * np.maximum(numbers[STRIKE], numbers[STOCK])
    found[:, ~meets] = np.nan
    codes[~meets] = _NO_CONVERGENCE
    found[OUT_IV] = np.where(meets, numbers[VOL], np.nan)
    return found, codes


def _prices(numbers: FloatArray, calls: BoolArray) -> FloatArray:
    out = np.empty((calls.size, 1))
    price_block(calls.size, numbers[STOCK].reshape(-1, 1), numbers, calls, BOUNDARY, out)
    return out[:, 0]

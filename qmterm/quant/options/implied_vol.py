"""Implied volatility of European prices on arrays, with a reason for every number that does not exist (QUANT.md 3.5).

The option is turned into its out-of-the-money side (parity) and the logarithm of what it is worth, or of what it lacks
to its maximum, is inverted, so deep wings and hours to expiry lose no digits. The trap: a price at its lower bound has
*no* volatility, however well a solver converges on the rounding noise; that is NO_TIME_VALUE, not a small number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import option_columns
from qmterm.quant.options.european_block import MIN_YEARS, TIME_VALUE_FLOOR, solve_block
from qmterm.quant.options.solved import STATUS, IvStatus, StatusArray

__all__ = ["MIN_YEARS", "STATUS", "TIME_VALUE_FLOOR", "IvStatus", "StatusArray", "implied_vol"]


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> tuple[FloatArray, StatusArray]:
    """(volatility, status) in the arguments' common shape; volatility is NaN wherever status is not OK.

    A NaN price is NO_QUOTE. Checked in this order: BAD_INPUT, EXPIRED, EXPIRING (under a minute), NO_QUOTE,
    ABOVE_MAX, BELOW_INTRINSIC, NO_TIME_VALUE.
    """
    shape, size, calls, numbers, steps = option_columns(
        is_call, price=price, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield
    )
    out = np.empty((1, size))
    status = np.empty(size, dtype=np.int8)
    solve_block(size, numbers, calls, steps, out, status)
    return out.reshape(shape), status.reshape(shape)

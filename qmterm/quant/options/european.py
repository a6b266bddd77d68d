"""European options: implied volatility and the five Greeks of a price in one pass (QUANT.md 3.3, 3.5).

The trap: theta is the raw formula, as everywhere in this room; `black_scholes.display_theta` is what a screen shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qmterm.quant.arrays import option_columns
from qmterm.quant.options.european_block import solve_block
from qmterm.quant.options.solved import Solved


def solve(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> Solved:
    """The volatility that explains each price, and the Greeks there; NaN with the reason in `status` elsewhere."""
    shape, size, calls, numbers, steps = option_columns(
        is_call, price=price, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield
    )
    out = np.empty((6, size))
    status = np.empty(size, dtype=np.int8)
    solve_block(size, numbers, calls, steps, out, status)
    iv, delta, gamma, theta, vega, rho = out.reshape(6, *shape)
    return Solved(iv, status.reshape(shape), delta, gamma, theta, vega, rho)

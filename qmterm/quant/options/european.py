"""European options: implied volatility and the five Greeks of a price in one pass (QUANT.md 3.3, 3.5).

The trap: theta is the raw formula, as everywhere in this room; `black_scholes.display_theta` is what a screen shows.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from qmterm.quant.options.black_scholes import greeks
from qmterm.quant.options.implied_vol import implied_vol
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
    iv, status = implied_vol(price, spot, strike, years, rate, dividend_yield, is_call)
    found = greeks(spot, strike, years, rate, dividend_yield, iv, is_call)
    return Solved(iv, status, found.delta, found.gamma, found.theta, found.vega, found.rho)

"""Prices of American options less their early exercise premium: what parity and the surface checks may be asked about.

P_eu = P − (Am(σ) − Eu(σ)) at the option's own implied volatility (QUANT.md 3.5, 3.6). The trap: the premium depends on
the dividend yield, which the forward only tells afterwards. Begin with the yield of the known dividends; the premium
of the strikes nearest the money, which decide the forward, is small and hardly moves with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import flatten, flatten_options
from qmterm.quant.options import american, black_scholes
from qmterm.quant.options.dividends import DividendTable


def early_exercise_premium(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    dividends: DividendTable | None = None,
) -> FloatArray:
    """Am(σ) − Eu(σ) in dollars per share, never below 0; NaN where an argument is unknown.

    Contracts without a volatility of their own may be given their neighbours' (smile.py), so that they keep a price.
    With cash dividends both values are of the escrowed model: the European one on S − PV(D).
    """
    shape, calls, numbers = flatten_options(
        is_call, spot=spot, strike=strike, years=years, rate=rate, dividend_yield=dividend_yield, vol=vol
    )
    s, k, t, r, q, v = numbers
    exercised = american.price(s, k, t, r, q, v, calls, dividends)
    carried = s if dividends is None else s - dividends.present_value(r, t)
    held = black_scholes.price(carried, k, t, r, q, v, calls)
    return np.asarray(np.maximum(exercised - held, 0.0)).reshape(shape)


def european_price(price: ArrayLike, premium: ArrayLike) -> FloatArray:
    """The price without its early exercise premium, never below 0; an unknown premium leaves an unknown price."""
    shape, (prices, premia) = flatten(price=price, premium=premium)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(prices - premia, 0.0)).reshape(shape)

"""One option under the escrowed dividend model, and its European side.

The trap: `spot` here is S − PV(D), the part that is lognormal; the dividends still to come are added for exercise only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba.extending import register_jitable

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.normal import cdf, pdf

F = TypeVar("F", bound=Callable[..., Any])

DAY = 1.0 / 365.0


class Escrowed(NamedTuple):
    """One option, as the lattice sees it."""

    spot: float  # S − PV(D)
    later: float  # the same a day later, for an unmoved S
    strike: float
    years: float
    rate: float
    dividend_yield: float
    vol: float
    sign: float  # +1 call, −1 put


class Premium(NamedTuple):
    """What early exercise is worth, in dollars per share."""

    value: float
    slope: float  # first derivative in F
    curve: float  # second derivative in F
    next_day: float  # the value a day later for an unmoved S; NaN if the option does not live to see it


def section(function: F) -> F:
    """As `piece`, but in kernels a function of its own instead of a copy at each place that calls it: for long ones,
    whose copies would take the compiler seconds."""
    registered: F = register_jitable(nogil=True, error_model="numpy", fastmath={"contract"})(function)
    return registered


@piece
def black(f: float, k: float, deviation: float, discount: float, sign: float) -> float:
    """Undiscounted forward f against strike k > 0, discounted."""
    d = log(f / k) / deviation + 0.5 * deviation
    return discount * sign * (f * cdf(sign * d) - k * cdf(sign * (d - deviation)))


@piece
def escrowed_spot(s: float, t: float, r: float, when: FloatArray, cash: FloatArray, passed: float) -> float:
    """S less the dividends still to come, seen `passed` years from now; one that went ex meanwhile counts in full."""
    for k in range(when.size):
        if 0.0 < when[k] <= t:
            s -= cash[k] * np.exp(-r * max(0.0, when[k] - passed))
    return s


@section
def european(option: Escrowed) -> tuple[float, float, float, float, float]:
    """Value, delta, gamma, vega and rho without early exercise, in natural units."""
    f, t, v, sign = option.spot, option.years, option.vol, option.sign
    deviation = v * np.sqrt(t)
    d1 = (log(f / option.strike) + (option.rate - option.dividend_yield) * t) / deviation + 0.5 * deviation
    share = exp(-option.dividend_yield * t)
    bond = option.strike * exp(-option.rate * t)
    n1 = cdf(sign * d1)
    n2 = cdf(sign * (d1 - deviation))
    density = share * pdf(d1)
    return (
        max(0.0, sign * (f * share * n1 - bond * n2)),
        sign * share * n1,
        density / (f * deviation),
        f * density * np.sqrt(t),
        sign * t * bond * n2,
    )

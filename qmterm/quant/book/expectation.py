"""Probability of profit and expected P/L of any legs at expiry, after costs, in either measure (QUANT.md 3.7).

The trap: under the chain's own smile the risk-neutral expected P/L of a fair price is 0 and what remains is cost; the
physical one is an assumption (`mu`, volatility) and must be labelled as such wherever it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.quant.book.legs import MULTIPLIER, Leg, columns, positive_multiplier
from qmterm.quant.book.payoff import Interval, Payoff, payoff
from qmterm.quant.options import black_scholes
from qmterm.quant.options.probability import probability_below

# The smile at some strikes: volatilities and their slopes dσ/dK per dollar.
Smile = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A distribution of the price after `years`: E[S_T] = spot·e^{drift·years}, log-normal with `vol`.

    Risk-neutral: drift = rate − dividend_yield and implied volatility; physical: drift = mu and a volatility of one's
    own. `rate` carries premiums to expiry; `dividend_yield` is what stock legs earn beside the price. A `smile`
    replaces `vol`: each leg is valued at its strike's volatility, each break-even at its own with the slope.
    BadInput when a number makes no sense.
    """

    spot: float
    years: float
    rate: float
    drift: float
    vol: float
    dividend_yield: float = 0.0
    smile: Smile | None = None

    def __post_init__(self) -> None:
        for name in ("spot", "years", "rate", "drift", "vol", "dividend_yield"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise BadInput(f"{name} is {value}, a number is needed")
        for name in ("spot", "years", "vol"):
            if getattr(self, name) <= 0.0:
                raise BadInput(f"{name} {getattr(self, name)} must be above 0")


def risk_neutral(
    spot: float, years: float, rate: float, dividend_yield: float, vol: float, smile: Smile | None = None
) -> Measure:
    """The measure options are priced in."""
    return Measure(spot, years, rate, rate - dividend_yield, vol, dividend_yield, smile)


def physical(spot: float, years: float, rate: float, mu: float, vol: float, dividend_yield: float = 0.0) -> Measure:
    """What one believes: the price drifts by `mu` a year (dividends not in it) with volatility `vol`."""
    return Measure(spot, years, rate, mu, vol, dividend_yield)


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs beside the premiums.

    `half_spreads` in dollars per share for each leg, of which `slip_fraction` is paid; `fee` dollars per option
    contract. Both are paid `sides` times: 1 when the position is left to expire, 2 when it is closed before.
    """

    fee: float = 0.0
    half_spreads: tuple[float, ...] = ()
    slip_fraction: float = 1.0
    sides: int = 1

    def total(self, legs: Sequence[Leg], multiplier: float = MULTIPLIER) -> float:
        """Dollars for the whole position; BadInput when the half spreads do not fit the legs."""
        if self.half_spreads and len(self.half_spreads) != len(legs):
            raise BadInput(f"half_spreads has {len(self.half_spreads)} values for {len(legs)} legs")
        halves = self.half_spreads or (0.0,) * len(legs)
        dollars = 0.0
        for leg, half in zip(legs, halves, strict=True):
            fee = self.fee if leg.is_option else 0.0
            dollars += abs(leg.quantity) * (fee + multiplier * self.slip_fraction * half)
        return dollars * self.sides


@dataclass(frozen=True, slots=True)
class Expectation:
    """`pop` counts P/L > 0 after costs; dollars for the whole position at expiry. NaN where the smile gives none."""

    pop: float
    ev: float
    ev_before_costs: float
    costs: float
    payoff: Payoff


def expectation(
    legs: Sequence[Leg], measure: Measure, multiplier: float = MULTIPLIER, costs: Costs | None = None
) -> Expectation:
    """POP and EV = Σ quantity·(undiscounted expected payoff − premium·e^{rT}), less costs carried the same way.

    A stock leg pays its expected price and the dividends it earns on the way (without them, in the risk-neutral
    measure, every stock with a dividend would look like a loss).
    """
    of = columns(legs)
    spent = (costs or Costs()).total(legs, multiplier)
    options = of.is_call | of.is_put
    worth = np.empty(len(legs))
    worth[options] = expected_payoff(measure, of.strike[options], of.is_call[options])
    worth[~options] = measure.spot * math.exp((measure.drift + measure.dividend_yield) * measure.years)
    growth = math.exp(measure.rate * measure.years)
    before = float(np.sum(of.quantity * (worth - of.premium * growth))) * positive_multiplier(multiplier)
    shape = payoff(legs, multiplier, spent)
    return Expectation(chance_of(shape.profit_intervals, measure), before - spent * growth, before, spent, shape)


def expected_payoff(measure: Measure, strike: FloatArray, is_call: np.ndarray) -> FloatArray:
    """Undiscounted E[max(±(S_T − K), 0)] of each option."""
    vol = np.full(strike.shape, measure.vol) if measure.smile is None else measure.smile(strike)[0]
    # With rate 0 and the drift as a negative dividend yield, Black–Scholes is undiscounted Black on the forward.
    forward = measure.spot * math.exp(measure.drift * measure.years)
    return black_scholes.price(forward, strike, measure.years, 0.0, 0.0, vol, is_call)


def chance_of(intervals: Sequence[Interval], measure: Measure) -> float:
    """Probability that the final price lies in one of the intervals (they do not overlap)."""
    if not intervals:
        return 0.0
    levels = np.array(intervals, dtype=np.float64)
    vol, slope = np.full(levels.shape, measure.vol), np.zeros(levels.shape)
    inside = np.isfinite(levels) & (levels > 0.0)
    if measure.smile is not None and inside.any():
        vol[inside], slope[inside] = measure.smile(levels[inside])
    below = probability_below(measure.spot, levels, measure.years, measure.drift, vol, slope)
    chance = float(np.sum(below[:, 1] - below[:, 0]))
    return min(1.0, max(0.0, chance)) if math.isfinite(chance) else math.nan

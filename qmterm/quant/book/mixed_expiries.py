"""Positions whose legs expire on different days (calendars, diagonals), seen at the first expiry (QUANT.md 3.7).

What remains then is valued by model, so everything is read off a grid of spots. The trap: these extremes are estimates
at the volatilities given; a calendar's profit moves with the back month's volatility more than with the spot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.quant.book.expectation import Costs, Expectation, Measure, chance_of, expected_payoff
from qmterm.quant.book.legs import MULTIPLIER, Leg, columns, net_premium, positive_multiplier
from qmterm.quant.book.payoff import Payoff, checked_costs, shape_of, slope_beyond
from qmterm.quant.book.positions import YEAR_DAYS, Positions, positions, unvalued, value_grid
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.probability import probability_below

GRID_SPOTS = 201
GRID_DEVIATIONS = 4.0
# Beyond them, as far as the longest leg's deviations reach, on either side: on the front's last day a calendar breaks
# even far outside the front's own range.
OUTER_SPOTS = 20
# In logs: at prices still further out a spread is only rounding.
WIDEST = 10.0
# Each round puts the break-evens found so far onto the grid.
REFINEMENTS = 3
ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class DatedLeg:
    """A leg with its own expiry; `years` and `vol` are not read for stock. BadInput when one makes no sense."""

    leg: Leg
    years: float = math.nan
    vol: float = math.nan
    american: bool = True

    def __post_init__(self) -> None:
        if not self.leg.is_option:
            return
        for name, value in (("years", self.years), ("vol", self.vol)):
            if not (math.isfinite(value) and value > 0.0):
                raise BadInput(f"leg {self.leg.kind.value} {self.leg.strike:g}: {name} {value} must be above 0")


@dataclass(frozen=True, slots=True, eq=False)
class FrontPayoff:
    """P/L in dollars at the first expiry, `years` from now, on rising `spots`; `payoff` None with the `reason`."""

    years: float
    spots: FloatArray
    profit: FloatArray
    payoff: Payoff | None
    slope: float  # dollars per dollar of spot far above the strikes
    reason: Reason | None = None


def front_payoff(
    legs: Sequence[DatedLeg],
    spot: float,
    rate: float,
    dividend_yield: float = 0.0,
    *,
    grid_vol: float | None = None,
    multiplier: float = MULTIPLIER,
    costs: float = 0.0,
    dividends: DividendTable | None = None,
) -> FrontPayoff:
    """The position at its first expiry: legs that end there at intrinsic value, the others by their model.

    The grid has 201 spots over ±4 standard deviations of `grid_vol` (the mean of the front legs' when None), a few
    further out where a later leg may go, the strikes, the break-evens and a spot of 0, where every leg's value is
    known. Profit or loss is unlimited by the number of calls and shares, as at expiry. BadInput for a spot or grid
    volatility that is not above 0, or costs below it.
    """
    plain = [leg.leg for leg in legs]
    of = columns(plain)
    options = [leg for leg in legs if leg.leg.is_option]
    if not options:
        raise BadInput("a position without options has no expiry")
    if not (math.isfinite(spot) and spot > 0.0):
        raise BadInput(f"spot {spot} must be above 0")
    if grid_vol is not None and not (math.isfinite(grid_vol) and grid_vol > 0.0):
        raise BadInput(f"grid_vol {grid_vol} must be above 0")
    checked_costs(costs)
    years = min(leg.years for leg in options)
    front_vols = [leg.vol for leg in options if leg.years == years]
    deviation = (grid_vol or sum(front_vols) / len(front_vols)) * math.sqrt(years)
    nodes = spot * np.exp(_grid(deviation, max(leg.vol * math.sqrt(leg.years) for leg in options)))
    strikes = of.strike[of.is_call | of.is_put]
    nodes = np.union1d(nodes, strikes[(strikes > nodes[0]) & (strikes < nodes[-1])])
    book = _as_positions(legs, spot, rate, dividend_yield, positive_multiplier(multiplier), dividends)
    slope = slope_beyond(of, multiplier)
    bottom = float((_worthless(book, years) - of.premium) @ book.size) - costs
    rounding = ROUNDING * multiplier * float(np.sum(np.abs(of.quantity) * (of.strike + of.premium)))
    for turn in range(REFINEMENTS + 1):
        at = np.broadcast_to(nodes, (len(book), nodes.size))
        values = value_grid(book, at, book.vol[:, np.newaxis], years * YEAR_DAYS)[:, :, 0]
        unknown = unvalued(book, values)
        profit = (values - of.premium[:, np.newaxis]).T @ book.size - costs
        if unknown:
            return FrontPayoff(years, nodes, profit, None, slope, unknown[0].reason)
        shape = shape_of(
            net_premium(plain, multiplier),
            np.concatenate(([0.0], nodes)),
            np.concatenate(([bottom], profit)),
            slope,
            rounding,
            on_grid=True,
        )
        if turn == REFINEMENTS or not shape.break_evens:
            break
        nodes = np.union1d(nodes, shape.break_evens)
    return FrontPayoff(years, nodes, profit, shape, slope)


def front_expectation(
    legs: Sequence[DatedLeg],
    measure: Measure,
    dividend_yield: float = 0.0,
    *,
    multiplier: float = MULTIPLIER,
    costs: Costs | None = None,
    dividends: DividendTable | None = None,
) -> Expectation | None:
    """POP and EV at the first expiry, summed over the grid (`measure.years` is set to it); None without a value.

    `dividend_yield` is what the remaining options are priced with. Premiums are carried to the expiry at the
    measure's rate, as in `expectation`.
    """
    plain = [leg.leg for leg in legs]
    spent = (costs or Costs()).total(plain, multiplier)
    front = front_payoff(
        legs, measure.spot, measure.rate, dividend_yield, multiplier=multiplier, costs=spent, dividends=dividends
    )
    if front.payoff is None:
        return None
    at = replace(measure, years=front.years, smile=None)
    below = probability_below(at.spot, front.spots, at.years, at.drift, at.vol)
    weights = np.diff(np.concatenate(([0.0], below, [1.0])))
    ends = np.concatenate((front.profit[:1], front.profit, front.profit[-1:]))
    mean = float(np.sum(weights * 0.5 * (ends[:-1] + ends[1:])))
    beyond = expected_payoff(at, front.spots[-1:], np.array([True]))
    shares = multiplier * sum(leg.quantity for leg in plain if not leg.is_option)
    earned = shares * at.spot * math.exp(at.drift * at.years) * math.expm1(at.dividend_yield * at.years)
    carry = math.expm1(at.rate * at.years)
    after = mean + front.slope * float(beyond[0]) + earned - (front.payoff.net_premium + spent) * carry
    before = after + spent * (1.0 + carry)
    return Expectation(chance_of(front.payoff.profit_intervals, at), after, before, spent, front.payoff)


def _grid(deviation: float, longest: float) -> FloatArray:
    """The spots as logs from now: dense over the front's deviations, sparse out to those of the longest leg."""
    inner, outer = (min(WIDEST, GRID_DEVIATIONS * width) for width in (deviation, longest))
    dense = np.linspace(-inner, inner, GRID_SPOTS)
    if outer <= inner:
        return dense
    sparse = np.linspace(inner, outer, OUTER_SPOTS + 1)[1:]
    return np.concatenate((-sparse[::-1], dense, sparse))


def _worthless(book: Positions, years: float) -> FloatArray:
    """Value of each leg when the stock is worth nothing: puts pay their strike, later if they must wait for it."""
    waiting = np.where(book.is_stock, 0.0, np.maximum(0.0, book.years - years))
    later = np.exp(-book.rate * waiting)
    put = book.strike * np.where(book.american, np.maximum(1.0, later), later)
    return np.asarray(np.where(book.is_call | book.is_stock, 0.0, put))


def _as_positions(
    legs: Sequence[DatedLeg],
    spot: float,
    rate: float,
    dividend_yield: float,
    multiplier: float,
    dividends: DividendTable | None,
) -> Positions:
    of = columns([leg.leg for leg in legs])
    return positions(
        quantity=of.quantity,
        spot=spot,
        strike=of.strike,
        years=[leg.years for leg in legs],
        vol=[leg.vol for leg in legs],
        is_call=of.is_call,
        is_stock=~(of.is_call | of.is_put),
        american=[leg.american for leg in legs],
        rate=rate,
        dividend_yield=dividend_yield,
        multiplier=multiplier,
        dividends=dividends,
    )

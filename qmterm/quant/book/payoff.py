"""What a position of any legs in one expiry is worth at expiry: extremes, break-evens, profit intervals (QUANT.md 3.7).

Exact, because the P/L is a straight line between strikes. The trap: beyond the last strike the slope decides whether
profit or loss has an end; a sample of spots, however wide, cannot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import to_float
from qmterm.quant.book.legs import MULTIPLIER, Columns, Leg, columns, net_premium, positive_multiplier

# Relative to the dollars at stake: a P/L closer to 0 than this is rounding, not profit.
ROUNDING = 1e-12


class Interval(NamedTuple):
    """Spots from `low` to `high`; `high` may be infinite."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Payoff:
    """Dollars for the whole position. `max_profit` and `max_loss` are math.inf when unlimited.

    A negative `max_loss` is a locked-in gain, a negative `max_profit` a loss at every spot. `break_evens` are spots
    where the P/L changes sign; where it is 0 over a stretch, the stretch is in `zero_stretches` instead.
    `profit_intervals` is where it is above 0. With `on_grid` all of these were read off a grid of spots.
    """

    net_premium: float
    max_profit: float
    max_loss: float
    break_evens: tuple[float, ...]
    zero_stretches: tuple[Interval, ...]
    profit_intervals: tuple[Interval, ...]
    on_grid: bool = False

    @property
    def is_profit_unlimited(self) -> bool:
        return self.max_profit == math.inf

    @property
    def is_loss_unlimited(self) -> bool:
        return self.max_loss == math.inf


def profit_at(legs: Sequence[Leg], spots: ArrayLike, multiplier: float = MULTIPLIER, costs: float = 0.0) -> FloatArray:
    """P/L at expiry in dollars at each spot, less `costs`; NaN where a spot is not finite or negative."""
    of = columns(legs)
    at = to_float("spots", spots)
    known = np.where(np.isfinite(at) & (at >= 0.0), at, np.nan)[..., np.newaxis]
    beyond = np.where(of.is_call, known - of.strike, of.strike - known)
    worth = np.where(of.is_call | of.is_put, np.maximum(beyond, 0.0), known)
    return np.asarray((worth - of.premium) @ of.quantity * positive_multiplier(multiplier) - checked_costs(costs))


def payoff(legs: Sequence[Leg], multiplier: float = MULTIPLIER, costs: float = 0.0) -> Payoff:
    """Everything about the expiry P/L of legs that expire together; `costs` (≥ 0) in dollars lower it everywhere."""
    of = columns(legs)
    options = of.is_call | of.is_put
    nodes = np.unique(np.concatenate(([0.0], of.strike[options])))
    values = profit_at(legs, nodes, multiplier, costs)
    slope = slope_beyond(of, multiplier)
    stake = multiplier * float(np.sum(np.abs(of.quantity) * (of.strike + of.premium))) + costs
    return shape_of(net_premium(legs, multiplier), nodes, values, slope, ROUNDING * stake)


def slope_beyond(of: Columns, multiplier: float) -> float:
    """Dollars per dollar of spot above every strike: the calls and the shares; exactly 0 when only rounding is left."""
    slope = float(np.sum(of.quantity[~of.is_put]))
    return 0.0 if abs(slope) <= ROUNDING * float(np.sum(np.abs(of.quantity))) else slope * multiplier


def shape_of(
    paid: float, nodes: FloatArray, values: FloatArray, slope: float, rounding: float, *, on_grid: bool = False
) -> Payoff:
    """The payoff that runs straight between `values` at rising `nodes`, and on from the last one with `slope`."""
    signs = np.where(np.abs(values) <= rounding, 0, np.sign(values)).astype(int).tolist()
    at, worth = nodes.tolist(), values.tolist()
    ends = [*at, math.inf]
    # The sign inside each segment, the tail included, cut in two where it changes.
    break_evens: list[float] = []
    parts: list[tuple[Interval, int]] = []
    for i, sign in enumerate(signs):
        is_tail = i + 1 == len(signs)
        after = (int(np.sign(slope)) or sign) if is_tail else signs[i + 1]
        if sign * after < 0:
            steepness = slope if is_tail else (worth[i + 1] - worth[i]) / (at[i + 1] - at[i])
            root = at[i] - worth[i] / steepness
            break_evens.append(root)
            parts += [(Interval(at[i], root), sign), (Interval(root, ends[i + 1]), after)]
        else:
            parts.append((Interval(at[i], ends[i + 1]), sign or after))
    # A root that falls on a node changes the sign between two segments.
    for (before, left), (_, right) in pairwise(parts):
        if left * right < 0 and before.high not in break_evens:
            break_evens.append(before.high)
    return Payoff(
        net_premium=paid,
        max_profit=math.inf if slope > 0.0 else max(worth),
        max_loss=math.inf if slope < 0.0 else 0.0 - min(worth),
        break_evens=tuple(sorted(break_evens)),
        zero_stretches=_joined(parts, 0),
        profit_intervals=_joined(parts, 1),
        on_grid=on_grid,
    )


def _joined(parts: list[tuple[Interval, int]], sign: int) -> tuple[Interval, ...]:
    """Neighbouring parts of one sign as one interval."""
    joined: list[Interval] = []
    for part, own in parts:
        if own != sign:
            continue
        if joined and joined[-1].high == part.low:
            joined[-1] = Interval(joined[-1].low, part.high)
        else:
            joined.append(part)
    return tuple(joined)


def checked_costs(costs: float) -> float:
    """The costs, or BadInput."""
    if not (math.isfinite(costs) and costs >= 0.0):
        raise BadInput(f"costs {costs} must be a number of dollars, 0 or more")
    return costs

"""What a portfolio moves with: betas, beta-weighted delta and the dollar Greeks (QUANT.md 5.3).

The trap: a position whose Greeks are unknown makes the total unknown (NaN); `known` is the sum of the others and
`unknown` says which rows are missing from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten, to_float
from qmterm.quant.arrays import window as checked_window

BETA_RETURNS = 252
LEAST_RETURNS = 60
ASSUMED_BETA = 1.0
VEGA_DAYS = 30.0
# Daily log returns that differ less are rounding errors of the closes: the market did not move.
ROUNDING = 1e-12


class Betas(NamedTuple):
    """`assumed` marks betas of 1.0 that stand for a history too short (or a market that did not move)."""

    beta: FloatArray
    returns: IntArray
    assumed: BoolArray


def betas(closes: ArrayLike, market: ArrayLike, window: int = BETA_RETURNS, least: int = LEAST_RETURNS) -> Betas:
    """cov/var of the last `window` daily log returns against the market's.

    `closes` (…, days) and `market` (days,) on the same sessions, oldest first, NaN on days without a bar; a return
    counts when both days of both series are there. Fewer than `least`: 1.0, marked.
    """
    own, other = to_float("closes", closes), to_float("market", market)
    if other.ndim != 1 or own.ndim == 0 or own.shape[-1] != other.size:
        raise BadInput(f"closes {own.shape} and market {other.shape} must end in the same days")
    days = checked_window("window", window) + 1
    own, other = own[..., -days:], other[-days:]
    with np.errstate(all="ignore"):
        moves = np.diff(np.log(np.where(own > 0.0, own, np.nan)), axis=-1)
        market_moves = np.diff(np.log(np.where(other > 0.0, other, np.nan)))
    joint = np.isfinite(moves) & np.isfinite(market_moves)
    count = np.asarray(joint.sum(axis=-1), dtype=np.int64)
    each = np.maximum(count, 1)
    x, y = np.where(joint, market_moves, 0.0), np.where(joint, moves, 0.0)
    x = np.where(joint, x - (x.sum(axis=-1) / each)[..., np.newaxis], 0.0)
    variance = (x * x).sum(axis=-1)
    assumed = np.asarray((count < least) | (variance <= count * ROUNDING * ROUNDING))
    beta = np.where(assumed, ASSUMED_BETA, (x * y).sum(axis=-1) / np.where(assumed, 1.0, variance))
    return Betas(beta, count, assumed)


class Measures(NamedTuple):
    """Of each position, or summed. `weighted_vega` is vega times √(30/days to expiry)."""

    beta_weighted_delta: FloatArray  # shares of the market
    dollar_delta: FloatArray  # $ per 100 % move, i.e. the shares times their price
    gamma_1pct: FloatArray  # $ of delta gained per 1 % up
    theta: FloatArray  # $ per calendar day
    vega: FloatArray  # $ per volatility point
    weighted_vega: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """`total` is NaN in every measure a position is unknown in; `known` sums the rows that are fully known.

    Without a market price no row's beta-weighted delta is known: it is NaN in `known` too, the rest stands.
    """

    per_position: Measures
    total: Measures
    known: Measures
    unknown: tuple[int, ...]


def exposure(
    *,
    quantity: ArrayLike,
    multiplier: ArrayLike,
    spot: ArrayLike,
    delta: ArrayLike,
    market_spot: float,
    beta: ArrayLike = 1.0,
    gamma: ArrayLike = 0.0,
    theta: ArrayLike = 0.0,
    vega: ArrayLike = 0.0,
    days_to_expiry: ArrayLike = VEGA_DAYS,
) -> Exposure:
    """Sums over positions of Greeks per share in the units of QUANT.md 3.3; stock is delta 1 and nothing else.

    On its last day an option's vega is weighted as with one day left. An unknown `market_spot` leaves the
    beta-weighted delta unknown.
    """
    _, numbers = flatten(
        quantity=quantity, multiplier=multiplier, spot=spot, delta=delta, beta=beta, gamma=gamma, theta=theta,
        vega=vega, days_to_expiry=days_to_expiry,
    )  # fmt: skip
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    count, shares, price, d, b, g, t, v, left = numbers
    price = np.where(price > 0.0, price, np.nan)
    size = count * shares
    market = market_spot if np.isfinite(market_spot) and market_spot > 0.0 else np.nan
    weight = np.where(v == 0.0, 1.0, np.sqrt(VEGA_DAYS / np.maximum(left, 1.0)))
    rows = Measures(
        beta_weighted_delta=d * size * b * price / market,
        dollar_delta=d * size * price,
        gamma_1pct=g * size * price * price / 100.0,
        theta=t * size,
        vega=v * size,
        weighted_vega=v * size * weight,
    )
    missing = np.isnan(np.array(rows[1:])).any(axis=0) | np.isnan(b)
    return Exposure(
        rows,
        Measures(*(np.asarray(column.sum()) for column in rows)),
        Measures(*(np.asarray(column[~missing].sum()) for column in rows)),
        tuple(int(row) for row in np.flatnonzero(missing)),
    )

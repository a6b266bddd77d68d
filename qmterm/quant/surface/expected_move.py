"""How far the market expects the underlying to go until an expiry (QUANT.md 3.6), in dollars.

Two answers stand side by side: one standard deviation of the at-the-money volatility, and what straddle and strangles
cost. The trap: the second needs mids of five neighbouring strikes; one missing price and there is no number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.arrays import flatten
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.quotes import mid_prices
from qmterm.quant.surface.status import StatusArray, SurfaceStatus

STRADDLE_SHARE = 0.60
STRANGLE_SHARES = (0.30, 0.10)  # the first and the second strangle out


class QuotedMove(NamedTuple):
    """One entry an expiry; NaN where status is not OK."""

    move: FloatArray
    status: StatusArray


def one_deviation(spot: ArrayLike, vol: ArrayLike, years: ArrayLike) -> FloatArray:
    """S·IV·√T; NaN unless spot, volatility and time are positive."""
    shape, (s, v, t) = flatten(spot=spot, vol=vol, years=years)
    usable = (s > 0) & (v > 0) & (t > 0)
    with np.errstate(all="ignore"):
        return np.where(usable, s * v * np.sqrt(np.where(usable, t, 1.0)), np.nan).reshape(shape)


def weighted_move(straddle: ArrayLike, strangle1: ArrayLike, strangle2: ArrayLike) -> FloatArray:
    """0.60·straddle + 0.30·first strangle + 0.10·second, from mids."""
    shape, (at, first, second) = flatten(straddle=straddle, strangle1=strangle1, strangle2=strangle2)
    return np.asarray(STRADDLE_SHARE * at + STRANGLE_SHARES[0] * first + STRANGLE_SHARES[1] * second).reshape(shape)


def quoted_move(ladder: Ladder, forward: ArrayLike, bid: ArrayLike, ask: ArrayLike) -> QuotedMove:
    """The weighted move of every expiry; the straddle at the listed strike nearest the forward (the lower of two).

    `bid` and `ask` one a contract, `forward` single or one an expiry. NOT_BRACKETED when fewer than two strikes are
    listed on a side, NO_QUOTE when one of the six options has no mid.
    """
    forwards = ladder.expiry_column("forward", forward)
    middle = mid_prices(ladder.column("bid", bid), ladder.column("ask", ask))
    calls, puts = ladder.calls(middle), ladder.puts(middle)
    if not ladder.rows:
        return QuotedMove(np.empty(0), np.empty(0, dtype=np.int8))
    first, last = ladder.starts[:-1], ladder.starts[1:] - 1
    at = _nearest(ladder, forwards)
    inside = (at - 2 >= first) & (at + 2 <= last)

    def strangle(steps: int) -> FloatArray:
        return np.asarray(puts[np.maximum(at - steps, first)] + calls[np.minimum(at + steps, last)])

    move = weighted_move(strangle(0), strangle(1), strangle(2))
    known = np.isfinite(forwards) & (forwards > 0)
    status = np.select(
        [~known, ~inside, np.isnan(move)],
        [SurfaceStatus.BAD_INPUT, SurfaceStatus.NOT_BRACKETED, SurfaceStatus.NO_QUOTE],
        SurfaceStatus.OK,
    ).astype(np.int8)
    return QuotedMove(np.where(status == SurfaceStatus.OK, move, np.nan), status)


def _nearest(ladder: Ladder, forward: FloatArray) -> IntArray:
    """The row of the strike nearest each expiry's forward."""
    below = np.add.reduceat((ladder.strike < forward[ladder.expiry]).astype(np.int64), ladder.starts[:-1])
    above = np.minimum(ladder.starts[:-1] + below, ladder.starts[1:] - 1)
    under = np.maximum(above - 1, ladder.starts[:-1])
    return np.asarray(np.where(forward - ladder.strike[under] <= ladder.strike[above] - forward, under, above))

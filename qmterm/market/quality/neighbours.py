"""Quotes of one expiry that offer money for nothing against other strikes, and which of them is to blame.

Prices of calls fall with the strike, by no more than the strikes differ, and are convex in it; puts mirror them. All
three hold for American options and whatever the dividends, so nothing is repaired or modelled first, and only prices
that can be had count: bought at the ask, sold at the bid. The trap: one bad quote contradicts its good neighbours too.
The one whose absence would settle most is refused, alone, and the rest is looked at again. Where that goes on and on
the quotes are not noisy but in another unit, and those of them that contradict nobody are as wrong: none is believed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.quant.surface.ladder import Ladder

TOLERANCE = 0.02  # dollars per share that market makers are apart for a moment
REACH = 3  # strikes on each side that a quote is compared with
ROUNDS = 12  # of looking again; then nobody is believed on a curve that is still contradicted
LOST_SHARE = 0.25  # of a curve's quotes refused, and
LOST_LEAST = 5  # this many of them: then none of that curve is believed (cents for dollars keep monotone and convex)


class _Curve(NamedTuple):
    """The quotes still believed, by curve (expiry and right), each falling in `place`."""

    curve: IntArray
    place: FloatArray  # the strike of a call, its negative for a put
    low: FloatArray
    high: FloatArray


def off_neighbours(ladder: Ladder, low: FloatArray, high: FloatArray, usable: BoolArray) -> BoolArray:
    """True for the contracts to refuse; `low` and `high` are what each can surely be sold and bought for."""
    refused = np.zeros(ladder.contracts, dtype=np.bool_)
    contract, curve, place = _curves(ladder, usable)
    alive = np.arange(contract.size)
    for number in range(ROUNDS):
        found = _Curve(curve[alive], place[alive], low[contract[alive]], high[contract[alive]])
        count, amount, spared = _contradictions(found)
        guilty = count > 0
        if not guilty.any():
            break
        dirty = np.isin(found.curve, found.curve[guilty])
        guilty = _blamed(found.curve, count - spared, amount, guilty) if number + 1 < ROUNDS else dirty
        refused[contract[alive[guilty]]] = True
        alive = alive[dirty & ~guilty]
    refused[contract[_lost(curve, refused[contract])]] = True
    return refused


def _lost(curve: IntArray, refused: BoolArray) -> BoolArray:
    """Quotes of curves of which too many were refused."""
    total, bad = np.bincount(curve), np.bincount(curve, weights=refused)
    return np.asarray(((bad >= LOST_LEAST) & (bad > LOST_SHARE * total))[curve], dtype=np.bool_)


def _curves(ladder: Ladder, usable: BoolArray) -> tuple[IntArray, IntArray, FloatArray]:
    """(contract, curve, place) of the usable ones, curve by curve."""
    calls, puts = np.flatnonzero(ladder.call >= 0), np.flatnonzero(ladder.put >= 0)[::-1]
    contract = np.r_[ladder.call[calls], ladder.put[puts]]
    curve = np.r_[ladder.expiry[calls], ladder.expiries + ladder.expiry[puts]]
    place = np.r_[ladder.strike[calls], -ladder.strike[puts]]
    kept = usable[contract]
    return contract[kept], curve[kept], place[kept]


def _contradictions(found: _Curve) -> tuple[IntArray, FloatArray, IntArray]:
    """Of each quote: in how many contradictions it takes part, by how much, and how many new ones its absence makes."""
    curve, place, low, high = found
    size = curve.size
    count, spared = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    amount = np.zeros(size)

    def note(excess: FloatArray, *members: IntArray) -> None:
        over = excess > TOLERANCE
        for member in members:
            np.add.at(count, member[over], 1)
            np.add.at(amount, member[over], excess[over])

    for reach in range(1, REACH + 1):
        near = np.flatnonzero(curve[reach:] == curve[:-reach])
        far = near + reach
        note(low[far] - high[near], near, far)
        note(low[near] - high[far] - (place[far] - place[near]), near, far)

    def bulge(body: IntArray, left: int, right: int) -> tuple[IntArray, FloatArray]:
        """What a body brings above the line between two wings of its own curve."""
        body = body[(body - left >= 0) & (body + right < size)]
        a, c = body - left, body + right
        body = body[curve[a] == curve[c]]
        a, c = body - left, body + right
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (place[c] - place[body]) / (place[c] - place[a])
        return body, low[body] - (share * high[a] + (1.0 - share) * high[c])

    everyone = np.arange(size)
    body, excess = bulge(everyone, 1, 1)
    note(excess, body - 1, body, body + 1)
    for left, right in ((1, 2), (2, 1)):  # the next wings, once the one between is gone
        body, excess = bulge(everyone, left, right)
        gone = body + 1 if right == 2 else body - 1
        np.add.at(spared, gone[excess > TOLERANCE], 1)
    return count, amount, spared


def _blamed(curve: IntArray, gain: IntArray, amount: FloatArray, guilty: BoolArray) -> BoolArray:
    """Whose absence settles more than anybody's within reach; equals by the dollars at stake, true equals both."""
    rows = np.flatnonzero(guilty)
    dollars = np.round(amount[rows], 9)
    order = np.lexsort((dollars, gain[rows]))
    higher = (np.diff(gain[rows][order]) > 0) | (np.diff(dollars[order]) > 0)
    rank = np.zeros(curve.size, dtype=np.int64)  # 0: not suspected
    rank[rows[order]] = np.r_[1, 1 + np.cumsum(higher)]
    out = guilty.copy()
    for step in range(1, min(2 * REACH, curve.size - 1) + 1):
        same = curve[step:] == curve[:-step]
        out[step:] &= ~(same & (rank[:-step] > rank[step:]))
        out[:-step] &= ~(same & (rank[step:] > rank[:-step]))
    return out

"""A volatility for every contract of a chain: its own, or what its neighbours on the surface say (QUANT.md 3.5).

Within an expiry linear in strike and flat beyond; an expiry without any volatility takes its neighbours' in time at
the same ln(K/F), total variance linear between them. The trap: an interpolated volatility makes Greeks for a contract
that has no price of its own; it is never that contract's implied volatility, and the screen marks it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.quant.surface.curves import Curves
from qmterm.quant.surface.ladder import Ladder


class SmileVols(NamedTuple):
    """One entry a contract; NaN where no expiry has a volatility, or the contract has no row."""

    vol: FloatArray
    interpolated: BoolArray  # from the neighbours: shown in italics with an "s"


def smile_vols(ladder: Ladder, iv: ArrayLike, forward: ArrayLike) -> SmileVols:
    """`iv` one a contract (NaN unknown), `forward` single (the spot will do) or one an expiry.

    The out-of-the-money options of an expiry carry its smile; the others do where it has no such volatility.
    """
    own = ladder.vol_column("iv", iv)
    forwards = ladder.expiry_column("forward", forward)
    unknown = np.flatnonzero(np.isnan(own) & (ladder.row >= 0))
    vol = np.array(own)
    if unknown.size:
        vol[unknown] = _on_surface(ladder, _smiles(ladder, own, forwards), forwards, ladder.row[unknown])
    interpolated = np.isnan(own) & ~np.isnan(vol)
    return SmileVols(vol, interpolated)


def _smiles(ladder: Ladder, iv: FloatArray, forward: FloatArray) -> Curves:
    """Each expiry's volatilities by strike."""
    outside = ladder.outside(iv, forward)
    known = np.bincount(ladder.expiry[np.isfinite(outside)], minlength=ladder.expiries) > 0
    vols = np.where(known[ladder.expiry], outside, ladder.either(iv, forward))
    return Curves.through(ladder.expiries, ladder.expiry, ladder.strike, vols)


def _on_surface(ladder: Ladder, smiles: Curves, forward: FloatArray, rows: IntArray) -> FloatArray:
    """The surface's volatility at some rows."""
    expiry, strike = ladder.expiry[rows], ladder.strike[rows]
    vol, _ = smiles.at(expiry, strike)
    missing = np.flatnonzero(np.isnan(vol))
    known = np.flatnonzero(smiles.sizes > 0)
    if not missing.size or not known.size:
        return vol
    forward = np.where(forward > 0, forward, np.nan)
    at, moneyness = expiry[missing], strike[missing] / forward[expiry[missing]]
    place = np.searchsorted(known, at)
    before, after = known[np.maximum(place - 1, 0)], known[np.minimum(place, known.size - 1)]
    early, late = (smiles.at(near, moneyness * forward[near])[0] for near in (before, after))
    t1, t2 = ladder.years[before], ladder.years[after]
    share = np.where(t2 > t1, (ladder.years[at] - t1) / np.where(t2 > t1, t2 - t1, 1.0), 0.0)
    share_early, share_late = (1.0 - share) * early * early * t1, share * late * late * t2
    between = np.sqrt((share_early + share_late) / ladder.years[at])
    vol[missing] = np.where(before == after, early, between)
    return vol

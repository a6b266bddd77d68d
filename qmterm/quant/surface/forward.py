"""The forward of each expiry from put-call parity, and the dividend yield it implies (QUANT.md 3.2).

The trap: parity holds for European prices. American ones go through european_equivalent.py first, or a deep put's
early exercise value shows up as a dividend. A yield far from the known dividends is the cost of borrowing the shares,
not a dividend: it is flagged and the forward of the dividends is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.quant.arrays import flatten
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.quotes import mid_prices
from qmterm.quant.surface.status import StatusArray, SurfaceStatus

PARITY_STRIKES = 5
MAX_YIELD_GAP = 0.10  # between the implied and the known dividend yield


@dataclass(frozen=True, slots=True)
class Forwards:
    """One entry an expiry. `forward` and `dividend_yield` are the pair to price with.

    Status OK: from parity. NO_QUOTE, HARD_TO_BORROW, WIDE_SPREAD: parity gave nothing, or nothing that is believed, and
    the forward is that of the known dividends; what parity said stays in `parity_forward` and `parity_yield`.
    BAD_INPUT: no forward at all (no spot, no rate).
    """

    forward: FloatArray
    dividend_yield: FloatArray
    parity_forward: FloatArray
    parity_yield: FloatArray
    strikes: IntArray  # how many strikes the parity forward rests on, at most PARITY_STRIKES
    status: StatusArray

    @property
    def hard_to_borrow(self) -> BoolArray:
        return np.asarray(self.status == SurfaceStatus.HARD_TO_BORROW)


def implied_forward(
    strike: ArrayLike, call: ArrayLike, put: ArrayLike, years: ArrayLike, rate: ArrayLike
) -> FloatArray:
    """F = K + e^{rT}·(C − P) of European prices, element by element; NaN where one is unknown."""
    shape, (k, c, p, t, r) = flatten(strike=strike, call=call, put=put, years=years, rate=rate)
    with np.errstate(all="ignore"):
        return np.asarray(k + np.exp(r * t) * (c - p)).reshape(shape)


def implied_yield(forward: ArrayLike, spot: ArrayLike, years: ArrayLike, rate: ArrayLike) -> FloatArray:
    """q = r − ln(F/S)/T, NaN unless forward, spot and time are positive."""
    shape, (f, s, t, r) = flatten(forward=forward, spot=spot, years=years, rate=rate)
    usable = (f > 0) & (s > 0) & (t > 0)
    with np.errstate(all="ignore"):
        return np.where(usable, r - np.log(f / s) / t, np.nan).reshape(shape)


def dividend_forward(spot: ArrayLike, years: ArrayLike, rate: ArrayLike, present_value: ArrayLike = 0.0) -> FloatArray:
    """F = (S − PV(D))·e^{rT}; NaN unless something of the spot is left."""
    shape, (s, t, r, pv) = flatten(spot=spot, years=years, rate=rate, present_value=present_value)
    with np.errstate(all="ignore"):
        return np.where((s > pv) & (s > 0), (s - pv) * np.exp(r * t), np.nan).reshape(shape)


def forwards(
    ladder: Ladder, spot: float, rate: ArrayLike, bid: ArrayLike, ask: ArrayLike, present_value: ArrayLike = 0.0
) -> Forwards:
    """The forward of every expiry: the median over the five strikes whose call and put cost most nearly the same.

    `rate` and `present_value` (of the dividends before expiry, dollars) are single or one an expiry; `bid` and `ask`
    European or de-Americanised, one a contract, NaN or 0 where there is none.
    """
    rates = ladder.expiry_column("rate", rate)
    known = dividend_forward(spot, ladder.years, rates, ladder.expiry_column("present_value", present_value))
    known_yield = implied_yield(known, spot, ladder.years, rates)

    bids, asks = ladder.column("bid", bid), ladder.column("ask", ask)
    parity, low, high, strikes = _parity(ladder, rates, bids, asks)
    parity_yield = implied_yield(parity, spot, ladder.years, rates)
    # A high forward is a low yield: the yields that the executable prices leave possible.
    lowest = implied_yield(high, spot, ladder.years, rates)
    highest = implied_yield(np.maximum(low, np.finfo(float).tiny), spot, ladder.years, rates)

    usable = np.isfinite(known_yield) & np.isfinite(known)
    with np.errstate(invalid="ignore"):
        far = np.abs(parity_yield - known_yield) > MAX_YIELD_GAP
        certain = (lowest - known_yield > MAX_YIELD_GAP) | (known_yield - highest > MAX_YIELD_GAP)
    status = np.select(
        [~usable, np.isnan(parity_yield), far & certain, far],
        [SurfaceStatus.BAD_INPUT, SurfaceStatus.NO_QUOTE, SurfaceStatus.HARD_TO_BORROW, SurfaceStatus.WIDE_SPREAD],
        SurfaceStatus.OK,
    ).astype(np.int8)
    believed = status == SurfaceStatus.OK
    return Forwards(
        forward=np.where(believed, parity, np.where(usable, known, np.nan)),
        dividend_yield=np.where(believed, parity_yield, np.where(usable, known_yield, np.nan)),
        parity_forward=parity,
        parity_yield=parity_yield,
        strikes=strikes,
        status=status,
    )


def _parity(
    ladder: Ladder, rates: FloatArray, bid: FloatArray, ask: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """(mid, lowest, highest forward, strikes used) of each expiry."""
    middle = mid_prices(bid, ask)
    gap = ladder.calls(middle) - ladder.puts(middle)
    rows = np.flatnonzero(np.isfinite(gap))
    rows = rows[np.lexsort((np.abs(gap[rows]), ladder.expiry[rows]))]
    expiry = ladder.expiry[rows]
    rank = np.arange(rows.size) - np.searchsorted(expiry, expiry)
    rows, rank = rows[rank < PARITY_STRIKES], rank[rank < PARITY_STRIKES]
    expiry = ladder.expiry[rows]

    # Bought at the ask and sold at the bid, and the other way round: what the forward can be had for.
    cheap = ladder.calls(bid)[rows] - ladder.puts(ask)[rows]
    dear = ladder.calls(ask)[rows] - ladder.puts(bid)[rows]
    table = np.full((3, ladder.expiries, PARITY_STRIKES), np.nan)
    for number, difference in enumerate((gap[rows], cheap, dear)):
        forward = implied_forward(ladder.strike[rows], difference, 0.0, ladder.years[expiry], rates[expiry])
        table[number, expiry, rank] = forward
    strikes = np.bincount(expiry, minlength=ladder.expiries)
    middle_of, low, high = _medians(table, strikes)
    return middle_of, low, high, strikes


def _medians(table: FloatArray, count: IntArray) -> FloatArray:
    """Median along the last axis of the `count` numbers each row holds; NaN where it holds none."""
    ordered = np.sort(table, axis=-1)  # NaN last
    expiry = np.arange(count.size)
    left, right = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
    with np.errstate(all="ignore"):
        return np.asarray((ordered[:, expiry, left] + ordered[:, expiry, right]) / 2)

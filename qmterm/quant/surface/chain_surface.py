"""A whole chain's surface in one go: forwards, term structure, skew, expected moves and contradictions.

The trap: volatilities and deltas belong to the prices as quoted (American ones to an American pricer), bids and asks to
European exercise; `premium` is what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray
from qmterm.quant.arrays import to_float
from qmterm.quant.surface.checks import Violations, check_surface
from qmterm.quant.surface.european_equivalent import european_price
from qmterm.quant.surface.expected_move import QuotedMove, one_deviation, quoted_move
from qmterm.quant.surface.forward import Forwards, forwards
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.skew import Skew, skew
from qmterm.quant.surface.term import AtmVols, TermStructure, atm_vols, term_structure


@dataclass(frozen=True, slots=True)
class ChainSurface:
    """Arrays have one entry an expiry of the ladder, violations name its contracts."""

    ladder: Ladder
    forwards: Forwards
    atm: AtmVols
    term: TermStructure
    skew: Skew
    one_deviation: FloatArray  # dollars
    quoted_move: QuotedMove
    violations: Violations


def chain_surface(
    spot: float,
    years: ArrayLike,
    dte: ArrayLike,
    strike: ArrayLike,
    is_call: ArrayLike,
    rate: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    iv: ArrayLike,
    delta: ArrayLike,
    premium: ArrayLike = 0.0,
    present_value: ArrayLike = 0.0,
) -> ChainSurface:
    """Everything about one underlying's chain; arguments one a contract or single, in any order.

    `rate` is that of the contract's expiry; `iv` and `delta` NaN where unknown; `premium` of early exercise, taken off
    the quotes where they are compared with each other; `present_value` of the dividends before the expiry.
    """
    ladder = Ladder.arrange(years, strike, is_call)
    rates = ladder.by_expiry(ladder.column("rate", rate))
    dividends = ladder.by_expiry(ladder.column("present_value", present_value))
    vols, bids, asks = ladder.column("iv", iv), ladder.column("bid", bid), ladder.column("ask", ask)
    premia = ladder.column("premium", premium)
    european_bids, european_asks = european_price(bids, premia), european_price(asks, premia)

    found = forwards(ladder, spot, rates, european_bids, european_asks, dividends)
    atm = atm_vols(ladder, vols, found.forward)
    days = ladder.by_expiry(ladder.column("dte", dte))
    return ChainSurface(
        ladder=ladder,
        forwards=found,
        atm=atm,
        term=term_structure(ladder.years, atm.vol, days),
        skew=skew(ladder, vols, delta, found.forward, atm.vol),
        one_deviation=one_deviation(np.broadcast_to(to_float("spot", spot), atm.vol.shape), atm.vol, ladder.years),
        quoted_move=quoted_move(ladder, found.forward, bids, asks),
        violations=check_surface(ladder, rates, found.forward, european_bids, european_asks, vols),
    )

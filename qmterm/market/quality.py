"""Whether a quote can be believed, one and by column, each doubt with its reason code (QUANT.md 3.5).

The trap: a mid exists only between two real sides that stand near each other; a missing bid is not a bid of zero
to be averaged.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason

WIDE_DOLLARS = 0.10
WIDE_SHARE = 0.50  # of the mid


def doubt(quote: Quote | None, now_ns: int, max_age_s: float = 60.0) -> Reason | None:
    """Why a quote must not be traded on, None when nothing is wrong. A locked market (bid = ask) is crossed here."""
    if quote is None or not quote.ask > 0 or not quote.bid > 0:
        return Reason.NO_QUOTE
    if quote.ask <= quote.bid:
        return Reason.CROSSED
    if quote.age_s(now_ns) > max_age_s:
        return Reason.STALE_QUOTE
    return None


def mids(bid: FloatArray, ask: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
    """(mid, crossed, wide): the mid is NaN unless both sides are there, uncrossed and near enough to mean a price."""
    present = (bid > 0) & (ask > 0)
    middle = (bid + ask) / 2
    crossed = present & (ask < bid)
    wide = present & ~crossed & (ask - bid > np.maximum(WIDE_DOLLARS, WIDE_SHARE * middle) + 1e-9)
    return np.where(present & ~crossed & ~wide, middle, np.nan), crossed, wide

"""Whether a quote can be believed by itself, one and by column; both ways give the same answer (QUANT.md 3.5).

The trap: a mid exists only between two real sides that stand near each other; a missing bid is not a bid of zero
to be averaged, and a locked market is a disturbance, not a price without costs.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import NS
from qmterm.core.instruments import OptionContract, Right
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.market.quality.codes import CodeArray, QuoteCode
from qmterm.quant.surface.quotes import WIDE_DOLLARS, WIDE_SHARE

FRESH_S = 60.0  # the default age up to which a quote is believed, seconds of market time
SPOT_LAG = 1.05  # a call may be quoted on a stock price that is newer than ours
_ROUNDING = 1e-9


def doubt(quote: Quote | None, now_ns: int, max_age_s: float = FRESH_S) -> Reason | None:
    """Why one quote must not be traded on, None when nothing is wrong with it."""
    if quote is None or not 0 < quote.ask < float("inf") or quote.time_ns <= 0:
        return Reason.NO_QUOTE
    if not quote.bid > 0:
        return Reason.ZERO_BID
    if quote.ask < quote.bid:
        return Reason.CROSSED
    if quote.ask == quote.bid:
        return Reason.LOCKED
    if quote.age_s(now_ns) > max_age_s:
        return Reason.STALE_QUOTE
    if quote.ask - quote.bid > max(WIDE_DOLLARS, WIDE_SHARE * (quote.bid + quote.ask) / 2) + _ROUNDING:
        return Reason.WIDE_SPREAD
    return None


def quote_codes(
    bid: FloatArray, ask: FloatArray, quote_ns: IntArray, now_ns: int, max_age_s: float = FRESH_S
) -> CodeArray:
    """`doubt` of many quotes."""
    with np.errstate(invalid="ignore", over="ignore"):
        age_s = np.maximum(now_ns - quote_ns, 0) / NS
        middle = (bid + ask) / 2
        return np.select(
            [
                ~((ask > 0) & np.isfinite(ask)) | (quote_ns <= 0),
                ~(bid > 0),
                ask < bid,
                ask == bid,
                age_s > max_age_s,
                ask - bid > np.maximum(WIDE_DOLLARS, WIDE_SHARE * middle) + _ROUNDING,
            ],
            [
                QuoteCode.NO_QUOTE,
                QuoteCode.ZERO_BID,
                QuoteCode.CROSSED,
                QuoteCode.LOCKED,
                QuoteCode.STALE_QUOTE,
                QuoteCode.WIDE_SPREAD,
            ],
            QuoteCode.OK,
        ).astype(np.int8)


def more_than_it_can_pay(quote: Quote, contract: OptionContract, spot: float | None) -> bool:
    """Somebody bids more than the contract can ever be worth: a put pays its strike at most, a call its stock."""
    if contract.adjusted:
        return False  # it delivers something else
    if contract.right is Right.PUT:
        return quote.bid > float(contract.strike) + _ROUNDING
    return spot is not None and quote.bid > SPOT_LAG * spot


def mids(bid: FloatArray, ask: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
    """(mid, crossed, wide): the mid is NaN unless both sides are there, uncrossed and near enough to mean a price.

    For volatilities that are looked at: a locked quote still has one, though nobody may trade on it.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        present = (bid > 0) & (ask > 0) & np.isfinite(ask)
        middle = (bid + ask) / 2
        crossed = present & (ask < bid)
        wide = present & ~crossed & (ask - bid > np.maximum(WIDE_DOLLARS, WIDE_SHARE * middle) + _ROUNDING)
    return np.where(present & ~crossed & ~wide, middle, np.nan), crossed, wide

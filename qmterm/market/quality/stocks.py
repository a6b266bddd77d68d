"""The price of every stock of the market: one code each, by column (and for one stock by the same rule).

The trap: most stocks are silent most of the time, and that says nothing. Only one whose trading is expected every
minute, and that has no price for many of them, is stale; the others keep their last price with its age beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import NS
from qmterm.market.board.previous_close import far_off
from qmterm.market.board.table import QuoteTable
from qmterm.market.quality.codes import CodeArray, QuoteCode
from qmterm.market.quality.gate import FRESH_WITHOUT_FEED_S

BUSY_SHARES = 390_000.0  # in the previous session: about a thousand a minute, so that a minute without one is rare
DAY_NS = 86_400 * NS
# Codes with which a stock's price may still be looked at, though nothing new may come of it.
SHOWN_ANYWAY = (QuoteCode.OK, QuoteCode.DELAYED, QuoteCode.NOT_TRADED)
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class StockCircumstances:
    """Of the whole market. `open_ns` and `close_ns` bound the running (or latest) regular session."""

    open_ns: int
    close_ns: int
    feed_down: bool = False
    delayed: bool = False
    silent_s: float = 600.0


def halted(table: QuoteTable) -> BoolArray:
    """Which stocks are paused now; the board's column holds since when, 0 while they trade."""
    return np.asarray(table.halted_ns > 0)


def price_ages_s(table: QuoteTable, now_ns: int) -> FloatArray:
    """Seconds since each stock's last price was made; NaN where there is none."""
    return np.where(table.trade_ns > 0, np.maximum(now_ns - table.trade_ns, 0) / NS, np.nan)


def stock_codes(table: QuoteTable, now_ns: int, around: StockCircumstances, rows: IntArray | None = None) -> CodeArray:
    """The code of each stock's last price, in the order of `QuoteCode`; `rows` = these of the table."""
    at: IntArray | slice = slice(None) if rows is None else rows
    last, trade_ns = table.last[at], table.trade_ns[at]
    in_session = 0 < around.open_ns <= now_ns < around.close_ns  # 0: started on a day without a session
    # Midnight before the open: what is older is another day's price.
    today = (trade_ns >= around.open_ns - DAY_NS // 2) & (last > 0)
    waited = now_ns - np.maximum(trade_ns, around.open_ns)
    silent = in_session & (table.prev_volume[at] >= BUSY_SHARES) & (waited > around.silent_s * NS)
    return np.select(
        [
            halted(table)[at],
            np.full(last.shape, around.feed_down) & (now_ns - trade_ns > FRESH_WITHOUT_FEED_S * NS),
            np.full(last.shape, around.delayed) & today,
            silent,
            today & (outside_bands(table, at, last, trade_ns) | far_off(last, table.prev_close[at])),
            ~today,
        ],
        [
            QuoteCode.HALTED,
            QuoteCode.FEED_DOWN,
            QuoteCode.DELAYED,
            QuoteCode.STALE_QUOTE,
            QuoteCode.PRICE_INSANE,
            QuoteCode.NOT_TRADED,
        ],
        QuoteCode.OK,
    ).astype(np.int8)


def outside_bands(table: QuoteTable, at: IntArray | slice, price: FloatArray, made_ns: IntArray) -> BoolArray:
    """Prices that the bands in force when they were made do not allow; unknown bands allow everything.

    So do bands in another unit: nobody tells them again before the price has moved.
    """
    low, high, since_ns = table.band_low[at], table.band_high[at], table.band_ns[at]
    with np.errstate(invalid="ignore"):
        outside = ((low > 0) & (price < low - _ROUNDING)) | ((high > 0) & (price > high + _ROUNDING))
    sane = ~(far_off(high, table.prev_close[at]) | far_off(low, table.prev_close[at]))
    return np.asarray(outside & sane & (since_ns > 0) & (made_ns >= since_ns))

"""The quality gate of an option chain: one code for every quote, pure and on arrays.

The checks run in the order of `QuoteCode`, and the first that applies is the code. Outliers are looked for last and
only among quotes that passed all else: neighbours along the strikes first, then parity between call and put. Adjusted
contracts, whose strikes mean something else, are judged by themselves only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import NS
from qmterm.market.board.previous_close import far_off
from qmterm.market.quality.codes import CodeArray, QuoteCode
from qmterm.market.quality.neighbours import off_neighbours
from qmterm.market.quality.parity import off_parity
from qmterm.market.quality.quotes import quote_codes
from qmterm.quant.surface.ladder import Ladder

FRESH_WITHOUT_FEED_S = 5.0  # while a stream is down only what REST gave within this time is believed
# A stock of 80 % volatility moves 0.033 % in a second (1 sd): quotes of different seconds differ by that and more.
DRIFT = 0.0005  # of the spot, times √seconds between a quote and the newest one of its chain


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is going on around a chain. Ages in seconds of market time."""

    halted: bool = False
    feed_down: bool = False  # the stream of the contracts
    spot_feed_down: bool = False  # the stream of the stocks
    delayed: bool = False
    quote_max_age_s: float = 60.0
    spot_max_age_s: float = 120.0
    previous_close: float = float("nan")  # of the underlying, where it is known
    spot_insane: bool = False  # the stock's price lies outside its bands


def spot_code(spot: float, spot_ns: int, now_ns: int, around: Circumstances) -> QuoteCode:
    """The code of the underlying's price, for judging options by."""
    age_s = max(0, now_ns - spot_ns) / NS
    if around.halted:
        return QuoteCode.HALTED
    if around.spot_feed_down and age_s > FRESH_WITHOUT_FEED_S:
        return QuoteCode.FEED_DOWN
    if around.delayed:
        return QuoteCode.DELAYED
    if not 0 < spot < float("inf"):
        return QuoteCode.NO_QUOTE
    if spot_ns <= 0 or age_s > around.spot_max_age_s:
        return QuoteCode.STALE_UNDERLYING
    if around.spot_insane or far_off(np.array([spot]), np.array([around.previous_close]))[0]:
        return QuoteCode.PRICE_INSANE
    return QuoteCode.OK


def chain_codes(
    now_ns: int,
    spot: float,
    spot_ns: int,
    years: FloatArray,
    strike: FloatArray,
    is_call: BoolArray,
    adjusted: BoolArray,
    rate: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    quote_ns: IntArray,
    around: Circumstances,
) -> CodeArray:
    """The code of every contract's bid, ask and mid; 10,000 of them in a few milliseconds."""
    if around.halted:
        return np.full(len(strike), QuoteCode.HALTED, dtype=np.int8)
    code = quote_codes(bid, ask, quote_ns, now_ns, around.quote_max_age_s)
    underlying = spot_code(spot, spot_ns, now_ns, around)
    if underlying in (QuoteCode.STALE_UNDERLYING, QuoteCode.NO_QUOTE, QuoteCode.PRICE_INSANE):
        word = underlying if underlying is QuoteCode.PRICE_INSANE else QuoteCode.STALE_UNDERLYING
        code[(code == QuoteCode.OK) | (code == QuoteCode.WIDE_SPREAD)] = word
    if around.delayed:
        code[:] = QuoteCode.DELAYED
    if around.feed_down:
        code[now_ns - quote_ns > FRESH_WITHOUT_FEED_S * NS] = QuoteCode.FEED_DOWN
    if underlying is QuoteCode.FEED_DOWN:
        code[:] = QuoteCode.FEED_DOWN
    _outliers(code, spot, years, strike, is_call, adjusted, rate, bid, ask, quote_ns)
    return code


def _outliers(
    code: CodeArray,
    spot: float,
    years: FloatArray,
    strike: FloatArray,
    is_call: BoolArray,
    adjusted: BoolArray,
    rate: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    quote_ns: IntArray,
) -> None:
    usable = (code == QuoteCode.OK) & ~adjusted
    if np.count_nonzero(usable) < 2:
        return
    ladder = Ladder.arrange(years, np.where(usable, strike, np.nan), is_call)
    # The newest quote of the chain is the present; the others may have moved since they were made.
    waited_s = np.maximum(int(quote_ns[usable].max()) - quote_ns, 0) / NS
    drift = spot * DRIFT * np.sqrt(waited_s)
    low, high = np.maximum(bid - drift, 0.0), ask + drift
    code[off_neighbours(ladder, low, high, usable)] = QuoteCode.OFF_NEIGHBOURS
    usable = usable & (code == QuoteCode.OK)
    middle = (bid + ask) / 2
    code[off_parity(ladder, rate, spot, low, high, middle, usable)] = QuoteCode.OFF_PARITY

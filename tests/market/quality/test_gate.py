"""The gate of a chain: a clean one passes wholly, a spoiled quote is refused alone, nothing bad ever passes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.market.quality.codes import QuoteCode
from qmterm.market.quality.gate import Circumstances, spot_code
from tests.market.quality.chain_columns import NOW, clean

BASE = clean()
OUTLIERS = [QuoteCode.OFF_NEIGHBOURS, QuoteCode.OFF_PARITY]
MARKETS = st.tuples(st.floats(20, 600), st.floats(0.15, 1.2), st.floats(0, 0.06), st.sampled_from([0.0, 0.02, 0.08]))


def test_a_clean_chain_passes_wholly():
    assert (BASE.codes() == QuoteCode.OK).all()


@settings(max_examples=30)
@given(MARKETS, st.sampled_from([0.01, 0.025, 0.05]), st.sampled_from([0.01, 0.02, 0.04]))
def test_no_good_quote_is_called_an_outlier_whatever_carry_early_exercise_and_grid_do(market, step, half):
    spot, vol, rate, dividend_yield = market
    chain = clean(spot, vol, rate, dividend_yield, strikes=spot * np.arange(0.8, 1.21, step), half=half)
    assert not np.isin(chain.codes(), OUTLIERS).any()


@settings(max_examples=40)
@given(MARKETS, st.integers(0, 10_000), st.booleans(), st.sampled_from([0.01, 0.02]))
def test_a_single_corrupted_quote_is_the_only_one_refused(market, at, up, half):
    spot, vol, rate, dividend_yield = market
    chain = clean(spot, vol, rate, dividend_yield, strikes=spot * np.arange(0.85, 1.151, 0.025), half=half)
    before = chain.codes()
    row = int(np.flatnonzero(before == QuoteCode.OK)[at % np.count_nonzero(before == QuoteCode.OK)])
    off = max(0.1 * spot, 1.0)
    if not up and chain.bid[row] - off < 0.05:
        up = True
    off = off if up else -off
    after = chain.quoted(row, chain.bid[row] + off, chain.ask[row] + off).codes()
    assert np.flatnonzero(after != before).tolist() == [row]
    assert after[row] in OUTLIERS


@settings(max_examples=60)
@given(st.data())
def test_a_crossed_locked_stale_or_missing_quote_never_passes_whatever_stands_beside_it(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = len(BASE)
    bid = np.where(rng.random(count) < 0.3, rng.uniform(0, 20, count).round(2), BASE.bid)
    ask = np.where(rng.random(count) < 0.3, rng.uniform(0, 20, count).round(2), BASE.ask)
    age_s = np.where(rng.random(count) < 0.3, rng.uniform(0, 200, count), 1.0)
    quote_ns = np.where(rng.random(count) < 0.1, 0, NOW - (age_s * NS).astype(np.int64))
    passed = replace(BASE, bid=bid, ask=ask, quote_ns=quote_ns).codes() == QuoteCode.OK
    assert (bid[passed] > 0).all()
    assert (ask[passed] > bid[passed]).all()
    assert (quote_ns[passed] >= NOW - 60 * NS).all()


@given(st.integers(0, len(BASE) - 1), st.integers(0, 3600))
def test_nothing_of_a_halted_stock_passes(row, age_s):
    codes = replace(BASE, quote_ns=np.full(len(BASE), NOW - age_s * NS)).codes(halted=True)
    assert (codes == QuoteCode.HALTED).all()


def test_a_wide_quote_between_two_good_ones_neither_hides_nor_condemns_them():
    rows = np.flatnonzero(BASE.is_call & (BASE.years == BASE.years[0]))
    wide = BASE.quoted(rows[4], 0.05, 30.0)
    assert np.flatnonzero(wide.codes()).tolist() == [rows[4]]
    # Two strikes that contradict each other across it are still found out, and only the wrong one.
    spoiled = wide.quoted(rows[5], BASE.bid[rows[5]] + 8, BASE.ask[rows[5]] + 8)
    codes = spoiled.codes()
    assert np.flatnonzero(codes).tolist() == [rows[4], rows[5]]
    assert codes[rows[4]] == QuoteCode.WIDE_SPREAD
    assert codes[rows[5]] == QuoteCode.OFF_NEIGHBOURS


def test_two_bad_quotes_in_one_expiry_are_both_found():
    rows = np.flatnonzero(~BASE.is_call & (BASE.years == BASE.years[-1]))
    bid, ask = BASE.bid.copy(), BASE.ask.copy()
    for row in (rows[2], rows[7]):
        bid[row], ask[row] = bid[row] + 9, ask[row] + 9
    assert np.flatnonzero(replace(BASE, bid=bid, ask=ask).codes()).tolist() == [rows[2], rows[7]]


def test_a_call_that_only_its_put_contradicts_is_off_parity():
    """Too little for a butterfly, too much for the forward: the strikes lie far apart."""
    chain = clean(strikes=np.arange(80.0, 121.0, 8.0), expiries=(0.25,))
    row = int(np.flatnonzero(chain.is_call & (chain.strike == 96.0))[0])
    codes = chain.quoted(row, chain.bid[row] + 0.6, chain.ask[row] + 0.6).codes()
    assert np.flatnonzero(codes).tolist() == [row]
    assert codes[row] == QuoteCode.OFF_PARITY


def test_quotes_of_different_seconds_may_differ_by_what_a_stock_moves_meanwhile():
    row = int(np.flatnonzero(BASE.is_call & (BASE.strike == 100.0))[0])
    moved = BASE.quoted(row, BASE.bid[row] + 0.35, BASE.ask[row] + 0.35)
    assert moved.codes()[row] in OUTLIERS
    quote_ns = BASE.quote_ns.copy()
    quote_ns[row] -= 50 * NS
    assert replace(moved, quote_ns=quote_ns).codes()[row] == QuoteCode.OK


def test_adjusted_contracts_are_judged_by_themselves_only():
    row = 6
    adjusted = BASE.adjusted.copy()
    adjusted[row] = True
    odd = replace(BASE.quoted(row, BASE.bid[row] * 3, BASE.ask[row] * 3), adjusted=adjusted)
    assert (odd.codes() == QuoteCode.OK).all()


@pytest.mark.parametrize(
    ("around", "spot_age_s", "quote_age_s", "code"),
    [
        ({}, 121, 1, QuoteCode.STALE_UNDERLYING),
        ({}, 1, 61, QuoteCode.STALE_QUOTE),
        ({"delayed": True}, 1, 1, QuoteCode.DELAYED),
        ({"feed_down": True}, 1, 1, QuoteCode.OK),  # read over REST a moment ago
        ({"feed_down": True}, 1, 6, QuoteCode.FEED_DOWN),
        ({"feed_down": True}, 6, 1, QuoteCode.OK),  # the stocks' stream tells the spot
        ({"spot_feed_down": True}, 6, 1, QuoteCode.FEED_DOWN),
        ({"spot_feed_down": True}, 4, 59, QuoteCode.OK),
        ({"spot_feed_down": True, "delayed": True}, 6, 1, QuoteCode.FEED_DOWN),
        ({"feed_down": True, "delayed": True, "halted": True}, 999, 999, QuoteCode.HALTED),
        ({"quote_max_age_s": 10.0}, 1, 11, QuoteCode.STALE_QUOTE),
        ({"spot_max_age_s": 10.0}, 11, 1, QuoteCode.STALE_UNDERLYING),
    ],
)
def test_what_goes_on_around_a_chain_is_the_code_of_all_of_it(around, spot_age_s, quote_age_s, code):
    chain = replace(
        BASE, spot_ns=NOW - spot_age_s * NS, quote_ns=np.full(len(BASE), NOW - quote_age_s * NS, dtype=np.int64)
    )
    assert (chain.codes(**around) == code).all()


def test_a_spot_of_unknown_age_is_stale():
    assert (replace(BASE, spot_ns=0).codes() == QuoteCode.STALE_UNDERLYING).all()


@pytest.mark.parametrize("spot", [0.0, -1.0, math.nan, math.inf])
def test_a_spot_that_is_no_price_refuses_every_contract(spot):
    assert spot_code(spot, NOW - NS, NOW, Circumstances()) is QuoteCode.NO_QUOTE
    assert (replace(BASE, spot=spot).codes() == QuoteCode.STALE_UNDERLYING).all()


def test_a_spot_outside_its_bands_is_the_code_of_every_contract():
    assert (BASE.codes(spot_insane=True) == QuoteCode.PRICE_INSANE).all()


def test_a_chain_without_contracts_or_with_one_is_judged_too():
    columns = ("years", "strike", "is_call", "adjusted", "rate", "bid", "ask", "quote_ns")

    def first(count):
        return replace(BASE, **{name: getattr(BASE, name)[:count] for name in columns})

    assert first(0).codes().size == 0
    assert first(1).codes().tolist() == [QuoteCode.OK]

"""The spot that options are priced by: a stock's quote counts only while its sides stand as near as a stock's do."""

import math

import pytest

from qmterm.core.clock import NS
from qmterm.market.board.board import Board
from qmterm.market.chains.spot import Spot, spot_of
from qmterm.market.quality.codes import QuoteCode
from qmterm.market.quality.watch import QualityWatch
from tests.market.chains.test_chains import EXPIRIES, NOW, SPOT, STRIKES, VOL, read, rows

TRADED, QUOTED = NOW - 3 * NS, NOW - NS


def board(bid=math.nan, ask=math.nan, last=100.0, **columns):
    """A stock that traded three seconds ago and was quoted one second ago."""
    made = Board(["X"])
    values = {"bid": bid, "ask": ask, "last": last, "trade_ns": TRADED, "quote_ns": QUOTED, **columns}
    for name, value in values.items():
        getattr(made.stocks, name)[0] = value
    return made


def spot(made):
    return spot_of(made, QualityWatch(made), "X")


@pytest.mark.parametrize(("bid", "ask"), [(80.0, 101.0), (0.01, 199_999.0), (99.0, 100.2), (99.0, math.inf)])
def test_a_quote_wider_than_a_stocks_is_left_for_the_last_trade(bid, ask):
    assert spot(board(bid, ask)) == Spot(100.0, TRADED)


@pytest.mark.parametrize(("bid", "ask"), [(100.1, 100.0), (100.0, 100.0), (0.0, 100.0), (math.nan, 100.0)])
def test_a_quote_without_two_sides_in_order_is_no_spot(bid, ask):
    assert spot(board(bid, ask)) == Spot(100.0, TRADED)


def test_the_newer_of_quote_and_trade_is_the_spot():
    assert spot(board(100.2, 100.4)) == Spot(pytest.approx(100.3), QUOTED)
    assert spot(board(100.2, 100.4, trade_ns=NOW)) == Spot(100.0, NOW)


def test_a_quote_outside_the_bands_is_left_for_the_last_trade():
    bands = {"band_low": 95.0, "band_high": 105.0, "band_ns": TRADED - NS}
    assert spot(board(80.0, 80.1, **bands)) == Spot(100.0, TRADED)
    # Bands that came later say nothing of it.
    assert spot(board(80.0, 80.1, **bands | {"band_ns": NOW})).time_ns == QUOTED


def test_a_trade_outside_the_bands_is_left_for_the_quote():
    bands = {"band_low": 95.0, "band_high": 105.0, "band_ns": TRADED - NS}
    assert spot(board(100.0, 100.2, last=1.0, trade_ns=NOW, **bands)) == Spot(pytest.approx(100.1), QUOTED)


def test_without_a_believed_quote_and_trade_the_spot_says_that_it_is_insane():
    bands = {"band_low": 95.0, "band_high": 105.0, "band_ns": TRADED - NS}
    assert spot(board(80.0, 101.0, last=1.0, **bands)) == Spot(1.0, TRADED, insane=True)


def test_yesterdays_close_has_no_time():
    assert spot(board(80.0, 101.0, last=math.nan, prev_close=98.0)) == Spot(98.0, 0)
    assert spot(board(80.0, 101.0, last=math.nan)) is None
    assert spot_of(board(), QualityWatch(board()), "NEVER") is None


async def test_a_chain_is_priced_by_the_last_trade_while_the_stock_is_quoted_wide():
    made = Board(["AAPL"])
    stocks = made.stocks
    stocks.last[0], stocks.trade_ns[0] = SPOT, TRADED
    stocks.bid[0], stocks.ask[0], stocks.quote_ns[0] = 0.8 * SPOT, 1.01 * SPOT, QUOTED
    _, chain = await read(rows(STRIKES, EXPIRIES), made)
    assert (chain.spot, chain.spot_code) == (SPOT, QuoteCode.OK)
    assert chain.iv == pytest.approx(VOL, abs=1e-6)


async def test_by_an_insane_spot_nothing_is_computed():
    made = Board(["AAPL"])
    stocks = made.stocks
    stocks.last[0], stocks.trade_ns[0] = 1.0, QUOTED
    stocks.band_low[0], stocks.band_high[0], stocks.band_ns[0] = 0.9 * SPOT, 1.1 * SPOT, TRADED
    chains, chain = await read(rows(STRIKES, EXPIRIES), made)
    assert chain.spot_code == QuoteCode.PRICE_INSANE
    assert (chain.quote_code == QuoteCode.PRICE_INSANE).all()
    assert not (chain.iv > 0).any()
    assert chains.leg_numbers(chain.occ[0], NOW)["spot_code"] == "PRICE_INSANE"

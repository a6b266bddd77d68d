"""Canaries exist on the board and speak on the channels the plan has."""

from qmterm.market.board.table import QuoteTable
from qmterm.market.stream.canaries import channels, resolve


def table(**dollars):
    stocks = QuoteTable(dollars)
    for symbol, amount in dollars.items():
        row = stocks.numbers[symbol]
        stocks.prev_close[row], stocks.prev_volume[row] = 10.0, amount
    return stocks


def test_the_configured_names_are_taken_where_the_market_has_them():
    assert resolve(("SPY", "QQQ"), table(A=9, SPY=1, QQQ=2)) == ("SPY", "QQQ")
    assert resolve(("SPY", "QQQ"), table(A=9, QQQ=2)) == ("QQQ",)


def test_elsewhere_the_most_active_stand_in():
    assert resolve(("SPY", "QQQ"), table(A=9, B=30, C=1, D=20)) == ("B", "D")


def test_nobody_stands_in_where_activity_is_unknown_or_canaries_are_not_wanted():
    assert resolve(("SPY",), table()) == ()
    assert resolve(("SPY",), table(A=0)) == ()
    assert resolve((), table(A=9)) == ()


def test_a_plan_without_trades_and_quotes_is_heard_through_second_bars():
    assert channels(("SPY",), {}) == {"T.SPY", "Q.SPY"}
    assert channels(("SPY",), {"Q.SPY": "no"}) == {"T.SPY", "Q.SPY"}
    assert channels(("SPY",), {"Q.SPY": "no", "T.SPY": "no"}) == {"A.SPY"}

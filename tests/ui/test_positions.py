"""Pane 3: which price stops a trade."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.ui.holdings import holdings
from qmterm.ui.panes.positions import stop_level
from tests.ui.fake_engine import position

ROW = position(1, "NVDA 17APR26 175C", "NVDA", 1, "5")


def test_a_premium_stop_cannot_be_taken_for_a_price_of_the_stock():
    assert stop_level(replace(ROW, stop=168.2, premium_stop=Decimal("2.07"))).text == "168.20"
    assert stop_level(replace(ROW, stop=None, premium_stop=Decimal("2.07"))).text == "2.07 p"
    assert stop_level(replace(ROW, stop=None)).text == "–"


def test_the_premium_stop_of_several_legs_stands_at_their_trade():
    legs = [replace(ROW, trade_id="T1", symbol=symbol, premium_stop=Decimal("0.90")) for symbol in ("NVDA", "AMD")]
    trade, *rows = holdings(legs)
    assert trade.premium_stop == Decimal("0.90")
    assert [row.premium_stop for row in rows] == [None, None]

"""Pane 3 by trade: one row a trade, its legs under it however it is sorted, and no sum with an unknown part."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.instruments import OptionContract, Right
from qmterm.core.settings.screen import ScreenSettings
from qmterm.ui.holdings import holdings
from qmterm.ui.palette import Palette
from qmterm.ui.panes.positions import PositionsPane
from qmterm.ui.themes import BUILT_IN
from tests.ui.fake_engine import EXPIRIES, position


def leg(strike, quantity, average, mark, pnl, trade="T1", right=Right.CALL):
    symbol = OptionContract("NVDA", EXPIRIES[1], right, Decimal(strike)).occ
    label = f"NVDA {EXPIRIES[1]:%d%b%y} {strike}{right.value}".upper()
    return replace(
        position(1, label, "NVDA", quantity, pnl),
        position_id=symbol,
        symbol=symbol,
        trade_id=trade,
        average_price=Decimal(average),
        mark=None if mark is None else Decimal(mark),
        unrealized=None if mark is None else Decimal(pnl),
    )


BOUGHT = (leg(175, 3, "4.15", "5.00", "255"), leg(180, -3, "2.25", "2.60", "-105"))
ALONE = position(7, "AMD 17APR26 130P", "AMD", 2, "40")


def test_a_trade_of_one_leg_is_its_row():
    (row,) = holdings((ALONE,))
    assert (row.position_id, row.label, row.legs, row.head) == ("pos-7", "AMD 17APR26 130P", 1, None)


def test_the_legs_of_a_trade_stand_under_its_sums():
    trade, low, high, alone = holdings((BOUGHT[0], ALONE, BOUGHT[1]))
    assert (trade.position_id, trade.quantity, trade.legs) == ("T1", 3, 2)
    assert trade.label == f"NVDA {EXPIRIES[1]:%d%b%y} 175/180C".upper()
    assert (trade.average_price, trade.mark, trade.unrealized) == (Decimal("1.90"), Decimal("2.40"), Decimal(150))
    assert trade.unrealized_pct == 150 / (1.90 * 300) * 100
    assert trade.delta == low.delta + high.delta
    assert [row.label[:2] for row in (low, high)] == ["└ ", "└ "]
    assert low.head is trade
    assert high.head is trade
    assert alone.position_id == "pos-7"


def test_sold_premium_counts_its_units_short_and_its_prices_without_a_sign():
    trade, *_ = holdings((leg(175, -2, "4.15", "5.00", "-170"), leg(180, 2, "2.25", "2.60", "70")))
    assert (trade.quantity, trade.average_price, trade.mark) == (-2, Decimal("1.90"), Decimal("2.40"))


def test_a_sum_with_an_unknown_part_is_unknown():
    trade, *_ = holdings((BOUGHT[0], leg(180, -3, "2.25", None, "0")))
    assert (trade.mark, trade.unrealized, trade.unrealized_pct) == (None, None, None)


def test_legs_of_different_rights_are_counted_in_the_name():
    trade, *_ = holdings((leg(175, -1, "4", "4", "0"), leg(160, -1, "3", "3", "0", right=Right.PUT)))
    assert trade.label == "NVDA 2 legs"


def test_legs_stay_with_their_trade_in_any_sorting():
    pane = PositionsPane(Palette(BUILT_IN), ScreenSettings())
    pane.table.sort = "pnl"
    for descending in (True, False):
        pane.table.descending = descending
        pane.table.load(holdings((BOUGHT[0], ALONE, BOUGHT[1])), 0.0)
        pane.table.reorder(0.0)
        kinds = ["leg" if row.head else row.position_id for row in pane.table.rows]
        assert kinds == (["T1", "leg", "leg", "pos-7"] if descending else ["pos-7", "T1", "leg", "leg"])


def test_every_row_has_a_key_of_its_own():
    pane = PositionsPane(Palette(BUILT_IN), ScreenSettings())
    rows = holdings((*BOUGHT, ALONE))
    assert len({pane.row_key(row) for row in rows}) == len(rows) == 4

"""Order prices lie on the exchange's grid, and rounding never makes an order more generous."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.core.ticks import TickProgram, TickTable, net_step, on_tick, program_for, round_net, round_price, tick
from tests import golden

PRICES = st.decimals("0.0001", "200", places=4)


@pytest.mark.parametrize("row", golden.rows("ticks"), ids=lambda row: f"{row['program']}-{row['price']}-{row['side']}")
def test_golden_rows(row):
    program = TickProgram(row["program"])
    price = Decimal(row["price"])
    golden.assert_close("ticks", float(tick(program, price)), row["tick"])
    golden.assert_close("ticks", float(round_price(program, price, row["side"] == "buy")), row["rounded"])


@given(program=st.sampled_from(TickProgram), price=PRICES, buys=st.booleans())
def test_a_rounded_price_is_on_the_grid_and_on_the_careful_side(program, price, buys):
    rounded = round_price(program, price, buys)
    step = tick(program, price)
    assert rounded % step == 0
    assert rounded >= step
    if buys:
        assert rounded <= max(price, step)
    else:
        assert rounded >= price
    assert abs(rounded - price) < step
    # A sell that rounds up across $3 is on the coarser grid too.
    assert on_tick(program, rounded)


def test_an_off_grid_price_is_seen():
    assert on_tick(TickProgram.PENNY, Decimal("2.99"))
    assert not on_tick(TickProgram.PENNY, Decimal("3.01"))
    assert not on_tick(TickProgram.NICKEL, Decimal("0.01"))
    assert not on_tick(TickProgram.PENNY_ALL, Decimal(0))
    assert not on_tick(TickProgram.PENNY_ALL, Decimal("-1.00"))


def test_roots_fall_into_their_programs():
    assert program_for("SPY") is TickProgram.PENNY_ALL
    assert program_for("AAPL") is TickProgram.PENNY
    assert program_for("SPXW") is TickProgram.NICKEL


def test_the_brokers_table_takes_the_first_entry_above_the_price():
    table = TickTable.from_broker([{"value": "0.05"}, {"value": "0.01", "threshold": "3.0"}])
    assert table.tick(Decimal("2.999")) == Decimal("0.01")
    assert table.tick(Decimal(3)) == Decimal("0.05")
    assert table.round_price(Decimal("3.07"), buys=True) == Decimal("3.05")
    assert round_price(table, Decimal("3.07"), buys=False) == Decimal("3.10")
    assert table.on_tick(Decimal("3.10"))


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"value": "0.01", "threshold": "3.0"}],
        [{"value": "0.01"}, {"value": "0.05"}],
        [{"value": "zero"}],
        [{"value": "0"}],
        [{"threshold": "3.0"}],
        [{"value": "NaN"}],
    ],
)
def test_a_broken_table_is_refused(rows):
    with pytest.raises(BadInput, match="tick size"):
        TickTable.from_broker(rows)


@pytest.mark.parametrize(
    ("price", "rounded"),
    [("1.234", "1.24"), ("-1.234", "-1.23"), ("1.23", "1.23"), ("0.001", "0.01"), ("-0.001", "-0.01"), ("0", "0.01")],
)
def test_a_net_credit_goes_up_and_a_net_debit_shrinks_but_neither_is_zero(price, rounded):
    assert round_net(Decimal(price)) == Decimal(rounded)


def test_index_net_prices_pass_their_own_step():
    assert round_net(Decimal("-2.33"), Decimal("0.05")) == Decimal("-2.30")


@pytest.mark.parametrize(
    ("symbols", "step"),
    [
        (("NVDA  260417C00175000", "NVDA  260417C00180000"), "0.01"),
        (("SPXW  260417P05900000", "SPXW  260417P05890000"), "0.05"),
        (("XSP   260417P00590000", "XSP   260417P00589000"), "0.05"),
        (("NVDA", "NVDA  260417C00175000"), "0.01"),
        ((), "0.01"),
    ],
)
def test_the_net_price_of_several_legs_steps_by_cents_and_with_index_options_by_nickels(symbols, step):
    assert net_step(symbols) == Decimal(step)

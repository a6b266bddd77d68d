"""Fees of executions: the broker's published examples, the cap, the dates, and partial fills that add up."""

from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.core.fees import (
    FEE_TABLE,
    Component,
    delivery_fees,
    fill_breakdown,
    fill_fees,
    flat_fees,
    leg_fees,
    order_fees,
    rate_row,
)
from qmterm.core.orders import Action, Leg

CALL = "AAPL  260417C00230000"
SPX = "SPXW  260417C06000000"
XSP = "XSP   260417C00600000"
OLD = date(2018, 6, 1)
SIM = date(2026, 3, 2)
BTO, STO, BTC, STC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.BUY_TO_CLOSE, Action.SELL_TO_CLOSE


def test_published_example_of_an_option_sale():
    fees = leg_fees(CALL, STC, 3, D(5), OLD)
    assert (fees.clearing, fees.taf, fees.sec, fees.orf) == (D("0.30"), D("0.01"), D("0.02"), D("0.12"))
    assert fees.commission == 0


def test_published_example_of_a_stock_sale():
    fees = leg_fees("AAPL", STC, 1000, D(55), OLD)
    assert (fees.clearing, fees.taf, fees.sec) == (D("0.80"), D("0.12"), D("0.72"))
    assert fees.total == D("1.64")


def test_iron_condor_of_five_opened_and_closed_costs_twenty_dollars_commission_and_four_clearing():
    symbols = [f"AAPL  260417{tail}" for tail in ("P00200000", "P00210000", "C00250000", "C00260000")]
    opening = [(Leg(s, a, 5), D(1)) for s, a in zip(symbols, (BTO, STO, STO, BTO), strict=True)]
    closing = [(Leg(s, a, 5), D(1)) for s, a in zip(symbols, (STC, BTC, BTC, STC), strict=True)]
    fees = order_fees(opening, SIM) + order_fees(closing, SIM)
    assert fees.commission == D(20)
    assert fees.clearing == D(4)
    assert fees.orf == 8 * D("0.12")  # 5 x 0.02375 rounded per leg


def test_commission_is_capped_at_ten_dollars_a_leg_for_equity_options_only():
    assert leg_fees(CALL, BTO, 50, D(1), SIM).commission == D(10)
    assert leg_fees(SPX, BTO, 50, D(1), SIM).commission == D(50)


def test_buys_pay_no_sell_side_fees():
    fees = leg_fees(CALL, BTO, 10, D(5), date(2024, 6, 3))
    assert fees.taf == 0
    assert fees.sec == 0


def test_section_31_fee_follows_its_dates():
    sold = 100 * 100 * D(5)  # 50,000 dollars of proceeds
    for day, per_million in ((date(2024, 6, 3), "27.80"), (SIM, "0"), (date(2026, 4, 6), "20.60")):
        expected = (sold * D(per_million) / 1_000_000).quantize(D("0.01"))
        assert leg_fees(CALL, STC, 100, D(5), day).sec == expected


def test_a_day_before_the_table_uses_the_earliest_row():
    row = rate_row(Component.ORF, CALL, date(2012, 1, 3))
    assert row is not None
    assert row.rate == D("0.0388")


def test_proprietary_fee_of_index_options_and_its_size_step():
    assert leg_fees(SPX, BTC, 2, D(3), SIM).proprietary == D("1.30")
    assert leg_fees(XSP, BTC, 9, D(3), SIM).proprietary == 0
    assert leg_fees(XSP, BTC, 10, D(3), SIM).proprietary == D("0.70")
    assert leg_fees(CALL, BTC, 10, D(3), SIM).proprietary == 0


def test_stock_activity_fee_is_capped_per_trade():
    assert leg_fees("AAPL", STC, 1_000_000, D(1), SIM).taf == D("9.79")


def test_every_row_names_its_source():
    assert all(row.source for row in FEE_TABLE)


def test_negative_numbers_are_refused():
    with pytest.raises(BadInput, match="must not be negative"):
        leg_fees(CALL, BTO, -1, D(1), SIM)


def test_flat_figure_is_one_fifteen_a_contract():
    assert flat_fees(4) == D("4.60")


@given(
    parts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    symbol=st.sampled_from([CALL, SPX, XSP, "AAPL"]),
    action=st.sampled_from(list(Action)),
    cents=st.integers(1, 50_000),
    day=st.dates(date(2018, 6, 1), date(2027, 12, 31)),
)
def test_partial_fills_add_up_to_the_fee_of_the_whole_order(parts, symbol, action, cents, day):
    price = D(cents) / 100
    done, paid = 0, D(0)
    for part in parts:
        fee = fill_fees(symbol, action, part, price, day, done)
        assert fee == fill_breakdown(symbol, action, part, price, day, done).total
        paid += fee
        done += part
    assert paid == order_fees([(Leg(symbol, action, done), price)], day).total


def test_shares_that_exercise_delivers_cost_what_a_stock_trade_at_the_strike_costs():
    # 1,000 shares: clearing 0.80; sold also 0.12 to FINRA and 0.000013 of the proceeds to the SEC.
    day = date(2018, 6, 1)
    assert delivery_fees("XYZ", True, 1000, D(55), day).total == D("0.80")
    sold = delivery_fees("XYZ", False, 1000, D(55), day)
    assert (sold.clearing, sold.taf, sold.sec, sold.commission) == (
        D("0.80"), D("0.12"), D("0.72"), D(0),
    )  # fmt: skip

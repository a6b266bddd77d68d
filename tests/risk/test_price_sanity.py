"""Prices nobody could have meant: the tick, the far side of the market, and the bound between sane and not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import Action, Leg
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram
from qmterm.risk.price_sanity import crossing, most_worth, natural_price, one_beyond, price_fault, tick_of, unit_mid
from tests.risk.plans import CALL, HIGHER, LOWER_PUT, PUT, closing, legs, quote, quotes

BUY, SELL = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN
LONG, SHORT = legs((CALL, 1)), legs((CALL, -1))
SPREAD = legs((CALL, 1), (HIGHER, -1))
BOTH = quotes(quote(), quote(HIGHER, 2.00, 2.10))
INDEX_LEGS = ("XSP   260417P00590000", "XSP   260417P00589000")
INDEX = legs((INDEX_LEGS[0], 1), (INDEX_LEGS[1], -1))
INDEX_SOLD = legs((INDEX_LEGS[0], -1), (INDEX_LEGS[1], -1))
UNEVEN = quotes(quote(INDEX_LEGS[0], 2.00, 2.04), quote(INDEX_LEGS[1], 1.72, 1.76))  # natural 0.32 to pay
PENNY = legs(("SPY   260402C00105000", 1))


def fault(chosen, price, market=None, units=1, band=0.0, program=None):
    return price_fault(chosen, units, Decimal(price), BOTH if market is None else market, band, program)


@pytest.mark.parametrize(
    ("chosen", "price", "program", "step"),
    [
        (LONG, "-4.15", None, "0.05"),
        (LONG, "-2.99", None, "0.01"),
        (LONG, "-3.00", None, "0.05"),
        (PENNY, "-4.15", None, "0.01"),
        (LONG, "-4.15", TickProgram.PENNY_ALL, "0.01"),
        (LONG, "-4.15", TickProgram.NICKEL, "0.10"),
        (SPREAD, "-4.15", TickProgram.NICKEL, "0.01"),
        (legs(("AAPL", 100)), "-98.01", TickProgram.NICKEL, "0.01"),
        (legs(("AAPL", 100)), "-0.98", None, "0.0001"),
        (INDEX, "-4.15", None, "0.05"),
        (INDEX, "-0.15", TickProgram.PENNY, "0.05"),
        (legs((INDEX_LEGS[0], 1)), "-0.15", None, "0.01"),
        ((), "-4.15", None, "0.01"),
    ],
)
def test_one_option_has_its_own_tick_a_spread_a_cent_and_one_of_index_options_a_nickel(chosen, price, program, step):
    assert tick_of(chosen, Decimal(price), program) == Decimal(step)


@pytest.mark.parametrize(
    ("chosen", "units", "market", "net"),
    [
        (LONG, 1, BOTH, "-4.20"),
        (SHORT, 1, BOTH, "4.10"),
        (SPREAD, 1, BOTH, "-2.20"),
        ((Leg(CALL, BUY, 4), Leg(HIGHER, SELL, 8)), 4, BOTH, "-0.20"),
        ((Leg(CALL, SELL, 3),), 2, BOTH, "6.15"),
        (LONG, 1, {}, None),
        (SPREAD, 1, quotes(quote()), None),
        (SHORT, 1, quotes(quote(bid=0.0)), None),
        (LONG, 1, quotes(quote(bid=0.0)), "-4.20"),
        (LONG, 1, quotes(quote(bid=0.0, ask=0.0)), None),
        (LONG, 1, quotes(quote(ask=float("nan"))), None),
        (LONG, 1, quotes(quote(ask=4.20004)), "-4.2000"),
        (LONG, 1, quotes(quote(ask=0.9)), "-0.9"),
    ],
)
def test_the_natural_price_takes_the_far_side_of_every_leg(chosen, units, market, net):
    assert natural_price(chosen, units, market) == (None if net is None else Decimal(net))


@pytest.mark.parametrize(
    ("chosen", "price", "given", "reason"),
    [
        # up to the far side and one tick
        (LONG, "-4.20", {}, None),
        (LONG, "-4.25", {}, None),
        (LONG, "-4.30", {}, Reason.PRICE_INSANE),
        (SHORT, "4.10", {}, None),
        (SHORT, "4.05", {}, None),
        (SHORT, "4.00", {}, Reason.PRICE_INSANE),
        (SHORT, "9.00", {}, None),  # better than the market: it does not fill
        (SPREAD, "-2.21", {}, None),
        (SPREAD, "-2.22", {}, Reason.PRICE_INSANE),
        (SPREAD, "0.01", {}, None),
        # the band is a share of the far side
        (LONG, "-4.65", {"band": 0.1}, None),  # 4.20 + 0.42 + 0.05 = 4.67
        (LONG, "-4.70", {"band": 0.1}, Reason.PRICE_INSANE),
        (SHORT, "3.65", {"band": 0.1}, None),  # 4.10 − 0.41 − 0.05 = 3.64
        (SHORT, "3.60", {"band": 0.1}, Reason.PRICE_INSANE),
        # the wider of the ticks of limit and market
        (LONG, "-3.00", {"market": quotes(quote(bid=2.80, ask=2.95))}, None),
        (LONG, "-3.05", {"market": quotes(quote(bid=2.80, ask=2.95))}, Reason.PRICE_INSANE),
        (SHORT, "2.95", {"market": quotes(quote(bid=3.00, ask=3.10))}, None),
        (SHORT, "2.94", {"market": quotes(quote(bid=3.00, ask=3.10))}, Reason.PRICE_INSANE),
        # between two prices of the grid the one that crosses is meant, and one step beyond it
        (INDEX, "-0.30", {"market": UNEVEN}, None),
        (INDEX, "-0.35", {"market": UNEVEN}, None),
        (INDEX, "-0.40", {"market": UNEVEN}, None),
        (INDEX, "-0.45", {"market": UNEVEN}, Reason.PRICE_INSANE),
        (INDEX, "-0.32", {"market": UNEVEN}, Reason.OFF_TICK),
        (INDEX, "-0.45", {"market": UNEVEN, "band": 0.2}, None),  # 0.35 + 0.05 + 0.064
        # several units: the price is of one
        (legs((CALL, 3)), "-4.20", {"units": 3}, None),
        (legs((CALL, 3)), "-4.30", {"units": 3}, Reason.PRICE_INSANE),
        # off the grid, also of the broker's table
        (LONG, "-4.17", {}, Reason.OFF_TICK),
        (LONG, "-4.17", {"program": TickProgram.PENNY_ALL}, None),
        (LONG, "-4.21", {"program": TickProgram.PENNY_ALL}, None),
        (LONG, "-4.22", {"program": TickProgram.PENNY_ALL}, Reason.PRICE_INSANE),
        (SPREAD, "-2.175", {}, Reason.OFF_TICK),
        # no number, no side, no units
        (LONG, "0", {}, Reason.PRICE_INSANE),
        (LONG, "NaN", {}, Reason.PRICE_INSANE),
        (LONG, "-Infinity", {}, Reason.PRICE_INSANE),
        (LONG, "4.15", {}, Reason.PRICE_INSANE),
        (LONG, "0.50", {}, Reason.PRICE_INSANE),
        (SHORT, "-4.15", {}, Reason.PRICE_INSANE),
        (SHORT, "-0.50", {}, Reason.PRICE_INSANE),
        (LONG, "-4.20", {"units": 0}, Reason.PRICE_INSANE),
        (LONG, "-4.20", {"units": -1}, Reason.PRICE_INSANE),
        # without a market only the price itself is judged
        (LONG, "-99.00", {"market": {}}, None),
        (LONG, "99.00", {"market": {}}, Reason.PRICE_INSANE),
        (LONG, "-99.01", {"market": {}}, Reason.OFF_TICK),
    ],
)
def test_a_price_is_sane_up_to_one_tick_beyond_the_market(chosen, price, given, reason):
    assert fault(chosen, price, **given) is reason


@pytest.mark.parametrize(
    ("chosen", "price", "crossed"),
    [
        (INDEX, "-0.32", "-0.35"),
        (INDEX, "0.32", "0.30"),
        (INDEX, "0.02", "-0.05"),  # zero has no side
        (INDEX_SOLD, "0.02", "0.05"),  # what is only sold is never paid for
        (SPREAD, "-0.32", "-0.32"),
        (SPREAD, "0.004", "-0.01"),
        (LONG, "-4.17", "-4.20"),
        (SHORT, "4.17", "4.15"),
        (SHORT, "0.004", "0.01"),
    ],
)
def test_the_price_that_crosses_lies_on_the_grid_and_less_than_a_step_away(chosen, price, crossed):
    assert str(crossing(chosen, Decimal(price), None)) == crossed


BACK = closing((PUT, 1), (LOWER_PUT, -1)).legs  # what was sold at 100 and covered at 95, bought back
ALONE = closing((PUT, 1)).legs


def wings(short, wing):
    return quotes(quote(PUT, *short), quote(LOWER_PUT, *wing))


DEAD = wings((0.10, 0.15), (0.0, 0.05))  # nobody bids for the wing
HOLE = wings((0.10, 0.15), (0.0, 0.0))
DEEP = wings((5.10, 5.30), (0.0, 0.05))
WIDE = wings((49.90, 50.30), (44.90, 45.40))  # 5.40 to cross, for what pays 5.00


@pytest.mark.parametrize(
    ("chosen", "market", "net"),
    [
        (BACK, DEAD, "-0.15"),
        (BACK, HOLE, None),
        (BACK, wings((0.10, 0.0), (0.0, 0.05)), None),
        (BACK, wings((0.10, 0.15), (0.0, float("nan"))), None),
        (BACK, wings((0.10, 0.15), (float("nan"), 0.05)), None),
        (BACK, wings((0.10, 0.15), (0.01, 0.05)), "-0.14"),
        (BACK, quotes(quote(PUT, 0.10, 0.15)), None),
        (closing((PUT, -1), (LOWER_PUT, 1)).legs, wings((0.0, 0.15), (0.0, 0.05)), "-0.05"),
    ],
)
def test_for_a_bound_what_is_sold_and_only_offered_counts_as_nothing(chosen, market, net):
    assert natural_price(chosen, 1, market, unbid=True) == (None if net is None else Decimal(net))


@pytest.mark.parametrize(
    ("chosen", "units", "worth"),
    [
        (BACK, 1, "5"),
        (ALONE, 1, "100"),
        (closing((PUT, -1)).legs, 1, "0"),
        (closing((PUT, -1), (LOWER_PUT, 1)).legs, 1, "0"),
        (closing((PUT, 3), (LOWER_PUT, -3)).legs, 3, "5"),
        (closing((PUT, 4), (LOWER_PUT, -2)).legs, 2, "105"),
        (closing((CALL, 1), (HIGHER, -1)).legs, 1, "5"),
        (closing((CALL, 1)).legs, 1, None),
        (closing((CALL, 2), (HIGHER, -1)).legs, 1, None),
        (closing((CALL, -1)).legs, 1, "0"),
        (closing((PUT, 1), (CALL, 1)).legs, 1, None),
        (closing((PUT, 1), (LOWER_PUT, -1), (CALL, 1), (HIGHER, -1)).legs, 1, "10"),  # before the end both can be worth
        (closing((PUT, 1), ("AAPL  260501P00100000", -1)).legs, 1, "100"),  # one does not stand for the other
        (closing(("AAPL1 260402P00100000", 1)).legs, 1, None),
        (closing(("AAPL", 100)).legs, 100, None),
        (closing((PUT, 1), ("AAPL", -100)).legs, 1, None),
    ],
)
def test_a_spread_is_never_worth_more_than_its_width_and_a_put_than_its_strike(chosen, units, worth):
    assert most_worth(chosen, units) == (None if worth is None else Decimal(worth))


@pytest.mark.parametrize(
    ("chosen", "price", "given", "reason"),
    [
        # where nobody bids for the wing the bound is the price of what was sold
        (BACK, "-0.15", {"market": DEAD}, None),
        (BACK, "-0.16", {"market": DEAD}, None),
        (BACK, "-0.17", {"market": DEAD}, Reason.PRICE_INSANE),
        (BACK, "-0.17", {"market": DEAD, "band": 0.1}, None),  # 0.16 + 0.015
        (BACK, "-0.18", {"market": DEAD, "band": 0.1}, Reason.PRICE_INSANE),
        (BACK, "-50.00", {"market": DEAD}, Reason.PRICE_INSANE),
        (BACK, "0.05", {"market": DEAD}, None),
        # what is only sold is sold for the smallest price there is
        (closing((PUT, -1)).legs, "0.01", {"market": wings((0.0, 0.05), (0.0, 0.05))}, None),
        (closing((PUT, -1), (LOWER_PUT, -1)).legs, "0.01", {"market": wings((0.0, 0.05), (0.0, 0.05))}, None),
        (closing((PUT, -1), (LOWER_PUT, -1)).legs, "0.29", {"market": wings((0.30, 0.35), (0.0, 0.05))}, None),
        (
            closing((PUT, -1), (LOWER_PUT, -1)).legs,
            "0.28",
            {"market": wings((0.30, 0.35), (0.0, 0.05))},
            Reason.PRICE_INSANE,
        ),
        # and what it pays at most, and a tick: what is worthless goes for one; also without any quote
        (closing((PUT, -1), (LOWER_PUT, 1)).legs, "-0.01", {"market": {}}, None),
        (closing((PUT, -1), (LOWER_PUT, 1)).legs, "-0.02", {"market": {}}, Reason.PRICE_INSANE),
        (BACK, "-5.01", {"market": DEEP}, None),
        (BACK, "-5.02", {"market": DEEP}, Reason.PRICE_INSANE),
        (BACK, "-5.31", {"market": DEEP}, Reason.PRICE_INSANE),
        (BACK, "-5.01", {"market": HOLE}, None),
        (BACK, "-5.02", {"market": HOLE}, Reason.PRICE_INSANE),
        (BACK, "-5.01", {"market": {}}, None),
        (BACK, "-5.02", {"market": {}}, Reason.PRICE_INSANE),
        (ALONE, "-100.05", {"market": {}}, None),
        (ALONE, "-100.10", {"market": {}}, Reason.PRICE_INSANE),
        (ALONE, "-100.05", {"market": quotes(quote(PUT, 0.10, 0.0))}, None),
        (ALONE, "-100.10", {"market": quotes(quote(PUT, 0.10, 0.0))}, Reason.PRICE_INSANE),
        (closing((CALL, 1)).legs, "-400.00", {"market": {}}, None),
        (closing((PUT, 2), (LOWER_PUT, -2)).legs, "-5.01", {"market": {}, "units": 2}, None),
        (closing((PUT, 2), (LOWER_PUT, -2)).legs, "-5.02", {"market": {}, "units": 2}, Reason.PRICE_INSANE),
        # what crosses a market that asks for more may leave, with its tick, and nothing beyond
        (BACK, "-5.40", {"market": WIDE}, None),
        (BACK, "-5.41", {"market": WIDE}, None),
        (BACK, "-5.42", {"market": WIDE}, Reason.PRICE_INSANE),
        (BACK, "-5.42", {"market": WIDE, "band": 0.1}, Reason.PRICE_INSANE),
        # the band reaches as far as that
        (BACK, "-5.01", {"market": wings((4.80, 4.90), (0.10, 0.15)), "band": 0.2}, None),
        (BACK, "-5.02", {"market": wings((4.80, 4.90), (0.10, 0.15)), "band": 0.2}, Reason.PRICE_INSANE),
    ],
)
def test_nobody_pays_more_to_get_out_than_it_can_ever_be_worth(chosen, price, given, reason):
    assert fault(chosen, price, **given) is reason


CENTS = st.integers(min_value=2, max_value=700)


@given(
    pairs=st.lists(st.tuples(CENTS, st.integers(min_value=1, max_value=90)), min_size=2, max_size=2),
    signs=st.sampled_from([(1, -1), (-1, 1), (1, 1), (-1, -1)]),
    names=st.sampled_from([(CALL, HIGHER), INDEX_LEGS]),
)
def test_a_spread_one_step_beyond_what_crosses_is_sane_whatever_the_quotes_and_two_are_not(pairs, signs, names):
    chosen = legs(*zip(names, signs, strict=True))
    market = quotes(*(quote(n, bid / 100, (bid + wide) / 100) for n, (bid, wide) in zip(names, pairs, strict=True)))
    natural = natural_price(chosen, 1, market)
    step = tick_of(chosen, natural, None)
    crossed = crossing(chosen, natural, None)
    beyond = one_beyond(chosen, crossed, step)
    assert fault(chosen, crossed, market) is None
    assert fault(chosen, beyond, market) is None
    if beyond - step != 0 and signs != (-1, -1):
        assert fault(chosen, beyond - step, market) is Reason.PRICE_INSANE


def test_a_unit_in_the_middle_of_its_market_has_no_sign_and_needs_a_market_of_every_leg():
    market = quotes(quote(CALL, 4.10, 4.20), quote(HIGHER, 2.00, 2.10))
    assert unit_mid(LONG, market) == unit_mid(SHORT, market) == pytest.approx(4.15)
    assert unit_mid(SPREAD, market) == pytest.approx(2.10)
    assert unit_mid(legs((CALL, -2), (HIGHER, 2)), market) == pytest.approx(2.10)
    for without in (quotes(quote(CALL, 4.10, 4.20)), quotes(quote(CALL, 4.10, 4.20), quote(HIGHER, 0.0, 0.05))):
        assert unit_mid(SPREAD, without) is None
        assert unit_mid(legs((HIGHER, 1)), without) is None


def test_the_bound_lies_a_tick_of_the_contracts_own_grid_beyond_where_it_crosses():
    between = quotes(quote(CALL, 4.00, 4.12))  # in dimes it crosses at 4.20, in nickels at 4.15
    assert fault(LONG, "-4.30", between, program=TickProgram.NICKEL) is None
    assert fault(LONG, "-4.40", between, program=TickProgram.NICKEL) is Reason.PRICE_INSANE
    assert fault(LONG, "-4.20", between) is None
    assert fault(LONG, "-4.25", between) is Reason.PRICE_INSANE

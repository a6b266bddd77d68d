"""Margin of any legs: the usual structures are recognised, nothing is charged below its worst case, unsure is dear."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.reasons import Reason
from qmterm.quant.book import margin
from qmterm.quant.book.legs import Leg, LegKind, option_leg, stock_leg
from qmterm.quant.book.margin import EQUITY, EQUITY_TASTY, short_option
from qmterm.quant.book.margin_pairing import MOST_UNITS, estimate_margin
from qmterm.quant.book.payoff import payoff
from tests.quant.book.legs import STRIKES, some_legs


def legs_of(text):
    """'-1P90@1.05 +1S@100' as legs."""
    legs = []
    for word in text.split():
        head, premium = word.split("@")
        at = next(i for i, letter in enumerate(head) if letter in "CPS")
        legs.append(Leg(LegKind(head[at]), float(head[:at]), float(head[at + 1 :] or 0), float(premium)))
    return legs


STRUCTURES = [
    ("+3C100@2.35", "long_option", margin.debit(2.35, 3)),
    ("-1P95@2.1", "naked_put", margin.naked_option(100, 95, 2.1, False)),
    ("-3C90@12", "naked_call", margin.naked_option(100, 90, 12, True, 3)),
    ("-1P90@1.05 -1C110@1.2", "short_strangle", margin.short_strangle(100, 90, 110, 1.05, 1.2)),
    ("-2P100@4 -2C100@4.4", "short_straddle", margin.short_strangle(100, 100, 100, 4, 4.4, 2)),
    ("-2P95@2.1 +2P90@1.05", "credit_spread", margin.credit_spread(5, 1.05, 2)),
    ("+1C100@4.4 -1C110@1.2", "debit_spread", margin.debit(3.2)),
    ("+4P80@.2 -4P90@1 -4C110@1.5 +4C115@.3", "iron_condor", margin.iron_condor(10, 5, 2.0, 4)),
    ("+1S@100 -1C105@2.35", "covered_call", margin.covered_call(100, 105, 2.35)),
    ("+2S@100 -2C92@9.4", "covered_call", margin.covered_call(100, 92, 9.4, 2)),
    ("+1S@90", "long_stock", margin.Margin(5000.0, 0.0)),
    ("-1S@100", "short_stock", margin.Margin(15000.0, 10000.0)),
    # A butterfly cannot lose more than it cost.
    ("+1C95@7 -2C100@4 +1C105@2", "spreads", margin.debit(1.0)),
]


@pytest.mark.parametrize(("text", "name", "expected"), STRUCTURES, ids=lambda value: value if "@" in str(value) else "")
def test_the_usual_structures_are_recognised(text, name, expected):
    answer = estimate_margin(legs_of(text), 100.0)
    assert answer.structure == name
    assert (answer.margin.requirement, answer.margin.credit) == pytest.approx((expected.requirement, expected.credit))
    assert answer.margin.effect == pytest.approx(expected.effect)
    assert not answer.note


def test_cash_secures_short_puts():
    answer = estimate_margin(legs_of("-1P95@2.1"), 100.0, cash_secured=True)
    assert answer.structure == "cash_secured_put"
    assert answer.margin == margin.cash_secured_put(95, 2.1)


def test_a_ratio_spread_is_a_spread_and_a_naked_call():
    answer = estimate_margin(legs_of("+1C100@4.4 -2C110@1.2"), 100.0)
    assert {piece.structure for piece in answer.pieces} == {"debit_spread", "naked_call"}
    naked = float(short_option(100.0, 110.0, 1.2, True)) * 100
    assert answer.margin.effect == pytest.approx(naked + 200.0)


def test_a_spread_wider_than_the_naked_requirement_is_charged_as_naked():
    answer = estimate_margin(legs_of("-1C105@2 +1C200@.01"), 100.0)
    assert answer.pieces[0].requirement == pytest.approx(1700.0)


def test_a_jade_lizards_short_call_is_cheaper_in_a_strangle_than_in_its_spread():
    answer = estimate_margin(legs_of("-1P95@1.9 -1C105@2.4 +1C110@1.2"), 100.0)
    strangle = margin.short_strangle(100, 95, 105, 1.9, 2.4)
    assert {piece.structure for piece in answer.pieces} == {"short_strangle", "long_option"}
    assert answer.margin.requirement == pytest.approx(strangle.requirement)
    assert answer.margin.effect == pytest.approx(strangle.requirement - 310)


def test_shares_cover_the_call_that_longs_do_not():
    answer = estimate_margin(legs_of("+1S@100 -2C105@2.35 +1C110@1"), 100.0)
    assert {piece.structure for piece in answer.pieces} == {"covered_call", "credit_spread"}
    assert sum(piece.requirement for piece in answer.pieces) == pytest.approx(5000 + 500)


def test_shares_beyond_the_calls_are_charged_as_shares():
    answer = estimate_margin(legs_of("+2.5S@100 -2C105@2.35"), 100.0)
    assert sum(piece.requirement for piece in answer.pieces) == pytest.approx(2 * 5000 + 0.5 * 5000)


def test_bought_and_sold_of_one_contract_cancel():
    answer = estimate_margin(legs_of("-3P95@2 +2P95@1"), 100.0)
    assert [(piece.structure, piece.contracts) for piece in answer.pieces] == [("naked_put", 1)]


def test_without_the_price_of_the_underlying_only_bought_options_are_known():
    assert estimate_margin(legs_of("+1C100@2"), None).margin == margin.debit(2)
    for price in (None, np.nan, 0.0, -1.0):
        answer = estimate_margin(legs_of("-1P95@2.1"), price)
        assert (answer.margin, answer.reason) == (None, Reason.NO_QUOTE)


@pytest.mark.parametrize("text", ["-1.5P95@2.1 +1.5P90@1", f"-{MOST_UNITS}P95@2.1 +{MOST_UNITS + 1}P90@1"])
def test_what_cannot_be_paired_is_charged_leg_by_leg_and_says_so(text):
    legs = legs_of(text)
    answer = estimate_margin(legs, 100.0)
    assert answer.note
    naked = float(short_option(100.0, 95.0, 2.1, False)) * 100
    assert sum(piece.requirement for piece in answer.pieces) == pytest.approx(naked * abs(legs[0].quantity))


def alone(legs, price, profile=EQUITY):
    """Every leg by itself: what no pairing may exceed."""
    total = 0.0
    for leg in legs:
        if leg.kind is LegKind.STOCK:
            total += price * (0.5 * leg.quantity if leg.quantity > 0 else -1.5 * leg.quantity)
        elif leg.quantity < 0:
            is_call = leg.kind is LegKind.CALL
            total -= leg.quantity * float(short_option(price, leg.strike, leg.premium, is_call, profile))
    return total * 100


@given(legs=some_legs(), price=st.sampled_from([60.0, 100.0, 140.0]))
def test_pairing_never_charges_less_than_nothing_nor_more_than_each_leg_alone(legs, price):
    answer = estimate_margin(legs, price)
    assert answer.margin.requirement >= 0.0
    assert answer.margin.effect >= 0.0
    assert sum(piece.requirement for piece in answer.pieces) <= alone(legs, price) + 1e-6


@given(legs=some_legs("CP"), price=st.sampled_from([60.0, 100.0, 140.0]))
def test_spreads_set_aside_all_they_can_lose(legs, price):
    answer = estimate_margin(legs, price)
    naked = {"naked_call", "naked_put", "short_strangle", "short_straddle"}
    if not naked & {piece.structure for piece in answer.pieces}:
        assert answer.margin.effect >= payoff(legs).max_loss - 1e-6


@given(legs=some_legs(), times=st.integers(2, 6))
def test_more_of_the_same_costs_that_much_more(legs, times):
    many = [Leg(leg.kind, leg.quantity * times, leg.strike, leg.premium) for leg in legs]
    one, all_of_them = estimate_margin(legs, 100.0).margin, estimate_margin(many, 100.0).margin
    assert all_of_them.requirement == pytest.approx(times * one.requirement)
    assert all_of_them.credit == pytest.approx(times * one.credit)


@given(
    shorts=st.lists(st.tuples(st.sampled_from(STRIKES), st.integers(1, 900)), min_size=1, max_size=4),
    longs=st.lists(st.sampled_from(STRIKES), min_size=1, max_size=4),
    is_call=st.booleans(),
)
def test_one_sided_positions_are_never_charged_more_than_the_best_matching(shorts, longs, is_call):
    shorts = [(strike, cents / 100) for strike, cents in shorts if strike not in longs]
    if not shorts:
        return
    legs = [option_leg(is_call, -1, strike, premium) for strike, premium in shorts]
    legs += [option_leg(is_call, 1, strike, 1.0) for strike in longs]
    # One premium for each strike, as the estimate sees it.
    mean = {s: np.mean([p for strike, p in shorts if strike == s]) for s, _ in shorts}
    padded = longs + [None] * len(shorts)
    best = np.inf
    for order in set(permutations(padded, len(shorts))):
        total = 0.0
        for (strike, _), long in zip(shorts, order, strict=True):
            if long is None:
                total += float(short_option(100.0, strike, mean[strike], is_call, EQUITY_TASTY))
            else:
                total += max(0.0, long - strike if is_call else strike - long)
        best = min(best, total)
    charged = sum(piece.requirement for piece in estimate_margin(legs, 100.0, EQUITY_TASTY).pieces)
    assert charged <= best * 100 + 1e-6


def test_stock_legs_count_in_multiples_of_the_multiplier():
    answer = estimate_margin([stock_leg(1, 100.0), option_leg(True, -1, 105, 2.0)], 100.0, multiplier=10)
    assert answer.margin.requirement == pytest.approx(500.0)

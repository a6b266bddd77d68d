"""The exits that rest, number by number: trigger, target, and everything else that the broker is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import ROUND_CEILING, Decimal
from math import inf, log, nan, sqrt
from statistics import NormalDist

import pytest

from qmterm.core.orders import Action, BracketRole, Leg, OrderIntent, OrderKind, Purpose, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram
from qmterm.engine.orders.brackets import ExitTerms, exit_terms, exits_behind, exits_for, one_long_option
from qmterm.risk.protect import protect
from qmterm.risk.stops import StopRules
from tests.engine.fakes import OCC, entry
from tests.engine.house import plan

TODAY, EXPIRY = date(2026, 3, 2), date(2026, 4, 17)
PUT = "NVDA  260417P00175000"
RULES = StopRules()
TERMS = ExitTerms(Decimal("2.05"), Decimal("9.00"))


def guard(**changes):
    state = protect(replace(plan(), numbers={"iv": 0.4}), "P1", 2, Decimal("4.15"))
    return replace(state, **changes)


def terms(state, symbol=OCC, rules=RULES, today=TODAY, program=TickProgram.PENNY_ALL):
    return exit_terms(state, symbol, rules, program, today)


def worth(spot, *, right=1, strike=175.0, vol=0.4, days=46):
    """A European option without rates, in whole cents up: what the seller's grid makes of it."""
    wide = vol * sqrt(days / 365)
    d1 = log(spot / strike) / wide + wide / 2
    cdf = NormalDist().cdf
    value = right * (spot * cdf(right * d1) - strike * cdf(right * (d1 - wide)))
    return Decimal(str(round(value, 4))).quantize(Decimal("0.01"), ROUND_CEILING)


# --- the target ---


def test_the_target_is_the_contract_at_the_first_level_rounded_up_to_the_grid():
    assert terms(guard()) == ExitTerms(Decimal("2.07"), worth(196.0))
    assert terms(guard(fired=(7.0, 8.0))).target == worth(204.0)


def test_the_level_is_measured_as_the_rules_measure_it():
    rules = replace(RULES, distance_mode="pct")
    level = (168 + sqrt(168**2 + 4 * 7 * 168 * 4)) / 2
    assert terms(guard(), rules=rules).target == worth(level)


def test_a_put_is_worth_what_a_put_is_where_it_wants_to_go():
    assert terms(guard(side=-1), PUT).target == worth(140.0, right=-1)


def test_close_to_nothing_a_put_is_still_valued_and_at_nothing_it_is_not():
    assert terms(guard(side=-1, sma50=28.5), PUT).target == Decimal("174.50")
    for sma50 in (28.0, 20.0):
        assert terms(guard(side=-1, sma50=sma50), PUT).target is None


def test_on_the_day_it_expires_there_is_no_target_and_the_day_before_there_is():
    assert terms(guard(), today=EXPIRY).target is None
    assert terms(guard(), today=date(2026, 4, 16)).target == worth(196.0, days=1)


@pytest.mark.parametrize(("atr", "sma50"), [(0.5, 192.5), (27.9285, 0.5)])
def test_a_small_range_or_average_is_one(atr, sma50):
    assert terms(guard(atr=atr, sma50=sma50)).target == worth(sma50 + 7 * atr)


@pytest.mark.parametrize(
    "changes",
    [
        {"atr": 30.0, "sma50": 0.0},
        {"atr": 0.0, "sma50": 200.0},
        {"entry_iv": None},
        {"entry_iv": nan},
        {"sma50": inf},
        {"fired": RULES.scale_out},
    ],
)
def test_without_one_of_its_numbers_there_is_no_target_though_the_rest_would_give_one(changes):
    assert terms(guard(**changes)) == ExitTerms(Decimal("2.07"), None)


def test_a_target_has_to_be_above_what_was_paid():
    at_cost = worth(196.0)
    assert terms(guard(entry_premium=at_cost)).target is None
    assert terms(guard(entry_premium=at_cost - Decimal("0.01"))).target == at_cost


def test_a_target_below_a_dollar_is_one():
    state = guard(entry_premium=Decimal("0.20"), sma50=112.0, atr=4.0)
    assert Decimal("0.20") < worth(140.0) < 1
    assert terms(state) == ExitTerms(Decimal("0.10"), worth(140.0))


# --- the stop ---


def test_a_stop_below_a_dollar_is_one():
    assert terms(guard(entry_premium=Decimal("1.50"))).stop == Decimal("0.75")


def test_a_rule_that_lets_it_go_to_nothing_puts_no_stop():
    assert terms(guard(), rules=replace(RULES, premium_stop=1.0)) is None


def test_what_costs_a_tick_has_no_stop_and_what_costs_two_has():
    assert terms(guard(entry_premium=Decimal("0.01"))) is None
    assert terms(guard(entry_premium=Decimal("0.02"))).stop == Decimal("0.01")


def test_only_one_bought_option_gets_exits_that_rest():
    bought = Leg(OCC, Action.BUY_TO_OPEN, 2)
    assert one_long_option((bought,))
    assert not one_long_option((bought, replace(bought, symbol=PUT)))
    assert not one_long_option((replace(bought, action=Action.SELL_TO_OPEN),))
    assert not one_long_option((replace(bought, symbol="NVDA"),))
    assert not one_long_option(())


# --- what the broker is told ---


def test_behind_an_entry_stand_a_target_and_a_stop_with_everything_they_need_and_nothing_of_the_entrys():
    bought = replace(entry(), worst_price=Decimal("-4.30"), max_loss=Decimal(831))
    trigger, target, stop = exits_behind(bought, TERMS)
    assert trigger == replace(bought, bracket_id="qm-1", role=BracketRole.TRIGGER)
    common = {
        "created_ns": bought.created_ns,
        "strategy": "atr_matrix",
        "underlying": "NVDA",
        "purpose": Purpose.EXIT,
        "legs": (Leg(OCC, Action.SELL_TO_CLOSE, 2),),
        "quantity": 2,
        "time_in_force": TimeInForce.GTC,
        "plan_id": "plan-1",
        "bracket_id": "qm-1",
    }
    assert target == OrderIntent(
        intent_id="qm-1-t", net_price=Decimal("9.00"), role=BracketRole.TARGET, reason=Reason.SCALE_OUT, **common
    )
    assert stop == OrderIntent(
        intent_id="qm-1-s", net_price=None, role=BracketRole.STOP, reason=Reason.PREMIUM_STOP, kind=OrderKind.STOP,
        stop_trigger=Decimal("2.05"), **common,
    )  # fmt: skip


def test_for_what_is_held_the_exits_are_the_same_without_a_trigger():
    _, target, stop = exits_behind(entry(quantity=3), TERMS)
    made = exits_for(guard(), OCC, 3, TERMS, "rP1-1", 77)
    own = {"created_ns": 77, "plan_id": "P1", "bracket_id": "rP1-1"}
    assert made == (replace(target, intent_id="rP1-1-t", **own), replace(stop, intent_id="rP1-1-s", **own))


def test_without_a_target_the_stop_stands_alone():
    pair = exits_for(guard(), OCC, 3, TERMS, "rP1-1", 77)
    assert exits_for(guard(), OCC, 3, replace(TERMS, target=None), "rP1-1", 77) == pair[1:]

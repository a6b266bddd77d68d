"""Kinds of orders and what each must and must not carry."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.clock import from_et
from qmterm.core.order_rules import bracket_fault, rules_fault
from qmterm.core.orders import Action, BracketRole, Leg, OrderIntent, OrderKind, Purpose, TimeInForce

CALL, OTHER = "AAPL  260417C00230000", "AAPL  260417C00235000"
DAY = date(2026, 3, 2)
LIMIT = OrderIntent(
    "i-1", from_et(DAY, 10), "s", "AAPL", Purpose.EXIT, (Leg(CALL, Action.SELL_TO_CLOSE, 1),), 1, Decimal("1.20")
)
MARKET = replace(LIMIT, kind=OrderKind.MARKET, net_price=None)
STOP = replace(MARKET, kind=OrderKind.STOP, stop_trigger=Decimal("0.80"))
STOP_LIMIT = replace(STOP, kind=OrderKind.STOP_LIMIT, net_price=Decimal("0.75"))
OPENS = (Leg(CALL, Action.BUY_TO_OPEN, 1),)


@pytest.mark.parametrize("intent", [LIMIT, MARKET, STOP, STOP_LIMIT])
def test_each_kind_with_what_it_needs_is_an_order(intent):
    assert rules_fault(intent) is None


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        (replace(LIMIT, net_price=None), "a limit order needs a price"),
        (replace(LIMIT, net_price=Decimal(0)), "zero has no side"),
        (replace(LIMIT, net_price=Decimal("NaN")), "cannot be sent"),
        (replace(MARKET, net_price=Decimal("1.20")), "a market order takes no price"),
        (replace(MARKET, legs=(*MARKET.legs, Leg(OTHER, Action.BUY_TO_CLOSE, 1))), "has one leg, this one 2"),
        (replace(MARKET, stop_trigger=Decimal(1)), "a market order takes no stop trigger"),
        (replace(LIMIT, stop_trigger=Decimal(1)), "a limit order takes no stop trigger"),
        (replace(STOP, stop_trigger=None), "a stop order needs a trigger"),
        (replace(STOP, stop_trigger=Decimal(0)), "is no price"),
        (replace(STOP, stop_trigger=Decimal("Infinity")), "is no price"),
        (replace(STOP, net_price=Decimal(1)), "a stop order takes no price"),
        (replace(STOP_LIMIT, net_price=None), "a stop limit order needs a price"),
        (replace(STOP_LIMIT, stop_trigger=None), "a stop limit order needs a trigger"),
    ],
)
def test_what_a_kind_lacks_or_must_not_carry_is_said_in_a_sentence(intent, words):
    assert words in (rules_fault(intent) or "")


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        (replace(MARKET, time_in_force=TimeInForce.GTC), "cannot be GTC"),
        (replace(MARKET, time_in_force=TimeInForce.GTD, good_until=date(2026, 3, 9)), "cannot be GTD"),
        (replace(STOP, legs=OPENS, time_in_force=TimeInForce.GTC), "opens cannot be GTC"),
        (replace(STOP, time_in_force=TimeInForce.IOC), "waits for its trigger"),
        (replace(LIMIT, time_in_force=TimeInForce.GTD), "a GTD order needs the date it is good until"),
        (replace(LIMIT, time_in_force=TimeInForce.GTD, good_until=DAY), "a date in the future, not 2026-03-02"),
        (replace(LIMIT, good_until=date(2026, 3, 9)), "only a GTD order carries a date"),
    ],
)
def test_how_long_a_kind_may_wait(intent, words):
    assert words in (rules_fault(intent) or "")


@pytest.mark.parametrize(
    "intent",
    [
        replace(MARKET, time_in_force=TimeInForce.IOC),
        replace(LIMIT, time_in_force=TimeInForce.IOC),
        replace(LIMIT, time_in_force=TimeInForce.GTD, good_until=date(2026, 3, 3)),
        replace(STOP, time_in_force=TimeInForce.GTC),
        replace(STOP_LIMIT, legs=OPENS, net_price=Decimal(-1), time_in_force=TimeInForce.GTC),
    ],
)
def test_what_may_wait_may(intent):
    assert rules_fault(intent) is None


def test_an_order_that_may_be_walked_is_counted_at_its_worst_price():
    walked = replace(LIMIT, legs=OPENS, net_price=Decimal("-1.10"), worst_price=Decimal("-1.20"))
    assert walked.counted_price == Decimal("-1.20")
    assert LIMIT.counted_price == Decimal("1.20")
    assert MARKET.counted_price is None


# --- brackets ---

TRIGGER = replace(
    LIMIT, legs=OPENS, net_price=Decimal("-1.20"), purpose=Purpose.ENTRY, bracket_id="b-1", role=BracketRole.TRIGGER
)
TARGET = replace(LIMIT, bracket_id="b-1", role=BracketRole.TARGET)
STOPPED = replace(STOP, bracket_id="b-1", role=BracketRole.STOP)
ROLES = "its orders do not have one role each in one bracket"
ONLY_CLOSES = "an exit of a bracket must only close"
CONTRACTS = "its orders are not for the same contracts"


@pytest.mark.parametrize(
    "several", [(TRIGGER, STOPPED), (TRIGGER, TARGET), (TARGET, STOPPED), (TRIGGER, TARGET, STOPPED)]
)
def test_a_trigger_with_exits_or_a_pair_of_exits_is_a_bracket(several):
    assert bracket_fault(several) is None


def test_the_stop_of_a_bracket_may_have_a_limit():
    assert bracket_fault((TARGET, replace(STOP_LIMIT, bracket_id="b-1", role=BracketRole.STOP))) is None


@pytest.mark.parametrize(
    ("several", "words"),
    [
        ((TARGET, replace(STOPPED, role=BracketRole.TARGET)), ROLES),
        ((TARGET, replace(STOPPED, role=None)), ROLES),
        ((TARGET, replace(STOPPED, bracket_id="b-2")), ROLES),
        ((STOPPED,), "one order alone is no bracket"),
        ((TRIGGER, TARGET, replace(STOPPED, legs=(Leg(CALL, Action.SELL_TO_OPEN, 1),))), ONLY_CLOSES),
        ((TRIGGER, replace(STOPPED, role=BracketRole.TARGET)), "the target of a bracket is a limit order"),
        ((TARGET, replace(TARGET, role=BracketRole.STOP)), "the stop of a bracket is a stop order"),
        ((TARGET, replace(STOPPED, legs=(Leg(CALL, Action.SELL_TO_CLOSE, 2),))), CONTRACTS),
        ((TARGET, replace(STOPPED, legs=(Leg(OTHER, Action.SELL_TO_CLOSE, 1),))), CONTRACTS),
    ],
)  # fmt: skip
def test_orders_that_do_not_belong_together_are_no_bracket(several, words):
    assert bracket_fault(several) == words

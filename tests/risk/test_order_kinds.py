"""What the gate says of closes that are no plain limit orders: an empty book, triggers with a digit too many."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.clock import from_et
from qmterm.core.orders import Action, Leg, OrderIntent, OrderKind, Purpose, TimeInForce
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.ticks import TickProgram
from qmterm.risk.book import RiskBook
from qmterm.risk.gate import Gate
from qmterm.risk.price_sanity import order_fault
from qmterm.risk.verdict import Refusal
from qmterm.risk.worst_case import Holding
from tests.risk.plans import TODAY

CALL, LOWER = "NVDA  260417C00175000", "NVDA  260417C00170000"
NOW = from_et(TODAY, 10)
GATE = Gate(RiskSettings())
BOOK = RiskBook(nlv=Decimal(100_000), cash=Decimal(100_000))
LONG = replace(BOOK, holdings={("s", "NVDA"): (Holding(CALL, 2, Decimal(4)),)})
SHORT = replace(BOOK, holdings={("s", "NVDA"): (Holding(CALL, -2, Decimal(4)), Holding(LOWER, 2, Decimal(5)))})
SELL = OrderIntent(
    "i", NOW, "s", "NVDA", Purpose.EXIT, (Leg(CALL, Action.SELL_TO_CLOSE, 2),), 2, None, kind=OrderKind.MARKET
)
STOP = replace(SELL, kind=OrderKind.STOP, stop_trigger=Decimal("3.50"))
BUY = replace(SELL, legs=(Leg(CALL, Action.BUY_TO_CLOSE, 2),))


def judged(intent, bid=4.10, ask=4.20):
    quotes = {CALL: Quote(CALL, bid, ask, 10, 10, NOW, NOW)}
    held = -2 if intent.legs[0].action.buys else 2
    return GATE.check_exit(intent, {CALL: held}, quotes=quotes, book=LONG if held > 0 else SHORT)


@pytest.mark.parametrize(
    "intent", [SELL, BUY, STOP, replace(STOP, kind=OrderKind.STOP_LIMIT, net_price=Decimal("3.45"))]
)
def test_a_close_of_any_kind_passes_in_a_market_that_is_there(intent):
    trigger = Decimal("4.60") if intent.kind.stopped and intent.legs[0].action.buys else intent.stop_trigger
    assert judged(replace(intent, stop_trigger=trigger)).contracts == 2


def test_a_market_order_on_an_empty_book_is_refused_in_a_sentence():
    verdict = judged(SELL, bid=0.0)
    assert verdict.reason is Reason.EMPTY_BOOK
    assert "nobody quotes the side" in verdict.sentence
    assert judged(BUY, ask=0.0).reason is Reason.EMPTY_BOOK
    assert judged(BUY, bid=0.0).approved  # the side it takes is quoted


def test_a_stop_limit_is_held_against_its_trigger_not_against_todays_market():
    stop = replace(STOP, kind=OrderKind.STOP_LIMIT, net_price=Decimal("3.45"))
    assert judged(stop).approved
    assert judged(replace(stop, net_price=Decimal("2.00"))).reason is Reason.PRICE_INSANE


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [("4.10", Reason.TRIGGER_INSANE), ("5.00", Reason.TRIGGER_INSANE), ("0.35", Reason.TRIGGER_INSANE),
     ("0", Reason.ORDER_RULES), ("3.52", Reason.OFF_TICK)],
)  # fmt: skip
def test_a_sale_stopped_at_no_price_below_the_market_is_refused(trigger, reason):
    verdict = judged(replace(STOP, stop_trigger=Decimal(trigger)))
    assert verdict.reason is reason
    assert verdict.sentence


@pytest.mark.parametrize("trigger", ["4.20", "3.50", "45.00"])
def test_a_purchase_is_stopped_above_the_market_and_within_reach(trigger):
    buy = replace(BUY, kind=OrderKind.STOP, stop_trigger=Decimal(trigger))
    assert judged(buy).reason is Reason.TRIGGER_INSANE
    assert judged(replace(buy, stop_trigger=Decimal("4.60"))).approved


def test_what_no_broker_would_take_is_refused_with_the_rule():
    verdict = judged(replace(SELL, time_in_force=TimeInForce.GTC))
    assert verdict.reason is Reason.ORDER_RULES
    assert "a market order cannot be GTC" in verdict.sentence


def test_a_stop_without_a_quote_is_judged_by_its_grid_alone():
    assert GATE.check_exit(STOP, {CALL: 2}, quotes={}, book=LONG).approved


def fault(intent, bid=4.10, ask=4.20, program=None):
    return order_fault(intent, {CALL: Quote(CALL, bid, ask, 10, 10, NOW, NOW)}, 0.0, program)


STOP_LIMIT = replace(STOP, kind=OrderKind.STOP_LIMIT, net_price=Decimal("3.45"))


@pytest.mark.parametrize(
    ("changes", "program", "reason"),
    [
        ({}, None, None),
        ({"net_price": Decimal("3.42")}, None, Reason.OFF_TICK),
        ({"net_price": Decimal("3.42")}, TickProgram.PENNY_ALL, None),
        ({"net_price": Decimal("-3.45")}, None, Reason.PRICE_INSANE),
        ({"stop_trigger": Decimal("3.52")}, None, Reason.OFF_TICK),
        ({"stop_trigger": Decimal("3.52")}, TickProgram.PENNY_ALL, None),
        ({"stop_trigger": Decimal("4.10")}, None, Reason.TRIGGER_INSANE),
        ({"kind": OrderKind.STOP, "net_price": None, "stop_trigger": Decimal("3.52")}, TickProgram.PENNY_ALL, None),
    ],
)
def test_both_prices_of_a_stop_limit_are_on_the_grid_of_its_contract(changes, program, reason):
    assert fault(replace(STOP_LIMIT, **changes), program=program) is reason


@pytest.mark.parametrize(
    ("trigger", "price", "program", "reason"),
    [
        ("3.50", "2.60", None, None),  # a quarter of it and a tick: 3.50 − 0.875 − 0.05
        ("3.50", "2.55", None, Reason.PRICE_INSANE),
        ("4.00", "2.95", None, None),  # exactly
        ("4.00", "2.99", TickProgram.PENNY_ALL, None),
        ("4.00", "2.98", TickProgram.PENNY_ALL, Reason.PRICE_INSANE),
    ],
)
def test_a_stop_limit_gives_way_a_quarter_of_its_trigger_and_a_tick(trigger, price, program, reason):
    stop = replace(STOP_LIMIT, stop_trigger=Decimal(trigger), net_price=Decimal(price))
    assert fault(stop, program=program) is reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_in_force": TimeInForce.GTD}, "a GTD order needs the date it is good until"),
        ({"stop_trigger": Decimal("3.50")}, "a limit order takes no stop trigger, this one carries 3.50"),
    ],
)
def test_a_limit_order_with_something_it_must_not_carry_is_refused_with_the_rule(changes, words):
    limit = replace(SELL, kind=OrderKind.LIMIT, net_price=Decimal("4.10"))
    refusal = GATE.order_refusal(replace(limit, **changes), {}, None)
    assert refusal == Refusal(Reason.ORDER_RULES, note=words)
    assert GATE.order_refusal(limit, {}, None) is None


def test_a_trigger_that_is_refused_is_named_beside_the_market():
    quotes = {CALL: Quote(CALL, 4.10, 4.20, 10, 10, NOW, NOW)}
    refusal = GATE.order_refusal(replace(STOP, stop_trigger=Decimal("4.10")), quotes, None)
    assert refusal == Refusal(Reason.TRIGGER_INSANE, {"limit": None, "trigger": 4.1, "natural": 4.1})


def test_a_plans_price_that_is_refused_is_named_beside_the_market_or_without_one():
    quotes = {CALL: Quote(CALL, 4.10, 4.20, 10, 10, NOW, NOW)}
    buy = (Leg(CALL, Action.BUY_TO_OPEN, 1),)
    refusal = GATE._price_refusal(buy, 1, Decimal("-9.00"), quotes, None)
    assert refusal == Refusal(Reason.PRICE_INSANE, {"limit": -9.0, "natural": -4.2})
    refusal = GATE._price_refusal(buy, 1, Decimal("-4.12"), {}, None)
    assert refusal == Refusal(Reason.OFF_TICK, {"limit": -4.12, "natural": None})


@pytest.mark.parametrize("trigger", ["Infinity", "NaN", "0", "-1"])
def test_a_trigger_that_is_no_price_is_refused_by_itself(trigger):
    stop = replace(STOP, stop_trigger=Decimal(trigger))
    assert fault(stop) is Reason.TRIGGER_INSANE
    assert order_fault(stop, {}, 0.0) is Reason.TRIGGER_INSANE  # without a quote too


@pytest.mark.parametrize(
    ("bid", "trigger", "reason"),
    [
        (1.00, "0.80", None),
        (0.60, "0.50", None),
        (0.60, "0.60", Reason.TRIGGER_INSANE),
        (0.60, "0.70", Reason.TRIGGER_INSANE),
        (4.10, "0.41", None),  # exactly a tenth of the market
        (4.10, "0.40", Reason.TRIGGER_INSANE),
    ],
)
def test_the_stop_of_a_sale_is_below_a_cheap_market_too(bid, trigger, reason):
    assert fault(replace(STOP, stop_trigger=Decimal(trigger)), bid, bid + 0.10) is reason


@pytest.mark.parametrize(("trigger", "reason"), [("42.00", None), ("42.05", Reason.TRIGGER_INSANE)])
def test_the_stop_of_a_purchase_reaches_ten_times_the_market_and_no_further(trigger, reason):
    assert fault(replace(BUY, kind=OrderKind.STOP, stop_trigger=Decimal(trigger))) is reason


@pytest.mark.parametrize(
    ("intent", "cost"),
    [
        (BUY, "4.20"),
        (replace(BUY, kind=OrderKind.STOP, stop_trigger=Decimal("4.60")), "4.60"),
        (replace(BUY, kind=OrderKind.STOP, stop_trigger=Decimal("4.00")), "4.20"),
        (SELL, "0"),
        (STOP, "0"),
    ],
)
def test_an_order_without_a_limit_costs_the_market_or_its_trigger_and_a_sale_brings_nothing(intent, cost):
    quotes = {CALL: Quote(CALL, 4.10, 4.20, 10, 10, NOW, NOW)}
    assert Gate._market_cost(intent, quotes) == Decimal(cost)


def test_without_a_quote_what_it_costs_is_its_trigger():
    assert Gate._market_cost(replace(BUY, kind=OrderKind.STOP, stop_trigger=Decimal("4.60")), {}) == Decimal("4.60")
    assert Gate._market_cost(BUY, {}) == 0

"""The gate on what a person types: other kinds than a limit, several contracts of a stock, closes that open, claims."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.instruments import OptionContract, Right
from qmterm.core.orders import Action, Leg, OrderIntent, OrderKind, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import MANUAL
from qmterm.core.ticks import TickProgram
from qmterm.risk.book import RiskBook, part_of
from qmterm.risk.claims import round_trip_fees, with_claims
from qmterm.risk.gate import Gate
from qmterm.risk.rolls import crossing_price, is_mixed, roll_verdict
from qmterm.risk.surroundings import Surroundings
from qmterm.risk.worst_case import Holding, worst_loss
from tests.engine.house import plan

DAY = date(2026, 3, 2)
LOW, HIGH = "NVDA  260417C00175000", "NVDA  260417C00180000"
LATER = "NVDA  260515C00180000"
GATE = Gate(RiskSettings())
CASH = Decimal(100_000)
PLAN = replace(plan(), strategy=MANUAL, plan_id="m1")
NOW = PLAN.time_ns
QUOTES = {
    symbol: Quote(symbol, bid, ask, 50, 50, NOW, NOW)
    for symbol, bid, ask in ((LOW, 4.10, 4.20), (HIGH, 2.20, 2.30), (LATER, 5.00, 5.10))
}


def order(*legs, price="-4.15", kind=OrderKind.LIMIT, trigger=None):
    return OrderIntent(
        "", NOW, MANUAL, "NVDA", Purpose.ENTRY, legs, 1, None if price is None else Decimal(price),
        kind=kind, stop_trigger=None if trigger is None else Decimal(trigger), reason=Reason.USER,
    )  # fmt: skip


HELD = {("manual", "NVDA"): (Holding(LOW, 2, Decimal("4.10")),)}


def book(nlv=CASH, **more):
    return RiskBook(nlv=nlv, cash=CASH, option_buying_power=CASH, **more)


def check(this=PLAN, of=None, **more):
    return GATE.check(this, of or book(), NOW, quotes=QUOTES, wanted=1, **more)


BUY_LOW = Leg(LOW, Action.BUY_TO_OPEN, 1)


def test_what_a_person_staged_is_priced_on_the_grid_the_broker_told():
    off = order(BUY_LOW, price="-4.12")
    assert check(order=off).reason is Reason.OFF_TICK
    assert check(order=off, program=TickProgram.PENNY_ALL).approved


def test_a_plan_without_a_price_is_refused_though_the_staged_order_has_one():
    nameless = replace(PLAN, net_price=Decimal("NaN"))
    assert check(nameless, order=order(BUY_LOW)).reason is Reason.PRICE_INSANE
    assert check(nameless, order=order(BUY_LOW, price="-4.12")).reason is Reason.OFF_TICK


def test_a_persons_plan_is_not_held_back_by_what_he_holds_and_a_strategys_is():
    both = {("manual", "NVDA"), ("atr_matrix", "NVDA")}
    for held in ({"held": frozenset(both)}, {"working": frozenset(both)}):
        assert check(of=book(**held)).approved
        refused = check(replace(PLAN, strategy="atr_matrix"), of=book(**held))
        assert refused.reason in (Reason.ALREADY_HELD, Reason.ALREADY_WORKING)


def test_an_order_of_another_kind_is_judged_as_what_it_is():
    leg = Leg(LOW, Action.BUY_TO_OPEN, 1)
    stop = order(leg, price=None, kind=OrderKind.STOP, trigger="5.00")
    priced = replace(PLAN, net_price=Decimal("-5.00"), max_loss=Decimal(502), buying_power=Decimal(502))
    assert check(priced).reason is Reason.PRICE_INSANE  # as a limit it would lie beyond the market
    assert check(priced, order=stop).approved
    assert check(priced, order=replace(stop, stop_trigger=Decimal("3.00"))).reason is Reason.TRIGGER_INSANE
    market = order(leg, price=None, kind=OrderKind.MARKET)
    assert check(order=market).approved
    empty = {LOW: replace(QUOTES[LOW], ask=0.0)}
    assert not GATE.check(PLAN, book(), NOW, quotes=empty, wanted=1, order=market).approved


def roll(closable=2, wanted=2, price="-0.95", quotes=QUOTES, of=None, ladder=None, opens=LATER):
    mixed = order(Leg(LOW, Action.SELL_TO_CLOSE, 1), Leg(opens, Action.BUY_TO_OPEN, 1), price=price)
    return roll_verdict(
        GATE,
        PLAN,
        mixed,
        {LOW: closable},
        of or book(holdings=HELD, held=frozenset({("manual", "NVDA")})),
        NOW,
        wanted=wanted,
        ladder=ladder,
        quotes=quotes,
        market_open=True,
        program=None,
        around=Surroundings(),
    )


def test_a_roll_is_capped_by_what_can_be_closed():
    assert roll().contracts == 2
    assert roll(wanted=5).contracts == 2
    assert roll(closable=1).contracts == 1
    assert roll(closable=0).reason is Reason.NOTHING_TO_CLOSE
    assert roll(closable=-2).reason is Reason.WOULD_OPEN


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"ladder": Reason.LADDER_NO_NEW}, Reason.LADDER_NO_NEW),
        ({"price": "-1.50"}, Reason.PRICE_INSANE),
        ({"price": "-0.955"}, Reason.OFF_TICK),
        ({"quotes": {LOW: QUOTES[LOW]}}, Reason.NO_QUOTE),
        ({"quotes": {LATER: QUOTES[LATER]}}, Reason.NO_QUOTE),
        ({"of": book(nlv=Decimal(10_000), holdings=HELD)}, Reason.LIMIT_TRADE),
        ({"of": book()}, Reason.UNDEFINED_RISK),  # the book knows nothing to close: the sale would be bare
    ],
)
def test_a_roll_is_refused_for_its_price_its_open_or_the_ladder(more, reason):
    found = roll(**more)
    assert not found.approved
    assert found.reason is reason


def test_is_mixed_and_the_crossing_price():
    assert not is_mixed(order(Leg(LOW, Action.BUY_TO_OPEN, 1)))
    legs = (Leg(LOW, Action.SELL_TO_CLOSE, 1), Leg(LATER, Action.BUY_TO_OPEN, 1))
    assert is_mixed(order(*legs))
    assert str(crossing_price(legs, QUOTES, None)) == "-1.00"
    assert str(crossing_price(legs[:1], QUOTES, None)) == "4.10"
    assert crossing_price(legs, {}, None) is None


def test_the_crossing_price_of_index_options_lies_on_their_net_grid():
    one, other = "XSP   260417P00590000", "XSP   260417P00589000"
    legs = (Leg(one, Action.SELL_TO_OPEN, 1), Leg(other, Action.BUY_TO_OPEN, 1))
    pairs = ((one, 2.00, 2.04), (other, 1.68, 1.72))
    market = {symbol: Quote(symbol, bid, ask, 50, 50, NOW, NOW) for symbol, bid, ask in pairs}
    assert str(crossing_price(legs, market, None)) == "0.25"  # its natural price is 0.28
    back = (Leg(one, Action.BUY_TO_CLOSE, 1), Leg(other, Action.SELL_TO_CLOSE, 1))
    assert str(crossing_price(back, market, None)) == "-0.40"


@st.composite
def spreads(draw):
    strikes = draw(st.lists(st.sampled_from(range(150, 210, 5)), min_size=1, max_size=4, unique=True))
    legs = []
    for strike in strikes:
        right = draw(st.sampled_from(list(Right)))
        action = draw(st.sampled_from([Action.BUY_TO_OPEN, Action.SELL_TO_OPEN]))
        occ = OptionContract("NVDA", date(2026, 4, 17), right, Decimal(strike)).occ
        legs.append(Leg(occ, action, draw(st.integers(1, 3))))
    return tuple(legs), Decimal(draw(st.integers(-2000, 2000).filter(bool))) / 100


@given(spreads())
def test_a_claim_is_never_below_what_one_unit_can_lose(made):
    legs, price = made
    claimed = with_claims(replace(PLAN, legs=legs, net_price=price), book, {}, 178.0, DAY)
    alone = worst_loss((), (part_of(legs, 1, price),))
    assert claimed.max_loss >= round_trip_fees(legs, price, DAY) > 0
    if not alone.unbounded:
        assert claimed.max_loss >= alone.dollars
    assert claimed.buying_power >= max(Decimal(0), -price * 100)

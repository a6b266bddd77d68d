"""The order a stop sends, to the cent and the contract: which legs, how many, at what price, under which name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.core.ticks import TickProgram
from qmterm.engine.orders.exit_orders import ExitOrders, exit_price, worthless
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.ticks import TickBook
from qmterm.market.quality.quotes import FRESH_S
from qmterm.risk.protect import protect
from tests.engine.fakes import OCC, TableQuotes, clock_at
from tests.engine.house import plan

LOW, HIGH, INDEX = OCC, "NVDA  260417C00180000", "SPXW  260417C05000000"
BTO, STO, STC, BTC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.SELL_TO_CLOSE, Action.BUY_TO_CLOSE
NOW = clock_at().now()
ONE = (Leg(LOW, BTO, 1),)
SPREAD = (Leg(LOW, BTO, 1), Leg(HIGH, STO, 1))
CREDIT = (Leg(LOW, STO, 1), Leg(HIGH, BTO, 1))


class Exits:
    """What makes the orders, over a table of quotes: 4.10 for the lower strike, 2.20 for the higher, a dime wide."""

    def __init__(self, walk=False):
        self.ledger, self.quotes = Ledger(), TableQuotes()
        self.orders = ExitOrders(self.ledger, self.quotes, TickBook(), OrderSettings(walk=walk))
        self.at(4.10, 4.20)
        self.at(2.20, 2.30, HIGH)

    def at(self, bid, ask, symbol=LOW):
        self.quotes.set(symbol, bid, ask, NOW)

    def of(self, legs=ONE, units=2, now_ns=NOW, **more):
        state = replace(protect(plan(), "P1", 4, Decimal("4.10")), strategy="strategy", underlying="stock")
        return self.orders.of_units(Guard(legs, 1, state, **({"reason": Reason.ATR_STOP} | more)), units, now_ns)


def test_an_exit_says_whose_it_is_what_it_closes_and_why():
    assert Exits().of() == OrderIntent(
        intent_id=f"xP1-{NOW:x}",
        created_ns=NOW,
        strategy="strategy",
        underlying="stock",
        purpose=Purpose.EXIT,
        legs=(Leg(LOW, STC, 2),),
        quantity=2,
        net_price=Decimal("4.10"),
        plan_id="P1",
        reason=Reason.ATR_STOP,
    )


def test_exits_of_the_same_moment_are_numbered():
    exits = Exits()
    for name in (f"xP1-{NOW:x}", f"xP1-{NOW:x}.2", f"xP1-{NOW:x}.3"):
        order = exits.of()
        assert order.intent_id == name
        exits.ledger.add(OrderRecord(order, OrderState.CANCELLED))


@pytest.mark.parametrize(
    ("legs", "units", "attempts", "closes", "quantity", "price"),
    [
        (ONE, 3, 0, [(LOW, STC, 3)], 3, "4.10"),
        (ONE, 3, 1, [(LOW, STC, 3)], 3, "4.05"),
        (ONE, 3, 7, [(LOW, STC, 3)], 3, "4.05"),
        ((Leg(LOW, STO, 1),), 2, 0, [(LOW, BTC, 2)], 2, "-4.20"),
        ((Leg(LOW, STO, 1),), 2, 1, [(LOW, BTC, 2)], 2, "-4.25"),
        (SPREAD, 3, 0, [(LOW, STC, 3), (HIGH, BTC, 3)], 3, "1.80"),
        (SPREAD, 3, 1, [(LOW, STC, 3), (HIGH, BTC, 3)], 3, "1.79"),
        (SPREAD, 3, 7, [(LOW, STC, 3), (HIGH, BTC, 3)], 3, "1.79"),
        (CREDIT, 2, 0, [(LOW, BTC, 2), (HIGH, STC, 2)], 2, "-2.00"),
        ((Leg(LOW, BTO, 1), Leg(HIGH, STO, 2)), 3, 0, [(LOW, STC, 3), (HIGH, BTC, 6)], 3, "-0.50"),
        ((Leg(LOW, BTO, 2), Leg(HIGH, STO, 2)), 1, 0, [(LOW, STC, 2), (HIGH, BTC, 2)], 2, "1.80"),
    ],
)
def test_an_exit_crosses_the_market_and_gives_way_once(legs, units, attempts, closes, quantity, price):
    order = Exits().of(legs, units, attempts=attempts)
    assert [(leg.symbol, leg.action, leg.quantity) for leg in order.legs] == closes
    assert (order.quantity, order.net_price, order.worst_price) == (quantity, Decimal(price), None)


@pytest.mark.parametrize("legs", [ONE, SPREAD])
def test_without_a_quote_of_a_leg_or_somebody_to_take_it_there_is_no_order(legs):
    exits = Exits()
    exits.at(0.0, 4.20)
    assert exits.of(legs) is None
    exits.at(4.10, 0.0)
    assert exits.of(tuple(replace(leg, action=STO if leg.action is BTO else BTO) for leg in legs)) is None
    del exits.quotes.table[LOW]
    assert exits.of(legs) is None


def test_a_wing_worth_nothing_is_left_and_what_can_lose_is_bought_back():
    exits = Exits()
    exits.at(0.0, 0.05, HIGH)
    (leg,) = exits.of(CREDIT).legs
    assert leg == Leg(LOW, BTC, 2)
    exits.at(0.01, 0.05, HIGH)  # somebody bids for it
    assert [leg.symbol for leg in exits.of(CREDIT).legs] == [LOW, HIGH]


def test_a_leg_that_must_be_bought_back_is_never_left_however_little_it_costs():
    exits = Exits()
    exits.at(0.0, 0.05, HIGH)
    order = exits.of(SPREAD)
    assert [leg.symbol for leg in order.legs] == [LOW, HIGH]
    assert order.net_price == Decimal("4.05")


def test_a_position_that_is_worth_nothing_as_a_whole_waits_for_a_bid():
    exits = Exits()
    exits.at(0.0, 0.05)
    exits.at(0.0, 0.05, HIGH)
    assert exits.of() is None
    assert exits.of((Leg(LOW, BTO, 1), Leg(HIGH, BTO, 1))) is None


@pytest.mark.parametrize(
    ("bid", "ask", "age_s", "program", "nothing"),
    [
        (0.0, 0.10, 0, TickProgram.PENNY, True),
        (0.0, 0.11, 0, TickProgram.PENNY, False),
        (0.0, 0.15, 0, TickProgram.NICKEL, True),
        (0.0, 0.16, 0, TickProgram.NICKEL, False),
        (0.0, 0.0, 0, TickProgram.PENNY, False),  # nobody asks either: that is no quote
        (0.01, 0.05, 0, TickProgram.PENNY, False),
        (0.0, 0.05, FRESH_S, TickProgram.PENNY, True),
        (0.0, 0.05, FRESH_S + 1, TickProgram.PENNY, False),  # an old one may be a hole in the data
    ],
)
def test_worthless_is_what_nobody_bids_for_and_is_asked_at_next_to_nothing_just_now(bid, ask, age_s, program, nothing):
    quote = Quote(LOW, bid, ask, 1, 1, NOW, NOW)
    assert worthless(quote, program, NOW + int(age_s * 1e9)) is nothing


def test_a_scale_out_starts_at_the_mid_and_a_stop_does_not():
    exits = Exits(walk=True)
    stop, scale = exits.of(), exits.of(reason=Reason.SCALE_OUT)
    assert (stop.purpose, stop.net_price, stop.worst_price) == (Purpose.EXIT, Decimal("4.10"), None)
    assert scale.purpose is Purpose.SCALE_OUT
    assert (scale.net_price, scale.worst_price) == (Decimal("4.15"), Decimal("4.10"))
    spread = exits.of(SPREAD, reason=Reason.SCALE_OUT)
    assert (spread.net_price, spread.worst_price) == (Decimal("1.90"), Decimal("1.80"))


def test_a_scale_out_that_came_back_unfilled_crosses_and_so_does_one_where_prices_are_not_walked():
    again = Exits(walk=True).of(reason=Reason.SCALE_OUT, attempts=1)
    assert (again.net_price, again.worst_price) == (Decimal("4.05"), None)
    still = Exits(walk=False).of(reason=Reason.SCALE_OUT)
    assert (still.net_price, still.worst_price) == (Decimal("4.10"), None)


def test_a_scale_out_without_a_mid_is_sold_to_whoever_bids():
    exits = Exits(walk=True)
    exits.at(4.10, 0.0)
    order = exits.of(reason=Reason.SCALE_OUT)
    assert (order.net_price, order.worst_price) == (Decimal("4.10"), None)


@pytest.mark.parametrize(
    ("bid", "ask", "attempts", "selling", "price"),
    [
        (0.01, 0.05, 0, True, "0.01"),
        (0.01, 0.05, 1, True, "0.01"),  # below one tick there is no price
        (3.00, 3.05, 1, True, "2.95"),
        (2.98, 2.99, 1, False, "3.00"),
        (0.0, 0.05, 0, False, "0.05"),
        (4.12, 4.20, 0, True, "4.10"),
        (4.09996, 4.20, 0, True, "4.10"),  # what a float made of it
    ],
)
def test_the_price_of_one_contract_is_on_its_grid(bid, ask, attempts, selling, price):
    quote = Quote(LOW, bid, ask, 1, 1, NOW, NOW)
    assert exit_price(quote, attempts, TickProgram.PENNY, selling=selling) == Decimal(price)


@pytest.mark.parametrize(("bid", "ask", "selling"), [(0.0, 1.0, True), (1.0, 0.0, False), (-1.0, -1.0, True)])
def test_nobody_on_the_other_side_is_no_price(bid, ask, selling):
    assert exit_price(Quote(LOW, bid, ask, 1, 1, NOW, NOW), 0, TickProgram.PENNY, selling=selling) is None

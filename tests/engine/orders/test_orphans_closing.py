"""The closing orders for legs left alone, one by one: which leg, how many, at what price, under which name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.orders import Action, BracketRole, BrokerPosition, Fill, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exit_orders import exit_price
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.orphans import REARM_NS, Orphans, uneven
from qmterm.engine.orders.structure import (
    needed,
    units_closable,
    volatility,
)
from qmterm.engine.orders.ticks import TickBook
from tests.engine.fakes import CASH, OCC, TableQuotes, clock_at, entry

LOW, HIGH = OCC, "NVDA  260417C00180000"
BTO, STO, STC, BTC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.SELL_TO_CLOSE, Action.BUY_TO_CLOSE


class Place:
    """A book, a ledger and quotes; every order is over unless it says otherwise."""

    def __init__(self):
        self.clock = clock_at()
        self.book, self.ledger, self.quotes = Book(CASH), Ledger(), TableQuotes()
        self.alarms = []  # kind, subject, numbers
        self.log = SimpleNamespace(alarm=lambda kind, text, subject, **more: self.alarms.append((kind, subject, more)))
        self.orphans = Orphans(self.book, self.ledger, self.quotes, TickBook(), self.clock, self.log)
        for symbol, bid in ((LOW, 4.00), (HIGH, 2.00)):
            self.quotes.set(symbol, bid, bid + 0.10, self.clock.now())

    def order(self, name, legs, units, fills, state=OrderState.CANCELLED, **more):
        intent = replace(entry(name, units), legs=legs, plan_id=f"plan-{name}", **more)
        record = OrderRecord(intent, state, broker_id=name)
        for symbol, count in fills.items():
            leg = next(leg for leg in legs if leg.symbol == symbol)
            made = Fill(f"{name}-{symbol}", name, symbol, leg.action, count, Decimal(1), self.clock.now())
            record.fills[made.fill_id] = made
        self.ledger.add(record)
        return record

    def hold(self, symbol, quantity, owner="owner"):
        position = BrokerPosition(symbol, quantity, Decimal(2), 100)
        self.book.adopt(position, "their-strategy", owner, self.clock.now())

    def look(self, spoken_for=lambda symbol: 0):
        return self.orphans.look(spoken_for)


def spread(units, low=BTO, high=STO, ratio=1):
    return Leg(LOW, low, units), Leg(HIGH, high, units * ratio)


def legs_of(orders):
    return [(leg.symbol, leg.action, leg.quantity) for order in orders for leg in order.legs]


def test_what_was_sold_goes_first_and_the_closer_belongs_to_the_trade_that_left_it():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.order("b", (Leg(HIGH, STO, 2), Leg("NVDA  260417C00190000", BTO, 2)), 2, {HIGH: 2})
    place.hold(LOW, 2)
    place.hold(HIGH, -2)
    orders = place.look()
    assert legs_of(orders) == [(HIGH, BTC, 2), (LOW, STC, 2)]
    first = orders[0]
    assert (first.strategy, first.plan_id, first.underlying) == ("their-strategy", "plan-b", "NVDA")
    assert (first.purpose, first.reason, first.quantity) == (Purpose.EXIT, Reason.ORPHAN_LEG, 2)
    assert (first.intent_id, first.net_price) == ("ob-NVDA260417C00180000-1", Decimal("-2.10"))
    assert orders[1].net_price == Decimal("4.00")
    assert place.alarms == [("ORD", HIGH, {"order": "b"}), ("ORD", LOW, {"order": "a"})]
    place.look()
    assert len(place.alarms) == 2


@pytest.mark.parametrize(("loose", "closed"), [(5, 2), (1, 1), (0, 0)])
def test_no_more_is_closed_than_the_order_left_alone_and_than_its_trade_has_loose(loose, closed):
    place = Place()
    asked = []
    place.orphans = Orphans(
        place.book, place.ledger, place.quotes, TickBook(), place.clock, place.log,
        loose=lambda plan_id, symbol: asked.append((plan_id, symbol)) or loose,
    )  # fmt: skip
    place.order("a", spread(3), 3, {LOW: 2})
    place.hold(LOW, 9)
    assert legs_of(place.look()) == ([(LOW, STC, closed)] if closed else [])
    assert asked == [("plan-a", LOW)]


def test_each_leg_alone_is_told_once_also_when_another_comes_and_goes():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.hold(LOW, 2)
    place.look()
    place.hold(LOW, 0)
    place.look()
    place.hold(LOW, 2)
    place.look()
    assert len(place.alarms) == 1


def test_the_next_closer_has_a_name_of_its_own_and_gives_way_a_tick():
    place = Place()
    place.order("a", spread(3), 3, {HIGH: 2})
    place.hold(HIGH, -2)
    for number, price in ((1, "-2.10"), (2, "-2.11"), (3, "-2.11")):
        (order,) = place.look()
        assert (order.intent_id, str(order.net_price)) == (f"oa-NVDA260417C00180000-{number}", price)
        place.ledger.add(OrderRecord(order, OrderState.CANCELLED))


@pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.FILLED, OrderState.LIVE])
def test_an_order_of_which_more_may_come_leaves_nothing_alone(state):
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2}, state)
    place.hold(LOW, 2)
    assert place.look() == ()


def test_a_replacement_that_the_broker_never_took_holds_no_closer_up():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.order("a.1", spread(1), 1, {}, OrderState.NOT_ACCEPTED, replaces="a")
    place.hold(LOW, 2)
    assert legs_of(place.look()) == [(LOW, STC, 2)]


def test_an_order_of_one_leg_and_one_that_somebody_placed_elsewhere_leave_nothing_alone():
    place = Place()
    place.order("a", (Leg(LOW, BTO, 3),), 3, {LOW: 2})
    place.order("b", spread(3), 3, {LOW: 2}).external = True
    place.hold(LOW, 4)
    assert place.look() == ()


@pytest.mark.parametrize(
    ("legs", "units", "fills", "held", "closes"),
    [
        (spread(4, ratio=2), 4, {LOW: 2, HIGH: 3}, {LOW: 2, HIGH: -3}, [(HIGH, BTC, 1), (LOW, STC, 1)]),
        (spread(4), 4, {LOW: 3, HIGH: 3}, {LOW: 3, HIGH: -3}, []),
        (spread(4, STC, BTC), 4, {LOW: 3, HIGH: 1}, {LOW: 1, HIGH: -3}, [(HIGH, BTC, 2)]),
        (spread(4, STC, BTC, 2), 4, {LOW: 1, HIGH: 5}, {LOW: 3, HIGH: -3}, [(HIGH, BTC, 1), (LOW, STC, 2)]),
        (spread(4, STC, STO), 4, {LOW: 3, HIGH: 1}, {LOW: 1, HIGH: -1}, []),  # a roll of one leg into one
        (spread(2, STC, STO, 2), 2, {LOW: 1, HIGH: 3}, {LOW: 1, HIGH: -3}, []),  # what opens alone has no partner
        (spread(2, BTO, BTC, 2), 2, {LOW: 1, HIGH: 3}, {LOW: 1, HIGH: -1}, []),  # nor has what closes alone
        (spread(1, ratio=2), 1, {LOW: 1, HIGH: 2}, {LOW: 1, HIGH: -2}, []),
    ],
)
def test_what_is_alone_is_what_has_no_partner(legs, units, fills, held, closes):
    place = Place()
    place.order("a", legs, units, fills)
    for symbol, quantity in held.items():
        place.hold(symbol, quantity)
    assert legs_of(place.look()) == closes


def test_only_closes_of_this_leg_since_count_against_it():
    place = Place()
    place.order("old", (Leg(HIGH, BTC, 1),), 1, {HIGH: 1}, OrderState.FILLED)
    place.clock.advance(1)
    place.order("a", spread(5), 5, {HIGH: 5})
    place.order("opens", (Leg(HIGH, STO, 1),), 1, {HIGH: 1}, OrderState.FILLED)
    place.order("other", (Leg(LOW, BTC, 1),), 1, {LOW: 1}, OrderState.FILLED)
    place.order("whole", spread(1, STC, BTC), 1, {LOW: 1, HIGH: 1}, OrderState.FILLED)
    place.order("same", (Leg(HIGH, BTC, 1),), 1, {HIGH: 1}, OrderState.FILLED)
    place.clock.advance(1)
    place.order("later", (Leg(HIGH, BTC, 1),), 1, {HIGH: 1}, OrderState.FILLED)
    place.hold(HIGH, -9)
    assert legs_of(place.look()) == [(HIGH, BTC, 3)]
    assert legs_of(place.look(lambda symbol: 7 if symbol == HIGH else 0)) == [(HIGH, BTC, 2)]
    assert place.look(lambda symbol: 9) == ()


def test_what_a_working_close_covers_is_left_to_it_and_one_that_rests_gives_way():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.hold(LOW, 2)
    stop = place.order("stop", (Leg(LOW, STC, 2),), 2, {}, OrderState.LIVE, purpose=Purpose.EXIT, role=BracketRole.STOP)
    assert stop.intent.rests
    assert legs_of(place.look()) == [(LOW, STC, 2)]
    place.order("close", (Leg(LOW, STC, 1),), 1, {}, OrderState.LIVE, purpose=Purpose.EXIT)
    assert legs_of(place.look()) == [(LOW, STC, 1)]
    place.order("more", (Leg(LOW, STC, 1),), 1, {}, OrderState.LIVE, purpose=Purpose.EXIT)
    assert place.look() == ()


def test_a_leg_that_others_need_whole_is_nobodys_to_close_and_alarms_nobody():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.hold(LOW, 2)
    assert place.look(lambda symbol: 2) == ()
    assert place.alarms == []


def test_a_leg_that_the_broker_does_not_show_yet_waits():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.hold(LOW, 2)
    place.clock.advance(60)
    place.book.settle([], place.clock.now())
    assert place.book.settled(LOW) == 0
    assert place.look() == ()


def test_what_others_hold_of_the_same_contract_is_not_closed_beside_a_working_close():
    place = Place()
    place.order("a", spread(3), 3, {LOW: 2})
    place.hold(LOW, 5)
    place.order("close", (Leg(LOW, STC, 1),), 1, {}, OrderState.LIVE, purpose=Purpose.EXIT)
    assert legs_of(place.look(lambda symbol: 3)) == [(LOW, STC, 1)]


def test_without_a_quote_or_somebody_on_the_other_side_it_waits_and_the_next_leg_does_not():
    place = Place()
    place.order("a", spread(4, ratio=2), 4, {LOW: 2, HIGH: 3})
    place.hold(LOW, 2)
    place.hold(HIGH, -3)
    place.quotes.set(HIGH, 2.00, 0.0, place.clock.now())
    assert legs_of(place.look()) == [(LOW, STC, 1)]
    del place.quotes.table[HIGH]
    assert legs_of(place.look()) == [(LOW, STC, 1)]


def test_a_no_rests_five_minutes_and_only_for_its_own_leg():
    place = Place()
    place.order("a", spread(4, ratio=2), 4, {LOW: 2, HIGH: 3})
    place.hold(LOW, 2)
    place.hold(HIGH, -3)
    place.orphans.call_off(HIGH)
    assert legs_of(place.look()) == [(LOW, STC, 1)]
    place.clock.advance(REARM_NS / 1e9)
    assert legs_of(place.look()) == [(HIGH, BTC, 1), (LOW, STC, 1)]


def test_a_working_order_is_uneven_when_its_latest_fill_is_no_news_any_more():
    place = Place()
    record = place.order("a", spread(3), 3, {LOW: 1}, OrderState.LIVE)
    now = place.clock.now()
    assert not uneven(record, now + 15_000_000_000 - 1)
    assert uneven(record, now + 15_000_000_000)
    even = place.order("b", spread(3), 3, {LOW: 1, HIGH: 1}, OrderState.LIVE)
    assert not uneven(even, now + 60_000_000_000)
    out = place.order("e", spread(3, STC, BTC), 3, {LOW: 1, HIGH: 1}, OrderState.LIVE)
    assert not uneven(out, now + 60_000_000_000)
    assert not uneven(place.order("c", (Leg(LOW, BTO, 3),), 3, {LOW: 1}, OrderState.LIVE), now + 60_000_000_000)
    assert not uneven(place.order("d", spread(3), 3, {}, OrderState.LIVE), now + 60_000_000_000)


# --- what they are made of ---


@pytest.mark.parametrize(
    ("selling", "attempts", "price"),
    [
        (True, 0, "4.20"),
        (True, 1, "4.10"),
        (True, 5, "4.10"),
        (False, 0, "4.40"),
        (False, 1, "4.50"),
        (False, 5, "4.50"),
    ],
)
def test_an_exit_crosses_and_gives_way_one_tick_whichever_way_it_goes(selling, attempts, price):
    place = Place()
    place.quotes.set(LOW, 4.25, 4.40, place.clock.now())
    quote = place.quotes.quote(LOW)
    assert exit_price(quote, attempts, TickProgram.NICKEL, selling=selling) == Decimal(price)


def test_an_exit_between_two_ticks_lands_where_the_other_side_takes_it():
    place = Place()
    place.quotes.set(LOW, 2.03, 2.07, place.clock.now())
    quote = place.quotes.quote(LOW)
    assert exit_price(quote, 0, TickProgram.NICKEL, selling=True) == Decimal("2.00")
    assert exit_price(quote, 0, TickProgram.NICKEL, selling=False) == Decimal("2.10")


def test_whole_units_are_closable_where_every_leg_is_there():
    place = Place()
    legs = spread(1, ratio=2)
    place.hold(LOW, 5)
    place.hold(HIGH, -7)
    assert units_closable(place.book, place.ledger, legs) == 3


def test_a_positions_volatility_is_the_mean_of_the_contracts_that_matter():
    condor = (Leg("wing", BTO, 1), Leg("put", STO, 1), Leg("call", STO, 3), Leg("other wing", BTO, 2))
    ivs = {"wing": 0.9, "put": 0.2, "call": 0.4, "other wing": 0.6}
    assert volatility(condor, ivs.get, sold=True) == pytest.approx((0.2 + 3 * 0.4) / 4)
    assert volatility(condor, ivs.get, sold=False) == pytest.approx((0.9 + 2 * 0.6) / 3)
    assert volatility(condor, {**ivs, "call": None}.get, sold=True) is None
    assert volatility(condor[:1], ivs.get, sold=True) is None


def test_contracts_that_whole_positions_need_add_up():
    count = needed([(spread(1), 2), ((Leg(HIGH, STO, 2),), 3)])
    assert (count(LOW), count(HIGH), count("else")) == (2, 8, 0)

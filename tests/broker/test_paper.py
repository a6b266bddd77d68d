"""The paper broker answers like the real one, and remembers over a restart."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.broker.paper import PaperBroker
from qmterm.broker.paper_book import short_requirement
from qmterm.core.clock import NS, ManualClock, et_date, from_et
from qmterm.core.errors import BrokerError, JournalError
from qmterm.core.orders import (
    Action,
    BrokerOrder,
    BrokerPosition,
    Leg,
    OrderKind,
    OrderState,
    TimeInForce,
)
from qmterm.core.settings.broker import PaperSettings
from tests.broker.conftest import MONDAY, buy
from tests.sim.brokerage.fake_world import CALENDAR, CALL_230, CALL_240, PUT_210, PUT_220, fresh_world


class Kept:
    """A ledger that keeps text, as a file would."""

    def __init__(self):
        self.text = None
        self.saves = 0

    async def load(self):
        return None if self.text is None else json.loads(self.text)

    async def save(self, state):
        self.saves += 1
        self.text = json.dumps(state)


@pytest.fixture
def clock():
    return ManualClock(from_et(MONDAY, 10))


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def make(world, clock, kept):
    async def connected(**changes):
        settings = PaperSettings(**{"participation": 1.0, "latency_ms": 0, **changes})
        broker = PaperBroker(world, kept, clock, settings, calendar=CALENDAR)
        await broker.connect()
        return broker

    return connected


@pytest.fixture
async def paper(make):
    return await make()


async def move(paper, clock, world, seconds=1.0):
    clock.advance(seconds)
    world.now_ns = clock.now_ns
    for symbol, quote in list(world.quotes.items()):
        world.quotes[symbol] = replace(quote, time_ns=clock.now_ns)
    await paper.on_market(clock.now_ns)


def states(events):
    return [event.state for event in events if isinstance(event, BrokerOrder)]


async def test_an_order_lives_and_fills_at_the_market_with_fees(paper, clock, world):
    answer = await paper.place(buy(price="-5.30"))
    assert (answer.state, answer.external_id) == (OrderState.ROUTED, "qm-1")
    await move(paper, clock, world)
    events = paper.take_events()
    assert states(events) == [OrderState.LIVE, OrderState.FILLED]
    (fill,) = [event for event in events if isinstance(event, BrokerOrder)][-1].fills
    assert (fill.quantity, fill.price) == (2, Decimal("5.10"))
    assert fill.fees > 2
    state = await paper.account_state()
    assert state.balance.cash == Decimal(100_000) - 2 * 510 - fill.fees
    assert [(p.symbol, p.quantity, p.average_open_price) for p in state.positions] == [(CALL_230, 2, Decimal("5.10"))]
    assert state.balance.net_liquidating_value == state.balance.cash + 2 * 505


async def test_a_limit_below_the_market_waits_and_a_displayed_size_fills_in_parts(paper, clock, world):
    world.set(CALL_230, 5.00, 5.10, size=3)
    await paper.place(buy(quantity=5, price="-1.00", intent_id="low"))
    await paper.place(buy(quantity=5, price="-5.10", intent_id="part"))
    await move(paper, clock, world)
    low, part = await paper.live_orders()
    assert (low.state, low.fills) == (OrderState.LIVE, ())
    assert (part.state, part.remaining, part.fills[0].quantity) == (OrderState.LIVE, (2,), 3)
    await move(paper, clock, world)
    part = (await paper.live_orders())[1]
    assert part.state is OrderState.FILLED
    assert sum(fill.quantity for fill in part.fills) == 5
    assert len({fill.fill_id for fill in part.fills}) == 2


async def test_partial_fills_cost_what_the_whole_would(paper, clock, world):
    world.set(CALL_230, 5.00, 5.10, size=7)
    await paper.place(buy(quantity=20, price="-5.10"))
    for _ in range(3):
        await move(paper, clock, world)
    (order,) = await paper.live_orders()
    assert len(order.fills) == 3
    world.set(CALL_230, 5.00, 5.10, size=100)
    await paper.place(buy(quantity=20, price="-5.10", intent_id="whole"))
    await move(paper, clock, world)
    whole = (await paper.live_orders())[1]
    assert sum(fill.fees for fill in order.fills) == sum(fill.fees for fill in whole.fills)


async def test_stale_or_absent_quotes_fill_nothing(paper, clock, world):
    await paper.place(buy(price="-5.30"))
    clock.advance(31)
    await paper.on_market(clock.now_ns)
    del world.quotes[CALL_230]
    await paper.on_market(clock.now_ns)
    assert states(await paper.live_orders()) == [OrderState.LIVE]


async def test_nothing_fills_outside_the_session(paper, clock, world):
    clock.now_ns = from_et(MONDAY, 9, 29)
    await paper.place(buy(price="-5.30"))
    await move(paper, clock, world, 10)
    assert states(await paper.live_orders()) == [OrderState.LIVE]
    await move(paper, clock, world, 60)
    assert states(await paper.live_orders()) == [OrderState.FILLED]


async def test_a_cancel_ends_the_order_and_an_ended_one_cannot_be_cancelled(paper, clock, world):
    answer = await paper.place(buy(price="-1.00"))
    await paper.cancel(answer.broker_id)
    assert states(paper.take_events())[-2:] == [OrderState.CANCEL_REQUESTED, OrderState.CANCELLED]
    with pytest.raises(BrokerError) as refused:
        await paper.cancel(answer.broker_id)
    assert refused.value.code == "cannot_update_order"


async def test_a_close_takes_what_is_held_and_not_more(paper, clock, world):
    close = buy(quantity=2, price="5.00", intent_id="close", action=Action.SELL_TO_CLOSE)
    with pytest.raises(BrokerError) as refused:
        await paper.place(close)
    assert refused.value.code == "cannot_close_against_more_than_existing_position"
    await paper.place(buy(price="-5.30"))
    await move(paper, clock, world)
    await paper.place(replace(close, net_price=Decimal("9.00")))
    with pytest.raises(BrokerError):
        await paper.place(replace(close, intent_id="again"))
    working = [order for order in await paper.live_orders() if order.state is OrderState.LIVE]
    await paper.cancel(working[0].broker_id)
    await paper.place(replace(close, intent_id="again"))
    await move(paper, clock, world)
    state = await paper.account_state()
    assert state.positions == ()
    assert state.balance.cash == state.balance.net_liquidating_value


async def test_money_that_is_reserved_cannot_be_spent_twice(make, clock, world):
    paper = await make(starting_cash=Decimal(1200))
    await paper.place(buy(quantity=2, price="-5.00"))
    with pytest.raises(BrokerError) as refused:
        await paper.place(buy(quantity=1, price="-5.00", intent_id="second"))
    assert refused.value.code == "margin_check_failed"
    (order,) = await paper.live_orders()
    await paper.cancel(order.broker_id)
    await paper.place(buy(quantity=1, price="-5.00", intent_id="second"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"net_price": Decimal("5.10")}, "cant_buy_for_credit"),
        ({"net_price": Decimal(0)}, "bad_order"),
        ({"legs": (Leg(CALL_230, Action.SELL_TO_OPEN, 2),), "net_price": Decimal("5.00")}, "margin_check_failed"),
        ({"quantity": 1}, "bad_order"),
        ({"legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 2),) * 2}, "bad_order"),
        ({"legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 0),)}, "bad_order"),
        (
            {
                "legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 2), Leg(CALL_240, Action.BUY_TO_OPEN, 2)),
                "net_price": Decimal("7.00"),
            },
            "cant_buy_for_credit",
        ),
    ],
)
async def test_orders_a_broker_would_refuse_are_refused(paper, change, code):
    with pytest.raises(BrokerError) as refused:
        await paper.place(replace(buy(), **change))
    assert refused.value.code == code
    assert await paper.live_orders() == ()


async def test_a_credit_spread_holds_its_width_and_gives_it_back(paper, clock, world):
    spread = replace(
        buy(quantity=2, price="1.60"),
        legs=(Leg(PUT_220, Action.SELL_TO_OPEN, 2), Leg(PUT_210, Action.BUY_TO_OPEN, 2)),
        max_loss=Decimal(2 * 840),
    )
    await paper.place(spread)
    await move(paper, clock, world)
    state = await paper.account_state()
    assert state.balance.maintenance_requirement == Decimal(2 * 1000)
    assert state.balance.option_buying_power == state.balance.cash - 2000
    close = replace(
        spread,
        intent_id="close",
        net_price=Decimal("-2.00"),
        legs=(Leg(PUT_220, Action.BUY_TO_CLOSE, 2), Leg(PUT_210, Action.SELL_TO_CLOSE, 2)),
        max_loss=None,
    )
    await paper.place(close)
    await move(paper, clock, world)
    state = await paper.account_state()
    assert state.positions == ()
    assert state.balance.maintenance_requirement == 0


def test_a_short_without_cover_holds_its_whole_strike():
    def held(symbol, quantity):
        return BrokerPosition(symbol, quantity, Decimal(1), 100)

    assert short_requirement([held(PUT_220, -1)]) == 22_000
    assert short_requirement([held(CALL_240, -1), held(CALL_230, 1)]) == 0  # a debit spread risks no more
    assert short_requirement([held(CALL_230, -2), held(CALL_240, 1)]) == 1_000 + 23_000


async def test_everything_survives_a_restart(paper, make, clock, world, kept):
    await paper.place(buy(price="-5.30"))
    await move(paper, clock, world)
    await paper.place(buy(price="-1.00", intent_id="waits"))
    before = await paper.account_state()
    await paper.close()
    again = await make()
    assert await again.account_state() == before
    assert states(again.take_events()) == [OrderState.FILLED, OrderState.LIVE]
    third = await again.place(buy(price="-1.00", intent_id="third"))
    assert third.broker_id not in {order.broker_id for order in before.orders}


async def test_an_accepted_order_is_kept_before_it_is_answered(paper, kept):
    saves = kept.saves
    answer = await paper.place(buy())
    assert kept.saves == saves + 1
    assert answer.broker_id in {row["report"]["broker_id"] for row in json.loads(kept.text)["orders"]}


async def test_an_order_that_cannot_be_kept_is_not_accepted(paper, kept, clock, world):
    async def fail(state):
        raise JournalError("the disk is full")

    kept.save = fail
    with pytest.raises(BrokerError, match="disk is full") as refused:
        await paper.place(buy(price="-5.30"))
    assert refused.value.code == "not_saved"
    assert await paper.live_orders() == ()


async def test_a_fill_that_could_not_be_kept_happens_and_is_told_when_the_disk_is_back(paper, make, kept, clock, world):
    await paper.place(buy(quantity=1))
    paper.take_events()

    async def full(state):
        raise JournalError("the disk is full")

    working, kept.save = kept.save, full
    clock.advance(1)
    with pytest.raises(JournalError):
        await paper.on_market(clock.now())
    assert paper.take_events() == []
    kept.save = working
    clock.advance(1)
    await paper.on_market(clock.now())
    assert [e.state for e in paper.take_events() if isinstance(e, BrokerOrder)] == [OrderState.FILLED]
    again = await make()
    assert [position.quantity for position in (await again.account_state()).positions] == [1]
    await paper.on_market(clock.now())
    assert paper.take_events() == []


async def test_a_cancel_that_cannot_be_kept_is_no_cancel(paper, kept, clock, world):
    answer = await paper.place(buy(price="-1.00"))

    async def full(state):
        raise JournalError("the disk is full")

    working, kept.save = kept.save, full
    with pytest.raises(BrokerError, match="nothing was cancelled"):
        await paper.cancel(answer.broker_id)
    kept.save = working
    assert [order.state for order in await paper.live_orders()] == [OrderState.LIVE]
    await paper.cancel(answer.broker_id)
    assert [order.state for order in await paper.live_orders()] == [OrderState.CANCELLED]


async def test_an_account_nobody_can_read_is_refused_by_name(make, kept):
    kept.text = '{"version": 1}'
    with pytest.raises(BrokerError, match="saved paper account cannot be read"):
        await make()


async def test_day_orders_end_at_the_close_and_gtc_orders_stay(paper, clock, world):
    await paper.place(buy(price="-1.00"))
    await paper.place(replace(buy(price="-1.00", intent_id="gtc"), time_in_force=TimeInForce.GTC))
    clock.now_ns = from_et(MONDAY, 16)
    await paper.on_market(clock.now_ns)
    assert states(await paper.live_orders()) == [OrderState.EXPIRED, OrderState.LIVE]
    await paper.place(buy(price="-1.00", intent_id="evening"))  # works in the next session
    clock.now_ns = from_et(date(2026, 3, 3), 15, 59)
    await paper.on_market(clock.now_ns)
    assert [order.state for order in await paper.live_orders() if order.external_id == "evening"] == [OrderState.LIVE]


async def test_the_same_market_gives_the_same_fills(make, clock, world, kept):
    async def run():
        kept.text = None
        clock.now_ns = from_et(MONDAY, 10)
        fresh = fresh_world()
        world.quotes.update(fresh.quotes)
        paper = await make()
        await paper.place(buy(price="-5.07"))
        for _ in range(200):
            await move(paper, clock, world, 3)
        (order,) = await paper.live_orders()
        return [(fill.time_ns, fill.price, fill.quantity) for fill in order.fills]

    first = await run()
    assert first == await run()
    assert first[0][0] > from_et(MONDAY, 10) + 3 * NS  # inside the spread it takes its time
    assert first[0][1] == Decimal("5.07")


async def test_before_connecting_nothing_is_placed(world, clock, kept):
    paper = PaperBroker(world, kept, clock, PaperSettings(starting_cash=Decimal(1000)), calendar=CALENDAR)
    assert not paper.stream_up
    with pytest.raises(BrokerError, match="not connected"):
        await paper.place(buy())


# --- kinds and replace ---


def sell(kind, **more):
    return replace(buy(action=Action.SELL_TO_CLOSE, intent_id="qm-s"), kind=kind, **{"net_price": None, **more})


async def test_a_market_order_takes_the_far_side(paper, clock, world):
    await paper.place(replace(buy(), net_price=None, kind=OrderKind.MARKET))
    await move(paper, clock, world)
    assert reports(paper)[-1].fills[0].price == Decimal("5.10")


async def test_a_market_order_on_an_empty_book_is_refused(paper, world):
    world.set(CALL_230, 5.00, 0.0)
    with pytest.raises(BrokerError, match="nobody quotes") as refused:
        await paper.place(replace(buy(), net_price=None, kind=OrderKind.MARKET))
    assert refused.value.code == "empty_book"


async def test_a_stop_is_reached_by_the_bid_of_a_sale_and_stays_reached_over_a_restart(paper, make, clock, world):
    await paper.place(buy(price="-5.30"))
    await move(paper, clock, world)
    await paper.place(sell(OrderKind.STOP_LIMIT, stop_trigger=Decimal("4.50"), net_price=Decimal("4.40")))
    await move(paper, clock, world)
    assert reports(paper)[-1].state is OrderState.LIVE
    world.set(CALL_230, 4.20, 4.60)
    await move(paper, clock, world)  # reached, and the limit holds it back; nothing else saves the account
    paper.take_events()
    await move(paper, clock, world)
    assert paper.take_events() == []  # it is reached once
    again = await make()
    world.set(CALL_230, 4.70, 4.80)
    await move(again, clock, world)
    (stop,) = [order for order in reports(again) if order.external_id == "qm-s"]
    assert stop.state is OrderState.FILLED
    assert stop.fills[0].price == Decimal("4.70")


async def test_an_ioc_order_gets_what_is_there_and_the_rest_is_cancelled(paper, clock, world):
    world.set(CALL_230, 5.00, 5.10, size=1)
    await paper.place(replace(buy(), time_in_force=TimeInForce.IOC))
    await move(paper, clock, world)
    (order,) = reports(paper)
    assert (order.state, order.remaining) == (OrderState.CANCELLED, (1,))


async def test_a_gtd_order_ends_with_the_close_of_its_date(paper, clock, world):
    until = date(2026, 3, 3)
    await paper.place(replace(buy(price="-1.00"), time_in_force=TimeInForce.GTD, good_until=until))
    clock.now_ns = from_et(until, 15, 59)
    await move(paper, clock, world)
    assert reports(paper)[-1].state is OrderState.LIVE
    await move(paper, clock, world, 60)
    assert reports(paper)[-1].state is OrderState.EXPIRED


async def test_a_replacement_takes_over_what_is_still_open(paper, clock, world):
    world.set(CALL_230, 5.00, 5.10, size=1)
    old = await paper.place(buy(quantity=3))
    await move(paper, clock, world)
    paper.take_events()
    new = await paper.replace(old.broker_id, buy(quantity=3, price="-5.20", intent_id="qm-2"))
    assert (new.replaces, new.legs[0].quantity) == (old.broker_id, 2)
    assert states(paper.take_events()) == [OrderState.REPLACE_REQUESTED, OrderState.CANCELLED, OrderState.LIVE]
    with pytest.raises(BrokerError) as refused:
        await paper.replace(old.broker_id, buy(intent_id="qm-3"))
    assert refused.value.code == "cannot_update_order"


async def test_a_close_is_replaced_though_it_closes_all_that_is_held(paper, clock, world):
    await paper.place(buy(price="-5.30"))
    await move(paper, clock, world)
    old = await paper.place(sell(OrderKind.LIMIT, net_price=Decimal("9.00")))
    new = await paper.replace(
        old.broker_id, replace(sell(OrderKind.LIMIT, net_price=Decimal("5.00")), intent_id="qm-t")
    )
    await move(paper, clock, world)
    assert [order.state for order in reports(paper) if order.broker_id == new.broker_id] == [OrderState.FILLED]


async def test_a_replacement_that_cannot_be_saved_leaves_the_old_order_as_it_was(paper, kept, clock, world):
    old = await paper.place(buy(price="-1.00"))

    async def full(state):
        raise JournalError("disk full")

    kept.save = full
    with pytest.raises(BrokerError, match="nothing was replaced"):
        await paper.replace(old.broker_id, buy(price="-1.10", intent_id="qm-2"))
    assert [order.state for order in reports(paper)] == [OrderState.LIVE]


def reports(paper):
    return paper._book.reports


# --- on the way ---


async def test_an_order_works_when_it_has_arrived_and_not_before(make, clock, world):
    paper = await make(latency_ms=200)
    answer = await paper.place(buy(price="-5.30"))
    await move(paper, clock, world, 0.1)
    assert states(paper.take_events()) == [OrderState.ROUTED]
    await move(paper, clock, world, 0.1)
    assert states(paper.take_events()) == [OrderState.LIVE, OrderState.FILLED]
    assert answer.state is OrderState.ROUTED


async def test_a_fill_wins_against_a_cancel_on_its_way(make, clock, world):
    paper = await make(latency_ms=200)
    answer = await paper.place(buy(price="-4.00"))
    await move(paper, clock, world)
    await paper.cancel(answer.broker_id)
    await paper.cancel(answer.broker_id)  # asked again: the first still counts
    world.set(CALL_230, 3.80, 3.90)
    await move(paper, clock, world, 0.1)
    assert states(paper.take_events())[-1] is OrderState.FILLED


async def test_a_cancel_holds_when_it_arrives_over_a_restart_too(make, clock, world):
    paper = await make(latency_ms=200)
    answer = await paper.place(buy(price="-4.00"))
    await move(paper, clock, world)
    await paper.cancel(answer.broker_id)
    assert reports(paper)[-1].state is OrderState.CANCEL_REQUESTED
    again = await make(latency_ms=200)
    world.set(CALL_230, 3.80, 3.90)
    await move(again, clock, world, 0.2)
    assert [(order.state, order.fills) for order in reports(again)] == [(OrderState.CANCELLED, ())]


async def test_a_replacement_takes_over_when_it_arrives(make, clock, world):
    paper = await make(latency_ms=200)
    old = await paper.place(buy(price="-4.00"))
    await move(paper, clock, world)
    new = await paper.replace(old.broker_id, buy(price="-5.30", intent_id="qm-2"))
    await move(paper, clock, world, 0.1)
    assert [order.state for order in reports(paper)] == [OrderState.REPLACE_REQUESTED, OrderState.CONTINGENT]
    await move(paper, clock, world, 0.1)
    assert [order.state for order in reports(paper)] == [OrderState.CANCELLED, OrderState.FILLED]
    assert reports(paper)[0].replaced_by == new.broker_id


@pytest.mark.parametrize(("size", "left"), [(100, OrderState.FILLED), (1, OrderState.LIVE)])
async def test_a_fill_meanwhile_calls_the_replacement_off(make, clock, world, size, left):
    paper = await make(latency_ms=200)
    old = await paper.place(buy(price="-4.00"))
    await move(paper, clock, world)
    await paper.replace(old.broker_id, buy(price="-5.30", intent_id="qm-2"))
    world.set(CALL_230, 3.80, 3.90, size)
    await move(paper, clock, world, 0.1)
    world.set(CALL_230, 5.00, 5.10)
    await move(paper, clock, world, 0.1)
    assert [order.state for order in reports(paper)] == [left, OrderState.REMOVED]


async def test_an_ioc_order_is_not_ended_before_it_arrives(make, clock, world):
    paper = await make(latency_ms=200)
    await paper.place(replace(buy(), time_in_force=TimeInForce.IOC))
    await move(paper, clock, world, 0.1)
    await move(paper, clock, world, 0.1)
    assert [order.state for order in reports(paper)] == [OrderState.FILLED]


async def test_an_order_is_known_by_its_number_and_one_that_is_not_there_is_none(make, clock, world):
    paper = await make()
    answer = await paper.place(buy(price="-4.00"))
    await move(paper, clock, world)
    found = await paper.order(answer.broker_id)
    assert (found.external_id, found.state) == (answer.external_id, OrderState.LIVE)
    assert await paper.order("nobody's") is None
    assert await paper.orders_since(et_date(clock.now())) == ((found,), True)

"""Every kind of order and the replace, through the SDK over loopback at the simulated tastytrade."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import Action, BrokerOrder, Leg, OrderKind, OrderState, TimeInForce
from tests.broker.conftest import buy
from tests.sim.brokerage.fake_world import CALL_230, CALL_240

MARKET = replace(buy(), kind=OrderKind.MARKET, net_price=None, created_ns=1_772_463_600_000_000_000)
SELL = (Leg(CALL_230, Action.SELL_TO_CLOSE, 2),)
STOP = replace(
    MARKET, intent_id="qm-s", legs=SELL, purpose=buy(action=Action.SELL_TO_CLOSE).purpose, kind=OrderKind.STOP,
    stop_trigger=Decimal("4.50"),
)  # fmt: skip


def last(events, broker_id):
    return [e for e in events if isinstance(e, BrokerOrder) and e.broker_id == broker_id][-1]


async def run(broker, brokerage, step, steps=2):
    events = []
    for _ in range(steps):
        await step(1)
        assert await broker.wait_sequence(brokerage.account_sequence, 2)
        events.extend(broker.take_events())
    return events


async def hold(broker, brokerage, step):
    await broker.place(replace(MARKET, intent_id="qm-hold"))
    await run(broker, brokerage, step)


async def test_a_market_order_carries_no_price_and_takes_what_is_asked(broker, brokerage, step, wire):
    answer = await broker.place(MARKET)
    (body,) = wire.bodies("POST", "/orders")
    assert body["order-type"] == "Market"
    assert "price" not in body
    assert "price-effect" not in body
    assert (answer.kind, answer.net_price) == (OrderKind.MARKET, None)
    told = last(await run(broker, brokerage, step), answer.broker_id)
    assert (told.state, told.fills[0].price) == (OrderState.FILLED, Decimal("5.1"))


async def test_a_stop_waits_for_what_it_would_get_and_then_takes_it(broker, brokerage, step, wire, world):
    await hold(broker, brokerage, step)
    answer = await broker.place(STOP)
    assert wire.bodies("POST", "/orders")[-1]["stop-trigger"] == "4.50"
    assert (answer.kind, answer.stop_trigger) == (OrderKind.STOP, Decimal("4.5"))
    assert last(await run(broker, brokerage, step), answer.broker_id).state is OrderState.LIVE
    world.set(CALL_230, 4.40, 4.50)
    told = last(await run(broker, brokerage, step), answer.broker_id)
    assert (told.state, told.fills[0].price) == (OrderState.FILLED, Decimal("4.4"))


async def test_a_stop_limit_does_not_sell_below_its_limit(broker, brokerage, step, world):
    await hold(broker, brokerage, step)
    answer = await broker.place(replace(STOP, kind=OrderKind.STOP_LIMIT, net_price=Decimal("4.40")))
    world.set(CALL_230, 4.00, 4.10)
    await run(broker, brokerage, step)
    assert brokerage.book.quantity(CALL_230) == 2
    world.set(CALL_230, 4.40, 4.50)
    assert last(await run(broker, brokerage, step), answer.broker_id).state is OrderState.FILLED


async def test_what_an_ioc_order_does_not_get_at_once_is_cancelled(broker, brokerage, step, world):
    world.set(CALL_230, 5.00, 5.10, size=1)
    answer = await broker.place(replace(buy(), time_in_force=TimeInForce.IOC))
    told = last(await run(broker, brokerage, step), answer.broker_id)
    assert (told.state, sum(fill.quantity for fill in told.fills)) == (OrderState.CANCELLED, 1)


async def test_a_gtd_order_carries_its_date_and_ends_with_it(broker, brokerage, step, wire):
    until = date(2026, 3, 4)
    order = replace(buy(price="-4.00"), time_in_force=TimeInForce.GTD, good_until=until, created_ns=MARKET.created_ns)
    answer = await broker.place(order)
    assert wire.bodies("POST", "/orders")[-1]["gtc-date"] == "2026-03-04"
    assert (answer.time_in_force, answer.good_until) == ("GTD", until)
    await step(30 * 3600)
    (told,) = [order for order in await broker.live_orders() if order.broker_id == answer.broker_id] or [answer]
    assert told.state.working
    await step(24 * 3600)
    (told,) = [order for order in (await broker.account_state()).orders if order.broker_id == answer.broker_id]
    assert told.state is OrderState.EXPIRED


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MARKET, net_price=Decimal("-5.10")),
        replace(MARKET, time_in_force=TimeInForce.GTC),
        replace(STOP, stop_trigger=None),
        replace(STOP, stop_trigger=Decimal("4.503")),
        replace(buy(), time_in_force=TimeInForce.GTD),
        replace(buy(), net_price=None),
    ],
)
async def test_an_order_against_the_rules_never_leaves(broker, wire, wrong):
    with pytest.raises(BrokerError, match="was not sent") as refused:
        await broker.place(wrong)
    assert refused.value.code == "bad_order"
    assert wire.count("POST", "/orders") == 0


# --- replace ---


async def test_a_replace_is_one_put_and_the_new_order_takes_over(broker, brokerage, step, wire):
    old = await broker.place(buy(price="-4.00"))
    await run(broker, brokerage, step)
    new = await broker.replace(old.broker_id, buy(price="-5.10", intent_id="qm-2"))
    assert (new.external_id, new.replaces, new.state) == ("qm-2", old.broker_id, OrderState.CONTINGENT)
    (body,) = wire.bodies("PUT", f"/orders/{old.broker_id}")
    assert "legs" not in body
    assert (body["price"], body["external-identifier"]) == ("5.10", "qm-2")
    events = await run(broker, brokerage, step)
    gone = last(events, old.broker_id)
    assert (gone.state, gone.replaced_by) == (OrderState.CANCELLED, new.broker_id)
    assert OrderState.REPLACE_REQUESTED in [
        e.state for e in events if isinstance(e, BrokerOrder) and e.broker_id == old.broker_id
    ]
    assert last(events, new.broker_id).state is OrderState.FILLED
    assert brokerage.book.quantity(CALL_230) == 2


async def test_a_replacement_is_for_what_is_still_open(broker, brokerage, step, world):
    world.set(CALL_230, 5.00, 5.10, size=1)
    old = await broker.place(buy(quantity=4, price="-5.10"))
    await run(broker, brokerage, step, 1)
    world.set(CALL_230, 5.30, 5.40, size=100)
    new = await broker.replace(old.broker_id, buy(quantity=4, price="-5.40", intent_id="qm-2"))
    assert new.legs[0].quantity == 3
    await run(broker, brokerage, step)
    assert brokerage.book.quantity(CALL_230) == 4


async def test_a_fill_of_the_original_calls_its_replacement_off(broker, brokerage, step, world):
    brokerage.faults.arm({"fault": "late_fill", "seconds": 60})
    old = await broker.place(buy(price="-5.10"))
    await run(broker, brokerage, step)
    new = await broker.replace(old.broker_id, buy(price="-5.05", intent_id="qm-2"))
    events = await run(broker, brokerage, step)
    assert last(events, old.broker_id).state is OrderState.FILLED
    assert last(events, new.broker_id).state is OrderState.REMOVED
    assert brokerage.book.quantity(CALL_230) == 2


async def test_what_has_ended_cannot_be_replaced(broker, brokerage, step):
    old = await broker.place(buy(price="-5.10"))
    await run(broker, brokerage, step)
    with pytest.raises(BrokerError) as refused:
        await broker.replace(old.broker_id, buy(intent_id="qm-2"))
    assert refused.value.code == "cannot_update_order"


@pytest.mark.parametrize("how", ["drop", "502", "torn"])
async def test_a_lost_answer_to_a_replace_is_unknown_and_read_back_finds_the_new_order(
    broker, brokerage, step, how, wire
):
    old = await broker.place(buy(price="-4.00"))
    await run(broker, brokerage, step)
    brokerage.faults.arm({"fault": "lost_ack", "how": how})
    with pytest.raises(OutcomeUnknown):
        await broker.replace(old.broker_id, buy(price="-4.10", intent_id="qm-2"))
    found = [order for order in (await broker.account_state()).orders if order.external_id == "qm-2"]
    assert [order.replaces for order in found] == [old.broker_id]
    assert wire.count("PUT", f"/orders/{old.broker_id}") == 1


async def test_a_spread_is_replaced_at_its_net_price(broker, brokerage, step):
    legs = (Leg(CALL_230, Action.BUY_TO_OPEN, 2), Leg(CALL_240, Action.SELL_TO_OPEN, 2))
    old = await broker.place(replace(buy(price="-2.90"), legs=legs))
    await run(broker, brokerage, step)
    new = await broker.replace(old.broker_id, replace(buy(price="-3.10", intent_id="qm-2"), legs=legs))
    assert last(await run(broker, brokerage, step), new.broker_id).state is OrderState.FILLED

"""Placing, cancelling and reading orders at the simulated tastytrade, with every request that left counted."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from aiohttp import web

from qmterm.core.clock import NS, et_date
from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import AccountBalance, Action, BrokerOrder, BrokerPosition, Leg, OrderState, TimeInForce
from qmterm.sim.brokerage.wire import render_order
from tests.broker.conftest import buy
from tests.sim.brokerage.fake_world import CALL_230, CALL_240

ORDERS = ("POST", "/orders")


def orders_in(events):
    return [event for event in events if isinstance(event, BrokerOrder)]


async def run(broker, brokerage, step, steps=6):
    """Let the market move and collect what the stream says of it."""
    events = []
    for _ in range(steps):
        await step(1)
        assert await broker.wait_sequence(brokerage.account_sequence, 2)
        events.extend(broker.take_events())
    return events


async def test_an_order_is_placed_once_and_its_life_arrives_by_stream(broker, brokerage, step, wire):
    answer = await broker.place(buy())
    assert (answer.state, answer.external_id, answer.net_price) == (OrderState.RECEIVED, "qm-1", Decimal("-5.10"))
    events = await run(broker, brokerage, step)
    states = [order.state for order in orders_in(events)]
    assert states[-1] is OrderState.FILLED
    assert OrderState.LIVE in states
    (fill,) = orders_in(events)[-1].fills
    assert (fill.symbol, fill.action, fill.quantity, fill.price) == (CALL_230, Action.BUY_TO_OPEN, 2, Decimal("5.1"))
    assert fill.broker_order_id == answer.broker_id
    assert abs(fill.time_ns - brokerage.world.now_ns) < 10 * 10**9
    assert [event.quantity for event in events if isinstance(event, BrokerPosition)][-1] == 2
    assert [event for event in events if isinstance(event, AccountBalance)][-1].cash < Decimal("99000")
    assert wire.count(*ORDERS) == 1


async def test_the_body_carries_our_id_the_sign_as_effect_and_no_strict_flag_on_an_open(broker, wire):
    await broker.place(buy())
    (body,) = wire.bodies(*ORDERS)
    assert body["external-identifier"] == "qm-1"
    assert (body["price"], body["price-effect"], body["order-type"]) == ("5.10", "Debit", "Limit")
    assert "advanced-instructions" not in body


async def test_a_close_carries_the_strict_flag_and_cannot_become_an_open(broker, wire):
    with pytest.raises(BrokerError) as refused:
        await broker.place(buy(price="5.00", action=Action.SELL_TO_CLOSE))
    (body,) = wire.bodies(*ORDERS)
    assert body["advanced-instructions"] == {"strict-position-effect-validation": True}
    assert body["price-effect"] == "Credit"
    assert refused.value.code
    assert wire.count(*ORDERS) == 1


async def test_a_spread_goes_out_as_one_order_and_each_leg_reports_its_fill(broker, brokerage, step, wire):
    spread = replace(
        buy(quantity=3, price="-3.10"),
        legs=(Leg(CALL_230, Action.BUY_TO_OPEN, 3), Leg(CALL_240, Action.SELL_TO_OPEN, 3)),
    )
    await broker.place(spread)
    events = await run(broker, brokerage, step)
    last = orders_in(events)[-1]
    assert last.state is OrderState.FILLED
    assert {(fill.symbol, fill.quantity) for fill in last.fills} == {(CALL_230, 3), (CALL_240, 3)}
    assert len({fill.fill_id for fill in last.fills}) == len(last.fills)
    assert len(wire.bodies(*ORDERS)[0]["legs"]) == 2


async def test_a_cancel_is_asked_once_and_ends_by_stream(broker, brokerage, step, wire):
    answer = await broker.place(buy(price="-1.00"))
    await run(broker, brokerage, step, 3)
    await broker.cancel(answer.broker_id)
    events = await run(broker, brokerage, step, 3)
    assert orders_in(events)[-1].state is OrderState.CANCELLED
    assert wire.count("DELETE", f"/orders/{answer.broker_id}") == 1
    with pytest.raises(BrokerError) as refused:
        await broker.cancel(answer.broker_id)
    assert refused.value.code == "cannot_update_order"


async def test_a_refusal_keeps_the_brokers_own_code_and_nothing_is_there(broker, wire):
    with pytest.raises(BrokerError) as refused:
        await broker.place(buy(quantity=400))
    assert refused.value.code == "margin_check_failed"
    assert not isinstance(refused.value, OutcomeUnknown)
    assert (await broker.account_state()).orders == ()
    assert wire.count(*ORDERS) == 1


@pytest.mark.parametrize("how", ["drop", "502"])
async def test_a_lost_answer_is_unknown_is_never_sent_again_and_is_found_by_our_id(broker, brokerage, wire, how):
    brokerage.faults.arm({"fault": "lost_ack", "how": how})
    with pytest.raises(OutcomeUnknown):
        await broker.place(buy(intent_id="qm-lost"))
    state = await broker.account_state()
    assert state.complete
    assert [order.external_id for order in state.orders] == ["qm-lost"]
    assert wire.count(*ORDERS) == 1


@pytest.mark.parametrize("fault", [{"fault": "timeout_before_accept"}, {"fault": "502", "path": "/orders"}])
async def test_an_answer_lost_before_acceptance_is_unknown_all_the_same(broker, brokerage, wire, fault):
    brokerage.faults.arm(fault)
    with pytest.raises(OutcomeUnknown):
        await broker.place(buy())
    assert (await broker.account_state()).orders == ()
    assert wire.count(*ORDERS) == 1


async def test_a_slow_answer_is_unknown_and_the_order_is_found(broker, brokerage, wire):
    brokerage.faults.arm({"fault": "stall", "path": "/orders", "seconds": 2.5})
    with pytest.raises(OutcomeUnknown):
        await broker.place(buy())
    assert wire.count(*ORDERS) == 1
    assert len((await broker.account_state()).orders) == 1


async def test_too_many_requests_on_an_order_is_left_to_the_evidence(broker, brokerage, wire):
    brokerage.faults.arm({"fault": "429", "path": "/orders"})
    with pytest.raises(OutcomeUnknown, match="429"):
        await broker.place(buy())
    assert wire.count(*ORDERS) == 1


@pytest.mark.parametrize(
    ("status", "body", "known"),
    [
        (500, {"error": {"code": "internal_error", "message": "boom"}}, False),
        (503, {"error": {"code": "unavailable", "message": "later"}}, False),
        (408, {"error": {"code": "timeout", "message": "slow"}}, False),
        (422, {"error": {"code": "preflight_check_failure", "message": "no"}}, True),
        (403, {"error": {"code": "not_permitted", "message": "no"}}, True),
        (400, {"error": {"code": "x", "message": "y", "errors": [{"domain": "legs", "reason": "bad"}]}}, True),
        (401, {"error": {"code": "invalid_session", "message": "stale"}}, True),
        (422, {"unheard": "of"}, False),
        (200, {"data": {}}, False),
        (200, {"data": {"order": {"id": 7}}}, False),
    ],
)
async def test_only_a_readable_4xx_is_certain(broker, wire, status, body, known):
    wire.instead[ORDERS] = [web.json_response(body, status=status)]
    with pytest.raises(BrokerError if known else OutcomeUnknown):
        await broker.place(buy())
    assert wire.count(*ORDERS) == 1


@pytest.mark.parametrize("text", ["<html>maintenance</html>", "", '{"data": {"order": {"id": 1, "stat'])
@pytest.mark.parametrize("status", [200, 403, 422])
async def test_an_answer_that_is_no_json_is_unknown(broker, wire, status, text):
    wire.instead[ORDERS] = [web.Response(status=status, text=text)]
    with pytest.raises(OutcomeUnknown):
        await broker.place(buy())
    assert wire.count(*ORDERS) == 1


async def test_an_accepted_order_whose_answer_the_sdk_rejects_is_read_without_it(broker, brokerage, wire):
    async def odd(request):
        (order,) = brokerage.desk.orders.values()
        body = {
            "id": order.order_id,
            "status": "Suspended By Goblins",
            "account-number": brokerage.account,
            "user-id": 99,
            "legs": [
                {"symbol": CALL_230, "action": "Buy to Open", "quantity": "2", "instrument-type": "Equity Option"}
            ],
            "external-identifier": "qm-1",
        }
        return web.json_response({"data": {"order": body}}, status=201)

    wire.after[ORDERS] = [odd]
    answer = await broker.place(buy())
    assert (answer.external_id, answer.state) == ("qm-1", OrderState.LIVE)
    assert any("Suspended By Goblins" in fault for fault in broker.told)
    assert wire.count(*ORDERS) == 1


async def test_nobody_there_is_certain_because_nothing_left(broker, settings, wire):
    broker._session.sdk._client.base_url = "http://127.0.0.1:9"
    with pytest.raises(BrokerError) as refused:
        await broker.place(buy())
    assert refused.value.code == "not_connected"
    assert wire.count(*ORDERS) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"net_price": Decimal("5.10")}, "needs a debit"),
        ({"net_price": Decimal(0)}, "zero has no side"),
        ({"net_price": Decimal("-5.105")}, "not on the grid"),
        ({"quantity": 0}, "above zero"),
        ({"legs": ()}, "1 to 4 legs"),
        ({"legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 2),) * 2}, "one leg only"),
        ({"legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 3),)}, "whole units"),
        ({"legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 2),), "quantity": 1}, "whole units"),
        ({"legs": (Leg("O:" + CALL_230.replace(" ", ""), Action.BUY_TO_OPEN, 2),)}, "OCC, 21 characters"),
        (
            {
                "legs": (Leg(CALL_230, Action.BUY_TO_OPEN, 2), Leg(CALL_240, Action.BUY_TO_OPEN, 2)),
                "net_price": Decimal("5.10"),
            },
            "needs a debit",
        ),
    ],
)
async def test_an_order_that_cannot_be_right_never_leaves(broker, wire, change, reason):
    with pytest.raises(BrokerError, match=reason) as refused:
        await broker.place(replace(buy(), **change))
    assert refused.value.code == "bad_order"
    assert wire.count(*ORDERS) == 0


async def test_the_brokers_words_cannot_steer_a_terminal(broker, wire):
    error = {"code": "margin_check_failed", "message": "no\x1b[2J\r\n money \ud83d"}
    wire.instead[ORDERS] = [web.json_response({"error": error}, status=422)]
    with pytest.raises(BrokerError) as refused:
        await broker.place(buy())
    assert refused.value.code == "margin_check_failed"
    assert str(refused.value).isprintable()
    assert "[2J" in str(refused.value)


@pytest.mark.parametrize("order", [[1], "placed", 7, None])
async def test_an_accepted_order_without_a_readable_object_is_unknown(broker, wire, order):
    wire.after[ORDERS] = [web.json_response({"data": {"order": order, "warnings": []}}, status=201)]
    with pytest.raises(OutcomeUnknown):
        await broker.place(buy())
    assert wire.count(*ORDERS) == 1
    assert len((await broker.account_state()).orders) == 1


async def test_an_answer_nested_too_deep_to_read_is_unknown(broker, wire):
    deep = '{"data":' + "[" * 20_000 + "]" * 20_000 + "}"
    wire.after[ORDERS] = [web.Response(text=deep, status=201, content_type="application/json")]
    with pytest.raises(OutcomeUnknown):
        await broker.place(buy())
    assert wire.count(*ORDERS) == 1


@pytest.mark.parametrize("data", [{"orders": []}, {"items": None}, {"items": {}}, {"items": [5]}])
async def test_a_list_that_is_not_there_is_never_an_empty_list(broker, wire, data):
    """Else an order of unknown outcome would count as not accepted, and a position as gone."""
    for end in ("/orders/live", "/orders"):
        wire.instead[("GET", end)] = [web.json_response({"data": data})]
        assert not (await broker.account_state()).complete
    wire.instead[("GET", "/positions")] = [web.json_response({"data": data})]
    with pytest.raises(BrokerError, match="positions"):
        await broker.account_state()
    wire.instead[("GET", "/orders/live")] = [web.json_response({"data": data})]
    with pytest.raises(BrokerError, match="live orders"):
        await broker.live_orders()


async def test_coins_and_futures_held_elsewhere_do_not_make_the_account_unreadable(broker, wire):
    coins = {"symbol": "SHIB/USD", "instrument-type": "Cryptocurrency", "quantity": "5000000000.5"}
    future = {"symbol": "/ESM6", "instrument-type": "Future", "quantity": 1, "multiplier": 50}
    stock = {"symbol": "AAPL", "instrument-type": "Equity", "quantity": "100", "multiplier": 1}
    rows = [{**row, "quantity-direction": "Long", "average-open-price": "1"} for row in (coins, future, stock)]
    wire.instead[("GET", "/positions")] = [web.json_response({"data": {"items": rows}})]
    state = await broker.account_state()
    assert [(position.symbol, position.quantity) for position in state.positions] == [("AAPL", 100)]


async def test_what_was_sent_before_a_long_weekend_is_looked_for_after_it(connect, wire, world):
    asked = []

    async def history(request):
        asked.append(request.query["start-date"])
        return web.json_response({"data": {"items": []}, "pagination": {"total-pages": 1}})

    async def broken(request):
        asked.append(request.query["start-date"])
        return web.Response(status=502)

    wire.instead[("GET", "/orders")] = [broken, history, history, history, history]
    broker = await connect()  # Monday, 2 March; the stream reads back when it comes up
    while len(asked) < 2:
        await broker.account_state()
    assert asked[:2] == ["2026-02-24"] * 2  # still from the beginning: the first reading was not complete
    await broker.account_state()
    assert asked[-1] == "2026-03-01"
    world.now_ns += 4 * 86_400 * NS  # the machine slept until Friday
    await broker.account_state()
    assert asked[-1] == "2026-03-01"
    await broker.account_state()
    assert asked[-1] == "2026-03-05"


async def test_a_history_that_cannot_count_its_pages_is_incomplete(broker, wire):
    wire.instead[("GET", "/orders")] = [web.json_response({"data": {"items": []}, "pagination": {"total-pages": "x"}})]
    assert not (await broker.account_state()).complete


async def test_a_dry_run_leaves_no_order_and_names_cost_and_warnings(broker, wire):
    estimate = await broker.dry_run(buy())
    assert estimate.buying_power_change < Decimal(-1000)
    assert estimate.fees < 0
    assert wire.count(*ORDERS) == 0
    assert (await broker.account_state()).orders == ()


async def test_the_account_is_read_whole_page_by_page(connect, wire):
    broker = await connect(page_size=10)
    for number in range(23):
        await broker.place(buy(quantity=1, price="-0.05", intent_id=f"qm-{number}"))
    state = await broker.account_state()
    assert state.complete
    assert [order.external_id for order in state.orders] == [f"qm-{number}" for number in range(23)]
    assert wire.count("GET", "/orders") >= 3
    assert (state.account, state.balance.cash) == ("5WT00001", Decimal(100_000))


async def test_a_missing_page_makes_the_reading_incomplete_not_wrong(connect, brokerage, wire):
    broker = await connect(page_size=10)
    for number in range(12):
        await broker.place(buy(quantity=1, price="-0.05", intent_id=f"qm-{number}"))
    wire.instead[("GET", "/orders")] = [web.Response(status=502, text="<html>")]
    state = await broker.account_state()
    assert not state.complete
    assert len(state.orders) == 12  # the live list still has them
    wire.instead[("GET", "/positions")] = [web.Response(status=502, text="<html>")]
    with pytest.raises(BrokerError, match="reading the positions"):
        await broker.account_state()


async def test_a_row_nobody_can_read_costs_that_row_and_completeness(broker, wire):
    await broker.place(buy())
    good = (await broker.live_orders())[0]

    async def with_rubbish(request):
        return web.json_response({"data": {"items": [{"id": 5, "status": "Live", "legs": []}]}})

    wire.instead[("GET", "/orders/live")] = [with_rubbish]
    state = await broker.account_state()
    assert not state.complete
    assert [order.broker_id for order in state.orders] == [good.broker_id]
    assert any("has no legs" in fault for fault in broker.told)


async def test_an_order_finds_a_warm_connection_even_while_a_poll_is_in_flight(broker, brokerage, wire):
    def open_ones():
        return set(broker._session.sdk._client._transport._pool.connections)

    before = open_ones()
    brokerage.faults.arm({"fault": "stall", "path": "/orders/live", "seconds": 0.2})
    await asyncio.gather(broker.live_orders(), broker.place(buy()))
    assert len(before) >= 2
    assert open_ones() == before
    assert broker.round_trip_ms > 0


async def test_an_order_that_no_list_shows_any_more_is_known_by_its_number(connect, brokerage, world):
    """A GTC order of last week, cancelled on the phone after the engine had stopped."""
    broker = await connect()
    placed = await broker.place(replace(buy(price="-0.10"), time_in_force=TimeInForce.GTC))
    world.now_ns += 9 * 86_400 * NS
    await brokerage.on_step(world.now_ns)
    await broker.cancel(placed.broker_id)
    for later_ns in (5 * NS, 86_400 * NS):
        world.now_ns += later_ns
        await brokerage.on_step(world.now_ns)
    again = await connect()
    assert placed.broker_id not in {order.broker_id for order in (await again.account_state()).orders}
    found = await again.order(placed.broker_id)
    assert (found.external_id, found.state) == ("qm-1", OrderState.CANCELLED)
    since, complete = await again.orders_since(et_date(placed.received_ns))
    assert (complete, [order.broker_id for order in since]) == (True, [placed.broker_id])


async def test_only_the_brokers_own_no_says_that_an_order_is_not_there(broker, wire):
    assert await broker.order("424242") is None
    for answer in (web.Response(status=404, text="<html>gone</html>"), web.json_response({"data": {"id": 1}})):
        wire.instead[("GET", "/orders/424242")] = [answer]
        with pytest.raises(BrokerError):
            await broker.order("424242")


def told_with(brokerage, **changes):
    """The broker's answer of its newest order, changed."""

    async def answer(_request):
        order = list(brokerage.desk.orders.values())[-1]
        return web.json_response({"data": {"order": render_order(order, brokerage.account) | changes}}, status=201)

    return answer


async def test_an_answer_without_our_tag_is_still_the_answer_to_our_order(broker, brokerage, wire):
    wire.after[ORDERS] = [told_with(brokerage, **{"external-identifier": None})]
    order = await broker.place(buy(intent_id="qm-mine"))
    assert (order.external_id, wire.count(*ORDERS)) == ("qm-mine", 1)


async def test_an_answer_about_an_order_of_another_tag_proves_nothing(broker, brokerage, wire):
    wire.after[ORDERS] = [told_with(brokerage, **{"external-identifier": "qm-other"})]
    with pytest.raises(OutcomeUnknown, match="qm-other"):
        await broker.place(buy(intent_id="qm-mine"))


async def test_a_replacement_is_the_order_that_the_answer_names_whatever_tag_it_has(broker, brokerage, wire):
    old = await broker.place(buy(intent_id="qm-old", price="-4.00"))
    path = ("PUT", f"/orders/{old.broker_id}")

    async def with_the_old_tag(_request):
        order = list(brokerage.desk.orders.values())[-1]
        return web.json_response({"data": render_order(order, brokerage.account) | {"external-identifier": "qm-old"}})

    wire.after[path] = [with_the_old_tag]
    new = await broker.replace(old.broker_id, buy(intent_id="qm-new", price="-4.05"))
    assert (new.external_id, new.broker_id != old.broker_id) == ("qm-new", True)


async def test_an_answer_that_shows_the_order_to_be_replaced_proves_no_replacement(broker, brokerage, wire):
    old = await broker.place(buy(intent_id="qm-old", price="-4.00"))

    async def the_old_one(_request):
        order = brokerage.desk.orders[int(old.broker_id)]
        return web.json_response({"data": render_order(order, brokerage.account)})

    wire.after["PUT", f"/orders/{old.broker_id}"] = [the_old_one]
    with pytest.raises(OutcomeUnknown, match="to be replaced"):
        await broker.replace(old.broker_id, buy(intent_id="qm-new", price="-4.05"))

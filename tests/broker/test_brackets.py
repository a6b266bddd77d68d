"""Brackets that rest at the broker: OTOCO, OTO and OCO through the SDK over loopback at the simulated tastytrade."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.broker.brackets import nested, to_sdk
from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import Action, BracketRole, Leg, OrderKind, OrderState, Purpose, TimeInForce
from tests.broker.conftest import buy
from tests.broker.test_order_kinds import last, run
from tests.sim.brokerage.fake_world import CALL_230

SELL = (Leg(CALL_230, Action.SELL_TO_CLOSE, 2),)
TRIGGER = replace(buy(), intent_id="qm-e", bracket_id="qm-e", role=BracketRole.TRIGGER, net_price=Decimal("-5.10"))
TARGET = replace(
    TRIGGER, intent_id="qm-t", role=BracketRole.TARGET, legs=SELL, purpose=Purpose.EXIT, net_price=Decimal("8.00"),
    time_in_force=TimeInForce.GTC, max_loss=None,
)  # fmt: skip
STOP = replace(TARGET, intent_id="qm-s", role=BracketRole.STOP, kind=OrderKind.STOP, net_price=None,
               stop_trigger=Decimal("3.00"))  # fmt: skip


async def states(broker):
    return {o.external_id: o.state for o in (await broker.account_state()).orders if o.complex_id}


async def test_a_bracket_leaves_as_one_call_with_a_tag_and_the_strict_flag_on_each_exit(broker, wire):
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    (body,) = wire.bodies("POST", "/complex-orders")
    assert body["type"] == "OTOCO"
    assert body["trigger-order"]["external-identifier"] == "qm-e"
    assert [order["external-identifier"] for order in body["orders"]] == ["qm-t", "qm-s"]
    assert all(order["advanced-instructions"]["strict-position-effect-validation"] for order in body["orders"])
    assert [(a.external_id, a.role, a.state) for a in answers] == [
        ("qm-e", BracketRole.TRIGGER, OrderState.CONTINGENT),
        ("qm-t", BracketRole.TARGET, OrderState.CONTINGENT),
        ("qm-s", BracketRole.STOP, OrderState.CONTINGENT),
    ]
    assert len({a.complex_id for a in answers}) == 1
    assert answers[0].complex_id is not None


async def test_the_exits_wait_for_the_trigger_and_the_target_ends_the_stop(broker, brokerage, step, world):
    await broker.place_bracket((TRIGGER, TARGET, STOP))
    await run(broker, brokerage, step)
    assert await states(broker) == {"qm-e": OrderState.FILLED, "qm-t": OrderState.LIVE, "qm-s": OrderState.LIVE}
    world.set(CALL_230, 8.10, 8.20)
    await run(broker, brokerage, step)
    assert await states(broker) == {"qm-e": OrderState.FILLED, "qm-t": OrderState.FILLED, "qm-s": OrderState.CANCELLED}
    assert brokerage.book.holdings() == {}


async def test_the_stop_ends_the_target(broker, brokerage, step, world):
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    await run(broker, brokerage, step)
    world.set(CALL_230, 2.90, 3.00)
    events = await run(broker, brokerage, step)
    assert last(events, answers[2].broker_id).fills[0].price == Decimal("2.9")
    assert last(events, answers[1].broker_id).state is OrderState.CANCELLED


async def test_a_cancel_of_the_bracket_ends_what_still_works_of_it(broker, brokerage, step, wire):
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    await run(broker, brokerage, step)
    await broker.cancel_bracket(answers[0].complex_id)
    await run(broker, brokerage, step)
    assert wire.count("DELETE", f"/complex-orders/{answers[0].complex_id}") == 1
    assert set((await states(broker)).values()) == {OrderState.FILLED, OrderState.CANCELLED}
    assert brokerage.book.quantity(CALL_230) == 2


async def test_an_exit_that_fills_first_makes_the_cancel_too_late(broker, brokerage, step, world):
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    await run(broker, brokerage, step)
    world.set(CALL_230, 8.10, 8.20)
    await run(broker, brokerage, step)
    with pytest.raises(BrokerError) as refused:
        await broker.cancel_bracket(answers[0].complex_id)
    assert refused.value.code == "cannot_update_order"


async def test_a_lost_answer_leaves_the_outcome_unknown_and_every_order_findable_by_its_tag(broker, brokerage):
    brokerage.faults.arm({"fault": "lost_ack", "how": "502"})
    with pytest.raises(OutcomeUnknown):
        await broker.place_bracket((TRIGGER, TARGET, STOP))
    assert set(await states(broker)) == {"qm-e", "qm-t", "qm-s"}


async def test_an_answer_without_all_of_its_orders_is_no_answer(broker, wire):
    body = {"data": {"complex-order": {"id": 5, "type": "OTOCO", "orders": []}}}
    from aiohttp import web

    wire.instead["POST", "/complex-orders"] = [web.json_response(body, status=201)]
    with pytest.raises(OutcomeUnknown):
        await broker.place_bracket((TRIGGER, TARGET, STOP))


async def test_a_refusal_leaves_nothing_behind(broker, brokerage):
    brokerage.faults.arm({"fault": "refuse", "code": "margin_check_failed"})
    with pytest.raises(BrokerError):
        await broker.place_bracket((TRIGGER, TARGET, STOP))
    assert not brokerage.desk.orders


async def test_a_pair_for_what_is_held_is_an_oco_and_a_trigger_with_a_stop_an_oto(broker, wire, brokerage, step):
    await broker.place_bracket((TRIGGER, STOP))
    await run(broker, brokerage, step)
    assert wire.bodies("POST", "/complex-orders")[0]["type"] == "OTO"
    pair = tuple(replace(i, intent_id=f"{i.intent_id}2", bracket_id="b2") for i in (TARGET, STOP))
    with pytest.raises(BrokerError) as refused:  # the first bracket's stop closes it already
        await broker.place_bracket(pair)
    assert refused.value.code == "cannot_close_against_more_than_existing_position"
    assert wire.bodies("POST", "/complex-orders")[1]["type"] == "OCO"


@pytest.mark.parametrize(
    "intents",
    [
        (STOP,),
        (TRIGGER, replace(TARGET, bracket_id="other")),
        (TRIGGER, TARGET, replace(TARGET, intent_id="qm-u")),
        (replace(TRIGGER, role=None), TARGET),
        (TARGET, replace(STOP, legs=(replace(SELL[0], quantity=1),), quantity=1)),
        (TRIGGER, replace(STOP, kind=OrderKind.MARKET, stop_trigger=None, time_in_force=TimeInForce.DAY)),
        (TRIGGER, replace(TARGET, kind=OrderKind.STOP, net_price=None, stop_trigger=Decimal(3))),
        (TRIGGER, replace(TARGET, legs=TRIGGER.legs)),
    ],
)
def test_what_is_no_bracket_does_not_leave(intents):
    with pytest.raises(BrokerError, match="was not sent"):
        to_sdk(intents)


def test_an_answer_to_something_else_names_no_orders():
    assert nested({}) == []
    assert nested({"complex-order": {"orders": [None, {"id": 1}]}}) == [{"id": 1}]


async def test_no_bracket_leaves_without_the_permission(broker, wire, monkeypatch):
    from qmterm.core.reasons import Reason

    monkeypatch.setattr(broker, "_permit", lambda _intent: Reason.NOT_ARMED)
    with pytest.raises(BrokerError, match="kept back at the last moment"):
        await broker.place_bracket((TRIGGER, STOP))
    assert wire.count("POST", "/complex-orders") == 0

"""The live adapter against the simulator posing as the real host: without a permit nothing leaves but cancels."""

import asyncio

import pytest

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.core.errors import BrokerError, Withheld
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.arming import Permit
from tests.broker.conftest import WorldClock, buy
from tests.broker.test_brackets import STOP, TARGET, TRIGGER
from tests.sim.brokerage.fake_world import TOKEN


@pytest.fixture
async def live(settings, world):
    """As wiring.py builds it for real money: not the test environment, with a permit that nobody has set yet."""
    permit = Permit()
    broker = TastytradeBroker(settings, TOKEN, TOKEN, clock=WorldClock(world), is_test=False, permit=permit)
    await broker.connect()
    broker.permit = permit
    yield broker
    await broker.close()


async def test_before_the_engine_has_set_its_rule_no_order_leaves(live, wire):
    with pytest.raises(BrokerError) as refusal:
        await live.place(buy(intent_id="p-1"))
    assert refusal.value.code == Reason.NOT_ARMED.value
    assert wire.count("POST", "/orders") == 0


async def test_an_order_leaves_while_it_is_permitted_and_its_cancel_always(live, wire):
    live.permit.rule = lambda intent: None
    order = await live.place(buy(intent_id="p-2"))
    assert wire.count("POST", "/orders") == 1
    live.permit.rule = lambda intent: Reason.NOT_ARMED
    await live.cancel(order.broker_id)
    assert wire.count("DELETE", f"/orders/{order.broker_id}") == 1
    (seen,) = await live.live_orders()
    assert seen.state in (OrderState.CANCELLED, OrderState.CANCEL_REQUESTED)
    with pytest.raises(BrokerError):
        await live.place(buy(intent_id="p-3"))
    assert wire.count("POST", "/orders") == 1


async def test_the_rule_sees_the_order_itself(live, wire):
    asked = []

    def closes_only(intent):
        asked.append(intent.intent_id)
        return None if intent.reduces else Reason.NOT_ARMED

    live.permit.rule = closes_only
    with pytest.raises(BrokerError):
        await live.place(buy(intent_id="p-4"))
    assert asked == ["p-4"]


async def test_a_working_order_cannot_be_replaced_without_a_permit(live, wire):
    live.permit.rule = lambda intent: None
    order = await live.place(buy(intent_id="p-5"))
    live.permit.rule = lambda intent: Reason.NOT_ARMED
    with pytest.raises(BrokerError) as refusal:
        await live.replace(order.broker_id, buy(intent_id="p-6"))
    assert refusal.value.code == Reason.NOT_ARMED.value
    assert wire.count("PUT", f"/orders/{order.broker_id}") == 0


class Turn:
    """Everybody's turn at the broker, when the test gives it."""

    def __init__(self, monkeypatch, broker) -> None:
        self.asked, self.given = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(broker._session._pacer, "turn", self._wait)

    async def _wait(self, _urgency) -> None:
        self.asked.set()
        await self.given.wait()


@pytest.mark.parametrize("rule", ["permit", "last_look"])
@pytest.mark.parametrize("kind", ["place", "replace", "ready", "bracket"])
async def test_what_is_forbidden_while_an_order_waits_for_its_turn_does_not_leave(live, wire, monkeypatch, kind, rule):
    live.permit.rule = lambda _intent: None
    first = await live.place(buy(intent_id="p-7"))
    ways = {
        "place": lambda: live.place(buy(intent_id="p-8")),
        "replace": lambda: live.replace(first.broker_id, buy(intent_id="p-8", price="-5.00")),
        "ready": lambda: live.ready((buy(intent_id="p-8"),)).leave(),
        "bracket": lambda: live.place_bracket((TRIGGER, TARGET, STOP)),
    }
    turn = Turn(monkeypatch, live)
    before = len(wire.requests)
    leaving = asyncio.ensure_future(ways[kind]())
    await turn.asked.wait()
    if rule == "permit":
        live.permit.rule = lambda _intent: Reason.NOT_ARMED
    else:
        live.last_look = lambda _intent: Reason.NOT_ARMED
    turn.given.set()
    with pytest.raises(Withheld) as kept:
        await leaving
    assert kept.value.code == Reason.NOT_ARMED.value
    assert [method for method, _, _ in wire.requests[before:] if method in ("POST", "PUT")] == []


async def test_an_order_that_is_built_anew_because_its_token_ended_is_asked_anew(live, wire, monkeypatch):
    asked = []

    def once(intent):
        asked.append(intent.intent_id)
        live._session.sdk.session_token = f"newer-{len(asked)}"  # renewed while it was held
        return None if len(asked) < 2 else Reason.LADDER_HALT

    live.permit.rule = lambda _intent: None
    live.last_look = once
    with pytest.raises(Withheld):
        await live.place(buy(intent_id="p-9"))
    assert (asked, wire.count("POST", "/orders")) == (["p-9", "p-9"], 0)


async def test_an_order_whose_token_ends_each_time_it_is_built_is_certainly_not_sent(live, wire):
    asked = []

    def renewed(_intent):
        asked.append(1)
        live._session.sdk.session_token = f"newer-{len(asked)}"

    live.permit.rule = lambda _intent: None
    live.last_look = renewed
    with pytest.raises(BrokerError) as refused:
        await live.place(buy(intent_id="p-9"))
    assert (refused.value.code, len(asked), wire.count("POST", "/orders")) == ("not_left", 3, 0)

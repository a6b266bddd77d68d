"""The live adapter against the simulator posing as the real host: without a permit nothing leaves but cancels."""

import pytest

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.core.errors import BrokerError
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.arming import Permit
from tests.broker.conftest import WorldClock, buy
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

"""Brackets in the paper account do what they do at the real broker, and survive a restart half way."""

from dataclasses import replace

import pytest

from qmterm.core.errors import BrokerError, JournalError
from qmterm.core.orders import BracketRole, BrokerOrder, OrderState
from tests.broker.test_brackets import STOP, TARGET, TRIGGER
from tests.broker.test_paper import clock, kept, make  # noqa: F401  (fixtures)
from tests.sim.brokerage.fake_world import CALL_230


async def states(broker):
    return {order.external_id: order.state for order in await broker.live_orders()}


async def test_the_exits_wait_until_the_trigger_filled_and_one_ends_the_other(make, clock, world):  # noqa: F811
    broker = await make()
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    assert [(a.role, a.complex_id) for a in answers] == [(r, answers[0].complex_id) for r in BracketRole]
    assert (await states(broker))["qm-t"] is OrderState.CONTINGENT
    await broker.on_market(clock.now())
    assert await states(broker) == {"qm-e": OrderState.FILLED, "qm-t": OrderState.LIVE, "qm-s": OrderState.LIVE}
    world.set(CALL_230, 2.80, 2.90)
    broker.take_events()
    await broker.on_market(clock.now())
    assert await states(broker) == {"qm-e": OrderState.FILLED, "qm-t": OrderState.CANCELLED, "qm-s": OrderState.FILLED}
    told = [e for e in broker.take_events() if isinstance(e, BrokerOrder)]
    assert [(o.external_id, o.state) for o in told] == [
        ("qm-s", OrderState.FILLED), ("qm-t", OrderState.CANCELLED),
    ]  # fmt: skip
    assert (await broker.account_state()).positions == ()


async def test_a_half_filled_trigger_that_is_cancelled_takes_its_exits_with_it(make, clock, world):  # noqa: F811
    broker = await make()
    world.set(CALL_230, 5.00, 5.10, size=1)
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    await broker.on_market(clock.now())
    assert (await states(broker))["qm-s"] is OrderState.CONTINGENT
    await broker.cancel(answers[0].broker_id)
    assert set((await states(broker)).values()) == {OrderState.CANCELLED}
    assert [p.quantity for p in (await broker.account_state()).positions] == [1]


async def test_a_bracket_half_way_survives_a_restart(make, clock, world):  # noqa: F811
    await (await make()).place_bracket((TRIGGER, TARGET, STOP))
    broker = await make()
    await broker.on_market(clock.now())
    world.set(CALL_230, 8.10, 8.20)
    await broker.on_market(clock.now())
    assert (await states(broker))["qm-t"] is OrderState.FILLED
    assert (await states(broker))["qm-s"] is OrderState.CANCELLED


async def test_a_cancel_by_the_brackets_number_ends_what_works_once(make, clock):  # noqa: F811
    broker = await make()
    answers = await broker.place_bracket((TRIGGER, TARGET, STOP))
    await broker.on_market(clock.now())
    await broker.cancel_bracket(answers[0].complex_id)
    assert (await states(broker))["qm-t"] is OrderState.CANCELLED
    with pytest.raises(BrokerError):
        await broker.cancel_bracket(answers[0].complex_id)


async def test_a_pair_needs_what_it_closes_and_counts_once(make, clock):  # noqa: F811
    broker = await make()
    pair = tuple(replace(intent, bracket_id="b2") for intent in (TARGET, STOP))
    with pytest.raises(BrokerError):
        await broker.place_bracket(pair)
    await broker.place(replace(TRIGGER, role=None, bracket_id=None))
    await broker.on_market(clock.now())
    await broker.place_bracket(pair)
    with pytest.raises(BrokerError, match="0 are held"):
        await broker.place(replace(TARGET, intent_id="more", role=None, bracket_id=None))


async def test_what_cannot_be_saved_is_not_placed_and_not_cancelled(make, kept, clock):  # noqa: F811
    broker = await make()

    async def full(state):
        raise JournalError("disk full")

    keep, kept.save = kept.save, full
    with pytest.raises(BrokerError, match="nothing was placed"):
        await broker.place_bracket((TRIGGER, STOP))
    assert await states(broker) == {}
    kept.save = keep
    answers = await broker.place_bracket((TRIGGER, STOP))
    kept.save = full
    with pytest.raises(BrokerError, match="nothing was cancelled"):
        await broker.cancel_bracket(answers[0].complex_id)
    assert (await states(broker))["qm-e"] is OrderState.LIVE


async def test_what_is_no_bracket_is_not_placed(make):  # noqa: F811
    with pytest.raises(BrokerError, match="was not placed"):
        await (await make()).place_bracket((STOP,))

"""What sells anything is tried at the broker first: the worse of its estimate and ours decides."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.broker.errors import UNREADABLE
from qmterm.core.errors import BrokerError
from qmterm.core.orders import Action, DryRun, Leg, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.commands import Kill, Pause
from tests.engine.fakes import CASH, OCC
from tests.engine.house import opened, plan

HIGH = "NVDA  260417C00180000"


def spread(house):
    house.quote(2.00, 2.10, HIGH)
    legs = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg(HIGH, Action.SELL_TO_OPEN, 1))
    loss = Decimal(217)
    changes = {"legs": legs, "net_price": Decimal("-2.15"), "max_loss": loss, "buying_power": loss}
    return replace(plan(now_ns=house.clock.now()), **changes)


async def send(house, the_plan, answer):
    asked = []

    async def dry_run(intent):
        asked.append(intent.intent_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    house.broker.dry_run = dry_run
    assert house.trader.open(the_plan, house.clock.monotonic()).approved
    await house.lanes.idle()
    (record,) = house.desk.ledger.records
    return record, asked


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (DryRun(Decimal(-1000), Decimal(0)), OrderState.RECEIVED, ""),
        (DryRun(-CASH, Decimal(0)), OrderState.RECEIVED, ""),
        (DryRun(-CASH - 1, Decimal(0)), OrderState.NOT_SENT, Reason.LIMIT_BUYING_POWER.value),
        (BrokerError("no spreads for you", "not_permitted"), OrderState.NOT_SENT, Reason.BROKER_REFUSED.value),
        (BrokerError("no answer", UNREADABLE), OrderState.RECEIVED, ""),
    ],
)
async def test_the_brokers_word_on_a_spread(answer, state, reason):
    async with opened() as house:
        record, asked = await send(house, spread(house), answer)
        assert (record.state, record.reason) == (state, reason)
        assert asked == [record.intent.intent_id]
        assert (record.intent.intent_id in house.broker.posts) is (state is OrderState.RECEIVED)


async def test_what_is_only_bought_is_not_asked_about():
    async with opened() as house:
        record, asked = await send(house, plan(now_ns=house.clock.now()), BrokerError("never asked"))
        assert record.state is OrderState.RECEIVED
        assert asked == []


@pytest.mark.parametrize("stop", ["kill", "pause", "cancel"])
async def test_what_is_stopped_while_the_broker_is_asked_is_never_sent(stop):
    """The question takes as long as an order: whoever stops the order meanwhile must be obeyed."""
    async with opened() as house:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def dry_run(_intent):
            asked.set()
            await answered.wait()
            return DryRun(Decimal(-1000), Decimal(0))

        house.broker.dry_run = dry_run
        assert house.trader.open(spread(house), house.clock.monotonic()).approved
        await asyncio.wait_for(asked.wait(), 5)
        (record,) = house.desk.ledger.records
        if stop == "kill":
            assert (await house.answering.answer(Kill())).ok
        elif stop == "pause":
            assert (await house.answering.answer(Pause())).ok
        else:
            await house.desk.cancel(record, "a person")
        answered.set()
        await house.lanes.idle()
        assert record.state is OrderState.NOT_SENT
        assert house.broker.posts == []

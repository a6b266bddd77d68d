"""A stop waits behind nothing of ours, and what works is not given up where nothing may follow it."""

from __future__ import annotations

import pytest

from qmterm.core.orders import OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.engine.commands import ApproveProposal, StageTicket
from qmterm.engine.protection import _cancel as gives_way
from qmterm.engine.tending import wanted_gone
from tests.engine.fakes import entry
from tests.engine.house import GONE, close_at, confirmed, opened, plan

WALKING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)


async def settle(house):
    """The broker does what it was asked: takes, cancels, replaces."""
    for record in list(house.working):
        state = house.broker.orders[record.broker_id].state
        if state is OrderState.CONTINGENT:
            for order in house.broker.took_over(record.broker_id):
                await house.desk.on_order(order)
        elif state is OrderState.CANCEL_REQUESTED:
            await house.ended(record.broker_id)
        elif state is OrderState.RECEIVED:
            await house.ended(record.broker_id, OrderState.LIVE)


async def test_a_stop_takes_the_machines_own_scale_out_away():
    async with opened(orders=WALKING) as house:
        await house.hold(4)
        house.quote(20.0, 22.0)
        close_at(house, 197.0)
        await house.turn()
        (profit,) = house.working
        assert profit.intent.purpose is Purpose.SCALE_OUT
        await settle(house)
        house.clock.advance(300)
        close_at(house, GONE)
        for _ in range(4):
            house.quote(3.0, 3.1)
            house.clock.advance(1)
            await house.turn()
            await settle(house)
        assert {record.intent.reason for record in house.working} == {Reason.ATR_STOP}
        assert sorted(record.intent.quantity for record in house.working) == [1, 3]  # what was free left at once
        assert profit.state is OrderState.CANCELLED


@pytest.mark.parametrize("typed", [False, True])
async def test_an_entry_of_the_machines_does_not_outlive_the_arming_and_a_persons_does(typed):
    async with opened() as house:
        if typed:
            await house.answering.answer(StageTicket("BUY 2 NVDA 17APR26 175C @ 4.00 db", send=True))
            await house.lanes.idle()
        else:
            house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=2)
            await house.lanes.idle()
        (entry,) = house.working
        await house.ended(entry.broker_id, OrderState.LIVE)
        await house.turn()
        assert house.broker.cancels == []
        house.money_refusal = Reason.NOT_ARMED
        await house.turn()
        assert house.broker.cancels == ([] if typed else [entry.broker_id])


async def test_a_stop_that_works_is_not_taken_away_for_a_price_that_may_not_be_sent():
    async with opened(Mode.CONFIRM, orders=WALKING) as house:
        await confirmed(house, 4)
        close_at(house, GONE)
        house.quote(3.0, 3.1)
        await house.turn()
        (waiting,) = house.trader.proposals.waiting
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
        await house.lanes.idle()
        (stop,) = house.working
        await house.ended(stop.broker_id, OrderState.LIVE)
        house.money_refusal = Reason.NOT_ARMED
        house.clock.advance(16)
        house.quote(2.9, 3.1)
        await house.turn()
        assert house.broker.cancels == []
        house.money_refusal = None
        await house.turn()
        assert house.broker.cancels == [stop.broker_id]


async def test_what_goes_for_a_stop_is_not_told_as_a_persons_cancel():
    async with opened(orders=WALKING) as house:
        record = await house.desk.submit(entry("qm-1"))
        await house.ended(record.broker_id, OrderState.LIVE)
        other = await house.desk.submit(entry("qm-2"))
        await house.ended(other.broker_id, OrderState.LIVE)
        gives_way(record)
        other.unwanted = True
        gives_way(other)  # a person was first
        wanted = wanted_gone(house.trader, lambda: (), lambda record: False)
        assert [(each.intent.intent_id, why) for each, why in wanted] == [
            ("qm-1", "gives way to a stop"), ("qm-2", "by you"),
        ]  # fmt: skip

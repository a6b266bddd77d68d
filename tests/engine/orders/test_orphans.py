"""A leg alone after an order of several legs: told, closed, whoever sent the order and whatever it was for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.engine.commands import ApproveProposal, RejectProposal, RollPosition, StageTicket
from tests.engine.house import opened
from tests.engine.orders.test_spread_stops import BOUGHT, HIGH, LOW, at, hold, latched

WALKING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)


def alarms(house):
    return [line.text for line in house.log.lines if line.level == "alarm" and "ORPHAN_LEG" in line.text]


def one(record):
    (leg,) = record.intent.legs
    return leg.symbol, leg.action, leg.quantity


async def wait(house, seconds=15):
    house.clock.advance(seconds)
    at(house, 1.80, 0.90)
    await house.turn()


@pytest.mark.parametrize("orders", [None, WALKING])
async def test_a_close_that_took_one_leg_is_cancelled_and_the_other_leg_follows(orders):
    async with opened(orders=orders) as house:
        _position, exit_ = await latched(house)
        await house.filled(exit_.broker_id, 3, "1.80", LOW)
        await house.turn()
        assert house.working == (exit_,)  # the news of the other leg may be on its way
        await wait(house)
        assert house.broker.cancels == [exit_.broker_id]
        await house.ended(exit_.broker_id)
        await house.turn()
        (alone,) = house.working
        assert one(alone) == (HIGH, Action.BUY_TO_CLOSE, 3)
        assert alone.intent.reason is Reason.ORPHAN_LEG
        assert len(alarms(house)) == 1
        await house.filled(alone.broker_id, 3, "1.00", HIGH)
        for _ in range(3):
            await wait(house)
        assert (house.working, house.book.positions) == ((), ())
        assert len(alarms(house)) == 1


async def test_what_a_broken_close_left_goes_before_the_rest_of_the_position():
    async with opened() as house:
        position, exit_ = await latched(house)
        await house.filled(exit_.broker_id, 2, "1.80", LOW)
        await house.filled(exit_.broker_id, 1, "0.95", HIGH)
        assert (house.guards.of(position).state.quantity, house.guards.of(position).goal) == (1, 1)
        await house.ended(exit_.broker_id)
        await wait(house)
        (alone,) = house.working
        assert one(alone) == (HIGH, Action.BUY_TO_CLOSE, 1)
        await house.filled(alone.broker_id, 1, "1.00", HIGH)
        await house.turn()
        (rest,) = house.working
        assert ([leg.symbol for leg in rest.intent.legs], rest.intent.quantity) == ([LOW, HIGH], 1)
        await house.filled(rest.broker_id, 1, "1.80", LOW)
        await house.filled(rest.broker_id, 1, "1.00", HIGH)
        await house.turn()
        await house.oversight.protection.tidy()
        assert (house.working, house.book.positions, house.journal.protects) == ((), (), {})


@pytest.mark.parametrize(
    ("filled", "undo", "price"), [(LOW, Action.SELL_TO_CLOSE, "4.15"), (HIGH, Action.BUY_TO_CLOSE, "2.25")]
)
async def test_an_entry_of_which_one_leg_filled_is_cancelled_and_undone(filled, undo, price):
    async with opened() as house:
        house.quote(2.20, 2.30, HIGH)
        assert (await house.tickets.stage(StageTicket(BOUGHT, True))).ok
        await house.lanes.idle()
        (entry,) = house.working
        await house.filled(entry.broker_id, 2, price, filled)
        await wait(house)
        assert house.broker.cancels == [entry.broker_id]
        await house.ended(entry.broker_id)
        await house.turn()
        (alone,) = house.working
        assert one(alone) == (filled, undo, 2)
        await house.filled(alone.broker_id, 2, "1.00", filled)
        await wait(house)
        assert (house.working, house.book.positions) == ((), ())


async def test_an_entry_that_the_broker_calls_filled_leaves_nothing_alone_while_its_fills_come():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGH)
        assert (await house.tickets.stage(StageTicket(BOUGHT, True))).ok
        await house.lanes.idle()
        (entry,) = house.working
        await house.filled(entry.broker_id, 3, "4.15", LOW)
        await house.ended(entry.broker_id, OrderState.FILLED)
        await wait(house, 60)
        await house.oversight.protection.tidy()
        assert house.working == ()
        await house.filled(entry.broker_id, 3, "2.25", HIGH)
        (guard,) = house.guards.all  # and its stops wait for it
        assert guard.state.quantity == 3


async def test_a_roll_that_closed_one_leg_only_closes_the_other():
    async with opened() as house:
        await hold(house, BOUGHT)
        for strike, bid in ((175, 5.0), (180, 3.0)):
            house.quote(bid, bid + 0.1, f"NVDA  260515C00{strike}000")
        answer = await house.rolls.roll(RollPosition("NVDA 15MAY26 @ 0.10 db", send=True))
        assert answer.ok, answer.text
        await house.lanes.idle()
        (roll,) = house.working
        await house.filled(roll.broker_id, 3, "4.10", LOW)
        await house.desk.cancel(roll, "you")
        await house.ended(roll.broker_id)
        await wait(house)
        (alone,) = house.working
        assert one(alone) == (HIGH, Action.BUY_TO_CLOSE, 3)


async def test_a_leg_that_nobody_wants_does_not_hold_up_the_rest():
    """One long of two is left over and nobody bids for it: the unit that is whole still leaves."""
    async with opened() as house:
        _position, exit_ = await latched(house)
        await house.filled(exit_.broker_id, 2, "1.00", HIGH)
        await house.filled(exit_.broker_id, 1, "1.80", LOW)
        await house.ended(exit_.broker_id)
        house.clock.advance(15)
        house.quote(0.0, 1.80, LOW)
        house.quote(0.90, 1.00, HIGH)
        await house.turn()
        assert house.working == ()
        house.quote(0.0, 0.05, LOW)
        await house.turn()
        (rest,) = house.working
        assert one(rest) == (HIGH, Action.BUY_TO_CLOSE, 1)


async def test_what_a_person_closed_since_is_not_closed_again():
    async with opened() as house:
        _position, exit_ = await latched(house)
        await house.filled(exit_.broker_id, 3, "1.80", LOW)
        await house.ended(exit_.broker_id)
        house.clock.advance(1)
        assert (await house.tickets.stage(StageTicket("buy 3 NVDA 17APR26 180C @ 1.00 db", True))).ok
        await house.lanes.idle()
        (own,) = house.working
        await house.filled(own.broker_id, 3, "1.00", HIGH)
        house.book.adopt(BrokerPosition(HIGH, -2, Decimal(1), 100), "external", "", house.clock.now())
        await wait(house)
        assert house.working == ()


async def test_a_leg_of_another_whole_position_is_not_taken_for_one_left_alone():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        house.quote(2.20, 2.30, HIGH)
        assert (await house.tickets.stage(StageTicket(BOUGHT, True))).ok
        await house.lanes.idle()
        (second,) = house.working
        await house.filled(second.broker_id, 1, "2.25", HIGH)
        await house.ended(second.broker_id)
        house.book.adopt(
            BrokerPosition(HIGH, -3, Decimal(2), 100), "manual", guard.state.position_id, house.clock.now()
        )
        await wait(house, 1)
        assert [one(record) for record in house.working if len(record.intent.legs) == 1] == []


async def test_in_confirm_mode_a_leg_alone_is_a_question_that_a_no_silences_for_a_while():
    async with opened(mode=Mode.CONFIRM) as house:
        house.quote(2.20, 2.30, HIGH)
        await house.tickets.stage(StageTicket(BOUGHT, False))
        (waiting,) = house.trader.proposals.waiting
        house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price)))
        await house.lanes.idle()
        (entry,) = house.working
        await house.filled(entry.broker_id, 2, "2.25", HIGH)
        await house.ended(entry.broker_id)
        at(house, 4.10, 2.20)
        await house.turn()
        (question,) = house.trader.proposals.waiting
        assert (question.alarm, "ORPHAN_LEG" in question.why) == (True, True)
        await house.approvals.reject(RejectProposal(question.proposal_id))
        await house.turn()
        assert house.trader.proposals.waiting == ()
        house.clock.advance(300)
        at(house, 4.10, 2.20)
        await house.turn()
        (again,) = house.trader.proposals.waiting
        house.approvals.approve(ApproveProposal(again.proposal_id, str(again.net_price)))
        await house.lanes.idle()
        (closer,) = house.working
        assert one(closer) == (HIGH, Action.BUY_TO_CLOSE, 2)

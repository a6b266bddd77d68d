"""What was asked for and is wanted no more: a scale-out that is met, a question answered, a close called off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.core.orders import BracketRole
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ApproveProposal, CancelOrder, ClosePosition, StageOrder, StageTicket
from qmterm.engine.orders.shelf import Shelf
from tests.engine.fakes import OCC
from tests.engine.house import GONE, close_at, confirmed, opened
from tests.engine.orders.test_resting import RESTING, enter, fresh, gone, role

OTHER = "NVDA  260417C00180000"


def want(house, goal):
    """A scale-out of the rules."""
    guard = house.guards.of("P1")
    house.guards._guards["P1"] = replace(guard, goal=goal, reason=Reason.SCALE_OUT)


def closing(house):
    return [(record.intent.reason, record.intent.quantity) for record in house.working if not record.intent.rests]


def approve(house):
    (proposal,) = house.trader.proposals.waiting
    return house.approvals.approve(ApproveProposal(proposal.proposal_id, str(proposal.net_price)))


async def waiting_scale_out(house):
    """Two of four are to be sold, and wait for the exits at the broker to go."""
    await enter(house, 4)
    want(house, 2)
    await house.turn()
    await house.lanes.idle()
    assert house.trader.way.waits(OCC)


async def test_a_scale_out_that_a_resting_target_met_meanwhile_sells_nothing_more():
    async with opened(orders=RESTING) as house:
        await waiting_scale_out(house)
        target, stop = role(house, BracketRole.TARGET), role(house, BracketRole.STOP)
        await house.filled(target.broker_id, 2, "4.30")  # while its cancel is on the way
        for record in (target, stop):
            await house.ended(record.broker_id)
        fresh(house)
        await house.turn()
        await house.lanes.idle()
        assert (house.book.quantity(OCC), house.guards.of("P1").goal) == (2, 0)
        assert closing(house) == []


async def test_a_scale_out_whose_way_is_free_leaves_in_the_same_turn():
    async with opened(orders=RESTING) as house:
        await waiting_scale_out(house)
        await gone(house)
        fresh(house)
        await house.turn()
        await house.lanes.idle()
        assert closing(house) == [(Reason.SCALE_OUT, 2)]


async def test_a_stop_that_waited_over_the_bell_does_not_leave_into_a_closed_market():
    async with opened(orders=RESTING) as house:
        await enter(house, 4)
        close_at(house, GONE)
        await house.turn()
        await house.lanes.idle()
        house.open = False
        await gone(house)
        house.clock.advance(5)
        await house.turn()
        await house.lanes.idle()
        assert closing(house) == []
        house.open = True
        fresh(house)
        await house.turn()
        await house.lanes.idle()
        assert [quantity for _, quantity in closing(house)] == [4]


async def test_what_a_person_approved_and_that_waits_is_not_asked_again():
    async with opened(orders=RESTING) as house:
        await enter(house, 4)
        house.trader.mode = Mode.CONFIRM
        want(house, 2)
        await house.turn()
        assert approve(house).ok
        await house.lanes.idle()
        house.clock.advance(1)
        fresh(house)
        await house.turn()
        assert house.trader.proposals.waiting == ()
        want(house, 4)  # more than that is asked
        await house.turn()
        assert [proposal.quantity for proposal in house.trader.proposals.waiting] == [4]


@pytest.mark.parametrize(("goal", "sold", "left"), [(2, 2, []), (3, 1, [2]), (3, 2, [1])])
async def test_a_question_of_which_a_part_was_sold_meanwhile_is_taken_back(goal, sold, left):
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        want(house, goal)
        await house.turn()
        (asked,) = house.trader.proposals.waiting
        house.trader.mode = Mode.AUTO
        assert (await house.tickets.stage(StageTicket(f"sell {sold} NVDA 17APR26 175C @ 4.10", True))).ok
        house.trader.mode = Mode.CONFIRM
        await house.lanes.idle()
        (sale,) = house.working
        await house.filled(sale.broker_id, sold)
        assert [proposal.quantity for proposal in Shelf(house.trader).look()] == [asked.quantity]
        house.clock.advance(1)
        fresh(house)
        await house.turn()
        assert [proposal.quantity for proposal in house.trader.proposals.waiting] == left


async def test_a_question_that_is_wanted_as_it_stands_stays():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        want(house, 2)
        await house.turn()
        assert Shelf(house.trader).look() == ()


async def test_a_scale_out_gives_way_to_a_stop_for_all_of_it():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        want(house, 2)
        await house.turn()
        guard = house.guards.of("P1")
        house.guards._guards["P1"] = replace(guard, goal=4, reason=Reason.ATR_STOP)
        assert [proposal.quantity for proposal in Shelf(house.trader).look()] == [2]


async def test_a_close_that_waits_is_cancelled_by_the_id_that_its_answer_gave():
    async with opened(orders=RESTING) as house:
        await enter(house, 4)
        asked = await house.answering.answer(ClosePosition(OCC, send=True))
        answer = await house.answering.answer(CancelOrder(asked.data["order"]))
        assert (answer.ok, answer.text) == (True, "not sent (by you): SELL 4 NVDA 17APR26 175C @ 4.10 cr")
        assert not (await house.answering.answer(CancelOrder(asked.data["order"]))).ok  # it is gone
        await house.lanes.idle()
        await gone(house)
        await house.turn()
        assert closing(house) == []


async def test_a_leg_picked_by_hand_that_was_not_asked_for_says_so():
    async with opened() as house:
        house.quote(2.10, 2.20, OTHER)
        first, second = (house.approvals.stage(StageOrder(symbol, True, 1)) for symbol in (OCC, OTHER))
        assert first.ok
        assert (second.ok, second.text) == (False, "an entry of yours in NVDA waits in pane 5 already: answer it first")
        assert [proposal.legs[0].symbol for proposal in house.trader.proposals.waiting] == [OCC]


async def approved_scale_out(house, goal=2):
    """In confirm mode: a person said yes to it, and it waits for the exits at the broker to go."""
    await enter(house, 4)
    house.trader.mode = Mode.CONFIRM
    want(house, goal)
    await house.turn()
    assert approve(house).ok
    await house.lanes.idle()
    assert house.trader.way.waits(OCC)


@pytest.mark.parametrize(("goal", "left"), [(2, []), (3, [(Reason.SCALE_OUT, 1)])])
async def test_an_approved_scale_out_sells_no_more_than_is_wanted_once_its_way_is_free(goal, left):
    async with opened(orders=RESTING) as house:
        await approved_scale_out(house, goal)
        target, stop = role(house, BracketRole.TARGET), role(house, BracketRole.STOP)
        await house.filled(target.broker_id, 2, "4.30")  # while its cancel is on the way
        for record in (target, stop):
            await house.ended(record.broker_id)
        fresh(house)
        await house.turn()
        await house.lanes.idle()
        assert closing(house) == left


async def test_a_yes_to_a_scale_out_that_was_met_a_moment_ago_sends_nothing():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        want(house, 2)
        await house.turn()
        want(house, 0)  # met, and the turn that takes the question away is still to come
        answer = approve(house)
        await house.lanes.idle()
        assert (answer.ok, answer.text.partition(":")[0]) == (False, "refused")
        assert closing(house) == []


@pytest.mark.parametrize("typed", ["sell 4 NVDA 17APR26 175C @ 9.00 gtc", None])
async def test_a_stop_is_asked_beside_whatever_else_of_the_trade_waits(typed):
    async with opened(orders=RESTING) as house:
        if typed is None:
            await approved_scale_out(house, 4)
        else:
            await enter(house, 4)
            house.trader.mode = Mode.CONFIRM
            assert (await house.tickets.stage(StageTicket(typed, True))).ok
            if house.trader.proposals.waiting:
                assert approve(house).ok
            assert house.trader.way.waits(OCC)
        guard = house.guards.of("P1")
        house.guards._guards["P1"] = replace(guard, goal=4, reason=Reason.ATR_STOP)
        house.clock.advance(1)
        fresh(house)
        await house.turn()
        assert [(proposal.reason, proposal.quantity) for proposal in house.trader.proposals.waiting] == [
            (Reason.ATR_STOP, 4)
        ]

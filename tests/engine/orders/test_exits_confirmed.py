"""Stops in confirm mode: an alarmed question, sent only when a person says so, asked again when it was not answered."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.orders import Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ApproveProposal, ClosePosition, RejectProposal, StageTicket, Terms
from qmterm.engine.orders.shelf import Shelf
from tests.engine.fakes import OCC
from tests.engine.house import GONE, close_at, confirmed, opened
from tests.engine.orders.test_spread_stops import HIGH, LOW, SOLD, at


async def test_in_confirm_mode_a_stop_is_an_alarmed_proposal_and_sends_nothing():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        sent = list(house.broker.posts)
        close_at(house, GONE)
        for _ in range(3):
            await house.turn()
        (waiting,) = house.trader.proposals.waiting
        assert waiting.alarm
        assert (waiting.purpose, waiting.reason, waiting.quantity) == (Purpose.EXIT, Reason.ATR_STOP, 4)
        assert house.broker.posts == sent
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 4)
        await house.turn()
        assert house.book.positions == ()
        assert house.trader.proposals.waiting == ()


@pytest.mark.parametrize(("bid", "stock"), [(4.10, GONE), (1.90, 178.0)])
async def test_a_refused_exit_rests_until_something_new_happened_then_asks_again(bid, stock):
    """A rejection re-arms the stop: the same bar, or the same low mark, must not ask again at once."""
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        close_at(house, stock)
        house.quote(bid, bid + 0.1)
        await house.turn()
        (waiting,) = house.trader.proposals.waiting
        await house.approvals.reject(RejectProposal(waiting.proposal_id))
        assert house.guards.of("P1").state.latched is None
        for _ in range(5):
            house.clock.advance(1)
            house.quote(bid, bid + 0.1)
            await house.turn()
        assert house.trader.proposals.waiting == ()
        house.clock.advance(300)
        house.quote(bid, bid + 0.1)
        close_at(house, stock)
        await house.turn()
        assert len(house.trader.proposals.waiting) == 1


async def test_an_unanswered_alarm_is_raised_again():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        close_at(house, GONE)
        await house.turn()
        (first,) = house.trader.proposals.waiting
        house.clock.advance(200)
        house.quote(4.00, 4.10)
        await house.turn()
        (second,) = house.trader.proposals.waiting
        assert first.proposal_id != second.proposal_id
        assert second.net_price == Decimal("4.00")


async def test_an_approved_exit_takes_the_better_price_the_market_offers_now():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        close_at(house, GONE)
        house.quote(4.10, 4.20)
        await house.turn()
        (waiting,) = house.trader.proposals.waiting
        house.quote(4.30, 4.40)
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
        await house.lanes.idle()
        (record,) = house.working
        assert record.intent.net_price == Decimal("4.30")


async def test_an_approved_exit_that_nobody_fills_is_taken_back_and_asked_again_lower():
    async with opened(Mode.CONFIRM) as house:
        await confirmed(house)
        close_at(house, GONE)
        house.quote(4.10, 4.20)
        await house.turn()
        (waiting,) = house.trader.proposals.waiting
        house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price)))
        await house.lanes.idle()
        (record,) = house.working
        house.clock.advance(20)
        house.quote(1.20, 1.30)
        await house.turn()
        assert house.broker.cancels == [record.broker_id]
        await house.ended(record.broker_id)
        await house.turn()
        (again,) = house.trader.proposals.waiting
        assert again.alarm
        assert again.net_price <= Decimal("1.20")


async def own_close_and_stop(house):
    """A person's close waits at a price of its own when the stop hits; returns both questions, the stop's first."""
    await confirmed(house)
    answer = house.approvals.close(ClosePosition(OCC, terms=Terms(limit=Decimal("4.90"))))
    assert answer.ok, answer.text
    close_at(house, GONE)
    for _ in range(3):
        await house.turn()
    return house.trader.proposals.waiting


async def test_a_close_of_ones_own_that_waits_does_not_stand_for_the_stops_question():
    async with opened(Mode.CONFIRM) as house:
        stop, own = await own_close_and_stop(house)
        assert (stop.reason, stop.alarm, stop.net_price) == (Reason.ATR_STOP, True, Decimal("4.10"))
        assert (own.reason, own.alarm, own.net_price) == (Reason.USER, False, Decimal("4.90"))
        again = house.approvals.close(ClosePosition(OCC, terms=Terms(limit=Decimal("4.80"))))
        assert len(house.trader.proposals.waiting) == 2, again.text


async def test_of_two_questions_about_one_position_only_one_order_leaves():
    async with opened(Mode.CONFIRM) as house:
        stop, own = await own_close_and_stop(house)
        assert house.approvals.approve(ApproveProposal(stop.proposal_id, str(stop.net_price))).ok
        await house.lanes.idle()
        refused = house.approvals.approve(ApproveProposal(own.proposal_id, str(own.net_price)))
        await house.lanes.idle()
        assert refused.refused
        (order,) = house.working
        assert order.intent.net_price == Decimal("4.10")


async def test_no_to_a_close_of_ones_own_leaves_the_stop_where_it_is():
    async with opened(Mode.CONFIRM) as house:
        stop, own = await own_close_and_stop(house)
        await house.approvals.reject(RejectProposal(own.proposal_id))
        assert house.guards.of("P1").state.latched is Reason.ATR_STOP
        await house.turn()
        assert house.trader.proposals.waiting == (stop,)


async def test_once_ones_own_close_has_filled_the_stops_question_goes():
    async with opened(Mode.CONFIRM) as house:
        stop, own = await own_close_and_stop(house)
        assert house.approvals.approve(ApproveProposal(own.proposal_id, str(own.net_price))).ok
        await house.lanes.idle()
        assert Shelf(house.trader).look() == ()  # it works, and may stay where it is: the alarm stands
        await house.filled(house.working[0].broker_id, 4, "4.90")
        assert Shelf(house.trader).look() == (stop,)
        assert house.journal.decisions[-1] == ("NVDA", "withdrawn", Reason.NOTHING_TO_CLOSE)


async def test_a_no_to_a_close_three_weeks_before_the_end_rests_five_minutes():
    async with opened(Mode.CONFIRM) as house:
        house.quote(2.20, 2.30, HIGH)
        await house.tickets.stage(StageTicket(SOLD, False))
        (entry,) = house.trader.proposals.waiting
        assert house.approvals.approve(ApproveProposal(entry.proposal_id, str(entry.net_price))).ok
        await house.lanes.idle()
        (order,) = house.working
        await house.filled(order.broker_id, 3, "4.15", LOW)
        await house.filled(order.broker_id, 3, "2.25", HIGH)
        house.clock.advance((date(2026, 3, 27) - date(2026, 3, 2)).days * 86_400)
        asked = []
        for second in range(302):
            house.clock.advance(1)
            at(house, 4.10, 2.20)
            await house.turn()
            for waiting in house.trader.proposals.waiting:
                asked.append((second, waiting.reason))
                await house.approvals.reject(RejectProposal(waiting.proposal_id))
        assert asked == [(0, Reason.SHORT_DTE_STOP), (300, Reason.SHORT_DTE_STOP)]

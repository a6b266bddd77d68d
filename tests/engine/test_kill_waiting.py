"""A close that waits for a resting exit to go was asked before the HALT, the flatten or the cancel: it goes with it."""

from __future__ import annotations

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ApproveProposal, CancelOrder, ClosePosition, Flatten, Kill
from qmterm.engine.ladder import Level
from tests.engine.fakes import OCC
from tests.engine.house import GONE, close_at, opened
from tests.engine.orders.test_resting import RESTING, enter, gone, later


@pytest.fixture
async def house():
    async with opened(orders=RESTING) as made:
        yield made


async def asked_to_close(house):
    """Held, its exits rest, and a person's close waits for them to go."""
    await enter(house)
    answer = await house.answering.answer(ClosePosition(OCC, send=True))
    assert answer.ok, answer.text
    assert house.trader.way.waits(OCC)


async def everything_ends(house):
    await house.lanes.idle()
    await gone(house)
    await later(house, 1)
    await later(house, 20)


async def test_a_kill_takes_a_persons_close_that_waits_and_the_broker_shows_nothing_left(house):
    await asked_to_close(house)
    posts = list(house.broker.posts)
    await house.answering.answer(Kill())
    await everything_ends(house)
    assert house.broker.posts == posts
    assert any("not sent (HALT): SELL 4 NVDA" in line.text for line in house.log.lines)
    assert house.oversight.proof.witness(await house.broker.account_state(), house.clock.now())


async def test_a_kill_takes_a_stop_that_a_person_approved_and_that_waits():
    async with opened(orders=RESTING) as house:
        await enter(house)
        house.trader.mode = Mode.CONFIRM
        close_at(house, GONE)
        await house.turn()
        (stop,) = house.trader.proposals.waiting
        answer = await house.answering.answer(ApproveProposal(stop.proposal_id, str(stop.net_price)))
        assert answer.ok, answer.text
        assert house.trader.way.waits(OCC)
        posts = list(house.broker.posts)
        await house.answering.answer(Kill())
        await everything_ends(house)
        assert house.broker.posts == posts


async def test_what_a_person_asks_after_the_kill_still_leaves_once_its_way_is_free(house):
    await enter(house)
    await house.answering.answer(Kill())
    assert (await house.answering.answer(ClosePosition(OCC, send=True))).ok
    await everything_ends(house)
    (close,) = house.working
    assert close.intent.reason is Reason.USER
    assert close.spared
    assert house.broker.cancels.count(close.broker_id) == 0


async def test_a_second_kill_takes_what_was_asked_after_the_first(house):
    await enter(house)
    await house.answering.answer(Kill())
    await house.answering.answer(ClosePosition(OCC, send=True))
    assert house.trader.way.waits(OCC)
    posts = list(house.broker.posts)
    await house.answering.answer(Kill())
    await everything_ends(house)
    assert house.broker.posts == posts


async def test_a_halt_of_the_machines_own_takes_what_waits_and_what_is_queued():
    async with opened() as house:
        await house.hold(4)

        async def breaks():
            raise ZeroDivisionError

        house.lanes.exit(breaks, "NVDA")
        posts = list(house.broker.posts)
        assert (await house.answering.answer(ClosePosition(OCC, send=True))).ok  # queued behind the job that breaks
        await house.lanes.idle()
        assert house.ladder.level is Level.HALT
        assert house.broker.posts == posts
    async with opened(orders=RESTING) as house:
        await asked_to_close(house)
        posts = list(house.broker.posts)
        house.oversight.lane_failed(ZeroDivisionError("a broken invariant"))
        await everything_ends(house)
        assert house.broker.posts == posts


async def test_trouble_with_the_journal_leaves_a_close_that_waits_alone(house):
    await asked_to_close(house)
    house.oversight.lane_failed(JournalError("disk full"))
    assert house.trader.way.waits(OCC)


async def test_a_flatten_closes_it_itself_and_once(house):
    await asked_to_close(house)
    await house.answering.answer(Flatten())
    await everything_ends(house)
    (close,) = house.working
    assert close.intent.purpose is Purpose.FLATTEN


async def test_cancel_all_takes_a_close_that_waits_and_says_so(house):
    await asked_to_close(house)
    posts = list(house.broker.posts)
    answer = await house.answering.answer(CancelOrder("all"))
    assert answer.ok
    assert "not sent (by you): SELL 4 NVDA 17APR26 175C" in answer.text
    await everything_ends(house)
    assert house.broker.posts == posts
    assert house.working == ()


async def test_a_stop_that_waited_asks_anew_after_cancel_all(house):
    await enter(house)
    close_at(house, GONE)
    await house.turn()
    assert house.trader.way.waits(OCC)
    await house.answering.answer(CancelOrder("all"))
    await house.lanes.idle()
    await gone(house)
    await later(house, 1)
    (stop,) = house.working
    assert stop.intent.reason is Reason.ATR_STOP

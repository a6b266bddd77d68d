"""Pause, resume, kill: nothing queued leaves after HALT, all cancels are asked, NORMAL needs an account that agrees."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.engine.commands import Flatten, Kill, Pause, Reconcile, Resume, Status, StopEngine
from qmterm.engine.ladder import Level
from qmterm.engine.orders.read_back import GONE
from qmterm.engine.view import LADDER
from tests.engine.fakes import OCC, entry, lost
from tests.engine.house import opened, plan

QUICK = OrderSettings(readback_window_s=0.2)


async def test_nothing_queued_leaves_after_a_kill():
    async with opened() as house:
        release = asyncio.Event()
        house.lanes.entry(release.wait)
        house.trader.open(plan(), 0.0)
        answer = await house.answering.answer(Kill())
        release.set()
        await house.lanes.idle()
        assert answer.ok
        assert house.broker.posts == []
        assert house.ladder.level is Level.HALT


async def test_nothing_that_waits_for_its_turn_at_the_broker_leaves_after_a_kill():
    async with opened() as house:
        release, there = asyncio.Event(), asyncio.Event()

        async def turn():
            there.set()
            await release.wait()

        house.broker.turn = turn
        house.trader.open(plan(), 0.0)
        await there.wait()
        (record,) = house.desk.ledger.working
        assert record.state is OrderState.SENT
        await house.answering.answer(Kill())
        release.set()
        await house.lanes.idle()
        assert (record.state, record.reason, house.broker.posts) == (OrderState.NOT_SENT, "LADDER_HALT", [])


async def test_a_kill_asks_for_every_cancel_and_withdraws_every_proposal():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        for number in range(5):
            await house.desk.submit(entry(f"qm-{number}"))
        answer = await house.answering.answer(Kill("ctl"))
        assert sorted(house.broker.cancels) == ["1000", "1001", "1002", "1003", "1004"]
        assert answer.text.startswith("HALT: 5 order(s)")
        assert house.trader.proposals.waiting == ()
        assert ("ladder", "HALT") in house.journal.rows
        assert house.journal.documents["ladder"]["KILL"]["by_person"] is True


async def test_every_line_about_the_ladder_names_the_level_it_is_about():
    """The screen keeps such a line while that level holds, and no longer."""
    async with opened() as house:
        await house.desk.submit(entry())
        for command, level in ((Pause(), "NO-NEW"), (Flatten("ctl"), "FLATTEN"), (Kill(), "HALT")):
            before = len(house.log.lines)
            await house.answering.answer(command)
            told = [line for line in house.log.lines[before:] if line.level in ("warn", "alarm")]
            assert told
            assert {line.subject for line in told} == {LADDER}
            assert all(level in line.text for line in told)


async def test_one_cancel_that_fails_holds_up_no_other_and_is_asked_again():
    async with opened() as house:
        for number in range(3):
            await house.desk.submit(entry(f"qm-{number}"))
        cancel = house.broker.cancel

        async def moody(broker_id):
            if broker_id == "1001":
                raise OutcomeUnknown("no answer")
            await cancel(broker_id)

        house.broker.cancel = moody
        await house.answering.answer(Kill())
        assert house.broker.cancels == ["1000", "1002"]
        house.broker.cancel = cancel
        await house.turn()
        assert house.broker.cancels == ["1000", "1002"]  # not at every turn
        house.clock.advance(1)
        await house.turn()
        assert house.broker.cancels == ["1000", "1002", "1001"]


async def test_an_order_that_was_on_its_way_during_the_kill_is_cancelled_on_the_next_turn():
    async with opened() as house:
        release = asyncio.Event()
        place = house.broker.place

        async def slow(intent):
            answer = await place(intent)
            await release.wait()
            return answer

        house.broker.place = slow
        house.trader.open(plan(), 0.0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert house.desk.ledger.get("eP1").state is OrderState.SENT
        await house.answering.answer(Kill())
        assert house.broker.cancels == []
        release.set()
        await house.lanes.idle()
        await house.turn()
        assert house.broker.cancels == ["1000"]


async def test_an_unknown_order_that_turns_up_after_the_kill_is_cancelled():
    async with opened() as house:
        house.broker.after_accept = lost
        await house.desk.submit(entry())
        await house.answering.answer(Kill())
        await house.desk.read_back(await house.broker.account_state())
        await house.turn()
        assert house.broker.cancels == ["1000"]


async def test_a_stop_under_halt_waits_for_a_person():
    async with opened() as house:
        await house.hold(2)
        await house.answering.answer(Kill())
        sent = list(house.broker.posts)
        house.underlyings.closes["NVDA"] = (160.0, house.clock.now())
        await house.turn()
        assert house.guards.of("P1").goal == 2
        assert house.broker.posts == sent


async def test_pause_lets_stops_work_and_resume_lifts_it():
    async with opened() as house:
        await house.hold(2)
        assert (await house.answering.answer(Pause())).ok
        await house.turn()
        assert house.trader.open(plan("P2", house.clock.now()), 0.0).reason is Reason.LADDER_NO_NEW
        house.underlyings.closes["NVDA"] = (160.0, house.clock.now())
        await house.turn()
        assert len(house.working) == 1
        answer = await house.answering.answer(Resume())
        assert (answer.ok, house.ladder.level) == (True, Level.NORMAL)


async def test_a_pause_below_a_deeper_level_says_which_one_holds():
    async with opened() as house:
        await house.answering.answer(Kill("ctl"))
        answer = await house.answering.answer(Pause("ctl"))
        assert answer.text == "HALT stays, which holds more than a pause does: kill by a person (ctl) (P resumes)"
        assert house.ladder.level is Level.HALT


async def test_after_a_kill_resume_needs_an_account_that_agrees():
    async with opened() as house:
        await house.answering.answer(Kill())
        assert (await house.answering.answer(Resume())).ok
        assert house.ladder.level is Level.NORMAL


class Unreadable:
    """A broker whose account cannot be read; the clock runs while we wait for it."""

    def __init__(self, house) -> None:
        async def account_state():
            house.clock.advance(1)
            raise BrokerError("502", "gateway")

        house.broker.account_state = account_state


async def test_resume_stays_down_when_the_account_cannot_be_read():
    async with opened(orders=QUICK) as house:
        assert (await house.answering.answer(Reconcile())).ok  # it was clean once
        await house.answering.answer(Kill())
        Unreadable(house)
        answer = await house.answering.answer(Resume())
        assert not answer.ok
        assert house.ladder.level is Level.HALT


async def test_resume_stays_down_while_a_fresh_difference_stands():
    async with opened(orders=QUICK) as house:
        assert (await house.answering.answer(Reconcile())).ok
        await house.answering.answer(Kill())
        house.broker.held[OCC] = 3
        state = house.broker.account_state

        async def later():
            house.clock.advance(0.15)
            return await state()

        house.broker.account_state = later
        answer = await house.answering.answer(Resume())
        assert not answer.ok
        assert house.ladder.level is Level.HALT
        assert house.book.quantity(OCC) == 3  # adopted, and said
        assert (OCC, Decimal(3)) in house.journal.adjustments
        assert (await house.answering.answer(Resume())).ok


async def test_a_second_kill_takes_a_persons_close_too():
    async with opened() as house:
        from qmterm.engine.commands import ClosePosition

        await house.hold(2)
        await house.answering.answer(Kill())
        await house.answering.answer(ClosePosition(OCC, send=True))
        await house.lanes.idle()
        await house.turn()
        assert house.broker.cancels == []
        await house.answering.answer(Kill())
        assert len(house.broker.cancels) == 1


async def test_stop_says_how_many_orders_keep_working():
    async with opened() as house:
        await house.desk.submit(entry())
        assert "1 order(s) keep working" in (await house.answering.answer(StopEngine())).text


async def test_a_status_that_fails_in_our_words_is_an_answer_not_a_crash():
    async with opened() as house:
        from qmterm.core.errors import DataError

        def broken():
            raise DataError("the board is gone")

        house.answering._status_line = broken
        answer = await house.answering.answer(Status())
        assert (answer.ok, answer.text) == (False, "the board is gone")
        assert house.log.levels["error"] == 1


async def test_a_command_that_breaks_is_answered_and_logged_on_every_way_in():
    async with opened() as house:
        house.broker.account_state = None  # calling it is a TypeError
        answer = await house.answering.answer(Reconcile())
        assert (answer.ok, answer.text) == (False, "it failed (TypeError); the log says more")
        assert house.log.levels["error"] == 1


async def test_all_working_orders_can_be_cancelled_without_a_halt():
    async with opened() as house:
        from qmterm.engine.commands import CancelOrder

        for number in range(3):
            await house.desk.submit(entry(f"qm-{number}"))
        answer = await house.answering.answer(CancelOrder("all"))
        assert answer.ok
        assert sorted(house.broker.cancels) == ["1000", "1001", "1002"]
        assert house.ladder.level is Level.NORMAL
        again = await house.answering.answer(CancelOrder("all"))
        assert again.ok


async def test_orders_are_listed_for_a_shell():
    async with opened() as house:
        from qmterm.engine.commands import ListOrders

        await house.desk.submit(entry("qm-1"))
        await house.desk.submit(entry("qm-2"))
        await house.ended("1000")
        working = (await house.answering.answer(ListOrders())).data
        assert [row["order_id"] for row in working] == ["qm-2"]
        house.clock.advance(5)
        every = (await house.answering.answer(ListOrders("all"))).data
        assert every[0]["age_s"] - working[0]["age_s"] >= 5
        assert [row["state"] for row in every] == ["cancelled", "received"]


@pytest.mark.parametrize("spared", [False, True])  # by an earlier kill, as a person asked after it
@pytest.mark.parametrize(("state", "reason"), [(OrderState.NOT_ACCEPTED, ""), (OrderState.REMOVED, GONE)])
async def test_an_order_that_only_we_count_as_ended_is_cancelled_when_it_turns_up_after_a_kill(state, reason, spared):
    async with opened() as house:
        intent = replace(entry("late"), created_ns=house.clock.now())
        record = house.desk.register(intent)
        record.state, record.reason, record.spared = state, reason, spared
        await house.answering.answer(Kill())
        house.ladder._causes.clear()  # and was resumed
        placed = await house.broker.place(intent)
        await house.desk.on_order(house.broker.set_state(placed.broker_id, OrderState.LIVE))
        await house.turn()
        assert house.broker.cancels == [placed.broker_id]


async def test_an_order_that_the_broker_ended_is_not_touched_by_a_kill():
    async with opened() as house:
        record = house.desk.register(replace(entry("ended"), created_ns=house.clock.now()))
        record.state, record.reason = OrderState.REMOVED, "by the broker"
        await house.answering.answer(Kill())
        assert record.withdrawn is None

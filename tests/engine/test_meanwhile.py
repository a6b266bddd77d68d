"""What a person asks for while something else is still on its way: the later word counts, and the stricter one."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import BrokerError
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.arming import DOCUMENT, Arming
from qmterm.engine.commands import (
    Arm,
    CancelOrder,
    ClosePosition,
    Disarm,
    Flatten,
    Kill,
    Pause,
    Resume,
    RollPosition,
    StageTicket,
)
from qmterm.engine.ladder import Level
from qmterm.engine.patience import DiskPatience
from tests.engine.fakes import CASH, OCC, lost
from tests.engine.house import opened, plan
from tests.engine.test_arming import armed

DEEPER = {"kill": Kill("ctl"), "flatten": Flatten("ctl")}


def slow_account(house):
    """From now on the broker's account is not answered before the event that is given back."""
    read, go = house.broker.account_state, asyncio.Event()

    async def slow():
        await go.wait()
        return await read()

    house.broker.account_state = slow
    return go


def entry_on_its_way(house):
    """An entry of two contracts whose turn at the wire has not come: it has left the lane, and no byte left us."""
    go = asyncio.Event()
    house.broker.turn = go.wait
    house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=2)
    return go


async def persons_close_under_halt(house):
    await house.hold(2)
    await house.answering.answer(Kill("ctl"))
    await house.answering.answer(ClosePosition(OCC, send=True))
    await house.lanes.idle()
    (record,) = house.working
    assert record.spared
    return record


async def settled(house, go):
    go.set()
    await house.lanes.idle()
    for _ in range(2):
        await house.step()


# --- a resume that is being looked at ---


@pytest.mark.parametrize("first", DEEPER)
async def test_a_kill_during_a_resume_holds(first):
    async with opened() as house:
        await house.answering.answer(DEEPER[first])
        go = slow_account(house)
        resume = asyncio.create_task(house.answering.answer(Resume("screen")))
        await asyncio.sleep(0.01)
        assert (await house.answering.answer(Kill("screen"))).ok
        go.set()
        answer = await resume
        assert house.ladder.level is Level.HALT
        assert (answer.ok, answer.text.split(":")[0]) == (False, "HALT stays, by what came meanwhile")
        assert (await house.answering.answer(Resume("screen"))).ok
        assert house.ladder.level is (Level.NORMAL if first == "kill" else Level.FLATTEN)


async def test_a_pause_during_a_resume_lifts_nothing():
    async with opened() as house:
        house.oversight.lower(Level.REDUCE_ONLY, Reason.CLOCK_JUMP, "x")
        go = slow_account(house)
        resume = asyncio.create_task(house.answering.answer(Resume("screen")))
        await asyncio.sleep(0.01)
        await house.answering.answer(Pause("screen"))
        go.set()
        assert not (await resume).ok
        assert {cause.reason for cause in house.ladder.causes} == {Reason.USER, Reason.CLOCK_JUMP}


async def test_what_the_machine_finds_during_a_resume_stays_and_its_no_new_is_no_such_thing():
    async with opened() as house:
        for level, reason, lifted in ((Level.NO_NEW, Reason.LOOP_LAG, True), (Level.REDUCE_ONLY, Reason.USER, False)):
            await house.answering.answer(Kill("ctl"))
            go = slow_account(house)
            resume = asyncio.create_task(house.answering.answer(Resume("screen")))
            await asyncio.sleep(0.01)
            house.oversight.lower(level, reason, "found meanwhile")
            go.set()
            assert (await resume).ok is lifted
            assert house.ladder.level is (Level.NO_NEW if lifted else Level.HALT)


async def test_a_resume_that_a_kill_overtook_begins_no_loss_anew():
    async with opened() as house:
        await house.answering.answer(Kill("ctl"))
        await house.oversight.begin_day()
        house.trader.day.week_blocked = True
        go = slow_account(house)
        resume = asyncio.create_task(house.answering.answer(Resume("screen")))
        await asyncio.sleep(0.01)
        await house.answering.answer(Kill("screen"))
        go.set()
        await resume
        assert house.trader.day.week_blocked


# --- what is asked for and no order yet ---

LINES = {
    "a close": StageTicket("sell 2 NVDA 17APR26 175C @ 4.10", send=True),
    "an entry": StageTicket("buy 1 NVDA 17APR26 180C @ 4.20", send=True),
    "a roll": RollPosition("NVDA 17APR26 175C 15MAY26 180C @ 0.40 db", send=True),
}


@pytest.mark.parametrize("what", LINES)
@pytest.mark.parametrize("then", [Kill("ctl"), Flatten("ctl"), CancelOrder("all")], ids=["kill", "flatten", "cancel"])
async def test_what_waits_for_its_quote_does_not_leave_after_a_kill_a_flatten_or_a_cancel_of_all(what, then):
    async with opened() as house:
        await house.hold(2)
        await house.answering.answer(CancelOrder("all"))  # one of before calls nothing off, and hides no later one
        go = asyncio.Event()

        async def learn(_underlying):
            await go.wait()

        house.ticks.learn = learn
        asked = asyncio.create_task(house.answering.answer(LINES[what]))
        await asyncio.sleep(0.01)
        await house.answering.answer(then)
        await house.lanes.idle()
        posts = list(house.broker.posts)  # those of the flatten
        go.set()
        answer = await asked
        await house.lanes.idle()
        assert house.broker.posts == posts
        assert answer.text == "nothing was sent: called off while its quotes were waited for; ask again"


async def test_a_pause_calls_no_close_off():
    async with opened() as house:
        await house.hold(2)
        go = asyncio.Event()

        async def learn(_underlying):
            await go.wait()

        house.ticks.learn = learn
        asked = asyncio.create_task(house.answering.answer(LINES["a close"]))
        await asyncio.sleep(0.01)
        await house.answering.answer(Pause("ctl"))
        go.set()
        assert (await asked).ok


# --- orders that are at the wire ---


async def test_an_order_at_the_wire_does_not_leave_after_a_kill_that_a_person_has_resumed_from():
    async with opened() as house:
        go = entry_on_its_way(house)
        await asyncio.sleep(0.01)
        (record,) = house.working
        assert record.state is OrderState.SENT
        killed = await house.answering.answer(Kill("ctl"))
        assert killed.data == [
            "cancel asked for BUY 2 NVDA 17APR26 175C @ 4.15 db: on its way, kept back unless it has left already"
        ]
        assert (await house.answering.answer(Resume("ctl"))).ok
        await settled(house, go)
        assert not house.broker.posts
        assert (record.state, record.reason) == (OrderState.NOT_SENT, Reason.LADDER_HALT.value)


async def test_nor_after_a_halt_of_the_machine():
    async with opened() as house:
        go = entry_on_its_way(house)
        await asyncio.sleep(0.01)
        house.oversight.lane_failed(ZeroDivisionError("x"))
        assert (await house.answering.answer(Resume("ctl"))).ok
        await settled(house, go)
        assert not house.broker.posts


async def test_an_order_that_had_left_is_cancelled_when_its_answer_comes_behind_the_resume():
    async with opened() as house:
        go, place = asyncio.Event(), house.broker.place

        async def slow(intent):
            order = await place(intent)
            await go.wait()
            return order

        house.broker.place = slow
        house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=2)
        await asyncio.sleep(0.01)
        await house.answering.answer(Kill("ctl"))
        await house.answering.answer(Resume("ctl"))
        await settled(house, go)
        assert house.broker.cancels == [house.working[0].broker_id]


async def test_an_order_whose_cancel_failed_is_asked_again_after_the_resume():
    async with opened() as house:
        house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=2)
        await house.lanes.idle()
        cancel = house.broker.cancel

        async def refused(_broker_id):
            raise BrokerError("try again", "server_error")

        house.broker.cancel = refused
        await house.answering.answer(Kill("ctl"))
        await house.answering.answer(Resume("ctl"))
        house.broker.cancel = cancel
        house.clock.advance(30)
        await house.step()
        assert house.broker.cancels == [house.working[0].broker_id]


async def test_a_close_that_a_person_sent_under_halt_is_spared_by_the_machines_next_halt():
    async with opened() as house:
        close = await persons_close_under_halt(house)
        house.oversight.lane_failed(ZeroDivisionError("x"))
        assert close.withdrawn is None
        await house.answering.answer(Kill("ctl"))
        assert close.withdrawn is Reason.LADDER_HALT


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_order_at_the_wire_does_not_leave_after_a_disarm_though_it_is_armed_again(at_once):
    async with opened() as house:
        go = entry_on_its_way(house)
        await asyncio.sleep(0.01)
        house.money_refusal = Reason.NOT_ARMED
        if at_once:
            house.oversight.withdraw_unsent()
        else:
            await house.step()  # the end of its time, or its loss: seen by the turn
        house.money_refusal = None
        await settled(house, go)
        assert not house.broker.posts
        assert house.desk.ledger.records[0].reason == Reason.NOT_ARMED.value


@pytest.mark.parametrize("what", ["an entry that works", "a close at the wire", "an entry whose answer was lost"])
async def test_a_disarm_withdraws_nothing_else(what):
    async with opened() as house:
        go = asyncio.Event()
        if what != "a close at the wire":
            if "lost" in what:
                house.broker.after_accept = lost
            house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=1)
            await house.lanes.idle()
        else:
            await house.hold(4)
            house.broker.turn = go.wait
            await house.answering.answer(ClosePosition(OCC, send=True))
            await asyncio.sleep(0.01)
        house.money_refusal = Reason.NOT_ARMED
        house.oversight.withdraw_unsent()
        assert [record.withdrawn for record in house.working] == [None]
        go.set()


async def test_every_end_of_an_arming_is_heard_before_the_disk_is_asked():
    async with opened(patience=DiskPatience(0.01)) as house:
        ends = []
        house.arming.on_end = lambda: ends.append(house.arming.may_close)
        await armed(house, until="12:00", source="ctl")
        house.journal.hang()
        ended = asyncio.create_task(house.answering.answer(Disarm("ctl")))
        await asyncio.sleep(0)
        assert ends == [False]
        house.journal.go_on()
        await ended


# --- the disk ---


async def test_a_loss_reached_while_a_called_off_arming_waits_is_on_the_disk():
    async with opened(patience=DiskPatience(0.01)) as house:
        await armed(house, until="12:00", max_loss="500", source="ctl")
        house.journal.hang()
        longer = asyncio.create_task(house.answering.answer(Arm(until="13:00", max_loss="500", source="ctl")))
        await asyncio.sleep(0.01)
        await house.answering.answer(Kill("ctl"))
        await house.arming.look(CASH - 500, 1)
        house.journal.go_on()
        assert not (await longer).ok
        await house.arming.look(CASH - 499, 1)
        await asyncio.sleep(0.01)
        again = Arming(house.clock, house.log, house.journal, "config-1")
        await again.restore(house.journal.documents[DOCUMENT], house.broker.account, CASH - 499, clean=True)
        assert (again.may_open, again.may_close) == (False, True)
        house.journal.documents.clear()
        await house.arming.look(CASH - 499, 1)
        assert not house.journal.documents  # once


async def test_a_kill_and_a_disarm_say_when_the_disk_does_not_have_them():
    async with opened(patience=DiskPatience(0.01)) as house:
        await armed(house)
        house.journal.hang()
        for command in (Kill("ctl"), Disarm("ctl")):
            assert (await house.answering.answer(command)).text.endswith("a restart goes by what was before")
        house.journal.go_on()
        await asyncio.sleep(0.01)
        for command in (Kill("ctl"), Disarm("ctl")):
            assert "the disk" not in (await house.answering.answer(command)).text

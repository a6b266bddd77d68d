"""The cancels of a turn: no turn waits for them, none is asked twice, and what goes wrong with one is still said."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from qmterm.core.errors import JournalError, OutcomeUnknown
from qmterm.core.orders import BrokerPosition, OrderState
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import ClosePosition
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.sweep import Sweep
from tests.engine.fakes import OCC, entry
from tests.engine.house import GONE, close_at, opened

OTHER, AMD = "NVDA  260417C00180000", "AMD   260417C00200000"


@pytest.fixture
async def house():
    async with opened(orders=OrderSettings(walk=True)) as made:
        yield made


async def late_entry(house):
    """An entry past its time, at a broker that answers no cancel until the event is set."""
    record = await house.desk.submit(replace(entry("eP2", 1, symbol=OTHER), plan_id="P2"))
    await house.ended(record.broker_id, OrderState.LIVE)
    answer = asyncio.Event()

    async def silent(broker_id):
        house.broker.cancels.append(broker_id)
        await answer.wait()
        raise OutcomeUnknown("no answer within 15 s")

    house.broker.cancel = silent
    house.clock.advance(400)
    house.quote(4.1, 4.2)
    return record, answer


async def turn(house):
    """A turn as the engine makes it: it waits for no cancel."""
    house.marks.update()
    await house.oversight.look()
    await house.oversight.protection.protect()
    await house.oversight.tend_orders()
    await house.lanes.idle()


async def test_a_stop_leaves_while_the_cancel_of_an_entry_has_no_answer(house):
    await house.hold(4)
    record, answer = await late_entry(house)
    await turn(house)
    posts = len(house.broker.posts)
    close_at(house, GONE)
    await turn(house)
    assert len(house.broker.posts) == posts + 1
    answer.set()
    await house.oversight.sweep.answered()
    assert house.log.lines[-1].text == "cancel not confirmed: no answer within 15 s"
    assert record.cancels_out == 0


async def test_a_cancel_without_an_answer_is_not_asked_again_and_no_step_is_made_meanwhile(house):
    record, answer = await late_entry(house)
    for _ in range(4):
        await turn(house)
        house.clock.advance(20)  # past the time after which a cancel that led to nothing is asked again
        assert record.cancelling(house.clock.monotonic(), house.clock.now())
        assert not house.desk.replaceable(record)
    assert house.broker.cancels == [record.broker_id]
    answer.set()
    await house.oversight.sweep.answered()
    await turn(house)
    house.clock.advance(2)
    await turn(house)
    assert house.broker.cancels == [record.broker_id] * 2
    await house.oversight.sweep.close()


async def test_what_a_cancel_broke_on_is_raised_by_a_turn_once(house):
    _, answer = await late_entry(house)

    async def broken(broker_id):
        await answer.wait()
        raise JournalError("disk full")

    house.broker.cancel = broken
    await house.oversight.tend_orders()
    answer.set()
    await house.oversight.sweep.answered()
    with pytest.raises(JournalError):
        await house.oversight.tend_orders()
    await house.oversight.sweep.close()


async def test_in_lockstep_a_cancel_is_waited_for(house):
    record, answer = await late_entry(house)

    async def no_errors(error):
        raise AssertionError(error)

    asking = asyncio.create_task(Sweep(house.desk, Lanes(no_errors, single=True)).ask([(record, "test")]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asking.done()
    answer.set()
    await asking


@pytest.mark.parametrize("single", [True, False])
async def test_each_order_is_asked_for_with_its_own_reason(house, single):
    records = [await house.desk.submit(replace(entry(f"e{number}", 1), plan_id=f"P{number}")) for number in (1, 2)]
    sweep = Sweep(house.desk, Lanes(lambda error: pytest.fail(str(error)), single=single))
    await sweep.ask([(records[0], "HALT"), (records[1], "by you")])
    await sweep.answered()
    assert house.broker.cancels == [record.broker_id for record in records]
    said = [line.text.partition(")")[0] for line in house.log.lines if "cancel asked" in line.text]
    assert said == ["cancel asked (HALT", "cancel asked (by you"]


async def test_the_end_waits_for_nobody_that_never_answers(house):
    await late_entry(house)
    await house.oversight.tend_orders()
    async with asyncio.timeout(5):
        await house.oversight.sweep.close()
    house.oversight.sweep.check()


async def test_a_close_without_an_answer_holds_up_no_close_of_another_underlying(house):
    for symbol, plan_id in ((AMD, "PA"), (OCC, "PB")):
        house.book.adopt(BrokerPosition(symbol, 2, entry().net_price.copy_abs(), 100), "x", plan_id, 0)
    house.quote(3.0, 3.1, AMD)
    place, answer = house.broker.place, asyncio.Event()

    async def slow(intent):
        if intent.underlying == "AMD":
            await answer.wait()
        return await place(intent)

    house.broker.place = slow
    assert house.approvals.close(ClosePosition(AMD, send=True)).ok
    assert house.approvals.close(ClosePosition(OCC, send=True)).ok
    for _ in range(20):
        await asyncio.sleep(0)
    (post,) = house.broker.posts
    assert house.desk.ledger.get(post).intent.underlying == "NVDA"
    answer.set()
    await house.lanes.idle()
    assert len(house.broker.posts) == 2

"""HALT counts as done when the broker says so; until then what still works is named, again and again."""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.orders import BrokerPosition, OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.commands import ClosePosition, Kill, Resume
from qmterm.engine.ladder import Level
from qmterm.engine.proof import SAY_AGAIN_S
from tests.engine.fakes import OCC, entry
from tests.engine.house import opened


async def killed(house, orders=3):
    for number in range(orders):
        await house.desk.submit(entry(f"qm-{number}"))
    await house.answering.answer(Kill())


def alarms(house):
    return [line.text for line in house.log.lines if line.level == "alarm"]


async def test_a_halt_is_confirmed_by_the_broker_with_number_and_time():
    async with opened() as house:
        await killed(house)
        assert house.oversight.proof.text.startswith("still there: 3 orders (")
        for broker_id in ("1000", "1001", "1002"):
            await house.ended(broker_id)
        assert not house.oversight.proof.confirmed  # our own opinion proves nothing
        assert house.oversight.proof.pending
        await house.oversight.read_account()
        assert house.oversight.proof.text == "all 3 working orders cancelled, confirmed by the broker at 10:00:00"
        assert house.oversight.proof.left == ""


async def test_an_order_that_the_broker_still_shows_is_named_and_alarmed_again():
    async with opened() as house:
        await killed(house, 2)
        await house.ended("1000")
        house.broker.set_state("1001", OrderState.LIVE)
        await house.oversight.read_account()
        await house.turn()
        said = len(alarms(house))
        house.clock.advance(SAY_AGAIN_S)
        await house.turn()
        assert len(alarms(house)) == said + 1
        assert "HALT is not through: 1 order (" in alarms(house)[-1]
        await house.turn()
        assert len(alarms(house)) == said + 1
        assert house.broker.cancels.count("1001") == 2  # and the cancel was sent again


async def test_a_kill_with_nothing_at_work_is_confirmed_too():
    async with opened() as house:
        await killed(house, 0)
        await house.oversight.read_account()
        assert house.oversight.proof.text.startswith("no order worked, confirmed by the broker at ")


async def test_a_persons_close_under_halt_is_nothing_that_is_left():
    async with opened() as house:
        await house.hold(2)
        await house.answering.answer(Kill())
        await house.answering.answer(ClosePosition(OCC, send=True))
        await house.lanes.idle()
        await house.oversight.read_account()
        assert house.oversight.proof.confirmed


async def test_a_flatten_that_was_proven_says_so_no_longer_once_something_is_held_again():
    async with opened() as house:
        house.ladder.lower(Level.FLATTEN, Reason.USER, "all flat", house.clock.now(), by_person=True)
        await house.oversight.read_account()
        proof = house.oversight.proof
        assert proof.text.startswith("flat: ")
        house.book.adopt(BrokerPosition(OCC, 2, Decimal("4.15"), 100), "manual", "m1", house.clock.now())
        assert not proof.confirmed
        assert proof.text == "still there: 1 position (+2 NVDA 17APR26 175C)"
        proof.remind(0.0)
        house.book.adopt(BrokerPosition(OCC, 0, Decimal(0), 100), "manual", "m1", house.clock.now())
        assert proof.text == "still there: the broker has not confirmed it yet"
        assert proof.pending
        await house.oversight.read_account()
        assert proof.confirmed


async def test_the_number_survives_a_restart_and_the_broker_is_asked_anew():
    async with opened() as house:
        await killed(house, 2)
        saved = house.journal.documents["stand-down"]
        causes = house.ladder.to_dict()
    async with opened() as again:
        from qmterm.engine.ladder import Ladder

        again.ladder._causes = Ladder.from_dict(causes)._causes
        again.oversight.proof.restore(saved)
        assert again.oversight.proof.pending
        assert not again.oversight.proof.confirmed
        await again.oversight.read_account()
        assert again.oversight.proof.text.startswith("all 2 working orders cancelled")


async def test_nothing_is_claimed_above_flatten():
    async with opened() as house:
        assert house.oversight.proof.text == ""
        await killed(house, 0)
        await house.answering.answer(Resume())
        assert house.oversight.proof.text == ""
        assert not house.oversight.proof.pending

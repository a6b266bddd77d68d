"""The ladder on the disk: what a restart reads last is what was said last, whatever rows failed on the way."""

from __future__ import annotations

import asyncio

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.reasons import Reason
from qmterm.engine.commands import ClosePosition, Kill, Pause
from qmterm.engine.ladder import Level
from qmterm.engine.patience import DiskPatience
from tests.engine.fakes import OCC
from tests.engine.house import opened


def failing_rows(house, *numbers):
    """The ladder rows of these numbers, counted from one, fail at the disk."""
    write, count = house.journal.write_ladder, 0

    async def failing(*row, **named):
        nonlocal count
        count += 1
        mine = count
        await house.journal._at_disk()
        if mine in numbers:
            raise JournalError("full")
        await write(*row, **named)

    house.journal.write_ladder = failing


async def on_the_disk(house):
    for _ in range(3):
        await house.turn()
        await asyncio.sleep(0.01)
    return [move[1] for move in house.journal.moves]


async def test_a_move_that_failed_is_written_late_under_the_level_that_stands_by_then():
    async with opened(patience=DiskPatience(0.01)) as house:
        failing_rows(house, 1)
        house.journal.hang()
        house.oversight.lower(Level.REDUCE_ONLY, Reason.CLOCK_JUMP, "x")
        await house.oversight.keep()
        await house.answering.answer(Kill("ctl"))
        house.journal.go_on()
        assert await on_the_disk(house) == ["HALT"] * 3  # the kill, the jump, and that the disk failed
        assert [move[2] for move in house.journal.moves] == ["KILL", "CLOCK_JUMP", "JOURNAL_TROUBLE"]
        assert house.journal.documents["ladder"].keys() >= {"CLOCK_JUMP", "KILL"}


async def test_what_came_while_a_move_was_written_is_written_at_once_behind_it():
    async with opened(patience=DiskPatience(0.01)) as house:
        house.journal.hang()
        await house.answering.answer(Pause("ctl"))
        await house.answering.answer(Kill("ctl"))
        house.journal.go_on()
        await asyncio.sleep(0.05)
        assert [move[1] for move in house.journal.moves] == ["NO-NEW", "HALT"]  # no turn was needed


async def test_a_document_waits_for_no_move():
    async with opened(patience=DiskPatience(0.01)) as house:
        asked = []
        write = house.journal.write_document

        async def seen(name, body):
            asked.append((name, sorted(body)))
            await write(name, body)

        house.journal.write_document = seen
        house.journal.hang()
        await house.answering.answer(Pause("ctl"))
        await house.answering.answer(Kill("ctl"))
        assert ("ladder", ["KILL", "USER"]) in asked
        house.journal.go_on()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("failed", [(1,), (2,), (1, 2)])
async def test_moves_of_one_moment_of_which_some_failed_lose_none_of_them(failed):
    async with opened(patience=DiskPatience(0.01)) as house:
        failing_rows(house, *failed)
        house.oversight.lower(Level.NO_NEW, Reason.USER, "x", by_person=True)
        house.oversight.lower(Level.HALT, Reason.KILL, "y", by_person=True)
        await house.oversight.keep()
        assert (await on_the_disk(house))[-1] == "HALT"
        assert {move[2] for move in house.journal.moves} == {"USER", "KILL", "JOURNAL_TROUBLE"}
        assert house.ladder.moves == []


async def test_a_close_that_a_person_sends_after_a_kill_comes_behind_it_on_the_disk():
    """A restart spares what came behind the HALT, so the disk has to have them in this order."""
    async with opened(patience=DiskPatience(0.01)) as house:
        await house.hold(2)
        house.journal.hang()
        house.journal.trouble = "the disk hangs"
        await house.step()  # REDUCE-ONLY: its move waits for the disk
        await house.answering.answer(Kill("ctl"))
        await house.answering.answer(ClosePosition(OCC, send=True))
        await asyncio.sleep(0.02)
        house.journal.go_on()
        await house.lanes.idle()
        await asyncio.sleep(0.02)
        (close,) = house.working
        rows = [row for row in house.journal.rows if row[0] in ("ladder", "intent")]
        assert close.spared
        assert rows.index(("ladder", "HALT")) < rows.index(("intent", close.intent.intent_id))


async def test_what_is_no_fault_of_the_disk_is_raised():
    async with opened() as house:

        async def broken(*_row, **_named):
            raise ZeroDivisionError("x")

        house.journal.write_ladder = broken
        house.oversight.lower(Level.HALT, Reason.KILL, "y", by_person=True)
        with pytest.raises(ZeroDivisionError):
            await house.oversight.keep()

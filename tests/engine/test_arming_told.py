"""Arming, word for word: what the journal keeps of it and every line that is said."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from qmterm.core.reasons import Reason
from qmterm.engine.arming import DOCUMENT, Arming, Arms, Permit
from qmterm.engine.runlog import RunLog
from tests.engine.fakes import CASH, MemoryJournal, clock_at, entry
from tests.engine.orders.desk_seat import Sink
from tests.engine.test_arming import NOON, TEN


@pytest.mark.parametrize("arms", [
    Arms("5WT00001", "config-1", "ctl", TEN, NOON, CASH, Decimal(500), spent=True),
    Arms("5WT00001", "config-1", "screen", TEN, NOON, CASH),
])  # fmt: skip
def test_an_arming_comes_back_from_the_journal_as_it_was_written(arms):
    assert Arms.from_dict(arms.to_dict()) == arms


def test_one_that_an_older_version_wrote_is_not_spent_and_without_a_bound():
    saved = Arms("5WT00001", "config-1", "ctl", TEN, NOON, CASH).to_dict()
    del saved["spent"], saved["max_loss"]
    found = Arms.from_dict(saved)
    assert (found.spent, found.max_loss) == (False, None)


def test_a_permit_asks_its_rule_for_the_very_order_and_says_no_before_it_has_one():
    permit, order = Permit(), entry()
    assert permit(order) is Reason.NOT_ARMED
    asked = []
    permit.rule = asked.append
    assert (permit(order), asked) == (None, [order])


class Desk:
    """An arming alone, with every line that it says."""

    def __init__(self):
        self.clock, self.journal, self.said = clock_at(), MemoryJournal(), Sink()
        self.log = RunLog(self.clock)
        self.log.keep_in(self.said)
        self.arming = Arming(self.clock, self.log, self.journal, "config-1")

    async def armed(self, most=None):
        text = await self.arming.arm("5WT00001", CASH, NOON, most, "ctl")
        self.said.clear()
        return text

    async def restored(self, account="5WT00001", fingerprint="config-1", nlv=CASH, *, clean=True):
        saved = self.journal.documents[DOCUMENT]
        self.arming = Arming(self.clock, self.log, self.journal, fingerprint)
        await self.arming.restore(saved, account, nlv, clean=clean)


def line(level, text, **more):
    return (level, "RISK", text, "arming", more)


async def test_it_says_aloud_that_real_money_may_move_and_until_when():
    desk = Desk()
    text = await desk.arming.arm("5WT00001", CASH, NOON, Decimal(500), "ctl")
    assert text == "armed until 12:00:00, up to a loss of 500.00 since 100,000.00"
    assert desk.said == [line("alarm", f"REAL MONEY {text} (ctl)", nlv="100000")]
    assert desk.arming.arms == Arms("5WT00001", "config-1", "ctl", TEN, NOON, CASH, Decimal(500))
    assert desk.journal.documents == {"arming": desk.arming.arms.to_dict()}  # the name an older journal has it by


async def test_without_a_bound_it_names_none():
    assert await Desk().armed() == "armed until 12:00:00"


async def test_the_end_of_an_arming_names_the_stops_that_cannot_be_sent_any_more():
    desk = Desk()
    await desk.armed()
    await desk.arming.disarm("why", held=2)
    stops = "; the stops of 2 position(s) cannot be sent any more: arm again, or close them"
    assert desk.said == [line("alarm", f"disarmed: why{stops}")]
    await desk.armed()
    await desk.arming.disarm("why")
    assert desk.said == [line("warn", "disarmed: why")]
    await desk.arming.disarm("again")
    assert len(desk.said) == 1


async def test_it_ends_in_the_instant_of_its_time_and_says_so():
    desk = Desk()
    await desk.armed(Decimal(500))
    desk.clock.advance(7199)
    await desk.arming.look(CASH, 0)
    assert (desk.said, desk.arming.left_s) == ([], 1)
    desk.clock.advance(1)
    await desk.arming.look(CASH, 0)
    assert desk.said == [line("warn", "disarmed: its time is over")]


async def test_its_loss_is_said_once_in_dollars():
    desk = Desk()
    await desk.armed(Decimal(500))
    for nlv in (CASH - 600, CASH - 700):
        await desk.arming.look(nlv, 1)
    text = "arming ended: 600.00 lost since, 500.00 was allowed; nothing is opened, closes go on until 12:00"
    assert desk.said == [line("alarm", text)]
    assert desk.arming.text == "its loss is reached: closes only, until 12:00:00"


async def test_without_a_bound_no_loss_ends_it():
    desk = Desk()
    await desk.armed()
    await desk.arming.look(Decimal(1), 1)
    assert desk.arming.may_open


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"account": "5WT00002"}, "it was given for another account"),
        ({"fingerprint": "config-2"}, "the configuration has changed since"),
        ({"clean": False}, "book and broker did not agree at this start"),
    ],
)
async def test_a_restart_says_why_an_arming_does_not_hold(other, why):
    desk = Desk()
    await desk.armed()
    await desk.restored(**other)
    assert desk.said == [line("warn", f"disarmed: {why}")]


async def test_a_restart_says_aloud_that_one_holds_and_who_gave_it():
    desk = Desk()
    await desk.armed(Decimal(500))
    desk.clock.advance(60)
    await desk.restored()
    text = "REAL MONEY armed until 12:00:00, up to a loss of 500.00 since 100,000.00 (armed before this start, ctl)"
    assert desk.said == [line("alarm", text)]
    assert desk.arming.left_s == 7140


async def test_a_restart_keeps_a_spent_one_spent():
    desk = Desk()
    await desk.armed(Decimal(500))
    await desk.arming.look(CASH - 500, 1)
    await desk.restored()
    assert (desk.arming.may_open, desk.arming.may_close) == (False, True)


async def test_a_restart_after_its_time_only_says_that_it_is_over():
    desk = Desk()
    await desk.armed()
    desk.clock.advance(7200)
    await desk.restored()
    assert desk.said == [line("warn", "disarmed: its time is over")]


async def test_a_restart_without_one_says_nothing():
    desk = Desk()
    await desk.arming.restore({}, "5WT00001", CASH, clean=True)
    assert (desk.said, desk.arming.arms) == ([], None)


@pytest.mark.parametrize("clock", ["market", "real"])
async def test_either_clock_alone_ends_it_at_its_very_instant(clock):
    desk = Desk()
    await desk.armed()
    if clock == "market":
        desk.clock.now_ns = NOON
    else:
        desk.clock.monotonic_s += 7200
    assert desk.arming.arms is None


async def waiting(at):
    """An arming that the disk does not have yet."""
    at.journal.hang()
    asked = asyncio.ensure_future(at.arming.arm("5WT00001", CASH, NOON, Decimal(500), "ctl"))
    await asyncio.sleep(0)
    return asked


async def test_an_arming_that_a_kill_drops_is_told_and_does_not_begin_whatever_was_disarmed_before():
    at = Desk()
    await at.arming.disarm("by a person")
    asked = await waiting(at)
    at.arming.drop_waiting("kill by a person")
    assert at.said == [line("warn", "not armed: kill by a person")]
    at.journal.go_on()
    assert (await asked, at.arming.arms) == (None, None)


async def test_all_that_comes_while_an_arming_waits_for_the_disk_is_in_what_it_may_lose_from():
    at = Desk()
    asked = await waiting(at)
    at.arming.moved_by(Decimal(1000))
    at.arming.moved_by(Decimal(200))
    at.journal.go_on()
    await asked
    assert at.arming.arms.nlv == CASH + 1200


async def test_an_arming_that_waits_is_called_off_by_a_disarm_whatever_was_disarmed_before():
    at = Desk()
    await at.arming.disarm("by a person")
    asked = await waiting(at)
    off = asyncio.ensure_future(at.arming.disarm("by a person"))
    await asyncio.sleep(0)
    at.journal.go_on()
    await off
    assert (await asked, at.arming.arms) == (None, None)


async def test_while_one_of_two_armings_still_waits_nothing_is_written_behind_it():
    at, rows = Desk(), []

    def queued(_name, _body):
        rows.append(asyncio.get_running_loop().create_future())
        return rows[-1]

    at.journal.write_document = queued
    both = [asyncio.ensure_future(at.arming.arm("5WT00001", CASH, NOON, None, "ctl")) for _ in range(2)]
    await asyncio.sleep(0)
    rows[0].set_result(None)
    await both[0]
    at.arming.moved_by(Decimal(100))
    await at.arming.look(CASH, 0)
    assert len(rows) == 2
    rows[1].set_result(None)
    await both[1]
    look = asyncio.ensure_future(at.arming.look(CASH, 0))
    await asyncio.sleep(0)
    rows[-1].set_result(None)
    await look
    assert len(rows) == 3

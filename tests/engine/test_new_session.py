"""A new trading day is read until it has been read: a server that fails at 04:00 must not cost the whole day."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from qmterm.core.calendar import Phase
from qmterm.core.clock import et_date, from_et
from qmterm.core.errors import DataError
from qmterm.engine.day import RETRY_S, MarketDay
from qmterm.engine.runlog import RunLog
from tests.engine.fakes import clock_at


class Day:
    """The parts that a new session touches; each can fail."""

    def __init__(self):
        self.clock = clock_at()
        self.snapshot_fails = self.splits_fail = False
        self.splits_known = True
        self.done: list[str] = []
        self.flow_days = 0
        self.day = MarketDay(
            SimpleNamespace(
                clock=self.clock,
                calendar=SimpleNamespace(phase=lambda now: Phase.PRE),
                feed=self,
                lockstep=None,
                log=RunLog(self.clock),
            )
        )
        self.conditions = 0
        lists = SimpleNamespace(new_day=self.ask_conditions)
        self.engaged = SimpleNamespace(scanning=self, guards=self, listing=self, flow=self, conditions=lists)

    async def load_snapshot(self):
        if self.snapshot_fails:
            raise DataError("no snapshot")
        self.done.append("snapshot")

    def new_day(self):
        self.done.append("listing")

    def ask_conditions(self):
        self.conditions += 1

    async def load_yields(self):
        self.done.append("yields")

    async def new_session(self):
        self.done.append("splits")
        return not self.splits_fail

    async def start_day(self):
        self.flow_days += 1

    def adjust_for_splits(self):
        self.done.append("stops")
        return ()

    def stops_follow(self):
        self.done.append("follow")

    async def look(self):
        await self.day.look(self.engaged, self.clock.now())


@pytest.fixture
async def day():
    day = Day()
    await day.look()
    assert day.done == []  # the start has just read it
    day.clock.advance((from_et(_tomorrow(day.clock), 4, 0) - day.clock.now()) / 1e9)
    return day


def _tomorrow(clock):
    return et_date(clock.now()) + timedelta(days=1)


async def test_stops_follow_a_split_before_anything_else_is_read(day):
    for _ in range(3):
        await day.look()
    assert day.done == ["splits", "stops", "follow", "snapshot", "listing", "yields"]
    assert day.conditions == 1
    assert day.flow_days == 1


async def test_a_snapshot_that_failed_is_read_again_after_a_while(day):
    day.snapshot_fails = True
    with pytest.raises(DataError):
        await day.look()
    day.snapshot_fails = False
    await day.look()
    assert "snapshot" not in day.done  # not at every turn
    day.clock.advance(RETRY_S)
    await day.look()
    assert day.done.count("snapshot") == 1
    day.clock.advance(RETRY_S)
    await day.look()
    assert day.done.count("snapshot") == 1


async def test_splits_that_could_not_be_read_are_asked_again(day):
    day.splits_fail = True
    await day.look()
    day.splits_fail = False
    day.clock.advance(RETRY_S)
    await day.look()
    assert day.done.count("stops") == 2
    day.clock.advance(RETRY_S)
    await day.look()
    assert day.done.count("stops") == 2


async def test_splits_that_the_start_could_not_read_are_read_behind_it():
    day = Day()
    day.splits_known, day.splits_fail = False, True
    await day.look()
    assert day.done[:3] == ["splits", "stops", "follow"]
    day.splits_fail = False
    day.clock.advance(RETRY_S)
    await day.look()
    day.clock.advance(RETRY_S)
    await day.look()
    assert day.done.count("splits") == 2

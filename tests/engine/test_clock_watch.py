"""A clock that is set is noticed within a minute and once; a slewed one, or a loop that stood still, is no jump."""

from __future__ import annotations

from qmterm.core.clock import NS, ManualClock
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import EngineSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.clock_watch import ClockWatch
from qmterm.engine.ladder import Level
from qmterm.engine.oversight import Oversight
from tests.engine.house import opened


def watched():
    clock = ManualClock(1_000 * NS)
    watch = ClockWatch(clock)
    assert watch.look() is None
    return clock, watch


def test_a_clock_set_forward_is_a_jump_once():
    clock, watch = watched()
    clock.advance(1)
    clock.now_ns += 3600 * NS
    assert watch.look() == 3600
    clock.advance(1)
    assert watch.look() is None


def test_a_clock_set_back_stands_still_and_is_noticed():
    clock, watch = watched()
    found = []
    for _ in range(40):
        clock.monotonic_s += 0.2  # market time waits for the clock that was set back
        found.append(watch.look())
    assert [round(jump) for jump in found if jump is not None] == [-5]


def test_a_slew_and_a_loop_that_stood_still_are_no_jump():
    clock, watch = watched()
    for _ in range(600):
        clock.advance(0.5)
        clock.now_ns += int(0.5 * 500e-6 * NS)
        assert watch.look() is None
    clock.advance(900)
    assert watch.look() is None


async def test_a_jump_reduces_until_a_person_looked():
    async with opened() as house:
        oversight = Oversight(
            house.trader, house.broker, house.journal, EngineSettings(), RiskSettings(), lambda: 0.0, None, lambda: -7.0
        )
        await oversight.look()
        assert house.ladder.level is Level.REDUCE_ONLY
        assert house.ladder.causes[0].reason is Reason.CLOCK_JUMP
        assert "jumped by -7 s" in house.ladder.text

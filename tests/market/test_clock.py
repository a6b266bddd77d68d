"""Market clocks: offset and rate from noisy samples, never backwards."""

import random
import time

import pytest

from qmterm.core.clock import NS
from qmterm.market.clock import ServerClock, StepClock, SystemClock

START = 1_772_463_600 * NS


def sampled(rate, count, every_s, resolution_ns, seed=3):
    """A clock that saw `count` samples of a server running at `rate`; returns it with its hand-driven time."""
    chance = random.Random(seed)
    at = [100.0]
    clock = ServerClock(lambda: at[0])
    for _ in range(count):
        trip = chance.uniform(0.001, 0.004)
        shown = START + int((at[0] + trip / 2 - 100.0) * rate * NS)
        clock.add_sample(shown // resolution_ns * resolution_ns, at[0], at[0] + trip)
        at[0] += every_s
    return clock, at


@pytest.mark.parametrize("rate", [1.0, 2.0, 60.0, 600.0])
def test_a_scaled_server_is_followed_to_milliseconds_of_real_time(rate):
    clock, at = sampled(rate, 12, 0.25, 1_000_000)
    assert clock.rate == pytest.approx(rate, rel=2e-3)
    for later in (0.0, 1.0, 5.0):
        at[0] = 103.0 + later
        true = START + (at[0] - 100.0) * rate * NS
        assert abs(clock.now() - true) / rate < 0.025 * NS


def test_whole_seconds_from_a_real_time_server_keep_rate_one():
    clock, at = sampled(1.0, 20, 0.37, NS)
    assert clock.rate == 1.0
    true = START + (at[0] - 100.0) * NS
    assert -0.4 * NS < clock.now() - true <= 0.01 * NS


def test_market_time_never_goes_back_whatever_the_samples_say():
    chance = random.Random(9)
    at = [0.0]
    clock = ServerClock(lambda: at[0])
    before = 0
    for _ in range(400):
        at[0] += chance.uniform(0.0, 0.3)
        if chance.random() < 0.5:
            clock.add_sample(START + int((at[0] + chance.uniform(-2, 2)) * NS), at[0], at[0] + 0.01)
        now = clock.now()
        assert now >= before
        before = now


def test_a_server_that_stands_still_stops_the_clock():
    at = [0.0]
    clock = ServerClock(lambda: at[0])
    for _ in range(5):
        clock.add_sample(START + 1_000_000, at[0], at[0] + 0.001)
        at[0] += 1.0
    assert clock.rate == 0.0
    assert clock.now() == START + 1_000_000


def test_without_a_sample_there_is_no_market_time():
    clock = ServerClock(lambda: 5.0)
    assert not clock.ready
    assert clock.now() == 0


def test_a_step_clock_moves_only_when_told_and_only_forward():
    clock = StepClock(START)
    time.sleep(0.002)
    assert clock.now() == START
    clock.set(START + 5)
    clock.set(START + 3)
    assert clock.now() == START + 5
    assert clock.rate is None


def test_the_system_clock_holds_when_the_machine_is_set_back(monkeypatch):
    clock = SystemClock()
    first = clock.now()
    monkeypatch.setattr(time, "time_ns", lambda: first - 10 * NS)
    assert clock.now() == first

"""Engines in processes of their own, killed with SIGKILL over real sockets: CI's ten, and three hundred on demand."""

import pytest

from qmterm.drill.process import CrashPoint
from qmterm.drill.siege import Siege, besiege, point_of


def failures(outcomes):
    return {o.seed: [*o.findings.lines, *o.trouble] for o in outcomes if not o.passed}


def besieged(kills, first_seed=0):
    outcomes = []
    besiege(kills, first_seed, outcomes.append)
    assert sum(outcome.kills for outcome in outcomes) == kills
    assert failures(outcomes) == {}
    return outcomes


@pytest.mark.timeout(90)
def test_ten_real_kills_lose_and_double_nothing():
    (outcome,) = besieged(10)
    assert outcome.orders > 0
    assert len(outcome.restart_s) > 3


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_drill_three_hundred_real_kills():
    outcomes = besieged(300, first_seed=1)
    assert sum(outcome.fills for outcome in outcomes) > 100
    assert sum(outcome.brackets for outcome in outcomes) > 10
    assert sum(outcome.replaced for outcome in outcomes) > 5


def test_half_of_the_seeds_have_exits_at_the_broker_and_some_narrow_limits(tmp_path):
    sieges = [Siege(seed, 10, tmp_path) for seed in range(30)]
    assert 10 <= sum(siege.resting for siege in sieges) <= 20
    assert 3 <= sum(siege.tight for siege in sieges) <= 12


def test_kills_sweep_every_kind_of_point():
    points = [point_of(number) for number in range(300)]
    assert {(p.act, p.after) for p in points if p} == {
        ("write", False),
        ("write", True),
        ("send", False),
        ("send", True),
        ("answer", False),
        ("handed", False),
        ("scribe", False),
    }
    assert points.count(None) == 37
    assert CrashPoint("write", 30, True) in points
    assert CrashPoint("send", 6, True) in points

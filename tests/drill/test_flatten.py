"""A flatten in a small day of its own: frames are lost, the engine dies in the middle, and the account ends flat."""

import tempfile
from pathlib import Path

import pytest

from qmterm.drill.day import run_seed
from qmterm.drill.process import CrashPoint
from qmterm.drill.script import Act, Script

FRAMES_LOST = (14.0, {"fault": "dropped_frame", "type": "Order", "times": 6})
LEDGER_LAGS = (14.5, {"fault": "ledger_lag", "seconds": 6.0})
ANSWER_LOST = (14.9, {"fault": "lost_ack", "how": "drop"})


def day(seed, faults=(), crashes=()):
    """Entries and spreads, then a flatten with time enough to end."""
    kinds = ("entry", "spread", "entry", "spread", "entry", "spread")
    acts = [Act(1.0 + number, kind, seed * 1000 + number) for number, kind in enumerate(kinds)]
    return Script(
        seed=seed,
        acts=(*acts, Act(15.0, "flatten", 0)),
        faults=faults,
        crashes=crashes,
        staggered=bool(seed % 2),
        participation=1.0,
        lasts_s=110.0,
    )


def flattened(script):
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_seed(script, Path(folder), tell=True)
    assert outcome.findings.lines == []
    assert outcome.trouble == []
    assert outcome.flattened is True, outcome.story[-12:]
    return outcome


@pytest.mark.parametrize("seed", range(4))
def test_spreads_and_single_legs_end_flat(seed):
    assert flattened(day(seed)).fills > 0


@pytest.mark.parametrize("fault", [FRAMES_LOST, LEDGER_LAGS, ANSWER_LOST], ids=["frames", "ledger", "answer"])
def test_it_ends_flat_whatever_the_broker_loses(fault):
    for seed in range(3):
        flattened(day(seed, faults=(fault,)))


@pytest.mark.parametrize("nth", range(1, 14))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_engine_that_dies_at_a_send_goes_on_flattening(nth, after):
    outcome = flattened(day(3, faults=(FRAMES_LOST,), crashes=(CrashPoint("send", nth, after),)))
    assert outcome.kills <= 1


def test_some_of_these_deaths_happen_in_the_middle_of_the_flatten():
    stories = [flattened(day(3, crashes=(CrashPoint("send", nth, True),))).story for nth in range(4, 14)]

    def in_the_middle(story):
        flat = next(number for number, line in enumerate(story) if "act flatten" in line)
        return any("killed" in line for line in story[flat:])

    assert any(in_the_middle(story) for story in stories)

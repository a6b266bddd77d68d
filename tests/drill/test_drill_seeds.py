"""CI's short form of the drills: 200 seeds of everything at once, and each fault and the crashes on their own."""

import pytest

from qmterm.drill.script import CRASH, FAULTS, script_of

PART = 20


def failures(outcomes):
    return {
        outcome.seed: [*outcome.findings.lines, *outcome.trouble, f"fill found after {outcome.lost_fill_found_s:.1f} s"]
        for outcome in outcomes
        if not outcome.passed
    }


@pytest.mark.parametrize("first", range(0, 200, PART))
def test_nothing_is_doubled_lost_or_opened_by_a_close_in_200_seeds(drill, first):
    assert failures(drill("all", range(first, first + PART))) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_orders_survive_this_fault_alone(drill, fault):
    # A leg alone needs a spread to fill in the fault's seconds: that is rarer.
    outcomes = drill(fault, range(4, 11) if fault == "leg-only" else range(4))
    assert failures(outcomes) == {}
    assert sum(outcome.faults_met for outcome in outcomes) > 0


@pytest.mark.parametrize("first", range(0, 64, 16))
def test_an_engine_that_dies_at_any_swept_write_or_send_loses_and_doubles_nothing(drill, first):
    outcomes = drill(CRASH, range(first, first + 16))
    assert failures(outcomes) == {}
    assert sum(outcome.kills for outcome in outcomes) > 0


def test_one_seed_is_one_story(drill):
    (first,), (second,) = drill("all", [6], tell=True), drill("all", [6], tell=True)
    told = [[line for line in outcome.story if " ms; " not in line] for outcome in (first, second)]
    assert told[0] == told[1]
    assert any("killed" in line for line in told[0])


def test_a_flatten_ends_with_an_account_that_the_broker_shows_flat(drill):
    """Days that stay at FLATTEN: through, or with what is left named (the judge looks at both)."""
    days = [seed for seed in range(120) if any(act.kind == "flatten" for act in script_of(seed).acts)]
    outcomes = drill("all", days[:24])
    assert failures(outcomes) == {}
    assert sum(outcome.flattened is True for outcome in outcomes) >= 5

"""The ladder: the deepest cause rules, a machine's NO-NEW lifts itself, everything else waits for a person."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.reasons import Reason
from qmterm.engine.ladder import REFUSAL, Ladder, Level

CAUSES = [
    Reason.USER, Reason.KILL, Reason.DATA_STALE, Reason.BROKER_LOST, Reason.LOOP_LAG, Reason.DAILY_LOSS,
    Reason.RECONCILE_DIFFERENCE, Reason.JOURNAL_TROUBLE, Reason.CLOCK_JUMP, Reason.INVARIANT,
]  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(CAUSES), st.sampled_from(list(Level)[1:]), st.booleans(), st.booleans()), max_size=14
)


def lowered(*causes):
    ladder = Ladder()
    for level, reason, by_person in causes:
        ladder.lower(level, reason, f"because of {reason.value}", 1, by_person=by_person)
    return ladder


def test_the_deepest_cause_rules_and_is_named():
    ladder = lowered((Level.NO_NEW, Reason.DATA_STALE, False), (Level.HALT, Reason.KILL, True))
    assert ladder.level is Level.HALT
    assert ladder.text == "because of KILL"


@pytest.mark.parametrize("reason", [Reason.DATA_STALE, Reason.BROKER_LOST, Reason.LOOP_LAG, Reason.DAILY_LOSS])
def test_a_machines_no_new_goes_with_its_cause(reason):
    ladder = lowered((Level.NO_NEW, reason, False))
    assert ladder.cause_gone(reason)
    assert ladder.level is Level.NORMAL
    assert not ladder.cause_gone(reason)


@pytest.mark.parametrize("level", [Level.REDUCE_ONLY, Level.FLATTEN, Level.HALT])
def test_a_deep_cause_never_goes_by_itself(level):
    ladder = lowered((level, Reason.JOURNAL_TROUBLE, False))
    assert not ladder.cause_gone(Reason.JOURNAL_TROUBLE)
    assert ladder.level is level


def test_what_a_person_set_only_a_person_lifts():
    ladder = lowered((Level.NO_NEW, Reason.DATA_STALE, True))
    assert not ladder.cause_gone(Reason.DATA_STALE)
    assert ladder.resume(reconciled_clean=False) == (True, "NORMAL: new entries are allowed")


def test_a_persons_pause_on_top_of_a_machines_cause_becomes_personal():
    ladder = lowered((Level.NO_NEW, Reason.DATA_STALE, False))
    assert ladder.lower(Level.NO_NEW, Reason.DATA_STALE, "person", 2, by_person=True)
    assert not ladder.cause_gone(Reason.DATA_STALE)


def test_one_cause_never_rises_and_a_repeat_is_no_news():
    ladder = lowered((Level.REDUCE_ONLY, Reason.INVARIANT, False))
    assert not ladder.lower(Level.NO_NEW, Reason.INVARIANT, "again", 2)
    assert not ladder.lower(Level.REDUCE_ONLY, Reason.INVARIANT, "again", 2)
    assert ladder.level is Level.REDUCE_ONLY
    assert ladder.lower(Level.HALT, Reason.INVARIANT, "worse", 3)
    assert ladder.level is Level.HALT


@pytest.mark.parametrize("level", [Level.REDUCE_ONLY, Level.FLATTEN, Level.HALT])
def test_from_reduce_only_down_a_person_needs_a_clean_reconciliation(level):
    ladder = lowered((level, Reason.RECONCILE_DIFFERENCE, False))
    ok, text = ladder.resume(reconciled_clean=False)
    assert not ok
    assert level.label in text
    assert ladder.level is level
    assert ladder.resume(reconciled_clean=True)[0]
    assert ladder.level is Level.NORMAL


def test_a_resume_leaves_the_machines_no_new_while_its_cause_holds():
    ladder = lowered((Level.HALT, Reason.KILL, True), (Level.NO_NEW, Reason.BROKER_LOST, False))
    ok, text = ladder.resume(reconciled_clean=True)
    assert ok
    assert "BROKER_LOST" in text
    assert ladder.level is Level.NO_NEW


@given(steps)
def test_after_any_story_the_level_is_the_deepest_cause_and_a_resume_leaves_only_machine_no_new(story):
    ladder = Ladder()
    for reason, level, by_person, gone in story:
        if gone:
            ladder.cause_gone(reason)
        else:
            ladder.lower(level, reason, reason.value, 1, by_person=by_person)
        assert ladder.level == max((c.level for c in ladder.causes), default=Level.NORMAL)
    ladder.resume(reconciled_clean=True)
    assert all(not cause.by_person and cause.level is Level.NO_NEW for cause in ladder.causes)


@given(steps)
def test_a_restart_keeps_all_but_the_machines_no_new(story):
    ladder = Ladder()
    for reason, level, by_person, _ in story:
        ladder.lower(level, reason, reason.value, 7, by_person=by_person)
    again = Ladder.from_dict(json.loads(json.dumps(ladder.to_dict())))
    kept = [c for c in ladder.causes if c.by_person or c.level > Level.NO_NEW]
    assert sorted(again.causes, key=str) == sorted(kept, key=str)
    if any(c.level > Level.NO_NEW for c in ladder.causes):
        assert again.level is ladder.level


def test_every_level_below_normal_has_its_refusal():
    assert set(REFUSAL) == set(Level) - {Level.NORMAL}

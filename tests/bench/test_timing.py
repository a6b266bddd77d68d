"""Contestants take turns, the first turn of each is not measured, and garbage is not collected meanwhile."""

import gc

from qmterm.bench.timing import Seconds, quietly, race


def test_contestants_take_turns_after_an_unmeasured_one():
    seen = []
    timed = race(
        {"a": quietly(lambda: seen.append("a")), "b": quietly(lambda: seen.append("b"))}, rounds=3, budget_s=10.0
    )
    assert seen == ["a", "b"] * 4
    assert len(timed["a"].turns) == len(timed["b"].turns) == 3
    assert all(turn >= 0.0 for turn in timed["a"].turns)


def test_a_contestant_that_measures_itself_is_believed():
    own = iter([9.0, 0.5, 0.25, 0.75])
    assert race({"peer": lambda: next(own)}, rounds=3, budget_s=10.0)["peer"].turns == (0.5, 0.25, 0.75)


def test_a_spent_budget_ends_the_race_after_three_turns():
    assert len(race({"a": lambda: None}, rounds=50, budget_s=0.0)["a"].turns) == 3
    assert len(race({"a": lambda: None}, rounds=1, budget_s=0.0)["a"].turns) == 1


def test_the_garbage_collector_rests_during_the_race_and_is_back_after_an_error():
    states = []

    def work():
        states.append(gc.isenabled())
        if len(states) == 3:
            raise OSError("peer died")

    try:
        race({"a": work}, rounds=5, budget_s=10.0)
    except OSError:
        states.append("raised")
    assert states == [True, False, False, "raised"]
    assert gc.isenabled()


def test_best_and_median_are_of_all_turns():
    assert Seconds((3.0, 1.0, 2.0)).best == 1.0
    assert Seconds((3.0, 1.0, 2.0)).median == 2.0

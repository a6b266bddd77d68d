import gc

import pytest

from qmterm.core.interpreter import MIDDLE, NEW_OBJECTS, OLD, WORTH_IT, Collector


@pytest.fixture(autouse=True)
def threshold():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_garbage_is_still_collected_but_looked_for_less_often():
    Collector().calm()
    assert gc.isenabled()
    assert gc.get_threshold() == (NEW_OBJECTS, 10, 10)


def test_a_rest_is_used_to_look_when_there_is_something_new():
    collector = Collector()
    collector.calm()
    collector.rest()
    gc.collect()
    rings = [[] for _ in range(2 * WORTH_IT)]
    for ring in rings:
        ring.append(ring)
    before = gc.get_stats()[0]["collections"], gc.get_stats()[1]["collections"]
    del rings, ring
    assert gc.get_count()[0] >= WORTH_IT
    collector.rest()
    after = gc.get_stats()[0]["collections"], gc.get_stats()[1]["collections"]
    assert sum(after) == sum(before) + 1
    collector.rest()  # nothing new
    assert (gc.get_stats()[0]["collections"], gc.get_stats()[1]["collections"]) == after


def test_also_the_old_are_looked_at_now_and_then(monkeypatch):
    asked = []
    monkeypatch.setattr("gc.get_count", lambda: (WORTH_IT, 0, 0))
    monkeypatch.setattr("gc.collect", asked.append)
    collector = Collector()
    for _ in range(OLD):
        collector.rest()
    assert (asked.count(0), asked.count(1), asked.count(2)) == (OLD - OLD // MIDDLE, OLD // MIDDLE - 1, 1)

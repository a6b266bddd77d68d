import gc

import pytest

from qmterm.core.interpreter import NEW_OBJECTS, WORTH_IT, Collector


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

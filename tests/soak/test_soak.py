"""A session comes to its end whole: nothing forgotten, nothing lost, nothing leaked.

The long form is issue 4's own: two hours at 32,345 symbols (`pytest -m drill tests/soak -s`, some minutes, 3 GB).
"""

from __future__ import annotations

import re
from datetime import date

import pytest

from qmterm.core.clock import from_et
from tests.soak.soaking import Soaked, report, shortfalls, soak

DAY = date(2026, 3, 2)
DROPS = (
    {"fault": "close", "path": "stocks", "code": 1006, "chance": 0.04},
    {"fault": "duplicate_bar", "path": "stocks", "chance": 0.2},
    {"fault": "late_bar", "path": "stocks", "chance": 0.2},
)


def test_a_session_with_a_stream_that_keeps_dropping_comes_to_its_end_whole(tmp_path):
    soaked = soak(tmp_path, symbols=300, start="2026-03-02T09:29", until="09:36", faults=DROPS)
    engine_mb, _ = soaked.drift_mb(from_et(DAY, 9, 33))
    assert shortfalls(soaked.summary, engine_mb) == []
    assert soaked.summary["market_to"][11:16] == "09:36"
    assert soaked.summary["signals"] >= 1
    assert soaked.said("FEED stocks stream backoff: .*broke") >= 1, "no drop happened: the test has shown nothing"


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_two_hours_of_the_whole_market(tmp_path):
    soaked = soak(tmp_path, symbols=32_345, start="2026-03-02T09:25", until="11:30", sample_s=2.0)
    warm_ns = from_et(DAY, 9, 45)
    print(report(soaked, warm_ns))
    engine_mb, _ = soaked.drift_mb(warm_ns)
    assert shortfalls(soaked.summary, engine_mb) == []
    assert soaked.summary["market_to"][11:16] == "11:30"


def test_drift_is_the_most_that_was_held_after_the_warm_up_whatever_the_end_gave_back():
    soaked = Soaked({}, [(1, 900.0, 5.0), (2, 100.0, 5.0), (3, 160.0, 9.0), (4, 20.0, 7.0)])
    assert soaked.drift_mb(2) == (60.0, 4.0)


WHOLE = {
    "errors": 0,
    "coverage": {"listed": 500, "evaluated": 500, "pct": 100.0, "oldest_age_s": 58.0},
    "minutes": {"lost": 0, "repaired": 3},
}


@pytest.mark.parametrize(
    ("changes", "drift", "says"),
    [
        ({"coverage": {**WHOLE["coverage"], "pct": 99.8}}, 0.0, r"coverage 99\.8 %"),
        ({"coverage": {**WHOLE["coverage"], "oldest_age_s": 61.0}}, 0.0, "61.0 s old"),
        ({"coverage": {**WHOLE["coverage"], "oldest_age_s": None}}, 0.0, "None s old"),
        ({"minutes": {"lost": 1, "repaired": 3}}, 0.0, "1 minutes are lost"),
        ({"errors": 2}, 0.0, "2 errors"),
        ({}, 50.0, "grew by 50"),
    ],
)
def test_each_shortfall_of_a_session_is_said(changes, drift, says):
    assert shortfalls(WHOLE, 49.9) == []
    (found,) = shortfalls({**WHOLE, **changes}, drift)
    assert re.search(says, found)

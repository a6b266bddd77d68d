"""A row is met when its speed and its error are; what was not measured is neither met nor missed."""

import io
import json

import pytest

from qmterm.bench.machine import Machine
from qmterm.bench.report import Limit, Missing, Report, Row, print_json, print_lines

MACHINE = Machine("cpu", 2, 0.5, "Linux x86_64", "3.11", {"numpy": "2"})
MUST = Limit(ratio=100.0, error=1e-9)
KEYS = ["work", "ours", "unit", "peer", "peer_name", "ratio", "max_error", "must", "goal", "met"]  # DESIGN.md 10


def row(ratio, error, must=MUST, **more):
    return Row("work", 1.0, "s", peer=2.0, peer_name="peer", ratio=ratio, max_error=error, must=must, **more)


def document(*rows):
    out = io.StringIO()
    print_json(Report("greeks", MACHINE, rows), out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize(
    ("ratio", "error", "met"),
    [
        (100.0, 1e-9, True),
        (99.9, 1e-12, False),
        (500.0, 1.1e-9, False),
        (None, 1e-12, None),
        (None, 1.0, False),
        (500.0, None, None),
        (500.0, float("inf"), False),
        (500.0, float("nan"), False),
    ],
)
def test_a_must_asks_for_speed_and_for_accuracy(ratio, error, met):
    assert row(ratio, error).met is met


def test_an_amount_may_not_be_exceeded():
    assert Limit(most=1.0).reached(None, 1.0, None) is True
    assert Limit(most=0.99).reached(None, 1.0, None) is False
    assert Limit(most=2.0).reached(None, None, None) is None


def test_json_has_the_keys_other_programs_rely_on():
    found = document(row(120.0, 1e-12, goal=Limit(ratio=150.0)))
    assert found["bench"] == "greeks"
    assert found["machine"]["cores"] == 2
    assert set(KEYS) <= set(found["rows"][0])
    assert (found["met"], found["rows"][0]["met"], found["rows"][0]["goal_met"]) == (True, True, False)
    assert found["rows"][0]["must"] == "≥ 100x, error ≤ 1e-09"


def test_a_peer_that_is_not_there_is_a_row_with_the_command_that_brings_it():
    absent = Row("work", 1.0, "s", peer_name="QuantLib", must=MUST).lacking(Missing("not installed", "pip install it"))
    found = document(absent, row(120.0, 1e-12))
    assert (found["rows"][0]["peer"], found["rows"][0]["met"]) == (None, None)
    assert found["rows"][0]["install"] == "pip install it"
    assert found["not_measured"] == ["work against QuantLib"]
    assert found["met"] is True


def test_nothing_measured_is_not_met():
    assert document(Row("work", 1.0, "s", must=MUST))["met"] is False
    assert document(Row("work", 1.0, "s"))["met"] is False


def test_one_missed_must_is_told_by_name():
    found = document(row(120.0, 1e-12), row(1.0, 1e-12))
    assert (found["met"], found["missed"]) == (False, ["work against peer"])


def test_an_infinite_error_is_no_json_and_not_met():
    found = document(row(120.0, float("inf")))
    assert (found["rows"][0]["max_error"], found["met"]) == (None, False)


def test_people_read_ratio_error_and_verdict():
    out = io.StringIO()
    rows = (row(120.0, 1e-12, goal=Limit(ratio=150.0)), Row("other", 2.0, "ms", must=Limit(most=1.0)))
    print_lines(Report("greeks", MACHINE, rows), out)
    text = out.getvalue()
    assert "ratio 120x" in text
    assert "must   ≥ 100x, error ≤ 1e-09: met" in text
    assert "goal   ≥ 150x: MISSED" in text
    assert "must   ≤ 1 ms: MISSED" in text
    assert text.endswith("MISSED: other\n")


def test_the_machine_says_its_cores_and_the_versions_of_the_peers():
    here = Machine.here()
    assert here.cores >= 1
    assert here.cpu
    assert {"numpy", "numba", "py_vollib"} <= set(here.versions)
    assert here.python in here.sentence()

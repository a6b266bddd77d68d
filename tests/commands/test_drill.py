"""`qmterm drill`: the object that other programs read, the story of one seed, the exit code."""

import json

import pytest

from qmterm.commands import drill
from qmterm.core.errors import BadInput
from qmterm.drill.day import Outcome
from qmterm.drill.judge import Findings

PROMISED = {
    "drill", "seeds", "kills", "duplicate_orders", "orders_without_intent", "lost_fills", "doubled_fills",
    "position_differences", "closes_that_opened", "limit_breaches", "restart_s", "lost_fill_found_s", "kill_ms",
    "failed_seeds",
}  # fmt: skip


def test_the_last_line_is_the_promised_object(capsys):
    assert drill.from_command_line("all", seeds=3, first_seed=4, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(answer) >= PROMISED
    assert (answer["seeds"], answer["failed_seeds"], answer["lost_fills"]) == (3, [], 0)
    assert set(answer["restart_s"]) == {"p50", "max"}
    assert set(answer["kill_ms"]) == {"p50", "p99"}
    assert set(answer["lost_fill_found_s"]) == {"max"}


def test_one_seed_tells_its_story(capsys):
    assert drill.from_command_line("lost-frame", seeds=1, first_seed=2, as_json=False) == 0
    told = capsys.readouterr().out
    assert "fault {'fault': 'dropped_frame'" in told
    assert "ORD sent" in told


def test_a_seed_that_failed_is_named_and_the_command_fails(capsys, monkeypatch):
    def bad(name, seed, *, tell=False):
        outcome = Outcome(seed, Findings())
        if seed == 8:
            outcome.findings.add("lost_fills", "1000001-0-0: 0 of 2")
        return outcome

    monkeypatch.setattr(drill, "one_seed", bad)
    assert drill.from_command_line("all", seeds=3, first_seed=7, as_json=False) == 1
    told = capsys.readouterr().out
    assert "seed 8: lost_fills: 1000001-0-0: 0 of 2" in told
    assert "qmterm drill all --seeds 1 --first-seed 8" in told


@pytest.mark.parametrize(
    ("name", "seeds", "first", "says"),
    [("nonsense", 1, 0, "there is no drill 'nonsense'"), ("all", 0, 0, "at least 1"), ("all", 1, -1, "0 or more")],
)
def test_wrong_use_is_one_sentence(name, seeds, first, says):
    with pytest.raises(BadInput, match=says):
        drill.from_command_line(name, seeds=seeds, first_seed=first, as_json=True)

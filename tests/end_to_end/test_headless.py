"""`qmterm --auto`: the whole loop alone, twice the same, every cent and every order accounted for."""

from __future__ import annotations

import re
import sqlite3
from decimal import Decimal

import pytest

from tests.end_to_end.running import own_sim, run

LOG_LINE = re.compile(r"^\d\d:\d\d:\d\d \[(info|warn|error|alarm) *\] [A-Z]+ \S")
# The same entry point; at the end the process says on stderr which screen libraries it holds.
TELLS_MODULES = """\
import sys
from qmterm.cli import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", [m for m in sys.modules if m.split(".")[0] == "textual"], file=sys.stderr)
"""
PERCENTILES = ("signal_to_ack_ms", "feed_latency_ms", "loop_lag_ms")


@pytest.fixture(scope="module")
def twice(home, tmp_path_factory):
    """Two runs of the contract's own line, the market's first minutes only."""
    folder = tmp_path_factory.mktemp("headless")
    words = [*own_sim(7, 500, "09:25"), "--until", "09:45"]
    return [run(home, folder / f"{n}.sqlite", *words, program=TELLS_MODULES) for n in (1, 2)]


def test_it_scans_plans_orders_and_fills_without_an_error(twice):
    body, engine = twice[0]
    assert body["signals"] >= 3
    assert body["orders"] >= 1
    assert body["fills"] >= 1
    assert body["errors"] == 0
    with sqlite3.connect(engine.journal) as connection:
        (first,) = connection.execute("SELECT count(*) FROM intents_in_full WHERE replaces IS NULL").fetchone()
    assert body["plans"] >= first  # every other order sent is a step of a walked price
    assert body["open_positions"] >= 1
    assert body["minutes"]["bars_checked"] > 20
    assert (body["minutes"]["bars_differ"], body["minutes"]["bars_own"]) == (0, 0)
    assert (body["market_from"][11:16], body["market_to"][11:16]) == ("09:25", "09:45")


def test_one_seed_gives_the_same_decisions_and_the_same_money(twice):
    (one, _), (two, _) = twice
    same = ("decisions_sha256", "signals", "plans", "rejected", "orders", "fills", "open_positions", "fees", "cash")
    assert {key: one[key] for key in same} == {key: two[key] for key in same}
    assert one["nlv"] == two["nlv"]


def test_every_order_had_its_intent_on_the_disk_before_it_left(twice):
    for body, engine in twice:
        found = engine.audit()
        assert found.faults == ()
        assert found.orders_without_intent == found.doubled_fills == 0
        assert found.orders_sent == body["orders"]
        assert found.fills == body["fills"]


def test_nlv_is_cash_plus_marks_recomputed_from_the_journal_to_the_cent(twice):
    for body, engine in twice:
        found = engine.audit()
        cent = Decimal("0.01")
        assert Decimal(str(body["nlv"])) == found.nlv.quantize(cent) == found.last_equity_nlv.quantize(cent)
        assert Decimal(str(body["cash"])) == found.cash.quantize(cent)


def test_stdout_is_the_json_line_and_stderr_one_line_an_event(twice):
    for body, engine in twice:
        assert len(engine.stdout.splitlines()) == 1
        events = [line for line in engine.lines if line and not line.startswith("loaded: ")]
        assert all(LOG_LINE.match(line) for line in events), [e for e in events if not LOG_LINE.match(e)]
        assert sum(" FILL " in line for line in events) == body["fills"]
        assert sum(" ORD sent " in line for line in events) == body["orders"]
        for name in PERCENTILES:
            assert set(body[name]) == {"p50", "p99"}


def test_the_session_is_closed_in_the_journal_with_its_summary(twice):
    body, engine = twice[0]
    rows = sqlite3.connect(f"file:{engine.journal}?mode=ro", uri=True)
    ended, summary = rows.execute("SELECT ended_ns, summary FROM sessions").fetchone()
    assert ended is not None
    assert body["decisions_sha256"] in summary
    rows.close()


def test_no_screen_library_is_loaded_to_run_without_a_screen(twice):
    """Asked of the process itself at its end."""
    assert twice[1][1].says("loaded: ") == "loaded: []"


@pytest.mark.drill
def test_drill_another_seed_is_another_story(home, tmp_path, twice):
    body, engine = run(home, tmp_path / "j.sqlite", *own_sim(11, 100), "--until", "09:33")
    assert body["errors"] == 0
    assert engine.audit().sound
    assert body["decisions_sha256"] != twice[0][0]["decisions_sha256"]


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_drill_the_whole_morning_twice(home, tmp_path):
    words = [*own_sim(7, 500, "09:25"), "--until", "11:30"]
    (one, first), (two, second) = (run(home, tmp_path / f"{n}.sqlite", *words) for n in (1, 2))
    assert one["decisions_sha256"] == two["decisions_sha256"]
    for body, engine in ((one, first), (two, second)):
        assert body["errors"] == 0
        found = engine.audit()
        assert found.faults == ()
        assert Decimal(str(body["nlv"])) == found.nlv.quantize(Decimal("0.01"))

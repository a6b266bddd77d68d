"""`qmterm history`: a pull from a simulator, its status, its checks, and a file brought in."""

from __future__ import annotations

import json

import pytest

from qmterm.cli import main
from qmterm.market.rest.budget import Priority, asking
from qmterm.market.rest.client import PolygonRest
from tests.sim.conftest import start, stop


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QMTERM_HOME", str(tmp_path / "home"))
    return tmp_path


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["history", *words])
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


@pytest.fixture
def priorities(monkeypatch):
    """What the calls of a pull are for."""
    seen, grouped_daily = set(), PolygonRest.grouped_daily

    async def watched(rest, day):
        seen.add(asking.get())
        return await grouped_daily(rest, day)

    monkeypatch.setattr(PolygonRest, "grouped_daily", watched)
    return seen


def test_pull_resume_status_and_verify_against_a_simulator(home, capsys, priorities):
    simulator = start("--seed", "7", "--symbols", "50")
    token = home / "token"
    token.write_text(simulator.token)
    where = ("--store", str(home / "store"))
    link = ("--sim", simulator.url, "--sim-token-file", str(token), *where, "--json")
    try:
        code, out, _ = run(capsys, "pull", "--sessions", "5", *link)
        assert (code, json.loads(out)["pulled"]) == (0, 5)
        assert priorities == {Priority.HISTORY}
        code, out, _ = run(capsys, "pull", "--from", "2026-02-17", "--to", "2026-02-27", *link)
        assert (code, json.loads(out)["wanted"], json.loads(out)["pulled"]) == (0, 9, 4)
        code, out, _ = run(capsys, "pull", "--sessions", "5", *link[:-1])
        assert (code, out) == (0, f"all 5 sessions were already here; 0 new splits; {home / 'store'}\n")
    finally:
        stop(simulator)
    code, out, _ = run(capsys, "status", *where, "--json")
    held = json.loads(out)
    assert code == 0
    assert held["held"][0] == {
        "what": "daily bars", "sessions": 9, "first": "2026-02-17", "last": "2026-02-27",
    }  # fmt: skip
    assert held["symbols"] >= 45
    (home / "store" / "2026-02-20.parquet").unlink()
    code, out, _ = run(capsys, "verify", *where)
    assert code == 1
    assert "2026-02-20 GAP" in out
    assert "qmterm history pull" in out


def test_a_file_is_brought_in_and_what_it_lacks_is_said(home, capsys):
    path = home / "bars.csv"
    path.write_text("symbol,date,open,high,low,close,volume\nA,2026-02-27,1,2,1,2,100\nA,2026-02-28,1,2,1,2,100\n")
    code, out, _ = run(capsys, "import", str(path))
    assert code == 0
    assert "1 written into 1 sessions" in out
    assert "1 on days without a session" in out
    assert (home / "home" / "cache" / "history" / "polygon" / "2026-02-27.parquet").exists()
    code, out, _ = run(capsys, "status")
    assert "1 sessions hold imported rows only, newest 2026-02-27" in out
    path.write_text("a,b\n1,2\n")
    code, _, err = run(capsys, "import", str(path))
    assert code == 2
    assert "docs/data.md" in err


def test_wrong_words_are_refused(home, capsys):
    assert run(capsys, "pull", "--sessions", "5", "--from", "2026-01-01")[0] == 2
    assert run(capsys, "pull", "--from", "soon")[0] == 2
    assert run(capsys, "verify")[0] == 2  # there is no store yet
    assert run(capsys, "pull", "--sim", "http://127.0.0.1:1")[0] == 2


def test_a_store_that_cannot_be_written_is_a_sentence(home, capsys):
    (home / "file").write_text("in the way")
    (home / "bars.csv").write_text("symbol,date,open,high,low,close,volume\nA,2026-02-27,7,7,7,7,1\n")
    code, out, err = run(capsys, "import", str(home / "bars.csv"), "--store", str(home / "file" / "store"))
    assert (code, out) == (1, "")
    assert "file/store cannot be written (Not a directory)" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("status", "--sessions", "-5"), "--sessions -5: give the number of the latest sessions"),
        (("status", "--sessions", "0"), "--sessions 0: give the number of the latest sessions"),
        (("pull", "--sessions", "-5"), "--sessions -5: give the number of the latest sessions"),
        (("pull", "--sessions", "0"), "--sessions 0: give the number of the latest sessions"),
        (("status", "--sessions", "100000"), "--sessions 100000: from 2003-09-10, where the vendor's begin, there are"),
    ],
)
def test_numbers_of_sessions_that_make_no_sense_are_refused(home, capsys, words, why):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"qmterm: {why}")
    assert err.count("\n") == 1

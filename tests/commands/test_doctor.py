"""`qmterm doctor` against simulators on the wire, against nothing, and against servers that stay silent."""

import asyncio
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from websockets.sync.server import serve

from qmterm.commands import doctor_machine
from qmterm.commands.doctor_machine import disk_check, journal_check, terminal_check, within
from qmterm.commands.doctor_report import ok
from qmterm.commands.doctor_stream import ask_stream
from qmterm.commands.places import places
from qmterm.journal.lock import JournalLock
from qmterm.journal.schema import APPLICATION_ID, new_file
from tests.commands.conftest import write_config


def states(out):
    """Every check's state by group and name, from `--json`."""
    report = json.loads(out.splitlines()[-1])
    return report, {f"{check['group']}/{check['name']}": check for check in report["checks"]}


@pytest.fixture
def silent():
    """A server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield listener.getsockname()[1]


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_everything_is_ok_on_the_advanced_plan(qmterm, pointed_at, advanced):
    pointed_at(advanced)
    code, out, err = qmterm("doctor", "--json")
    report, checks = states(out)
    assert code == 0, out
    assert report["ok"] is True
    assert report["counts"]["FAIL"] == 0
    for name in ("Polygon key, clock", "stock snapshot", "daily history", "option chain", "news", "earnings dates"):
        assert checks[f"market data/{name}"]["state"] == "OK"
    assert "50 with quotes" in checks["market data/option chain"]["saw"]
    assert "Q.AAPL granted" in checks["market data/stocks stream"]["saw"]
    assert "Q.O:AAPL" in checks["market data/options stream"]["saw"]
    for name in ("login", "account", "options approval", "quote token"):
        assert checks[f"broker/{name}"]["state"] == "OK"
    assert "..0001 of 1" in checks["broker/account"]["saw"]
    assert advanced.token not in out + err


def test_a_smaller_plan_is_told_capability_by_capability(qmterm, pointed_at, starter):
    pointed_at(starter, broker="paper")
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 0, "a missing entitlement is a warning, not a failure"
    warned = {name for name, check in checks.items() if check["group"] == "market data" and check["state"] == "WARN"}
    assert warned == {
        "market data/stock snapshot",
        "market data/option chain",
        "market data/earnings dates",
        "market data/stocks stream",
        "market data/options stream",
    }
    assert "Q.AAPL is refused" in checks["market data/stocks stream"]["saw"]
    assert all(checks[name]["todo"] for name in warned)
    assert checks["market data/remembered refusals"]["saw"] == "none today"
    assert checks["broker/paper"]["state"] == "OK"


def test_the_request_budget_and_what_was_refused_today_are_told(qmterm, pointed_at, starter):
    pointed_at(starter, broker="paper", more="calls_per_minute = 30\n")
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    saw = checks["market data/request budget"]["saw"]
    assert re.match(r"30 calls a minute \(calls_per_minute\), \d+ of them taken by this look; 300 of 300 sessions", saw)
    assert saw.endswith("missing: about 10 min")
    today = "2026-03-02"
    file = places().history / "polygon" / "entitlements.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    place = f"{starter.url.removeprefix('http://')} advanced"
    kept = {
        "option quotes": {"day": today, "message": "no"},
        "short interest": {"day": today, "message": "no"},
        "news": {"day": "2026-02-27", "message": "no"},  # of another day: asked again
    }
    file.write_text(json.dumps({"refused": {place: kept}}))
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 0
    refusals = checks["market data/remembered refusals"]
    assert (refusals["state"], refusals["saw"]) == ("WARN", "not in plan: option quotes, short interest")


def test_a_wrong_key_and_login_fail_with_what_to_do(qmterm, pointed_at, advanced, monkeypatch):
    pointed_at(advanced)
    monkeypatch.setenv("QMTERM_POLYGON_KEY", "pk-very-secret")
    monkeypatch.setenv("QMTERM_TT_SECRET", "tt-very-secret")
    code, out, err = qmterm("doctor")
    assert code == 1
    assert "FAIL  Polygon key, clock" in out
    assert "FAIL  login" in out
    assert "very-secret" not in out + err


def test_a_clock_that_is_far_off_fails_unless_the_server_is_followed(qmterm, pointed_at, advanced):
    file = pointed_at(advanced, broker="paper")
    file.write_text(file.read_text().replace('market_clock = "server"', 'market_clock = "system"'))
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 1
    assert checks["market data/Polygon key, clock"]["state"] == "FAIL"
    assert 'market_clock = "server"' in checks["market data/Polygon key, clock"]["todo"]


def test_an_account_that_does_not_exist_is_named_by_its_tails(qmterm, pointed_at, advanced, monkeypatch):
    pointed_at(advanced)
    monkeypatch.setenv("QMTERM_TT_ACCOUNT", "9999")
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 1
    assert checks["broker/account"]["state"] == "FAIL"
    assert "..0001" in checks["broker/account"]["saw"]
    assert "broker/options approval" not in checks


def test_silent_servers_cost_their_deadline_and_no_more(qmterm, home, silent, monkeypatch):
    for variable in ("QMTERM_POLYGON_KEY", "QMTERM_TT_SECRET", "QMTERM_TT_REFRESH"):
        monkeypatch.setenv(variable, "k")
    write_config(
        home,
        f"http://127.0.0.1:{silent}",
        f"ws://127.0.0.1:{silent}",
        more="deadline_s = 1\nread_timeout_s = 1\nconnect_timeout_s = 1\n",
    )
    began = time.monotonic()
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 1
    assert checks["market data/Polygon key, clock"]["state"] == "FAIL"
    assert checks["broker/login"]["state"] == "FAIL"
    assert [name for name in checks if name.startswith("market data/")] == ["market data/Polygon key, clock"]
    assert time.monotonic() - began < 20


def test_nobody_there_is_a_failure_with_the_address(qmterm, home, monkeypatch):
    monkeypatch.setenv("QMTERM_POLYGON_KEY", "k")
    port = closed_port()
    write_config(home, f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", broker="paper")
    code, out, _ = qmterm("doctor")
    assert code == 1
    assert f"127.0.0.1:{port}" in out


def test_a_stream_that_connects_and_stays_silent_is_told(home):
    def mute(connection):
        connection.recv()

    with serve(mute, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/stocks"
        check = asyncio.run(ask_stream("stocks stream", url, "k", "AAPL", 0.5))
        server.shutdown()
    assert check.state == "FAIL"
    assert "did not log in within 0.5 s" in check.saw


@pytest.mark.parametrize(
    ("status", "state", "what"),
    [
        ("auth_failed", "FAIL", "QMTERM_POLYGON_KEY"),
        ("max_connections", "WARN", "another program uses this key"),
    ],
)
def test_what_a_stream_refuses_is_told(status, state, what):
    def refuse(connection):
        connection.send('[{"ev":"status","status":"connected","message":"Connected Successfully"}]')
        connection.recv()
        connection.send(f'[{{"ev":"status","status":"{status}","message":"no"}}]')

    with serve(refuse, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/stocks"
        check = asyncio.run(ask_stream("stocks stream", url, "k", "AAPL", 5))
        server.shutdown()
    assert check.state == state
    assert what in check.todo


def test_without_keys_the_next_commands_are_given(qmterm):
    code, out, _ = qmterm("doctor")
    assert code == 1
    assert "FAIL  QMTERM_POLYGON_KEY" in out
    tail = out[out.index("Without keys") :]
    for command in ("qmterm demo", "qmterm config init", "qmterm config secret set QMTERM_POLYGON_KEY"):
        assert command in tail


def test_a_broken_configuration_is_a_failure_and_the_machine_is_still_looked_at(qmterm, home):
    write_config(home, "http://127.0.0.1:1", "ws://127.0.0.1:1", more="foo = 1\n")
    code, out, _ = qmterm("doctor")
    assert code == 1
    assert "polygon.foo: unknown key" in " ".join(out.split())
    assert "OK    Python" in out
    assert "market data" not in out


def test_a_damaged_journal_fails(qmterm, home):
    journal = home / "data" / "journal-paper.sqlite"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"this is no database" * 300)
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 1
    assert checks["folders/journal"]["state"] == "FAIL"
    assert "damaged" in checks["folders/journal"]["saw"]
    assert journal.read_bytes() == b"this is no database" * 300


@pytest.mark.parametrize(
    ("owner", "version", "what"), [(0, 3, "another program"), (APPLICATION_ID, 99, "newer qmterm")]
)
def test_a_journal_that_is_not_ours_to_read_fails(home, tmp_path, owner, version, what):
    file = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            f"CREATE TABLE t (x); PRAGMA application_id = {owner}; PRAGMA user_version = {version};"
        )
    check = journal_check(file)
    assert check.state == "FAIL"
    assert what in check.saw
    assert check.todo


def test_a_journal_that_is_cut_short_fails_with_what_to_do(home, tmp_path):
    file = tmp_path / "journal.sqlite"
    file.write_bytes(new_file(file)[:-100])
    check = journal_check(file)
    assert check.state == "FAIL"
    assert "cut short" in check.saw
    assert check.todo


def test_a_good_journal_is_ok_and_looking_leaves_no_lock(home, tmp_path):
    file = tmp_path / "journal.sqlite"
    file.write_bytes(new_file(file))
    check = journal_check(file)
    assert check.state == "OK"
    assert "whole" in check.saw
    JournalLock(file).acquire()


def test_a_journal_in_use_is_told_with_its_owner(qmterm, home):
    journal = home / "data" / "journal-paper.sqlite"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(new_file(journal))
    lock = JournalLock(journal)
    lock.acquire()
    try:
        _, out, _ = qmterm("doctor", "--json")
    finally:
        lock.release()
    _, checks = states(out)
    assert checks["folders/journal"]["state"] == "WARN"
    assert "in use by another running engine" in checks["folders/journal"]["saw"]


def test_folders_that_cannot_be_made_fail_and_none_is_made(qmterm, home):
    home.mkdir()
    (home / "data").write_text("a file where the folder should be")
    code, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    assert code == 1
    assert checks["folders/data folder"]["state"] == "FAIL"
    assert checks["folders/cache folder"]["state"] == "OK"
    assert sorted(path.name for path in home.iterdir()) == ["data"]


def test_streams_are_left_alone_beside_a_running_engine(qmterm, pointed_at, advanced, monkeypatch):
    """A plan allows one connection a cluster: trying it would take the engine's prices away."""
    pointed_at(advanced, broker="paper")
    monkeypatch.setattr(doctor_machine, "engine_check", lambda _places: (ok("running engine", "pretended"), True))
    _, out, _ = qmterm("doctor", "--json")
    _, checks = states(out)
    for cluster in ("stocks", "options"):
        assert checks[f"market data/{cluster} stream"]["saw"].startswith("not tried: an engine is running")


def test_source_sim_needs_no_key(qmterm, home):
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[engine]\nsource = "sim"\nbroker = "sim"\n')
    code, out, _ = qmterm("doctor")
    assert code == 0
    assert "Without keys" not in out


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("8.2.8", "<8.3,>=8.2.8", True),
        ("8.3.0", "<8.3,>=8.2.8", False),
        ("8.10", ">=8.2.8", True),
        ("2.0rc1", ">=2", True),
        ("1.9", ">=2", False),
        ("4", "", True),
        ("3.0.0", "==3", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, bounds, fits):
    assert within(version, bounds) is fits


@pytest.mark.parametrize(
    ("environment", "size", "advice"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, (120, 40), ""),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, (120, 40), "cannot draw a screen"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, (79, 24), "at least 80x24"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x"}, (120, 40), "terminal-features"),
        ({"TERM": "xterm"}, (120, 40), "COLORTERM=truecolor"),
    ],
)
def test_what_the_terminal_lacks_is_told(monkeypatch, environment, size, advice):
    class Terminal:
        encoding = "utf-8"

        def isatty(self):
            return True

    for name in ("TERM", "COLORTERM", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size(size))
    check = terminal_check()
    assert (check.state == "OK") == (not advice)
    assert advice in check.todo


def test_little_disk_space_is_told(monkeypatch, tmp_path):
    for free, state in ((100_000_000, "FAIL"), (1_000_000_000, "WARN"), (50_000_000_000, "OK")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: SimpleNamespace(free=free))
        assert disk_check(tmp_path / "not" / "there").state == state

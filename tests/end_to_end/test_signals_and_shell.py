"""A running engine is asked from a shell, and told to stop by the system."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from qmterm.core.clock import NS
from tests.end_to_end.running import engine, own_sim, until


def orders_sent(one) -> int:
    return sum(" ORD sent " in line for line in list(one.lines))


@pytest.fixture(scope="module")
def told(home, tmp_path_factory):
    """One run at sixty times the market's speed: looked at, paused, resumed, killed, then stopped by SIGTERM."""
    seen = {}
    words = [*own_sim(7, 100, "09:29", speed="60"), "--for", "60s"]
    with engine(home, tmp_path_factory.mktemp("told") / "j.sqlite", *words) as one:
        one.wait_for(r" ORD sent ")
        seen["mode"] = stat.S_IMODE(home.socket.stat().st_mode)
        seen["status"] = one.ctl("status")
        shell = [sys.executable, "-m", "qmterm.cli", "ctl", "pause"]
        seen["shell"] = subprocess.run(shell, capture_output=True, text=True, env=home.environment, check=False)
        seen["paused"] = one.ctl("status")
        before = orders_sent(one)
        began = seen["paused"]["data"]["market_ns"]
        # Two minutes of market time hold two scans.
        until(lambda: one.ctl("status")["data"]["market_ns"] - began > 120 * NS, 30, lambda: "\n".join(one.lines))
        seen["sent_while_paused"] = orders_sent(one) - before
        seen["resume"] = one.ctl("resume")
        seen["resumed"] = one.ctl("status")
        seen["wrong"] = one.ctl("sell", "everything")
        seen["kill"] = one.ctl("kill")
        seen["killed"] = one.ctl("status")
        seen["body"] = one.stop(signal.SIGTERM)
        seen["engine"] = one
    return seen


def test_the_socket_belongs_to_its_user(told, home):
    assert told["mode"] == 0o600
    assert not home.socket.exists()  # and it is gone with the engine


def test_status_says_what_runs(told):
    assert told["status"]["ok"]
    assert told["status"]["data"]["mode"] == "auto"
    assert told["status"]["data"]["ladder"] == "NORMAL"
    assert "sim/sim" in told["status"]["text"]


def test_pause_from_a_shell_holds_new_orders_back(told):
    assert told["shell"].returncode == 0
    assert told["shell"].stdout.startswith("NO-NEW")
    assert told["paused"]["data"]["ladder"] == "NO-NEW"
    assert told["sent_while_paused"] == 0


def test_resume_brings_normal_back(told):
    assert told["resume"]["ok"]
    assert told["resumed"]["data"]["ladder"] == "NORMAL"


def test_kill_halts_and_says_how_many_cancels_it_asked(told):
    assert told["kill"]["text"].startswith("HALT: ")
    assert told["killed"]["data"]["ladder"] == "HALT"


def test_a_wrong_verb_is_answered_in_words(told):
    assert not told["wrong"]["ok"]
    assert "ctl knows status" in told["wrong"]["text"]


def test_latencies_are_measured(told):
    """Values are for the bench on a quiet machine; here only that they are there and are times."""
    for name in ("signal_to_ack_ms", "loop_lag_ms", "feed_latency_ms"):
        assert 0 <= told["body"][name]["p50"] <= told["body"][name]["p99"]


def test_sigterm_ends_cleanly_with_the_journal_closed(told):
    assert told["engine"].says("STOP stop asked .SIGTERM")
    found = told["engine"].audit()
    assert found.faults == ()
    rows = sqlite3.connect(f"file:{told['engine'].journal}?mode=ro", uri=True)
    assert rows.execute("SELECT count(*) FROM sessions WHERE ended_ns IS NULL").fetchone() == (0,)
    rows.close()


def test_ctrl_c_lists_the_orders_that_keep_working(home, tmp_path):
    """At five times the market's speed a step takes a second: the orders sent in it still work at the signal."""
    with engine(home, tmp_path / "j.sqlite", *own_sim(7, 100, "09:30", speed="5")) as one:
        one.wait_for(r" ORD sent ")
        body = one.stop(signal.SIGINT)
    listed = [line for line in one.lines if "STOP still working: BUY" in line]
    assert body["working_orders"] == len(listed) >= 1
    assert one.audit().sound


def test_a_stop_before_the_start_is_complete_is_still_a_clean_stop(home, tmp_path):
    with engine(home, tmp_path / "j.sqlite", *own_sim(23, 100)) as one:  # a world without a cached history
        until((tmp_path / "j.sqlite").exists, 30, lambda: "\n".join(one.lines))
        one.process.send_signal(signal.SIGTERM)
        one._end(10)
    assert one.process.returncode == 0
    assert one.says("stopped before the start was complete")

"""`qmterm scan` on the market: over a running engine when there is one, else a scan of our own that never trades."""

import asyncio
import json
import threading

import pytest

from qmterm.commands.scan_live import LiveWish, run
from qmterm.core.errors import ConfigError, DataError, EngineUnreachable
from qmterm.engine.commands import CommandResult, Scan
from qmterm.engine.control import ControlSocket

ROW = {
    "symbol", "close", "sma50", "atr14", "atr_distance", "atr_pct_multiple", "strength", "confidence", "state",
    "failed", "not_checked", "age_s", "code",
}  # fmt: skip


def test_without_an_engine_the_snapshot_and_the_history_store_make_a_scan(qmterm, advanced, tmp_path):
    token = tmp_path / "token"
    token.write_text(advanced.token)
    config = tmp_path / "config.toml"
    config.write_text("[engine]\nhistory_sessions = 210\n")
    where = ("--sim", advanced.url, "--sim-token-file", token, "--config", config)
    code, out, err = qmterm("scan", *where, "--limit", 3, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out.splitlines()[-1])
    assert document["from"] == "sim"
    assert document["symbols"] == 50
    assert [set(row) for row in document["rows"]] == [ROW] * 3
    assert all(row["close"] > 0 for row in document["rows"])
    covered = document["coverage"]
    assert covered["evaluated"] + sum(covered["skipped"].values()) == covered["listed"]
    assert covered["pct"] >= 99.9


@pytest.fixture
def engine(tmp_path):
    """A control socket that answers like a running engine's, on a loop of its own."""
    path, loop = tmp_path / "engine.sock", asyncio.new_event_loop()
    asked, answers = [], []

    async def answer(command):
        asked.append(command)
        return answers[0]

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    socket = ControlSocket(path, answer)
    asyncio.run_coroutine_threadsafe(socket.open(), loop).result(5)
    yield path, asked, answers
    asyncio.run_coroutine_threadsafe(socket.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_a_running_engine_answers_with_its_own_scan(engine, capsys):
    path, asked, answers = engine
    row = dict.fromkeys(ROW) | {
        "symbol": "AAPL",
        "close": 231.5,
        "state": "HOLD",
        "failed": ["LOW_RR"],
        "code": "HALTED",
    }
    covered = {"listed": 500, "pct": 99.8, "skipped": {"HALTED": 1}}
    document = {"market_time": "2026-03-02T11:00:00-05:00", "symbols": 500, "coverage": covered, "rows": [row]}
    answers.append(CommandResult(True, "", document))
    assert run(LiveWish(socket=path), 7, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"from": "engine", **document}
    assert asked == [Scan("7")]
    assert run(LiveWish(socket=path), None, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "price HALTED LOW_RR" in shown
    assert "coverage 99.80 % of 500 listed; not evaluated: 1 HALTED" in shown


def test_an_engine_that_has_no_scan_says_so(engine):
    path, _, answers = engine
    answers.append(CommandResult(False, "the engine is still starting"))
    with pytest.raises(DataError, match="still starting"):
        run(LiveWish(socket=path), None, as_json=True)


def test_wrong_use_is_a_sentence(home, tmp_path):
    with pytest.raises(ConfigError, match="go together"):
        run(LiveWish(sim_url="http://127.0.0.1:1"), None, as_json=True)
    with pytest.raises(EngineUnreachable, match="no engine answers"):
        run(LiveWish(socket=tmp_path / "nobody.sock"), None, as_json=True)
    with pytest.raises(ConfigError, match="QMTERM_POLYGON_KEY"):
        run(LiveWish(), None, as_json=True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--as-of", "2026-03-02"], "--as-of goes with --history FILE"),
        (["--limit", "-1"], "--limit -1: give the number of rows to show"),
        (["--limit", "0"], "--limit 0: give the number of rows to show"),
        (["--history", "bars.parquet", "--limit", "-1"], "--limit -1: give the number of rows to show"),
        (["--history", "bars.parquet", "--source", "sim"], "--history scans a file"),
    ],
)
def test_options_that_would_change_nothing_or_drop_rows_are_refused(qmterm, words, why):
    code, out, err = qmterm("scan", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"qmterm: {why}")
    assert err.count("\n") == 1

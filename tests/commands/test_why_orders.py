"""`qmterm why` and `qmterm orders`: from the running engine where there is one, else from the journal's file."""

import asyncio
import json
import threading

import pytest

from qmterm.cli import main
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.commands import Arm, CancelOrder, CommandResult, ListOrders, Why
from qmterm.engine.control import ControlSocket
from qmterm.journal.journal import Journal
from tests.engine.fakes import clock_at, entry
from tests.engine.house import plan


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QMTERM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def kept(home):
    """The journal of an ended run with one order at work, one refused trade."""
    file = home / "data" / "journal-paper.sqlite"

    async def write():
        clock = clock_at()
        journal = await Journal.open(file, clock)
        await journal.start_session("5WT00001", "auto", "sim", "paper", 100_000, (), "x")
        journal.decision(
            "NVDA", "rejected", clock.now(), plan=plan("P9"), reason=Reason.LIMIT_TRADE, numbers={"max_loss": 416.26}
        )
        await journal.write_intent(entry("e-0a320"))
        await journal.write_order("e-0a320", OrderState.LIVE, "1000", clock.now(), None)
        await journal.write_intent(entry("e-0done"))
        await journal.write_order("e-0done", OrderState.CANCELLED, "1001", clock.now(), None)
        await journal.end_session({})
        await journal.close()

    asyncio.run(write())
    return file


@pytest.fixture
def engine(home):
    """A socket that answers as told; `asked` is what reached it."""
    asked, answers = [], {}
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def answer(command):
        asked.append(command)
        return answers.get(type(command), CommandResult(True, "done"))

    door = ControlSocket(home / "run" / "engine.sock", answer)

    def serve():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(door.open())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(door.close())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(5)
    yield asked, answers
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def code(*words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code


def test_without_an_engine_the_journal_says_why_with_numbers(kept, capsys):
    assert code("why", "P9") == 0
    told = capsys.readouterr().out
    assert "decision NVDA" in told
    assert "reason LIMIT_TRADE" in told
    assert "gate: max_loss 416.26" in told


def test_an_order_is_found_by_the_end_of_its_id(kept, capsys):
    assert code("why", "a320") == 0
    assert "intent e-0a320" in capsys.readouterr().out


def test_why_as_json_has_the_rows_with_all_they_keep(kept, capsys):
    assert code("why", "e-0a320", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["from"] == str(kept)
    assert [row["kind"] for row in told["events"]] == ["decision", "intent", "order"]
    assert told["events"][0]["body"]["numbers"] == {"max_loss": 416.26}


def test_what_nobody_knows_is_said_and_is_a_failure(kept, capsys):
    assert code("why", "nonsense") == 1
    assert "nothing is recorded about 'nonsense'" in capsys.readouterr().err


def test_without_engine_and_journal_it_is_one_sentence(home, capsys):
    assert code("why", "P9") == 1
    assert "no engine is running, and there is no journal" in capsys.readouterr().err


def test_after_a_demo_the_newest_simulated_run_is_read_and_named(kept, home, capsys):
    runs = home / "data" / "sim-runs"
    runs.mkdir()
    (runs / "20261129T100000000000.sqlite").write_bytes(b"an older run")
    newest = kept.rename(runs / "20261130T100000000000.sqlite")
    assert code("why", "P9") == 0
    told = capsys.readouterr()
    assert "reason LIMIT_TRADE" in told.out
    assert f"no engine is running: as {newest} has it" in told.err
    assert code("orders", "list") == 0
    assert str(newest) in capsys.readouterr().err


def test_a_simulated_run_never_stands_for_real_orders(kept, home, capsys):
    runs = home / "data" / "sim-runs"
    runs.mkdir()
    kept.rename(runs / "20261130T100000000000.sqlite")
    (home / "config").mkdir()
    (home / "config" / "config.toml").write_text('[engine]\nbroker = "tastytrade"\n')
    assert code("why", "P9") == 1
    assert "journal-tastytrade.sqlite; name one with --journal" in capsys.readouterr().err


def test_the_paper_journal_comes_before_simulated_runs(kept, home, capsys):
    (home / "data" / "sim-runs").mkdir()
    (home / "data" / "sim-runs" / "20261130T100000000000.sqlite").write_bytes(b"a demo")
    assert code("why", "P9") == 0
    assert str(kept) in capsys.readouterr().err


def test_the_journal_lists_working_orders_and_all(kept, capsys):
    assert code("orders", "list") == 0
    told = capsys.readouterr()
    assert "e-0a320  BUY 2 NVDA" in told.out
    assert "e-0done" not in told.out
    assert "the broker may know more" in told.err
    assert code("orders", "list", "--all", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["orders"]
    assert [(row["order_id"], row["working"]) for row in rows] == [("e-0a320", True), ("e-0done", False)]


def test_nothing_is_cancelled_without_an_engine_and_that_is_said(kept, capsys):
    assert code("orders", "cancel", "all") == 1
    assert "Nothing was cancelled" in capsys.readouterr().err


def test_a_running_engine_is_asked_first(kept, engine, capsys):
    asked, answers = engine
    answers[Why] = CommandResult(True, "a line", {"lines": ["a line"], "events": []})
    answers[ListOrders] = CommandResult(True, "0 order(s)", [])
    assert code("why", "NVDA") == 0
    assert capsys.readouterr().out == "a line\n"
    assert code("orders", "list", "--all") == 0
    assert code("orders", "cancel", "all") == 0
    assert asked == [Why("NVDA", full=True), ListOrders("all"), CancelOrder("all")]


def test_arming_from_a_shell_takes_its_two_bounds_by_name(engine, capsys):
    asked, _ = engine
    assert code("ctl", "arm", "--until", "16:00", "--max-loss", "500") == 0
    assert asked == [Arm(until="16:00", max_loss="500", source="ctl")]
    assert code("ctl", "arm", "--until", "16:00") == 2
    assert code("ctl", "status", "--until", "16:00") == 2
    assert len(asked) == 1


def test_a_refusal_by_risk_has_its_own_exit_code(engine, capsys):
    _, answers = engine
    answers[Arm] = CommandResult(False, "not armed: book and broker do not agree yet", refused=True)
    assert code("ctl", "arm", "--until", "16:00", "--max-loss", "500") == 3

"""Files that cannot be trusted or written are refused with one sentence, and nothing about them is changed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import OrderKind, OrderState, TimeInForce
from qmterm.journal import Journal, records, schema
from qmterm.journal.queries import why
from qmterm.journal.rebuild import rebuild
from qmterm.journal.state import load_state
from tests.journal.journal_rows import T0, clock, intent, session


async def make(path):
    journal = await Journal.open(path, clock())
    await session(journal)
    for number in range(200):
        await journal.write_intent(intent(number))
    await journal.close()


async def test_a_newer_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "j.sqlite"
    await make(path)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"written by a newer qmterm \(schema 99"):
        await Journal.open(path, clock())
    assert path.read_bytes() == before


async def test_another_programs_file_is_refused(tmp_path):
    path = tmp_path / "j.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="another program"):
        await Journal.open(path, clock())
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j.sqlite", "j.sqlite.lock"]


@pytest.mark.parametrize("damage", ["text", "middle"])
async def test_a_damaged_file_is_refused_by_name_with_what_to_do(tmp_path, damage):
    path = tmp_path / "j.sqlite"
    await make(path)
    if damage == "text":
        path.write_bytes(b"this is not a database at all" * 100)
    else:
        raw = bytearray(path.read_bytes())
        raw[8192:20480] = b"\xa5" * 12288
        path.write_bytes(bytes(raw))
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"j\.sqlite is damaged .*\.recover") as caught:
        await Journal.open(path, clock())
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be made"):
        await Journal.open(tmp_path / "file" / "j.sqlite", clock())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_without_write_permission_is_one_sentence(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(JournalError, match="cannot be written"):
        await Journal.open(folder / "j.sqlite", clock())


async def test_a_path_that_is_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "j.sqlite").mkdir()
    with pytest.raises(JournalError, match="cannot be written"):
        await Journal.open(tmp_path / "j.sqlite", clock())


async def test_one_engine_per_journal_and_the_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "j.sqlite"
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom qmterm.core.clock import ManualClock\n"
        "from qmterm.journal import Journal\n"
        "async def main():\n"
        "    await Journal.open(Path(sys.argv[1]), ManualClock(1))\n"
        "    print('open', flush=True)\n    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220 - one line is awaited
        assert child.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match=f"in use by another running engine \\(process {child.pid}\\)"):
            await Journal.open(path, clock())
        child.kill()
        child.wait()
    await (await Journal.open(path, clock())).close()


async def test_two_names_of_one_journal_are_one_journal(tmp_path):
    journal = await Journal.open(tmp_path / "j.sqlite", clock())
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.symlink_to(tmp_path / "j.sqlite")
    with pytest.raises(JournalError, match="in use by another running engine"):
        await Journal.open(link, clock())
    await journal.close()
    await (await Journal.open(link, clock())).close()


async def test_a_disk_without_locks_is_refused_in_one_sentence(tmp_path, monkeypatch):
    def no_locks(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("qmterm.journal.lock._try_lock", no_locks)
    with pytest.raises(JournalError, match=r"j\.sqlite cannot be locked \(No locks available\)"):
        await Journal.open(tmp_path / "j.sqlite", clock())


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
async def test_no_intent_is_durable_in_a_file_that_the_next_start_would_not_find(tmp_path, how):
    path = tmp_path / "j.sqlite"
    journal = await Journal.open(path, clock())
    await journal.write_intent(intent(1))
    kept = path.rename(tmp_path / "away.sqlite")
    if how == "deleted":
        kept.unlink()
    elif how == "replaced":
        path.write_bytes(b"")
    with pytest.raises(JournalError, match="moved, deleted or replaced"):
        await journal.write_intent(intent(2))
    assert "moved" in journal.trouble
    if how == "moved":
        kept.rename(path)
        await journal.write_intent(intent(2))
        assert journal.trouble is None
        assert [order.intent.intent_id for order in (await journal.load()).orders] == ["qm-1", "qm-2"]
    await journal.close()


async def test_half_a_character_from_outside_is_kept_as_a_question_mark(tmp_path):
    journal = await Journal.open(tmp_path / "j.sqlite", clock())
    await journal.write_intent(intent(1))
    await journal.write_order("qm-1", OrderState.REJECTED, "1001", T0, "no \ud83d money")
    journal.note("news", "A\ud800", {"\ud800": ["\udfff"]}, T0)
    (order,) = (await journal.load()).orders
    assert (order.state, order.reason) == (OrderState.REJECTED, "no ? money")
    assert [row.body for row in await journal.why("A?")] == [{"?": ["?"]}]
    await journal.close()


async def test_a_full_disk_fails_the_write_says_so_and_recovers(tmp_path):
    journal = await Journal.open(tmp_path / "j.sqlite", clock())
    await journal.write_intent(intent(1))
    pages = await journal._connection.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await journal._connection.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    journal.note("big", "x", {"text": "y" * 100_000}, T0)
    with pytest.raises(JournalError, match=r"disk that holds the journal .* is full"):
        await journal.write_intent(intent(2))
    assert "full" in journal.trouble
    with pytest.raises(JournalError, match="full"):
        await journal.flush()
    await journal._connection.run(lambda c: c.execute("PRAGMA max_page_count = 1073741823").fetchone())
    await journal.write_intent(intent(2))
    assert journal.trouble is None
    assert journal.dropped == 1
    state = await journal.load()
    assert [order.intent.intent_id for order in state.orders] == ["qm-1", "qm-2"]
    await journal.close()


async def test_one_row_that_cannot_be_stored_does_not_take_its_neighbours_with_it(tmp_path):
    journal = await Journal.open(tmp_path / "j.sqlite", clock())
    journal.note("odd", "x", {}, 1 << 70)  # does not fit SQLite's integers
    await journal.write_intent(intent(1))
    await journal.write_intent(intent(2))
    assert journal.dropped == 1
    assert len((await journal.load()).orders) == 2
    await journal.close()


async def test_an_older_file_migrates_forward_step_by_step_and_keeps_its_rows(tmp_path):
    path = tmp_path / "j.sqlite"
    await make(path)
    steps = (*schema.MIGRATIONS, "ALTER TABLE signals ADD COLUMN extra TEXT;", "CREATE TABLE later (x INTEGER);")
    with sqlite3.connect(path, isolation_level=None) as connection:
        assert schema.migrate(connection, path, steps) == len(steps)
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(steps)
        assert connection.execute("SELECT count(*) FROM intents").fetchone()[0] == 200
        assert connection.execute("SELECT extra FROM signals").fetchall() == []


async def test_every_table_can_be_rebuilt_from_the_events(tmp_path):
    path = tmp_path / "j.sqlite"
    await make(path)
    with sqlite3.connect(path, isolation_level=None) as connection:
        before = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in schema.PROJECTIONS}
        connection.execute("DELETE FROM intents")
        connection.execute("UPDATE sessions SET starting_cash = '0'")
        assert rebuild(connection) == 201
        after = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in schema.PROJECTIONS}
    assert after == before
    assert len(after["intents"]) == 200


async def test_an_order_of_any_kind_is_read_back_as_it_was_written(tmp_path):
    journal = await Journal.open(tmp_path / "j.sqlite", clock())
    await session(journal)
    stop = replace(
        intent(1),
        net_price=None,
        kind=OrderKind.STOP,
        stop_trigger=Decimal("3.10"),
        time_in_force=TimeInForce.GTD,
        good_until=date(2026, 3, 6),
    )
    step = replace(intent(2), replaces="qm-1", worst_price=Decimal("-4.30"))
    await journal.write_intent(stop)
    await journal.write_intent(step)
    assert [order.intent for order in (await journal.load()).orders] == [stop, step]
    await journal.close()


async def test_a_journal_of_the_first_schema_loads_and_rebuilds(tmp_path):
    path = tmp_path / "j.sqlite"
    old = records.plain(intent(1))
    for name in ("kind", "stop_trigger", "good_until", "replaces", "worst_price"):
        del old[name]
    body = records.to_json(old)
    with sqlite3.connect(path, isolation_level=None) as connection:
        schema.migrate(connection, path, schema.MIGRATIONS[:1])
        connection.execute("INSERT INTO events VALUES (1, 1, NULL, ?, 1, 'intent', 'qm-1', ?)", (T0, body))
        connection.execute(
            "INSERT INTO intents VALUES ('qm-1', NULL, 1, 'atr-matrix', 'AAPL', 'entry', 'plan-1', 2, '-4.15', ?, 1)",
            (body,),
        )
        schema.migrate(connection, path)
        shown = "SELECT net_price, kind, time_in_force, replaces FROM intents_in_full"
        assert connection.execute(shown).fetchall() == [("-4.15", "Limit", "Day", None)]
        rebuild(connection)
        assert connection.execute(shown).fetchall() == [("-4.15", "Limit", "Day", None)]
    journal = await Journal.open(path, clock())
    assert [order.intent for order in (await journal.load()).orders] == [intent(1)]
    await journal.close()


async def test_a_journal_of_the_third_schema_shows_and_loads_its_orders_as_before(tmp_path):
    path = tmp_path / "j.sqlite"
    walked = replace(
        intent(1), replaces="qm-0", worst_price=Decimal("-4.30"), time_in_force=TimeInForce.GTD,
        good_until=date(2026, 3, 6),
    )  # fmt: skip
    values, body = records.with_json(records.plain(walked))
    columns = (
        "intent_id", "session_id", "created_ns", "strategy", "underlying", "purpose", "plan_id", "quantity",
        "net_price", "kind", "stop_trigger", "time_in_force", "good_until", "replaces", "worst_price", "body", "seq",
        "bracket_id", "role",
    )  # fmt: skip
    row = {**values, "session_id": None, "body": body, "seq": 1}
    shown = f"SELECT {', '.join(columns)} FROM "
    with sqlite3.connect(path, isolation_level=None) as connection:
        schema.migrate(connection, path, schema.MIGRATIONS[:3])
        connection.execute("INSERT INTO events VALUES (1, 1, NULL, ?, 1, 'intent', 'qm-1', ?)", (T0, body))
        connection.execute(f"INSERT INTO intents VALUES ({', '.join('?' * 19)})", [row[name] for name in columns])
        before = connection.execute(shown + "intents").fetchall()
        schema.migrate(connection, path)
        assert connection.execute(shown + "intents_in_full").fetchall() == before
    journal = await Journal.open(path, clock())
    assert [order.intent for order in (await journal.load()).orders] == [walked]
    await journal.close()


async def test_every_index_answers_a_question_because_each_one_makes_an_order_wait(tmp_path):
    path = tmp_path / "j.sqlite"
    await make(path)
    with sqlite3.connect(path, isolation_level=None) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        why(connection, "qm-1")
        load_state(connection, 7)
        connection.set_trace_callback(None)
        plans = [row[3] for sql in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        ours = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql > ''"
        made = [row[0] for row in connection.execute(ours)]
    assert len(made) >= 5
    assert [name for name in made if not any(name in plan for plan in plans)] == []

"""The engine's journal: a process of its own writes it, and whatever ends that process costs no row."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import select
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, beside, link, lock, queries, schema
from qmterm.journal.beside import open_beside
from qmterm.journal.commits import Batch, JournalFile, commit
from qmterm.journal.records import Record
from tests.journal.journal_rows import T0, clock, intent

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no sockets are handed down there"),
    pytest.mark.timeout(60),
]


@pytest.fixture
async def journal(tmp_path):
    opened = await Journal.open(tmp_path / "j", clock(), open_beside)
    yield opened
    with suppress(JournalError):
        await opened.close()


def scribe(journal):
    return journal._connection._scribe.process


def orders(path):
    with sqlite3.connect(path) as other:
        return [name for (name,) in other.execute("SELECT subject FROM events WHERE kind = 'intent' ORDER BY seq")]


async def unanswered(journal, count):
    """So many rows that the scribe has been given and has not read."""
    scribe(journal).send_signal(signal.SIGSTOP)
    tasks = [asyncio.create_task(journal.write_intent(intent(number))) for number in range(1, count + 1)]
    async with asyncio.timeout(10):
        while journal._writer._queue or not journal._connection._asked:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)
    return tasks


def end(process, how=signal.SIGKILL):
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)


async def test_a_row_is_on_the_disk_when_it_is_answered_and_another_process_has_written_it(journal):
    await journal.write_intent(intent(1))
    assert orders(journal.path) == ["qm-1"]
    assert [order.intent for order in (await journal.load()).orders] == [intent(1)]
    assert scribe(journal).pid != os.getpid()
    assert journal._connection.disk_thread == scribe(journal).pid


async def test_what_a_killed_scribe_left_undone_is_written_once_by_the_next(journal):
    first = scribe(journal)
    tasks = await unanswered(journal, 5)
    end(first)
    tasks.append(asyncio.create_task(journal.write_intent(intent(6))))
    assert await asyncio.gather(*tasks) == [None] * 6
    assert orders(journal.path) == [f"qm-{number}" for number in range(1, 7)]
    assert scribe(journal).pid != first.pid
    assert journal.trouble is None


@pytest.mark.parametrize("done", [1, 2, 3])
async def test_what_it_had_written_and_not_yet_answered_is_written_no_second_time(journal, done):
    """`done` of three notes and an order are on the disk, as if it had died in the middle."""
    process, database = scribe(journal), journal._connection
    process.send_signal(signal.SIGSTOP)
    for number in range(3):
        journal.note("log", "x", {"n": 1}, T0 + number)
    order = asyncio.create_task(journal.write_intent(intent(1)))
    while not database._asked:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    (asked,) = database._asked
    with sqlite3.connect(journal.path, isolation_level=None) as other:
        part = Batch(asked.batch.number, asked.batch.records[:done])
        assert commit(other, part, JournalFile.at(journal.path)) == [True] * done
    end(process)
    await order
    await journal.flush()
    with sqlite3.connect(journal.path) as other:
        found = other.execute("SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind").fetchall()
    assert found == [("intent", 1), ("log", 3)]


async def test_what_it_had_answered_before_it_died_counts_although_a_send_fails_first(journal):
    database, process = journal._connection, scribe(journal)
    order = asyncio.create_task(journal.write_intent(intent(1)))
    while not database._asked:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    assert select.select([database._scribe._socket], [], [], 10)[0]
    process.kill()
    process.wait()
    database._scribe.send(b"more")
    assert not database._asked
    await order
    await journal.write_intent(intent(2))
    assert orders(journal.path) == ["qm-1", "qm-2"]


async def test_a_scribe_that_dies_while_nothing_is_asked_is_replaced(journal):
    first = scribe(journal)
    first.kill()
    async with asyncio.timeout(10):
        while journal._connection._scribe is None or scribe(journal) is first:  # noqa: ASYNC110 - an event of the system
            await asyncio.sleep(0.005)
    await journal.write_intent(intent(1))
    assert orders(journal.path) == ["qm-1"]


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_scribe_that_is_replaced_after_the_file_was_does_not_write_to_another(journal, replaced):
    path = journal.path
    await journal.write_intent(intent(1))
    with sqlite3.connect(path) as here, sqlite3.connect(path.with_name("copy")) as copy:
        here.backup(copy)
    path.rename(path.with_name("away"))
    path.with_name("j-wal").rename(path.with_name("away-wal"))
    if replaced:
        path.with_name("copy").rename(path)
    end(scribe(journal))
    with pytest.raises(JournalError):
        await journal.write_intent(intent(2))
    assert path.exists() == replaced
    assert not replaced or orders(path) == ["qm-1"]
    with pytest.raises(JournalError, match="moved, deleted or replaced"):
        await journal.close()


@pytest.mark.parametrize(("lasting", "lives"), [(0.0, 6), (1000.0, beside.TRIES + 1)])
async def test_idle_scribes_are_given_up_only_when_they_do_not_last(journal, monkeypatch, lasting, lives):
    monkeypatch.setattr(beside, "LASTING_S", lasting)
    monkeypatch.setattr(beside, "PAUSE_S", 0.0)
    database, lived = journal._connection, 0
    while database._over is None and lived < 6:
        scribe(journal).kill()
        lived += 1
        while database._again is None:  # noqa: ASYNC110 - an event of the system
            await asyncio.sleep(0.001)
        await database._again
    assert lived == lives
    assert (database._over is None) == (lasting == 0.0)


async def test_signals_for_the_engine_do_not_reach_its_scribe(journal):
    first = scribe(journal)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        first.send_signal(name)
    await journal.write_intent(intent(1))
    assert scribe(journal) is first
    assert os.getsid(first.pid) == first.pid


async def test_without_a_scribe_nothing_counts_as_written_and_everybody_is_told(journal, monkeypatch):
    monkeypatch.setattr(beside, "PAUSE_S", 0.0)
    monkeypatch.setattr(link.sys, "executable", "/bin/false")
    tasks = await unanswered(journal, 3)
    end(scribe(journal))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {JournalError}
    assert "stopped writing" in journal.trouble
    with pytest.raises(JournalError):
        await journal.write_intent(intent(9))
    assert orders(journal.path) == []


async def test_scribes_that_die_one_after_the_other_without_an_answer_are_given_up(journal, monkeypatch):
    started = link.Link.started

    async def dying(*arguments):
        made = await started(*arguments)
        made.process.kill()
        return made

    monkeypatch.setattr(link.Link, "started", dying)
    tasks = await unanswered(journal, 3)
    end(scribe(journal))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    # Each may have written before it died: what is answered is on the disk, and nothing is there twice.
    told = [f"qm-{number}" for number, answer in enumerate(answers, 1) if answer is None]
    assert set(told) <= set(orders(journal.path))
    assert len(orders(journal.path)) == len(set(orders(journal.path)))


@pytest.mark.parametrize(
    ("program", "said"),
    [("/bin/false", "ended before it had begun"), ("/no/such/python", "has no process to write it")],
)
async def test_a_scribe_that_does_not_start_is_one_sentence_and_no_journal(tmp_path, monkeypatch, program, said):
    with monkeypatch.context() as patch:
        patch.setattr(link.sys, "executable", program)
        with pytest.raises(JournalError, match=said):
            await Journal.open(tmp_path / "j", clock(), open_beside)
    await (await Journal.open(tmp_path / "j", clock(), open_beside)).close()


async def test_a_file_named_like_a_module_where_the_engine_was_started_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "msgspec.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    await (await Journal.open(tmp_path / "j", clock(), open_beside)).close()


async def test_a_scribe_that_never_opens_the_file_is_not_waited_for(tmp_path, monkeypatch):
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\nexec sleep 1000\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(link.sys, "executable", str(stuck))
    monkeypatch.setattr(link, "PATIENCE_S", 0.1)
    async with asyncio.timeout(10):
        with pytest.raises(JournalError, match=r"has not opened it within 0\.1 seconds"):
            await Journal.open(tmp_path / "j", clock(), open_beside)


async def test_a_stopped_scribe_keeps_no_journal_from_being_closed(journal, monkeypatch):
    await journal.write_intent(intent(1))
    process = scribe(journal)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(link, "PATIENCE_S", 0.1)
    await asyncio.wait_for(journal.close(), 10)
    assert process.returncode == -signal.SIGKILL
    assert orders(journal.path) == ["qm-1"]


async def test_a_takeover_waits_for_none_of_the_loops_busy_threads(journal):
    """A slow name server or disk may hold all of them."""
    done = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(done.wait)) for _ in range(40)]
    try:
        scribe(journal).kill()
        await asyncio.wait_for(journal.write_intent(intent(1)), 10)
    finally:
        done.set()
        await asyncio.gather(*busy)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="nobody holds a process on a CPU there")
async def test_a_scribe_born_while_the_loop_is_held_on_its_cpu_may_run_wherever_the_first_could(journal):
    everywhere = os.sched_getaffinity(0)
    first = scribe(journal)
    try:
        os.sched_setaffinity(0, {min(everywhere)})
        first.kill()
        await journal.write_intent(intent(1))
        assert scribe(journal) is not first
        assert os.sched_getaffinity(scribe(journal).pid) == everywhere
    finally:
        os.sched_setaffinity(0, everywhere)


async def test_a_system_without_a_free_descriptor_is_one_sentence(tmp_path, monkeypatch):
    def none():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(link.socket, "socketpair", none)
        with pytest.raises(JournalError, match="Too many open files"):
            await Journal.open(tmp_path / "j", clock(), open_beside)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
async def test_a_scribe_is_told_none_of_the_engines_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("QMTERM_TT_SECRET", "not for the scribe")
    journal = await Journal.open(tmp_path / "j", clock(), open_beside)
    assert b"not for the scribe" not in Path(f"/proc/{scribe(journal).pid}/environ").read_bytes()  # noqa: ASYNC240 - no disk
    await journal.close()


async def test_who_waits_for_a_database_that_is_closed_is_told(journal):
    database = journal._connection
    process = scribe(journal)
    process.send_signal(signal.SIGSTOP)
    written = database.commit(Batch(99, []), None)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    process.send_signal(signal.SIGCONT)
    await closing
    with pytest.raises(JournalError, match="is closed"):
        await asyncio.wait_for(written, 10)


def broken(*_):
    raise sqlite3.OperationalError("disk I/O error")


async def test_a_file_that_cannot_be_looked_into_after_a_death_is_told_and_nobody_keeps_the_lock(journal, monkeypatch):
    tasks = await unanswered(journal, 2)
    with monkeypatch.context() as patch:
        patch.setattr(beside, "missing", broken)
        end(scribe(journal))
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {JournalError}
    with pytest.raises(JournalError, match="disk I/O error"):
        await journal.close()
    await (await Journal.open(journal.path, clock(), open_beside)).close()


async def test_a_journal_that_is_closed_while_a_scribe_takes_over_leaves_nobody_with_the_lock(journal, monkeypatch):
    looking = asyncio.Event()

    async def look(_):
        looking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(beside.Beside, "_look", look)
    scribe(journal).kill()
    await looking.wait()
    await journal.close()
    await (await Journal.open(journal.path, clock(), open_beside)).close()


async def test_a_journal_that_is_not_opened_after_all_leaves_nobody_with_the_lock(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(queries, "last_numbers", broken)
        with pytest.raises(JournalError, match="disk I/O error"):
            await Journal.open(tmp_path / "j", clock(), open_beside)
    await (await Journal.open(tmp_path / "j", clock(), open_beside)).close()


async def test_a_batch_longer_than_the_sockets_patience_arrives_whole(journal):
    for number in range(40):
        journal.note("log", "x", {"n": number, "text": "y" * 50_000}, T0)
    await journal.write_intent(intent(1))
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT count(*) FROM events WHERE kind = 'log'").fetchone() == (40,)
    assert journal.dropped == 0


async def test_a_row_too_large_for_the_file_is_refused_alone(journal):
    journal.note("odd", "x", {}, 1 << 70)
    await asyncio.gather(journal.write_intent(intent(1)), journal.write_intent(intent(2)))
    assert journal.dropped == 1
    assert orders(journal.path) == ["qm-1", "qm-2"]


@pytest.mark.parametrize("odd", [{"time_ns": 1.5}, {"subject": 7}, {"session_id": "one"}, {"values": 3}])
async def test_a_row_that_the_scribe_cannot_read_is_refused_alone_and_costs_no_scribe(journal, odd):
    process = scribe(journal)
    row = {"kind": "log", "subject": "x", "time_ns": 1, "real_ns": 1, "session_id": None, "values": {}, "body": "{}"}
    tasks = [asyncio.ensure_future(journal.write_intent(intent(1)))]
    tasks.append(journal._writer.durable(Record(**{**row, **odd})))
    tasks.append(asyncio.ensure_future(journal.write_intent(intent(2))))
    first, refused, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second) == (None, None)
    assert isinstance(refused, JournalError)
    assert orders(journal.path) == ["qm-1", "qm-2"]
    assert scribe(journal) is process


async def test_a_disk_that_takes_nothing_fails_the_write_says_so_and_recovers(journal):
    pid = scribe(journal).pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    with pytest.raises(JournalError, match=str(journal.path)):
        await journal.write_intent(intent(1))
    assert journal.trouble is not None
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    await journal.write_intent(intent(1))
    assert journal.trouble is None
    assert orders(journal.path) == ["qm-1"]


async def test_in_a_pause_the_log_is_moved_into_the_file(journal, tmp_path):
    for number in range(200):
        await journal.write_intent(intent(number))
    alone = tmp_path / "alone"
    async with asyncio.timeout(20):
        while True:  # the file without its log
            alone.write_bytes(journal.path.read_bytes())
            with suppress(sqlite3.DatabaseError), sqlite3.connect(f"file:{alone}?immutable=1", uri=True) as other:
                if other.execute("SELECT count(*) FROM intents").fetchone() == (200,):
                    break
            await asyncio.sleep(0.02)
    await journal.write_intent(intent(200))
    assert len(orders(journal.path)) == 201


async def test_a_closed_journal_leaves_no_process_and_no_log_behind(journal):
    await journal.write_intent(intent(1))
    process = scribe(journal)
    await journal.close()
    assert process.returncode == 0
    assert not journal.path.with_name("j-wal").exists()


ENGINE = """
import asyncio, sys
from pathlib import Path
from qmterm.core.clock import ManualClock
from qmterm.journal import Journal
from qmterm.journal.beside import open_beside
from tests.journal.journal_rows import intent

async def main():
    journal = await Journal.open(Path(sys.argv[1]), ManualClock(1), open_beside)
    print(journal._connection._scribe.process.pid, flush=True)
    sys.stdin.readline()
    task = asyncio.create_task(journal.write_intent(intent(1)))
    while not journal._connection._asked:
        await asyncio.sleep(0)
    print("asked", flush=True)
    await task

asyncio.run(main())
"""


@pytest.mark.parametrize("buried", [False, True])
async def test_a_killed_engines_last_batch_is_written_before_the_next_engine_reads(tmp_path, pytestconfig, buried):
    path = tmp_path / "j"
    with subprocess.Popen(  # noqa: ASYNC220 - one line is awaited
        [sys.executable, "-c", ENGINE, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=pytestconfig.rootpath,
    ) as engine:  # fmt: skip
        its_scribe = int(engine.stdout.readline())
        os.kill(its_scribe, signal.SIGSTOP)
        engine.stdin.write("\n")
        engine.stdin.flush()
        assert engine.stdout.readline() == "asked\n"
        engine.kill()
        if buried:
            engine.wait()
        opening = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(opened_and_loaded(path))))
        await asyncio.sleep(0.1)  # it finds the lock held; too short a time would only make this test easier
        assert not opening.done()
        os.kill(its_scribe, signal.SIGCONT)
        assert await asyncio.wait_for(opening, 10) == ["qm-1"]


async def test_a_killed_engines_scribe_that_does_not_end_is_named(tmp_path, pytestconfig, monkeypatch):
    monkeypatch.setattr(lock, "LEFT_BEHIND_S", 0.1)
    path = tmp_path / "j"
    with subprocess.Popen(  # noqa: ASYNC220 - one line is awaited
        [sys.executable, "-c", ENGINE, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=pytestconfig.rootpath,
    ) as engine:  # fmt: skip
        its_scribe = int(engine.stdout.readline())
        os.kill(its_scribe, signal.SIGSTOP)
        engine.kill()
    with pytest.raises(JournalError, match=rf"process {engine.pid}\) does not run here.*scribe\) has not ended"):
        await Journal.open(path, clock(), open_beside)
    os.kill(its_scribe, signal.SIGCONT)
    await (await Journal.open(path, clock(), open_beside)).close()


async def opened_and_loaded(path):
    journal = await Journal.open(path, clock(), open_beside)
    found = [order.intent.intent_id for order in (await journal.load()).orders]
    await journal.close()
    return found


async def test_a_scribe_names_what_is_wrong_with_the_file(tmp_path):
    path = tmp_path / "j"
    schema.connector(path)().close()
    path.write_bytes(b"not a journal" * 500)
    with pytest.raises(JournalError, match=r"damaged|not a qmterm journal"):
        await Journal.open(path, clock(), open_beside)

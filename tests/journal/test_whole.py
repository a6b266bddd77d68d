"""A journal that was cut is refused and left alone, none is ever taken for a new one, and a kill is no cut."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import JournalError
from qmterm.journal import Journal, schema, whole
from qmterm.journal.audit import audit
from qmterm.journal.lock import JournalLock
from qmterm.journal.queries import JournalReader
from tests.journal.journal_rows import clock, intent, session

PAGE = 4096
CUTS = {
    "nothing left": lambda size: 0,
    "one byte": lambda size: 1,
    "less than the header": lambda size: 99,
    "the header": lambda size: 100,
    "less than a page": lambda size: PAGE - 1,
    "a page": lambda size: PAGE,
    "a page and a byte": lambda size: PAGE + 1,
    "half": lambda size: size // 2,
    "a page less": lambda size: size - PAGE,
    "100 bytes less": lambda size: size - 100,
    "a byte less": lambda size: size - 1,
}
WHOLE = 40 * PAGE  # of the file that any cut is tried on


async def make(path, orders=197):
    journal = await Journal.open(path, clock())
    await session(journal)
    await asyncio.gather(*(journal.write_intent(intent(number)) for number in range(orders)))
    return journal


@pytest.fixture
async def closed(tmp_path):
    """A journal after a clean stop: no log."""
    (tmp_path / "stopped").mkdir()
    path = tmp_path / "stopped" / "j.sqlite"
    await (await make(path)).close()
    return path


@pytest.fixture
async def killed(tmp_path):
    """A journal as SIGKILL leaves it: older pages in the file, the newest rows in its log.

    After 197 orders the file's last page is full: it stands in no log, and is missed when it is cut off.
    """
    (tmp_path / "alive").mkdir()
    path = tmp_path / "j.sqlite"
    await (await make(path)).close()
    alive = shutil.copy(path, tmp_path / "alive" / "j.sqlite")
    journal = await Journal.open(alive, clock())
    await asyncio.gather(*(journal.write_intent(intent(number)) for number in range(197, 230)))
    for suffix in ("", "-wal"):
        shutil.copy(f"{alive}{suffix}", f"{path}{suffix}")
    await journal.close()
    return path


def contents(path):
    names = (path, path.with_name(path.name + "-wal"))
    return [name.read_bytes() if name.exists() else None for name in names]


async def refused(path, match):
    """Every way to open it says the same sentence, changes nothing and frees the lock."""
    before = contents(path)
    for _ in range(2):
        with pytest.raises(JournalError, match=match) as caught:
            await Journal.open(path, clock())
        assert "\n" not in str(caught.value)
        assert contents(path) == before
    lock = JournalLock(path)
    lock.acquire()
    lock.release()
    return str(caught.value)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_journal_cut_at_any_length_is_refused_and_left_as_it_is(closed, killed, cut, end):
    path = closed if end == "stop" else killed
    os.truncate(path, CUTS[cut](path.stat().st_size))
    said = await refused(path, r"j\.sqlite is cut short .*nothing was changed: restore a copy.*-wal file aside")
    for read in (JournalReader.open(path), _audit(path)):
        with pytest.raises(JournalError) as caught:
            await read
        assert str(caught.value) == said


async def _audit(path):
    audit(path)


@given(st.integers(0, WHOLE - 1))
def test_no_length_but_the_whole_one_passes(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "j.sqlite"
    header = bytearray(schema.new_file(path)[:100])
    struct.pack_into(">I", header, 28, WHOLE // PAGE)
    path.write_bytes(bytes(header))
    os.truncate(path, WHOLE)
    whole.refuse_cut(path)
    os.truncate(path, length)
    with pytest.raises(JournalError, match="cut short"):
        whole.refuse_cut(path)


async def test_a_killed_journal_is_no_cut_one(killed):
    journal = await Journal.open(killed, clock())
    assert len((await journal.load()).orders) == 230
    await journal.close()


async def test_a_kill_in_the_middle_of_a_checkpoint_loses_nothing(killed):
    """The file's first page counts pages already that only the log holds yet."""
    log = killed.with_name(killed.name + "-wal").read_bytes()
    frames = [log[at : at + 24 + PAGE] for at in range(32, len(log) - PAGE, 24 + PAGE)]
    first = [frame[24:] for frame in frames if frame[:4] == b"\0\0\0\1"][-1]
    raw = killed.read_bytes()
    assert struct.unpack_from(">I", first, 28)[0] * PAGE > len(raw)
    killed.write_bytes(first + raw[PAGE:])
    journal = await Journal.open(killed, clock())
    assert len((await journal.load()).orders) == 230
    await journal.close()


async def test_a_torn_end_of_the_log_does_not_stand_for_pages_of_the_file(killed):
    log = killed.with_name(killed.name + "-wal")
    os.truncate(killed, killed.stat().st_size - PAGE)
    raw = log.read_bytes()
    log.write_bytes(raw[: len(raw) // 3])
    await refused(killed, "cut short")


async def test_a_log_without_its_journal_is_not_forgotten(killed):
    away = killed.rename(killed.with_name("away.sqlite"))
    with pytest.raises(JournalError, match=r"is gone, but its log j\.sqlite-wal is there and holds rows"):
        await Journal.open(killed, clock())
    assert not killed.exists()
    away.rename(killed)
    journal = await Journal.open(killed, clock())
    assert len((await journal.load()).orders) == 230
    await journal.close()


@pytest.mark.parametrize("at", ["fsync", "replace"])
async def test_a_kill_while_a_new_journal_is_made_leaves_none_and_the_next_start_makes_it(tmp_path, monkeypatch, at):
    path = tmp_path / "j.sqlite"

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(whole.os if at == "fsync" else whole.Path, at, die)
        with pytest.raises(KeyboardInterrupt):
            whole.appear(path, schema.new_file(path))
    assert [name.name for name in tmp_path.iterdir()] == ["j.sqlite.new"]
    await (await make(path, 3)).close()
    assert sorted(name.name for name in tmp_path.iterdir()) == ["j.sqlite", "j.sqlite.lock"]


async def test_a_new_journal_has_its_whole_schema_when_it_gets_its_name(tmp_path):
    path = tmp_path / "j.sqlite"
    whole.appear(path, schema.new_file(path))
    with sqlite3.connect(path) as other:
        assert schema.check_ours(other, path) == len(schema.MIGRATIONS)
        assert other.execute("SELECT count(*) FROM events").fetchone() == (0,)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_link_to_a_journal_that_is_not_there_yet_makes_it_where_it_points(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "j.sqlite"
    link.symlink_to(tmp_path / "disk" / "j.sqlite")
    await (await make(link, 2)).close()
    assert link.is_symlink()
    assert (tmp_path / "disk" / "j.sqlite").stat().st_size > PAGE


async def test_a_full_disk_makes_no_journal_and_says_so(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(whole.os, "fsync", full)
        with pytest.raises(JournalError, match=r"cannot be made \(No space left on device\)"):
            await Journal.open(tmp_path / "j.sqlite", clock())
    assert [name.name for name in tmp_path.iterdir()] == ["j.sqlite.lock"]


async def test_a_reader_is_not_put_off_by_a_running_checkpoint(tmp_path, monkeypatch):
    """Between its look at the file and its look at the log both have moved on."""
    looks = iter([(PAGE, 2 * PAGE), (2 * PAGE, 3 * PAGE), None])
    monkeypatch.setattr(whole, "_cut", lambda _path: next(looks))
    whole.refuse_cut(tmp_path / "j.sqlite")
    assert list(looks) == []

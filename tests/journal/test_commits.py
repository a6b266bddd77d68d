"""What became of each row of a batch, and what of a batch is on the disk."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.journal import records, schema
from qmterm.journal.commits import Batch, JournalFile, commit, missing
from qmterm.journal.records import Record
from tests.journal.journal_rows import T0, intent


@pytest.fixture
def opened(tmp_path):
    connection = schema.connector(tmp_path / "j")()
    schema.prepare(connection, tmp_path / "j")
    yield connection, JournalFile.at(tmp_path / "j")
    connection.close()


def order(number):
    return Record(records.INTENT, f"qm-{number}", T0, 0, 1, *records.intent_values(intent(number), None))


def note(number):
    return Record("log", "x", T0, 0, 1, {}, f'{{"n":{number}}}')


LAME = Record(records.MARK, "x", T0, 0, None, {"flag": ""}, "{}")


def test_each_row_is_told_written_there_already_or_refused(opened):
    connection, file = opened
    assert commit(connection, Batch(1, [order(1)]), file) == [True]
    outcomes = commit(connection, Batch(2, [note(1), order(1), LAME, order(2)]), file)
    assert outcomes[:2] == [True, False]
    assert "has no 'mark'" in outcomes[2]
    assert outcomes[3] is True


def test_a_disk_in_trouble_keeps_all_of_them_out(opened):
    connection, file = opened
    connection.execute("PRAGMA query_only = ON")
    outcomes = commit(connection, Batch(1, [order(1), note(1)]), file)
    assert {type(each) for each in outcomes} == {str}
    connection.execute("PRAGMA query_only = OFF")
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    assert not connection.in_transaction


def test_nothing_is_at_the_disk_before_its_rows_are_in_the_transaction(opened):
    connection, file = opened
    seen = []

    def at_disk():
        seen.append(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    commit(connection, Batch(1, [note(1), note(2)]), file, at_disk)
    assert seen == [2]


def test_a_fault_of_our_own_leaves_no_transaction_behind(opened):
    connection, file = opened

    def at_disk():
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        commit(connection, Batch(1, [note(1)]), file, at_disk)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    st.lists(st.integers(0, 3), max_size=4),
)
def test_of_a_batch_cut_short_exactly_the_rest_is_missing(tmp_path_factory, rows, before):
    """Twins too: two notes that say the same are two notes."""
    path = tmp_path_factory.mktemp("j") / "j"
    connection = schema.connector(path)()
    schema.prepare(connection, path)
    file = JournalFile.at(path)
    commit(connection, Batch(1, [note(number) for number in before]), file)
    batch = Batch(2, [note(number) for number, _ in rows])
    kept = [record for record, (_, there) in zip(batch.records, rows, strict=True) if there]
    commit(connection, Batch(2, kept), file)
    left = [batch.records[place] for place in missing(connection, batch)]
    commit(connection, Batch(2, left), file)
    written = connection.execute("SELECT body FROM events WHERE batch = 2").fetchall()
    assert sorted(body for (body,) in written) == sorted(record.body for record in batch.records)
    connection.close()


def test_a_row_refused_for_its_twin_is_missing_and_refused_again(opened):
    connection, file = opened
    commit(connection, Batch(1, [order(1)]), file)
    batch = Batch(2, [order(1), order(2)])
    assert commit(connection, batch, file) == [False, True]
    assert missing(connection, batch) == [0]
    assert commit(connection, Batch(2, [order(1)]), file) == [False]


def test_a_refused_row_is_not_taken_for_its_twin_of_another_time(opened):
    connection, file = opened
    batch = Batch(1, [note(1), note(1)])
    batch.records[0].time_ns = 1 << 63
    outcomes = commit(connection, batch, file)
    assert [type(outcome) for outcome in outcomes] == [str, bool]
    assert missing(connection, batch) == [0]


def test_the_file_is_asked_for_before_each_commit(opened, tmp_path):
    connection, file = opened
    (tmp_path / "j").rename(tmp_path / "away")
    (why,) = commit(connection, Batch(1, [note(1)]), file)
    assert "moved, deleted or replaced" in why
    with sqlite3.connect(tmp_path / "away") as other:
        assert other.execute("SELECT count(*) FROM events").fetchone() == (0,)

"""Many rows a statement write what one row a statement would, in the same order, and refuse the same rows."""

from __future__ import annotations

import asyncio
import enum
import re
import sqlite3
from dataclasses import replace
from datetime import date
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.errors import JournalError
from qmterm.core.orders import BracketRole, OrderIntent
from qmterm.core.reasons import Reason
from qmterm.journal import Journal, inserts, records, schema
from qmterm.journal.commits import Batch, JournalFile, commit
from qmterm.journal.records import Record
from tests.journal.journal_rows import T0, clock, fill, intent

BIG = max(900 // len(inserts.EVENTS.names), 8)


def record(kind, number, subject=None):
    """One row of each kind that has a table; `number` chooses its key, so that equal numbers collide."""
    name = f"s{number}"
    value = {
        records.INTENT: lambda: records.plain(intent(number)),
        records.FILL: lambda: {**records.plain(fill(number)), "account": "A"},
        records.ORDER: lambda: {"state": "live" if number % 2 else "filled", "broker_id": None, "reason": None},
        records.MARK: lambda: {"mark": str(number), "flag": ""},
        records.ADJUSTMENT: lambda: {"symbol": None, "amount": str(number), "reason": "fee"},
        records.EQUITY: lambda: {"nlv": "1", "cash": "2", "realized": "3", "unrealized": "4"},
        records.LADDER: lambda: {"state": "HALT", "reason": None, "by_person": True},
        records.SESSION_START: lambda: {
            "account": "A", "mode": "auto", "source": "sim", "broker": "sim", "starting_cash": "1",
            "starting_positions": [], "settings_hash": "h",
        },
    }.get(kind, lambda: {"n": number})()  # fmt: skip
    return Record(kind, subject or name, T0 + number, number, 100 + number, *records.with_json(value))


KINDS = (
    records.INTENT, records.FILL, records.ORDER, records.MARK, records.ADJUSTMENT, records.EQUITY, records.LADDER,
    records.PROTECT, records.PROTECT_END, records.DOCUMENT, records.SESSION_END, "log",
)  # fmt: skip


def opened(path):
    connection = schema.connector(path)()
    schema.prepare(connection, path)
    return connection


def content(connection):
    tables = ("events", *schema.PROJECTIONS)
    return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), max_size=60))
def test_one_commit_leaves_what_a_commit_a_row_leaves(tmp_path_factory, rows):
    batch = [record(records.SESSION_START, 0), *(record(kind, number) for kind, number in rows)]
    folder = tmp_path_factory.mktemp("journal")
    together, alone = opened(folder / "together"), opened(folder / "alone")
    try:
        said = commit(together, Batch(1, batch), JournalFile.at(folder / "together"))
        each = [commit(alone, Batch(1, [row]), JournalFile.at(folder / "alone"))[0] for row in batch]
        assert said == each
        assert content(together) == content(alone)
    finally:
        together.close()
        alone.close()


@pytest.mark.parametrize("count", [1, 7, 8, 9, BIG - 1, BIG, BIG + 1, 2 * BIG + 17])
def test_every_row_of_a_batch_is_written_in_order_whatever_its_size(tmp_path, count):
    path = tmp_path / "j"
    connection = opened(path)
    rows = [record(records.INTENT, number) for number in range(count)]
    assert commit(connection, Batch(1, rows), JournalFile.at(path)) == [True] * count
    found = connection.execute("SELECT e.subject, i.intent_id FROM events e JOIN intents i USING (seq) ORDER BY seq")
    assert found.fetchall() == [(f"s{number}", f"qm-{number}") for number in range(count)]
    connection.close()


def test_no_two_kinds_insert_into_one_table_and_no_projection_reads_one():
    tables = [re.search(r"INTO (\w+)", records.PROJECTION[kind])[1] for kind in inserts.INSERTS]
    assert len(tables) == len(set(tables))
    assert not [sql for sql in records.PROJECTION.values() if "SELECT" in sql]


def test_the_kinds_that_are_asked_for_twice_are_those_whose_table_refuses_the_second(tmp_path):
    connection = opened(tmp_path / "j")
    for kind, guard in records.GUARD.items():
        table = re.search(r"INTO (\w+)", records.PROJECTION[kind])[1]
        key = {row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]}
        assert set(re.findall(r"(\w+) = :", guard)) == key
    connection.close()


def test_rows_of_a_session_are_numbered_on_from_the_last(tmp_path):
    path = tmp_path / "j"
    connection = opened(path)
    for batch in (1, 2):
        commit(connection, Batch(batch, [record("log", n) for n in range(3)]), JournalFile.at(path))
    assert connection.execute("SELECT seq, batch FROM events ORDER BY seq").fetchall() == [
        (1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2),
    ]  # fmt: skip
    connection.close()


async def test_a_row_without_a_value_is_refused_alone(tmp_path):
    journal = await Journal.open(tmp_path / "j", clock())
    lame = Record(records.MARK, "x", T0, 0, None, {"flag": ""}, "{}")
    answers = await asyncio.gather(
        *(journal.write_intent(intent(number)) for number in range(20)),
        journal._writer.durable(lame),
        *(journal.write_intent(intent(number)) for number in range(20, 40)),
        return_exceptions=True,
    )
    assert [number for number, answer in enumerate(answers) if answer is not None] == [20]
    assert isinstance(answers[20], JournalError)
    assert len((await journal.load()).orders) == 40
    await journal.close()


def test_a_bad_row_among_a_thousand_is_found_by_halving(tmp_path):
    path = tmp_path / "j"
    connection = opened(path)
    begun = []
    connection.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)
    rows = [record("log", number) for number in range(1_000)]
    lame = Record(records.MARK, "x", T0, 0, None, {"flag": ""}, "{}")
    outcomes = commit(connection, Batch(1, [*rows[:618], lame, *rows[618:]]), JournalFile.at(path))
    assert isinstance(outcomes.pop(618), str)
    assert outcomes == [True] * 1_000
    assert len(begun) <= 25
    found = connection.execute("SELECT subject FROM events ORDER BY seq").fetchall()
    assert [name for (name,) in found] == [f"s{number}" for number in range(1_000)]
    connection.close()


async def test_batches_of_one_row_commit_each_alone(tmp_path):
    journal = await Journal.open(tmp_path / "j", clock(), batch_rows=1)
    await asyncio.gather(*(journal.write_intent(intent(number)) for number in range(20)))
    await journal.close()
    with sqlite3.connect(tmp_path / "j") as other:
        assert other.execute("SELECT count(DISTINCT batch), count(*) FROM events").fetchone() == (20, 20)


class Colour(enum.StrEnum):
    RED = "red"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(width=32) | st.text()
    | st.decimals(allow_nan=False, places=2) | st.dates() | st.sampled_from(Colour)
    | st.floats(width=32).map(np.float64) | st.integers(0, 100).map(np.int64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_a_note_says_the_same_without_the_way_through_columns(value):
    assert records.storable("log", value)[1] == records.with_json(records.plain(value))[1]


@pytest.mark.parametrize("name", ["qm-1", 'a "b" \\ ü', "\ud800"])
def test_an_order_a_fill_and_a_decision_say_the_same_without_the_way_through_plain_values(name):
    quotes = {"sent": {name: {"bid": 4.1, "age_s": float("nan")}}, "mid": Decimal("4.15")}
    order, part = replace(intent(1), plan_id=name, good_until=date(2026, 3, 6)), replace(fill(1), fill_id=name)
    decided = {
        "plan_id": name, "underlying": None, "outcome": "sent", "reason": Reason.LIMIT_CASH,
        "numbers": {"mid": Decimal("4.15"), "quotes": quotes}, "plan": order,
    }  # fmt: skip
    for kind, (values, body), expected in (
        (records.INTENT, records.intent_values(order, None), records.plain(order)),
        (records.INTENT, records.intent_values(order, quotes), {**records.plain(order), "quotes": quotes}),
        (records.FILL, records.fill_values(part, name), {**records.plain(part), "account": name}),
        (records.DECISION, records.decision_values(decided), records.plain(decided)),
    ):
        assert body == records.with_json(expected)[1]
        told = records.from_json(body)
        if isinstance(values, tuple):
            assert list(values) == [told[name] for name in records.TOLD[kind]]
        else:  # what holds half a character pair goes by its plain values
            assert records.from_json(records.to_json(values)) == told


@pytest.mark.parametrize(
    "said", [{}, {"role": BracketRole.STOP}, {"good_until": date(2026, 3, 6)}, {"plan_id": "null}"}]
)
@pytest.mark.parametrize("quotes", [None, {"bid": 4.1}])
def test_what_an_order_leaves_out_at_its_end_is_what_reads_back_as_nothing(said, quotes):
    order = replace(intent(1), **said)
    body = records.intent_values(order, quotes, bytearray(b"longer than before" * 100))[1]
    assert msgspec.json.decode(body, type=OrderIntent) == order
    told, whole = records.from_json(body), records.plain(order)
    assert {name: told.get(name) for name in whole} == records.from_json(records.to_json(whole))
    assert told.get("quotes") == quotes
    assert ("bracket_id" in told) is bool(said.keys() - {"plan_id"})


def test_half_a_character_pair_becomes_a_question_mark_with_columns_and_without():
    value = {"state": "\ud800", "on": date(2026, 3, 2), "amount": Decimal("1.50")}
    expected = '{"state":"?","on":"2026-03-02","amount":"1.50"}'
    assert records.storable("log", value)[1] == expected
    assert records.storable(records.LADDER, value)[1] == expected

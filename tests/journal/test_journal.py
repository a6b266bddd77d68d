"""What the journal promises the engine: durable means durable, notes never wait, a fill counts once."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from decimal import Decimal

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import BrokerPosition, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.signals import Signal, SignalState
from qmterm.journal import Journal, writer
from qmterm.journal.queries import JournalReader
from qmterm.journal.rebuild import rebuild
from tests.journal.journal_rows import CALL, T0, clock, fill, intent, session


@pytest.fixture
async def journal(tmp_path):
    opened = await Journal.open(tmp_path / "deep" / "journal.sqlite", clock())
    yield opened
    await opened.close()


def rows(journal, sql, *values):
    with sqlite3.connect(journal.path) as other:
        return other.execute(sql, values).fetchall()


def a_signal(symbol="AAPL"):
    return Signal(
        symbol, "atr-matrix", T0, SignalState.ENTRY_LONG, 230.0, 4.2, 225.5, 1.07, 82.0, 71.0, 223.7,
        (236.3, 240.5, 244.7), 2.1, 21, None, ("LOW_RVOL",), ("NO_OPTIONS",),
    )  # fmt: skip


async def test_an_intent_is_readable_by_another_connection_when_the_call_returns(journal):
    await journal.write_intent(intent())
    assert rows(journal, "SELECT intent_id, net_price FROM intents_in_full") == [("qm-1", "-4.15")]


async def test_commits_are_synchronous_full_in_wal(journal):
    setting = await journal._connection.run(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
    mode = await journal._connection.run(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0])
    assert (setting, mode) == (2, "wal")


async def test_a_second_intent_of_the_same_id_is_refused(journal):
    await journal.write_intent(intent())
    with pytest.raises(JournalError, match="qm-1 is already in the journal"):
        await journal.write_intent(intent())
    assert len(rows(journal, "SELECT * FROM events")) == 1


async def test_a_fill_is_written_once(journal):
    await session(journal)
    await journal.write_intent(intent())
    assert await journal.write_fill(fill(), "qm-1") is True
    assert await journal.write_fill(fill(), "qm-1") is False
    assert len(rows(journal, "SELECT * FROM events WHERE kind = 'fill'")) == 1


async def test_a_fill_twice_in_one_commit_is_written_once(journal):
    await session(journal)
    answers = await asyncio.gather(*(journal.write_fill(fill(), "qm-1") for _ in range(5)))
    assert sorted(answers) == [False, False, False, False, True]


async def test_load_gives_back_what_recovery_needs(journal):
    position = BrokerPosition("MSFT", 100, Decimal("401.25"), 1, Decimal("402.10"))
    await journal.start_session("5WT00001", "auto", "sim", "sim", Decimal("100000.00"), (position,), "h")
    await journal.write_intent(intent(1))
    await journal.write_order("qm-1", OrderState.SENT, None, T0 + 5, None)
    await journal.write_order("qm-1", OrderState.LIVE, "1001", T0 + 6, None)
    await journal.write_order("qm-1", OrderState.UNKNOWN, None, T0 + 7, "time-out")
    await journal.write_intent(intent(2))
    await journal.write_fill(fill(), "qm-1")
    await journal.write_adjustment(None, Decimal("-0.02"), "fee difference", T0 + 9)
    await journal.write_protect(CALL, {"stop": 223.7, "tier": 1})
    await journal.write_protect("gone", {"stop": 1})
    await journal.write_protect("gone", None)
    await journal.write_ladder("NO-NEW", Reason.USER, True, T0 + 10)
    journal.mark(CALL, Decimal("4.05"), "", T0 + 11)
    state = await journal.load()
    assert state.session.starting_cash == Decimal("100000.00")
    assert state.session.starting_positions == (position,)
    assert not state.clean_end
    first, second = state.orders
    assert first.intent == intent(1)
    assert (first.state, first.broker_id, first.reason) == (OrderState.UNKNOWN, "1001", "time-out")
    assert (second.state, second.broker_id) == (OrderState.INTENT, None)
    assert [(row.fill, row.intent_id) for row in state.fills] == [(fill(), "qm-1")]
    assert [(row.symbol, row.amount) for row in state.adjustments] == [(None, Decimal("-0.02"))]
    assert state.protects == {CALL: {"stop": 223.7, "tier": 1}}
    assert (state.ladder.state, state.ladder.reason, state.ladder.by_person) == ("NO-NEW", "USER", True)
    assert state.marks[CALL].mark == Decimal("4.05")


async def test_settled_orders_of_long_ago_are_left_out_and_unsettled_ones_kept(journal):
    await session(journal)
    for number, state in ((1, OrderState.FILLED), (2, OrderState.NOT_ACCEPTED), (3, OrderState.LIVE)):
        await journal.write_intent(intent(number))
        await journal.write_order(f"qm-{number}", state, None, T0, None)
    journal.note("tick", "x", {}, T0 + 30 * 86_400 * 10**9)
    assert [order.intent.intent_id for order in (await journal.load()).orders] == ["qm-2", "qm-3"]
    assert len((await journal.load(days=60)).orders) == 3


async def test_fills_come_back_in_the_order_of_their_events_whatever_their_names_and_times(journal):
    await session(journal)
    await asyncio.gather(*(journal.write_fill(fill(number), "qm-1") for number in (5, 3, 9, 1)))
    await session(journal)
    await asyncio.gather(*(journal.write_fill(fill(number), "qm-1") for number in (7, 2)))
    for _ in range(2):
        found = (await journal.load()).fills
        assert [stored.fill.fill_id for stored in found] == [f"f-{number}" for number in (5, 3, 9, 1, 7, 2)]
        assert [stored.seq for stored in found] == sorted(stored.seq for stored in found)
        await journal._connection.run(rebuild)


async def test_loading_leaves_the_garbage_collector_as_it_was(journal):
    await session(journal)
    assert gc.isenabled()
    await journal.load()
    assert gc.isenabled()
    gc.disable()
    try:
        await journal.load()
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_a_session_that_ended_says_so_and_the_next_has_the_next_number(journal):
    assert await session(journal) == 1
    await journal.end_session({"orders": 3})
    state = await journal.load()
    assert state.clean_end
    assert state.session.summary == {"orders": 3}
    path = journal.path
    await journal.close()
    again = await Journal.open(path, clock())
    assert await session(again) == 2
    await again.close()


async def test_notes_do_not_wait_and_their_depth_is_visible(journal):
    for number in range(500):
        journal.note("tick", "AAPL", {"n": number}, T0 + number)
    assert journal.depth == 500
    await journal.flush()
    assert journal.depth == 0
    assert len(rows(journal, "SELECT * FROM events")) == 500


async def test_events_keep_the_order_in_which_they_were_said(journal):
    journal.note("first", "x", {}, T0)
    await journal.write_intent(intent())
    journal.note("last", "x", {}, T0)
    await journal.flush()
    assert [row[0] for row in rows(journal, "SELECT kind FROM events ORDER BY seq")] == ["first", "intent", "last"]


async def test_a_full_queue_drops_notes_counts_them_and_says_so_in_the_file(journal, monkeypatch):
    monkeypatch.setattr(writer, "NOTE_CAPACITY", 10)
    for number in range(25):
        journal.note("tick", "x", {"n": number}, T0)
    await journal.write_intent(intent())
    assert journal.dropped == 15
    assert len(rows(journal, "SELECT * FROM events WHERE kind = 'tick'")) == 10
    assert rows(journal, "SELECT body FROM events WHERE kind = 'notes-dropped'") == [('{"count":15}',)]


async def test_two_hundred_producers_share_commits(journal):
    async def produce(first):
        for number in range(first, first + 5):
            await journal.write_intent(intent(number))

    await asyncio.gather(*(produce(first) for first in range(0, 1000, 5)))
    batches = rows(journal, "SELECT count(DISTINCT batch), count(*) FROM events")[0]
    assert batches[1] == 1000
    assert batches[0] <= 20


async def test_a_caller_that_gives_up_does_not_stop_the_others(journal):
    waiting = asyncio.create_task(journal.write_intent(intent(1)))
    other = asyncio.create_task(journal.write_intent(intent(2)))
    await asyncio.sleep(0)
    waiting.cancel()
    await other
    assert [row[0] for row in rows(journal, "SELECT intent_id FROM intents ORDER BY seq")] == ["qm-1", "qm-2"]


async def test_why_leads_from_a_symbol_to_signal_decision_order_and_fill(journal):
    await session(journal)
    journal.signal(a_signal())
    journal.decision("AAPL", "rejected", T0, reason=Reason.LOW_RISK_REWARD, numbers={"risk_reward": 0.7})
    await journal.write_intent(intent())
    await journal.write_order("qm-1", OrderState.FILLED, "1001", T0 + 60, None)
    await journal.write_fill(fill(), "qm-1")
    journal.mark("AAPL", Decimal("230"), "", T0)
    journal.note("other", "MSFT", {}, T0)
    kinds = [row.kind for row in await journal.why("AAPL")]
    assert kinds == ["signal", "decision", "intent", "order", "fill"]
    assert [row.kind for row in await journal.why("qm-1")] == kinds
    assert [row.kind for row in await journal.why("1001")] == kinds
    assert (await journal.why("AAPL"))[1].body["numbers"] == {"risk_reward": 0.7}
    assert await journal.why("nothing of that name") == []


async def test_an_unknown_number_is_null_in_the_file(journal):
    journal.note("numbers", "x", {"iv": float("nan"), "hv": None}, T0)
    await journal.flush()
    assert rows(journal, "SELECT body FROM events") == [('{"iv":null,"hv":null}',)]


async def test_a_kind_with_columns_of_its_own_cannot_be_noted(journal):
    with pytest.raises(ValueError, match="has its own method"):
        journal.note("fill", "x", {}, T0)


async def test_events_can_be_neither_changed_nor_removed(journal):
    await journal.write_intent(intent())
    for sql in ("DELETE FROM events", "UPDATE events SET body = '{}'"):
        with sqlite3.connect(journal.path) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(sql)


async def test_a_document_replaces_its_predecessor(journal):
    await journal.write_document("paper", {"cash": "1.00"})
    await journal.write_document("paper", {"cash": "2.00"})
    assert await journal.read_document("paper") == {"cash": "2.00"}
    assert await journal.read_document("other") is None


async def test_a_closed_journal_refuses_durable_rows_and_closes_twice(journal):
    await journal.close()
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.write_intent(intent())


async def test_a_reader_sees_a_journal_that_is_in_use(journal):
    await session(journal)
    await journal.write_intent(intent())
    reader = await JournalReader.open(journal.path)
    assert [order.intent.intent_id for order in (await reader.load()).orders] == ["qm-1"]
    assert [row.kind for row in await reader.why("qm-1")] == ["intent"]
    await reader.close()
    with pytest.raises(JournalError, match="There is no journal"):
        await JournalReader.open(journal.path.with_name("missing"))

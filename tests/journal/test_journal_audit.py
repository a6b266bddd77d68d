"""The audit believes the events only, and finds each kind of lie."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import Action, BrokerPosition, OrderState
from qmterm.journal import Journal
from qmterm.journal.audit import audit
from tests.journal.journal_rows import CALL, T0, clock, fill, intent, session

BOUGHT = Decimal("100000") - 2 * 410 - Decimal("2.30")


@pytest.fixture
async def journal(tmp_path):
    opened = await Journal.open(tmp_path / "j.sqlite", clock())
    yield opened
    await opened.close()


async def trade(journal):
    await session(journal)
    await journal.write_intent(intent())
    await journal.write_order("qm-1", OrderState.SENT, None, T0, None)
    await journal.write_order("qm-1", OrderState.FILLED, "1001", T0 + 60, None)
    await journal.write_fill(fill(), "qm-1")


async def audited(journal):
    await journal.flush()
    return audit(journal.path)


async def test_a_sound_file_has_no_faults_and_its_nlv_is_cash_plus_marks(journal):
    await trade(journal)
    journal.mark(CALL, Decimal("4.05"), "", T0 + 70)
    journal.equity(T0 + 70, BOUGHT + 810, BOUGHT, Decimal(0), Decimal("-12.30"))
    found = await audited(journal)
    assert found.faults == ()
    assert found.sound
    assert (found.cash, found.market_value, found.nlv) == (BOUGHT, Decimal("810.00"), BOUGHT + 810)
    assert found.last_equity_nlv == found.nlv
    assert (found.orders_sent, found.fills, found.positions) == (1, 1, {CALL: 2})


async def test_marks_count_from_where_they_stand(journal):
    await trade(journal)
    journal.mark(CALL, Decimal("4.05"), "", T0 + 70)
    journal.equity(T0 + 70, BOUGHT + 810, BOUGHT, Decimal(0), Decimal(0))
    journal.mark(CALL, Decimal("4.50"), "", T0 + 80)
    journal.equity(T0 + 80, BOUGHT + 900, BOUGHT, Decimal(0), Decimal(0))
    assert (await audited(journal)).faults == ()


async def test_a_cent_too_much_is_found(journal):
    await trade(journal)
    journal.mark(CALL, Decimal("4.05"), "", T0 + 70)
    journal.equity(T0 + 70, BOUGHT + 810 + Decimal("0.01"), BOUGHT, Decimal(0), Decimal(0))
    (fault,) = (await audited(journal)).faults
    assert "NLV is" in fault


async def test_cash_that_fills_do_not_explain_is_found_and_an_adjustment_explains_it(journal):
    await trade(journal)
    journal.mark(CALL, Decimal("4.05"), "", T0 + 70)
    wrong = BOUGHT - Decimal("0.02")
    journal.equity(T0 + 70, wrong + 810, wrong, Decimal(0), Decimal(0))
    assert [text for text in (await audited(journal)).faults if "has cash" in text]
    await journal.write_adjustment(None, Decimal("-0.02"), "fee difference", T0 + 75)
    before = len((await audited(journal)).faults)
    journal.equity(T0 + 80, wrong + 810, wrong, Decimal(0), Decimal(0))
    assert len((await audited(journal)).faults) == before


async def test_a_position_without_a_mark_has_no_value_and_no_invented_one(journal):
    await trade(journal)
    journal.equity(T0 + 70, BOUGHT, BOUGHT, Decimal(0), Decimal(0))
    found = await audited(journal)
    assert found.market_value is None
    assert found.nlv is None
    assert "without a mark" in found.faults[0]


async def test_an_order_without_an_intent_is_found(journal):
    await session(journal)
    await journal.write_order("qm-9", OrderState.FILLED, "77", T0, None)
    found = await audited(journal)
    assert found.orders_without_intent == 1
    assert "without an intent" in found.faults[0]


async def test_an_intent_that_became_durable_together_with_its_order_was_not_waited_for(journal):
    await session(journal)
    journal._writer.note(journal._record("intent", "qm-1", T0, intent()))
    journal._writer.note(journal._record("order", "qm-1", T0, {"state": "sent", "broker_id": None, "reason": None}))
    found = await audited(journal)
    assert found.orders_without_intent == 1
    assert "same commit" in found.faults[0]


async def test_an_intent_that_was_never_sent_needs_nothing(journal):
    await session(journal)
    await journal.write_intent(intent())
    await journal.write_order("qm-1", OrderState.NOT_SENT, None, T0, "stopped")
    found = await audited(journal)
    assert (found.faults, found.orders_sent, found.intents) == ((), 0, 1)


async def test_a_fill_forged_into_the_events_is_found_though_the_tables_know_it_once(journal):
    await trade(journal)
    await journal.flush()
    with sqlite3.connect(journal.path) as other:
        other.execute(
            "INSERT INTO events (batch, session_id, time_ns, real_ns, kind, subject, body)"
            " SELECT batch, session_id, time_ns, real_ns, kind, subject, body FROM events WHERE kind = 'fill'"
        )
    found = await audited(journal)
    assert found.doubled_fills == 1
    assert found.fills == 1
    assert found.positions == {CALL: 2}


async def test_each_session_starts_from_its_own_cash_and_positions(journal):
    await trade(journal)
    position = BrokerPosition(CALL, 2, Decimal("4.10"), 100, Decimal("4.00"))
    await journal.start_session("5WT00001", "auto", "sim", "sim", BOUGHT, (position,), "h")
    await journal.write_intent(intent(2))
    await journal.write_order("qm-2", OrderState.SENT, None, T0, None)
    await journal.write_fill(fill(2, action=Action.SELL_TO_CLOSE), "qm-2")
    found = await audited(journal)
    assert (found.sessions, found.positions, found.faults) == (2, {}, ())
    assert found.cash == BOUGHT + 820 - Decimal("2.30")


async def test_a_file_that_is_not_there_or_not_ours_is_one_sentence(tmp_path):
    with pytest.raises(JournalError, match="There is no journal"):
        audit(tmp_path / "none")
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(JournalError, match="damaged"):
        audit(tmp_path / "text")

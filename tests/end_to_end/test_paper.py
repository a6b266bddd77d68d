"""The paper broker on the simulator's prices: trades, and is the same account after a restart."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from qmterm.commands.simulator import SimWish
from qmterm.core.errors import JournalError
from qmterm.core.settings.engine import BrokerName, Mode
from qmterm.engine.wiring import JournalLedger
from qmterm.journal.audit import audit
from qmterm.journal.queries import JournalReader
from tests.end_to_end.seat import seated


def morning(home, journal, start: str, until: tuple[int, int]):
    wish = SimWish(seed=7, symbols=100, start=f"2026-03-02T{start}", speed=None)
    with seated(home, journal, wish, mode=Mode.AUTO, broker=BrokerName.PAPER, until=until) as thread:
        assert thread.join(90)
    return thread.result, thread.snapshot


def document(journal, name):
    async def read():
        reader = await JournalReader.open(journal)
        try:
            return await reader.document(name)
        finally:
            await reader.close()

    return asyncio.run(read())


def test_paper_trades_and_restarts_with_its_positions(home, tmp_path):
    journal = tmp_path / "paper.sqlite"
    first, _ = morning(home, journal, "09:29", (9, 33))
    assert (first.errors, first.orders > 0, first.fills > 0, first.open_positions > 0) == (0, True, True, True)
    held = audit(journal).positions
    assert audit(journal).faults == ()

    second, snapshot = morning(home, journal, "09:33", (9, 35))
    found = audit(journal)
    assert found.faults == ()
    assert found.sessions == 2
    assert second.errors == 0
    kept = {row.symbol: row.quantity for row in snapshot.positions}
    assert kept == found.positions
    assert set(held) <= set(kept)
    assert Decimal(str(second.nlv)) == found.nlv.quantize(Decimal("0.01"))
    assert all(line.level not in ("error", "alarm") for line in snapshot.log), [li.text for li in snapshot.log]
    assert snapshot.header.ladder == "NORMAL"
    assert document(journal, "paper-account") is not None


def test_a_disk_that_takes_no_fill_is_one_alarm_and_each_turn_goes_to_its_end(home, tmp_path, monkeypatch):
    save, failed = JournalLedger.save, []

    async def full(ledger, state):
        if state["positions"]:
            failed.append(state)
            raise JournalError("the disk is full")
        await save(ledger, state)

    monkeypatch.setattr(JournalLedger, "save", full)
    result, snapshot = morning(home, tmp_path / "paper.sqlite", "09:29", (9, 33))
    assert failed
    assert result.fills == 0
    assert [line.text for line in snapshot.log if line.level == "error"] == []
    (alarm,) = [line.text for line in snapshot.log if line.level == "alarm"]
    assert alarm == "ladder REDUCE-ONLY: paper account: the disk is full"

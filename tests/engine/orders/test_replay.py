"""Every prefix of the journal, replayed, is the ledger and the book as they stood when its last row was written."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import AccountBalance, AccountState, OrderState
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.ledger import Ledger
from qmterm.engine.orders.recovery import rebuild as rebuild_book
from qmterm.engine.orders.recovery import restore
from qmterm.engine.runlog import RunLog
from qmterm.journal.journal import Journal
from qmterm.journal.rebuild import rebuild as rebuild_tables
from qmterm.journal.state import load_state
from tests.engine.fakes import CASH, FakeBroker, clock_at, entry

NOBODY = AccountState("", AccountBalance(Decimal(0), Decimal(0), Decimal(0)), (), ())
LOST = frozenset({OrderState.INTENT, OrderState.SENT})  # what a restart finds in them may have left


class Story:
    """One desk on a real journal, a broker that answers, refuses or keeps silent by chance."""

    def __init__(self, seed: int, journal: Journal) -> None:
        self.dice = Random(seed)
        self.clock = clock_at()
        self.broker = FakeBroker(self.clock)
        self.journal = journal
        self.book = Book(CASH)

        async def on_fill(record, fill, after):
            return None

        self.desk = OrderDesk(
            self.broker, journal, self.book, self.clock, RunLog(self.clock), OrderSettings(readback_window_s=1), on_fill
        )
        self.number = 0

    async def act(self) -> None:
        await self.dice.choice((self.send, self.send, self.fill, self.fill, self.end, self.cancel, self.read_back))()
        self.clock.advance(2.0)

    async def send(self) -> None:
        self.number += 1
        self.broker.before_accept = self.broker.after_accept = lambda _intent: None
        how = self.dice.choice(("", "", "", "refused", "lost before", "lost after"))
        if how == "refused":
            self.broker.before_accept = lambda _intent: _raise(BrokerError("no", "margin_check_failed"))
        elif how == "lost before":
            self.broker.before_accept = lambda _intent: _raise(OutcomeUnknown("no answer"))
        elif how == "lost after":
            self.broker.after_accept = lambda _intent: _raise(OutcomeUnknown("no answer"))
        await self.desk.submit(entry(f"qm-{self.number}", quantity=self.dice.randint(1, 4)))

    async def fill(self) -> None:
        open_ones = [order for order in self.broker.orders.values() if not order.state.terminal]
        if not open_ones:
            return
        order = self.dice.choice(open_ones)
        left = order.legs[0].quantity - sum(fill.quantity for fill in order.fills)
        report = self.broker.fill(order.broker_id, self.dice.randint(1, left))
        for _ in range(self.dice.randint(0, 2)):  # the stream may be silent, or say it twice
            await self.desk.on_order(report)

    async def end(self) -> None:
        order = self._any()
        if order is not None and not order.state.terminal:
            state = self.dice.choice((OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.LIVE))
            await self.desk.on_order(self.broker.set_state(order.broker_id, state))

    async def cancel(self) -> None:
        working = self.desk.ledger.working
        if working:
            await self.desk.cancel(self.dice.choice(working), "by chance")

    async def read_back(self) -> None:
        await self.desk.read_back(await self.broker.account_state())

    def _any(self):
        return self.dice.choice(list(self.broker.orders.values())) if self.broker.orders else None


def _raise(error: Exception) -> None:
    raise error


def standing(ledger: Ledger, book: Book) -> dict[str, object]:
    """What must be the same after a replay."""
    orders = {
        record.intent.intent_id: (
            OrderState.UNKNOWN if record.state in LOST else record.state,
            record.broker_id,
            sorted(record.fills),
        )
        for record in ledger.records
    }
    return {"orders": orders, "cash": book.cash, "held": {p.symbol: (p.quantity, p.average) for p in book.positions}}


def replayed(path: Path) -> dict[str, object]:
    connection = sqlite3.connect(path, isolation_level=None)
    saved = load_state(connection, 7)
    rebuild_tables(connection)  # the tables are nothing but the events
    again = load_state(connection, 7)
    connection.close()
    assert again == saved
    rebuilt = rebuild_book(saved, NOBODY, None, 0.0)
    ledger = Ledger()
    restore(ledger, rebuilt)
    return standing(ledger, rebuilt.book)


@pytest.mark.parametrize("seed", range(12))
async def test_every_prefix_of_the_journal_gives_the_state_of_its_moment(tmp_path, seed):
    journal = await Journal.open(tmp_path / "j.sqlite", clock_at())
    await journal.start_session("5WT00001", "auto", "sim", "sim", CASH, (), "h")
    story = Story(seed, journal)
    moments = []
    for number in range(14):
        await story.act()
        await journal.write_document("here", {"act": number})  # steps between are noted: this waits for them
        prefix = tmp_path / f"prefix-{number}.sqlite"
        with sqlite3.connect(tmp_path / "j.sqlite") as here, sqlite3.connect(prefix) as there:
            here.backup(there)
        moments.append((prefix, standing(story.desk.ledger, story.book)))
    await journal.close()
    assert story.desk.ledger.records
    for prefix, stood in moments:
        assert replayed(prefix) == stood

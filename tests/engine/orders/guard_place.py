"""Guards over a book, a ledger and quotes that a test sets, and what they asked of a stock."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderState
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.risk.protect import protect
from qmterm.risk.stops import StopRules
from tests.engine.fakes import CASH, OCC, MemoryJournal, TableQuotes, clock_at, entry
from tests.engine.house import TableUnderlyings, plan

LOW, HIGH, OTHER = OCC, "NVDA  260417C00180000", "AMD   260417C00200000"
BTO, STO, STC, BTC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.SELL_TO_CLOSE, Action.BUY_TO_CLOSE
ONE = (Leg(LOW, BTO, 1),)
SPREAD = (Leg(LOW, BTO, 1), Leg(HIGH, STO, 1))
TODAY = date(2026, 3, 2)


class Asked(TableUnderlyings):
    """Keeps the questions too."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def five_minute_close(self, symbol, since_ns):
        self.asked.append(("close", symbol, since_ns))
        return super().five_minute_close(symbol, since_ns)

    def split_ratio(self, symbol, after, until):
        self.asked.append(("split", symbol, after, until))
        return super().split_ratio(symbol, after, until)

    def daily(self, symbol, after):
        self.asked.append(("daily", symbol, after))
        return super().daily(symbol, after)


class Place:
    def __init__(self, rules=None, **settings):
        self.clock = clock_at()
        self.book, self.ledger, self.quotes = Book(CASH), Ledger(), TableQuotes()
        self.journal, self.underlyings = MemoryJournal(), Asked()
        self.marks = Marks(self.book, self.quotes, self.clock)
        self.told = []
        self.guards = Guards(
            self.book, self.ledger, self.marks, self.quotes, self.underlyings, self.journal, self.clock,
            rules or StopRules(), OrderSettings(**({"exit_reprice_s": 15, "walk": False} | settings)),
        )  # fmt: skip
        for symbol, bid in ((LOW, 4.10), (HIGH, 2.20), (OTHER, 1.00)):
            self.quotes.set(symbol, bid, bid + 0.10, self.now)

    @property
    def now(self):
        return self.clock.now()

    def hold(self, symbol, quantity):
        self.book.adopt(BrokerPosition(symbol, quantity, Decimal(4), 100), "atr_matrix", "P1", self.now)

    async def guard(self, name="P1", legs=ONE, quantity=4, more=None, **of_state):
        """A guard of `quantity` units, opened now, of an entry of 4.10."""
        state = replace(protect(plan(), name, quantity, Decimal("4.10")), **of_state)
        made = Guard(legs, self.now, state, **(more or {}))
        await self.guards._keep(made)
        return made

    def order(self, name, legs, state=OrderState.LIVE, **more):
        intent = replace(entry(name, legs[0].quantity), legs=legs, **({"plan_id": "P1", "created_ns": self.now} | more))
        record = OrderRecord(intent, state, broker_id=name, worked_from_ns=self.now)
        self.ledger.add(record)
        return record

    def fill(self, record, symbol, quantity, price="4.00"):
        leg = next(leg for leg in record.intent.legs if leg.symbol == symbol)
        fill = Fill(
            f"{len(record.fills)}-{record.broker_id}", "b", symbol, leg.action, quantity, Decimal(price), self.now
        )
        self.ledger.fill(record, fill)
        return fill

    async def filled(self, record, symbol, quantity, price="4.00"):
        """It fills, the book counts it, the guards hear of it."""
        fill = self.fill(record, symbol, quantity, price)
        after = self.book.apply(fill, record.intent.strategy, record.intent.plan_id)
        await self.guards.on_fill(record, fill, after)

    async def look(self):
        self.marks.update()
        await self.guards.look(lambda guard, reason, numbers: self.told.append((guard, reason, dict(numbers))))

    def of(self, name="P1"):
        return self.guards.of(name)


def forget_while_writing(place, written, gone):
    """While the disk keeps one guard, another's position ends."""
    write = place.journal.write_protect

    async def forgetting(position_id, body):
        await write(position_id, body)
        if position_id == written:
            place.guards._guards.pop(gone, None)

    place.journal.write_protect = forgetting

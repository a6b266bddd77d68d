"""A desk whose journal, log and listener keep every word they are given."""

from __future__ import annotations

from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.runlog import RunLog
from tests.engine.fakes import CASH, FakeBroker, MemoryJournal, clock_at

BUY = "BUY 2 NVDA 17APR26 175C @ 4.15 db"  # entry() in words
QUOTES, WORTH = {"seen": 1}, {"iv": 0.3}


def order_line(level, text, **more):
    return (level, "ORD", text, "qm-1", more)


class Journal(MemoryJournal):
    """Keeps the order rows whole."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[tuple[object, ...]] = []
        self.fill_intents: list[tuple[str, str]] = []

    async def write_order(self, intent_id, state, broker_id, time_ns, reason):
        await super().write_order(intent_id, state, broker_id, time_ns, reason)
        self.orders.append((intent_id, state, broker_id, time_ns, reason))

    async def write_fill(self, fill, intent_id):
        self.fill_intents.append((fill.fill_id, intent_id))
        return await super().write_fill(fill, intent_id)


class Sink(list):
    """The log's lines as (level, kind, text, subject) and what else each was told with."""

    def note(self, kind, subject, body, time_ns):
        more = {name: value for name, value in body.items() if name not in ("level", "text")}
        self.append((body["level"], kind, body["text"], subject, more))


class Seat:
    make_broker = FakeBroker

    def __init__(self, **more) -> None:
        self.clock = clock_at()
        self.broker = self.make_broker(self.clock)
        self.journal = Journal()
        self.book = Book(CASH)
        self.told = Sink()
        self.asked: list[tuple[object, ...]] = []
        self.fills: list[tuple[object, ...]] = []
        log = RunLog(self.clock)
        log.keep_in(self.told)

        async def on_fill(record, fill, after):
            self.fills.append((record.intent.intent_id, fill, after))

        def quoted(legs, underlying):
            self.asked.append((legs, underlying))
            return QUOTES

        def priced(legs, underlying):
            self.asked.append((legs, underlying, "priced"))
            return WORTH

        self.desk = OrderDesk(
            self.broker, self.journal, self.book, self.clock, log, OrderSettings(readback_window_s=10), on_fill,
            **({"priced": priced, "quoted": quoted} | more),
        )  # fmt: skip

    @property
    def now(self) -> int:
        return self.clock.now()

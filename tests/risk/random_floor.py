"""Production's own rooms around an order ledger, without wire, disk, loop or log: what decides is the real code.

What a lane would send is left to whoever drives the floor: it is told to the desk as a broker would tell it.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from qmterm.core.clock import NS
from qmterm.core.quotes import Quote
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.ladder import Ladder
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.resting import Rester
from qmterm.engine.orders.tickets import Tickets
from qmterm.engine.trader import Trader
from qmterm.risk.gate import Gate
from qmterm.risk.stops import StopRules


class HandClock:
    def __init__(self, now_ns: int) -> None:
        self._began = self.now_ns = now_ns

    def now(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return (self.now_ns - self._began) / NS


class Quotes:
    def __init__(self) -> None:
        self.table: dict[str, Quote] = {}

    def quote(self, symbol: str) -> Quote | None:
        return self.table.get(symbol)


class _Silent:
    """A log, a set of marks or a view of stocks that nobody reads."""

    def __getattr__(self, _name: str):
        return lambda *_rest, **_more: None


class _Written:
    """A row that is on the disk already: a future as far as anybody looks at it, without the loop a real one needs."""

    _asyncio_future_blocking = False

    def add_done_callback(self, call) -> None:
        call(self)

    def cancelled(self) -> bool:
        return False

    def exception(self) -> None:
        return None

    def __await__(self):
        return iter(())


class _Journal:
    def decision(self, *_rest: object, **_more: object) -> None: ...

    async def write_intent(self, *_rest: object) -> None: ...

    def while_writing(self, *_rest: object) -> None: ...

    async def write_order(self, *_rest: object) -> None: ...

    async def write_fill(self, *_rest: object) -> None: ...

    async def stored_order(self, _intent_id: str) -> None: ...

    def write_protect(self, *_rest: object) -> _Written:
        return _Written()


class _Desk(OrderDesk):
    """Driven by hand, without a loop: nothing can be made out ahead."""

    def _work_ahead(self) -> None: ...


class _FreeTrader(Trader):
    """Asked for as many trades in one stock and one minute as the dice want: those filters are not what is tried."""

    def risk_book(self, *without):
        seen = super().risk_book(*without)
        return replace(seen, held=frozenset(), working=frozenset(), orders_last_minute=0, recent=frozenset())


class Floor:
    def __init__(self, book: Book, nlv, now_ns: int, risk: RiskSettings, orders: OrderSettings) -> None:
        self.book = book
        self.clock = HandClock(now_ns)
        self.quotes = Quotes()
        silent, journal = _Silent(), _Journal()

        async def on_fill(record, fill, after):
            await self.guards.on_fill(record, fill, after)

        self.desk = _Desk(silent, journal, book, self.clock, silent, orders, on_fill)
        self.ledger = self.desk.ledger
        self.guards = Guards(
            book, self.ledger, silent, self.quotes, silent, journal, self.clock, StopRules(), orders
        )  # fmt: skip
        self.trader = _FreeTrader(
            mode=Mode.AUTO,
            clock=self.clock,
            log=silent,
            journal=journal,
            book=book,
            marks=SimpleNamespace(nlv=nlv),
            desk=self.desk,
            guards=self.guards,
            gate=Gate(risk),
            ladder=Ladder(),
            lanes=silent,
            quotes=self.quotes,
            settings=orders,
            market_open=lambda: True,
            real_money_refusal=lambda: None,
        )
        self.tickets = Tickets(self.trader, wait_s=0.0)
        self.edits = Edits(self.trader, Approvals(self.trader))
        self.rester = Rester(self.trader)


def at_once(work):
    """The result of a coroutine that has nothing to wait for here."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something that this floor does not have")

"""A broker and a journal in memory that can be told to misbehave: the main tools of the engine's tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import ManualClock, et_date, from_et
from qmterm.core.errors import BrokerError, JournalError, OutcomeUnknown, Withheld
from qmterm.core.orders import (
    AccountBalance,
    AccountState,
    Action,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    DryRun,
    Fill,
    Leg,
    OrderIntent,
    OrderState,
    Purpose,
)
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason

OCC = "NVDA  260417C00175000"
CASH = Decimal("100000")


def clock_at(hour: int = 10, minute: int = 0) -> ManualClock:
    return ManualClock(from_et(date(2026, 3, 2), hour, minute))


def entry(intent_id: str = "qm-1", quantity: int = 2, price: str = "-4.15", symbol: str = OCC) -> OrderIntent:
    return OrderIntent(
        intent_id=intent_id,
        created_ns=clock_at().now(),
        strategy="atr_matrix",
        underlying="NVDA",
        purpose=Purpose.ENTRY,
        legs=(Leg(symbol, Action.BUY_TO_OPEN, quantity),),
        quantity=quantity,
        net_price=Decimal(price),
        max_loss=-Decimal(price) * 100 * quantity,
        plan_id="plan-1",
    )


class FakeBroker:
    """Keeps orders as the real one would; `fault` is called with the intent before and after it is accepted."""

    def __init__(self, clock: ManualClock, cash: Decimal = CASH) -> None:
        self.account = "5WT00001"
        self.clock = clock
        self.cash = cash
        self.orders: dict[str, BrokerOrder] = {}
        self.posts: list[str] = []
        self.cancels: list[str] = []
        self.puts: list[tuple[str, str]] = []
        self.keeps_tags = True
        self.archive: dict[str, BrokerOrder] = {}  # ended so long ago that no list of the day shows them
        self.looked_up: list[str] = []
        self.searched: list[date] = []
        self.held: dict[str, int] = {}
        self.queue: asyncio.Queue[BrokerEvent] = asyncio.Queue()
        self.before_accept: Callable[[OrderIntent], None] = lambda intent: None
        self.after_accept: Callable[[OrderIntent], None] = lambda intent: None
        self.last_look: Callable[[OrderIntent], Reason | None] = lambda intent: None  # set by the desk
        self.turn: Callable[[], Awaitable[None]] | None = None  # what an order waits for before it leaves
        self.complete = True
        self.stream_up = True
        self.round_trip_ms: float | None = 1.0

    async def connect(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _leaving(self, *intents: OrderIntent) -> None:
        if self.turn is not None:
            await self.turn()
        for intent in intents:
            if (refusal := self.last_look(intent)) is not None:
                raise Withheld("kept back", refusal.value)

    async def place(self, intent: OrderIntent) -> BrokerOrder:
        await self._leaving(intent)
        self.posts.append(intent.intent_id)
        await asyncio.sleep(0)
        self.before_accept(intent)
        order = BrokerOrder(
            broker_id=str(1000 + len(self.orders)),
            external_id=intent.intent_id,
            account=self.account,
            underlying=intent.underlying,
            state=OrderState.RECEIVED,
            legs=intent.legs,
            fills=(),
            net_price=intent.net_price,
            time_in_force=intent.time_in_force.value,
            received_ns=self.clock.now(),
            updated_ns=self.clock.now(),
        )
        self.orders[order.broker_id] = order
        self.after_accept(intent)
        return order

    async def place_bracket(self, intents: tuple[OrderIntent, ...]) -> tuple[BrokerOrder, ...]:
        """Accepted at once, waiting; `release` lets one work."""
        await self._leaving(*intents)
        self.posts.append("+".join(intent.intent_id for intent in intents))
        await asyncio.sleep(0)
        self.before_accept(intents[0])
        complex_id = str(5000 + len(self.orders))
        found = []
        for intent in intents:
            order = BrokerOrder(
                broker_id=str(1000 + len(self.orders)),
                external_id=intent.intent_id,
                account=self.account,
                underlying=intent.underlying,
                state=OrderState.CONTINGENT,
                legs=intent.legs,
                fills=(),
                net_price=intent.net_price,
                time_in_force=intent.time_in_force.value,
                received_ns=self.clock.now(),
                updated_ns=self.clock.now(),
                kind=intent.kind,
                stop_trigger=intent.stop_trigger,
                complex_id=complex_id,
                role=intent.role,
            )
            self.orders[order.broker_id] = order
            found.append(order)
        self.after_accept(intents[0])
        return tuple(found)

    async def cancel_bracket(self, complex_id: str) -> None:
        self.cancels.append(f"complex {complex_id}")
        await asyncio.sleep(0)
        works = [o for o in self.orders.values() if o.complex_id == complex_id and not o.state.terminal]
        if not works:
            raise BrokerError("bracket is terminal", "cannot_update_order")
        for order in works:
            self.orders[order.broker_id] = replace(order, state=OrderState.CANCEL_REQUESTED)

    async def replace(self, broker_id: str, intent: OrderIntent) -> BrokerOrder:
        """Accepted at once, waiting: `took_over` or `called_off` decides it."""
        await self._leaving(intent)
        self.puts.append((broker_id, intent.intent_id))
        await asyncio.sleep(0)
        self.before_accept(intent)
        old = self.orders[broker_id]
        if old.state.terminal or old.state in (OrderState.CANCEL_REQUESTED, OrderState.REPLACE_REQUESTED):
            raise BrokerError(f"order {broker_id} is {old.state.value}", "cannot_update_order")
        filled = sum(fill.quantity for fill in old.fills)
        order = replace(
            old,
            broker_id=str(1000 + len(self.orders)),
            external_id=intent.intent_id if self.keeps_tags else None,
            state=OrderState.CONTINGENT,
            fills=(),
            legs=tuple(replace(leg, quantity=leg.quantity - filled) for leg in old.legs),
            net_price=intent.net_price,
            replaces=broker_id,
            received_ns=self.clock.now(),
        )
        self.orders[order.broker_id] = order
        self.orders[broker_id] = replace(old, state=OrderState.REPLACE_REQUESTED, replaced_by=order.broker_id)
        self.after_accept(intent)
        return order

    def took_over(self, broker_id: str) -> tuple[BrokerOrder, BrokerOrder]:
        """The replacement works, its original is cancelled."""
        new = self.set_state(broker_id, OrderState.LIVE)
        return self.set_state(new.replaces or "", OrderState.CANCELLED), new

    def called_off(self, broker_id: str) -> tuple[BrokerOrder, BrokerOrder]:
        """The original filled or went on; its replacement is no more."""
        new = self.set_state(broker_id, OrderState.REMOVED)
        return self.set_state(new.replaces or "", OrderState.LIVE), new

    async def dry_run(self, intent: OrderIntent) -> DryRun:
        return DryRun(Decimal(0), Decimal(0))

    async def cancel(self, broker_id: str) -> None:
        self.cancels.append(broker_id)
        order = self.orders[broker_id]
        if order.state.terminal:
            raise BrokerError("order is terminal", "cannot_update_order")
        self.orders[broker_id] = replace(order, state=OrderState.CANCEL_REQUESTED)

    def set_state(self, broker_id: str, state: OrderState) -> BrokerOrder:
        self.orders[broker_id] = replace(self.orders[broker_id], state=state)
        return self.orders[broker_id]

    def fill(
        self, broker_id: str, quantity: int, price: str = "4.10", fill_id: str | None = None, symbol: str | None = None
    ) -> BrokerOrder:
        """Execute contracts of one leg: of `symbol`, else of the first."""
        order = self.orders[broker_id]
        leg = order.legs[0] if symbol is None else next(leg for leg in order.legs if leg.symbol == symbol)
        execution = Fill(
            fill_id or f"f{len(order.fills) + 1}-{broker_id}",
            broker_id,
            leg.symbol,
            leg.action,
            quantity,
            Decimal(price),
            self.clock.now(),
        )
        fills = (*order.fills, execution)
        done = all(sum(f.quantity for f in fills if f.symbol == each.symbol) >= each.quantity for each in order.legs)
        self.orders[broker_id] = replace(
            order, fills=fills, state=OrderState.FILLED if done else OrderState.LIVE, updated_ns=self.clock.now()
        )
        self.held[leg.symbol] = self.held.get(leg.symbol, 0) + leg.action.sign * quantity
        return self.orders[broker_id]

    async def account_state(self) -> AccountState:
        return AccountState(
            self.account,
            AccountBalance(self.cash, self.cash, self.cash),
            tuple(BrokerPosition(s, q, Decimal("4.10"), 100) for s, q in self.held.items() if q),
            tuple(self.orders.values()),
            self.complete,
        )

    async def live_orders(self) -> tuple[BrokerOrder, ...]:
        return tuple(self.orders.values())

    async def order(self, broker_id: str) -> BrokerOrder | None:
        self.looked_up.append(broker_id)
        await asyncio.sleep(0)
        return self.orders.get(broker_id) or self.archive.get(broker_id)

    async def orders_since(self, day: date) -> tuple[tuple[BrokerOrder, ...], bool]:
        self.searched.append(day)
        every = (*self.archive.values(), *self.orders.values())
        return tuple(order for order in every if et_date(order.received_ns) >= day), self.complete

    async def events(self) -> AsyncIterator[BrokerEvent]:
        while True:
            yield await self.queue.get()


class MemoryJournal:
    """Keeps what was made durable, in order, and can run out of disk, or hang."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []
        self.fills: dict[str, Fill] = {}
        self.full = False
        self._answers = asyncio.Event()
        self._answers.set()
        self.quotes: dict[str, Mapping[str, object] | None] = {}
        self.trouble: str | None = None
        self.decisions: list[tuple[str, str, object]] = []
        self.protects: dict[str, dict[str, object]] = {}
        self.moves: list[tuple[str, str, str | None, bool, str]] = []
        self.documents: dict[str, dict[str, object]] = {}
        self.adjustments: list[tuple[str | None, Decimal]] = []
        self.notes: list[tuple[str, str, Mapping[str, object], int]] = []

    def hang(self) -> None:
        """From now on no row is answered: it waits in the queue."""
        self._answers.clear()

    def go_on(self) -> None:
        """The disk is back: all rows that wait, in their order."""
        self._answers.set()

    async def _at_disk(self) -> None:
        if not self._answers.is_set():
            await self._answers.wait()
        await asyncio.sleep(0)
        if self.full:
            raise JournalError("journal.sqlite: disk full")

    async def write_intent(self, intent: OrderIntent, quotes: Mapping[str, object] | None = None) -> None:
        await self._at_disk()
        self.quotes[intent.intent_id] = quotes
        self.rows.append(("intent", intent.intent_id))

    def while_writing(self, work: Callable[[], object]) -> None:
        """A disk that is done before anything could be begun beside it."""

    async def write_order(
        self, intent_id: str, state: OrderState, broker_id: str | None, time_ns: int, reason: str | None
    ) -> None:
        if state is OrderState.UNKNOWN or state.terminal:  # the rest is noted, see the real one
            await self._at_disk()
        self.rows.append((state.value, intent_id))

    async def write_fill(self, fill: Fill, intent_id: str) -> bool:
        await self._at_disk()
        new = fill.fill_id not in self.fills
        self.fills[fill.fill_id] = fill
        self.rows.append(("fill", intent_id))
        return new

    async def stored_order(self, intent_id: str) -> None:
        return None

    def note(self, kind: str, subject: str, body: Mapping[str, object], time_ns: int) -> None:
        self.notes.append((kind, subject, body, time_ns))

    # --- what the rest of the engine writes ---

    def decision(self, subject, outcome, time_ns, *, plan=None, reason=None, numbers=None) -> None:
        self.decisions.append((subject, outcome, reason))

    async def write_protect(self, position_id: str, state: Mapping[str, object] | None) -> None:
        await self._at_disk()
        self.rows.append(("protect", position_id))
        if state is None:
            self.protects.pop(position_id, None)
        else:
            self.protects[position_id] = json.loads(json.dumps(state))  # as the real one keeps it

    async def write_ladder(
        self, state: str, reason: str | None, by_person: bool, time_ns: int, *, before: str = "", text: str = ""
    ) -> None:
        await self._at_disk()
        self.moves.append((before, state, reason, by_person, text))
        self.rows.append(("ladder", state))

    async def write_document(self, name: str, body: Mapping[str, object]) -> None:
        await self._at_disk()
        self.documents[name] = json.loads(json.dumps(body))

    async def write_adjustment(self, symbol: str | None, amount: Decimal, reason: str, time_ns: int) -> None:
        await self._at_disk()
        self.adjustments.append((symbol, amount))


class TableQuotes:
    def __init__(self) -> None:
        self.table: dict[str, Quote] = {}

    def set(self, symbol: str, bid: float, ask: float, time_ns: int, size: int = 50) -> None:
        self.table[symbol] = Quote(symbol, bid, ask, size, size, time_ns, time_ns)

    def quote(self, symbol: str) -> Quote | None:
        return self.table.get(symbol)


def lost(_intent: OrderIntent) -> None:
    raise OutcomeUnknown("no answer within 5 s")

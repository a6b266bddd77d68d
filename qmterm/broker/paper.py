"""The paper broker: same protocol, same events as the real one, filled here against live quotes; nothing leaves.

The trap: what it accepted must survive a restart like at a real broker. So a change is made on a copy of the
account, and happens when the disk has it; one at a time, for each save writes the whole account.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Protocol

from qmterm.broker.events import EventQueue
from qmterm.broker.last_look import Rule, ask_once_more, free
from qmterm.broker.paper_book import PaperBook, PaperOrder
from qmterm.broker.paper_brackets import follow, join, members
from qmterm.broker.paper_checks import FillFees, OrderCost, check_order
from qmterm.broker.paper_delivery import Scene
from qmterm.broker.paper_end import order_over
from qmterm.broker.paper_latency import arrived, ask_cancel, take_hold, take_over
from qmterm.broker.paper_margin import Held, held_back
from qmterm.broker.paper_night import by_itself
from qmterm.broker.paper_statement import statement
from qmterm.broker.paper_stops import stop_reached
from qmterm.core.account import AccountFlags
from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, Clock, et_date, from_et
from qmterm.core.corporate import CorporateFacts
from qmterm.core.errors import BrokerError, JournalError
from qmterm.core.fees import fill_fees
from qmterm.core.instruments import is_option
from qmterm.core.matching import match
from qmterm.core.order_rules import bracket_fault
from qmterm.core.orders import (
    AccountBalance,
    AccountState,
    BracketRole,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    DryRun,
    Fill,
    OrderIntent,
    OrderState,
    TimeInForce,
)
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote, mid_decimal
from qmterm.core.settings.broker import PaperSettings
from qmterm.core.ticks import TickTable
from qmterm.core.transactions import Transaction

ACCOUNT = "PAPER0001"


class PaperLedger(Protocol):
    """Where the account lives between runs; the engine wires it to a document of the journal."""

    async def load(self) -> Mapping[str, Any] | None: ...

    async def save(self, state: Mapping[str, Any]) -> None: ...


class PaperBroker:
    """See core.protocols.Broker; `on_market` is called by the engine after each batch of data."""

    def __init__(
        self,
        quotes: QuoteSource,
        ledger: PaperLedger,
        clock: Clock,
        settings: PaperSettings,
        *,
        fees: FillFees = fill_fees,
        calendar: SessionCalendar | None = None,
    ) -> None:
        self.account = ACCOUNT
        self.flags = AccountFlags()
        self._quotes = quotes
        self._cost = OrderCost(quotes, fees, clock)
        self._ledger = ledger
        self._clock = clock
        self._fees = fees
        self._settings = settings
        self._sessions = calendar
        self._latency_ns = int(settings.latency_ms * 1e6)
        self._book = PaperBook(settings.starting_cash)  # as the disk has it: all that is shown and matched
        self._changing = asyncio.Lock()
        self._queue = EventQueue()
        self._connected = False
        self.last_look: Rule = free  # set by the order desk
        self.facts: CorporateFacts | None = None  # set by whoever knows of companies

    # --- core.protocols.Broker ---

    async def connect(self) -> None:
        saved = await self._ledger.load()
        if saved is not None:
            try:
                self._book = PaperBook.from_dict(saved)
            except ValueError as error:
                raise BrokerError(f"the saved paper account cannot be read: {error}", "bad_paper_account") from error
        self._connected = True
        for event in self._everything():
            self._queue.put(event)

    async def close(self) -> None:
        self._connected = False
        self._queue.close()

    async def place(self, intent: OrderIntent) -> BrokerOrder:
        async with self._changing:
            ask_once_more((intent,), self.last_look)
            self._check(intent)
            reserve = self._cost.reserve(intent)
            self._check_money(intent, reserve)
            book = self._book.copy()
            report, live = self._taken(book, intent, reserve)
            await self._keep_asked(book, "placed", live)
        return report

    async def place_bracket(self, intents: tuple[OrderIntent, ...]) -> tuple[BrokerOrder, ...]:
        fault = bracket_fault(intents)
        if fault is not None:
            raise BrokerError(f"a paper bracket was not placed: {fault}", "bad_order")
        waits = any(intent.role is BracketRole.TRIGGER for intent in intents)
        async with self._changing:
            ask_once_more(intents, self.last_look)
            for intent in intents:
                self._check(intent, waits=waits and intent.rests)
            reserves = [self._cost.reserve(intent) for intent in intents]
            for intent, reserve in zip(intents, reserves, strict=True):
                self._check_money(intent, reserve)
            book = self._book.copy()
            taken = [self._taken(book, intent, reserve)[0] for intent, reserve in zip(intents, reserves, strict=True)]
            joined = join(book, [book.orders[report.broker_id] for report in taken], taken[0].broker_id)
            reports = tuple(order.report for order in joined)
            await self._keep_asked(book, "placed", *reports)
        return reports

    async def cancel_bracket(self, complex_id: str) -> None:
        async with self._changing:
            book = self._book.copy()
            working = [order for order in members(book, complex_id) if order.report.state.working]
            if not working:
                raise BrokerError(
                    f"paper bracket {complex_id} does not work; nothing was cancelled", "cannot_update_order"
                )
            now = self._clock.now()
            ended = [book.move(order, OrderState.CANCELLED, now).report for order in working]
            await self._keep_asked(book, "cancelled", *ended)

    async def replace(self, broker_id: str, intent: OrderIntent) -> BrokerOrder:
        async with self._changing:
            ask_once_more((intent,), self.last_look)
            old = self._book.orders.get(broker_id)
            if old is None or not old.report.state.working or old.report.complex_id is not None:
                raise BrokerError(
                    f"paper order {broker_id} is not working; nothing was replaced", "cannot_update_order"
                )
            units = old.units_left
            legs = tuple(replace(leg, quantity=leg.quantity // old.intent.quantity * units) for leg in old.intent.legs)
            wanted = replace(intent, legs=legs, quantity=units)  # what is still open of it, whatever was asked
            if intent.max_loss is not None:
                wanted = replace(wanted, max_loss=intent.max_loss * units / intent.quantity)
            self._check(wanted, without=broker_id)
            reserve = self._cost.reserve(wanted)
            self._check_money(wanted, reserve, freed=old.reserved * units)
            now, book = self._clock.now(), self._book.copy()
            asked = book.move(old, OrderState.REPLACE_REQUESTED, now)
            report, _ = self._taken(book, wanted, reserve, replaces=broker_id)
            waits = replace(book.orders[report.broker_id], takes_over=True)
            waits = book.move(waits, OrderState.CONTINGENT, now)
            told = [asked.report, *([waits.report] if self._latency_ns else take_over(book, waits, now))]
            await self._keep_asked(book, "replaced", *told)
        return report

    def _taken(
        self, book: PaperBook, intent: OrderIntent, reserve: Decimal, replaces: str | None = None
    ) -> tuple[BrokerOrder, BrokerOrder]:
        """Enter an order in the book: the report of its acceptance, and its newest: it works, if nothing takes time."""
        now = self._clock.now()
        order = book.accept(self.account, intent, reserve, now, now + self._latency_ns, replaces)
        newest = order if self._latency_ns else book.move(order, OrderState.LIVE, now)
        return order.report, newest.report

    async def dry_run(self, intent: OrderIntent) -> DryRun:
        self._check(intent)
        reserve = self._cost.reserve(intent)
        fees = self._cost.fees(intent)
        warnings = () if reserve * intent.quantity <= self._buying_power else ("margin_check_failed: not enough money",)
        return DryRun(-reserve * intent.quantity, -fees, warnings)

    async def cancel(self, broker_id: str) -> None:
        async with self._changing:
            order = self._book.orders.get(broker_id)
            if order is None or not order.report.state.working:
                raise BrokerError(
                    f"paper order {broker_id} is not working; nothing was cancelled", "cannot_update_order"
                )
            now, book = self._clock.now(), self._book.copy()
            told = ask_cancel(book, order, now, self._latency_ns)
            told += follow(book, order.report.complex_id, now)
            await self._keep_asked(book, "cancelled", *told)

    async def account_state(self) -> AccountState:
        return AccountState(self.account, self._balance(), self._positions(), self._book.reports)

    async def tick_table(self, underlying: str) -> TickTable | None:
        """The paper broker has no table of its own: the usual grid applies."""
        return None

    async def live_orders(self) -> tuple[BrokerOrder, ...]:
        return self._book.reports

    async def order(self, broker_id: str) -> BrokerOrder | None:
        order = self._book.orders.get(broker_id)
        return None if order is None else order.report

    async def orders_since(self, day: date) -> tuple[tuple[BrokerOrder, ...], bool]:
        """All that is kept: what ended on an earlier day is forgotten, the book and its bookings know what it did."""
        return self._book.reports, True

    async def transactions(self, since: date) -> tuple[tuple[Transaction, ...], bool]:
        """See core.protocols.TransactionsSource."""
        return statement(self._book, since), True

    async def events(self) -> AsyncIterator[BrokerEvent]:
        async for event in self._queue:
            yield event

    def take_events(self) -> list[BrokerEvent]:
        """What waits in the queue, for a caller that decides when (lockstep)."""
        return self._queue.take()

    async def wait_sequence(self, sequence: int, timeout: float = 5.0) -> bool:
        """Nothing is ever on its way here."""
        return True

    @property
    def stream_up(self) -> bool:
        return self._connected

    @property
    def round_trip_ms(self) -> float | None:
        return 0.0 if self._connected else None

    # --- the market moves ---

    async def on_market(self, now_ns: int) -> None:
        """Let working orders meet the quotes, in the order in which they came; end and settle what is over.

        JournalError when that cannot be saved: nothing of it happened then, the next look meets the quotes of its time.
        """
        async with self._changing:
            now_ns = max(now_ns, self._clock.now())  # who waited behind a save meets the quotes of now
            book = self._book.copy()
            changed = self._moved(book, now_ns)
            if not changed:
                self._book = book  # what was looked up only, and can be again
                return
            book.forget_settled_before(from_et(et_date(now_ns)))
            await self._keep(book, *changed)

    def _moved(self, book: PaperBook, now_ns: int) -> list[BrokerEvent]:
        held = take_hold(book, now_ns)
        changed: list[BrokerEvent] = [*held]
        for report in held:  # an exit waits for its trigger, and goes with it
            changed.extend(follow(book, report.complex_id, now_ns))
        regular = self._calendar.phase(now_ns) is Phase.REGULAR
        for listed in book.working:
            order = book.orders[listed.report.broker_id]  # looked up anew: its bracket may have ended it
            if order.report.state.terminal:
                continue
            if order_over(order, now_ns, self._calendar):
                changed.append(book.move(order, OrderState.EXPIRED, now_ns).report)
            elif regular and arrived(order, now_ns):
                changed.extend(self._meet(book, order, now_ns))
                left = book.orders[order.report.broker_id]
                if left.intent.time_in_force is TimeInForce.IOC and left.report.state.working:
                    changed.append(book.move(left, OrderState.CANCELLED, now_ns).report)
            changed.extend(follow(book, order.report.complex_id, now_ns))
        early = self._settings.early_assignment
        changed.extend(by_itself(book, Scene(now_ns, self._calendar, self._quotes, self.facts, early)))
        return changed

    def _meet(self, book: PaperBook, order: PaperOrder, now_ns: int) -> list[BrokerEvent]:
        fresh = {leg.symbol: quote for leg in order.intent.legs if (quote := self._fresh(leg.symbol, now_ns))}
        reached = not order.triggered and order.intent.stop_trigger is not None
        if reached:
            if not stop_reached(order.intent, fresh):
                return []
            order = book.keep(replace(order, triggered=True))
        legs = match(
            order.intent.legs,
            order.intent.net_price,
            fresh,
            order.units_left,
            self._settings.participation,
            key=f"{order.report.external_id}/{order.executions}",
            waited_s=(now_ns - order.report.received_ns) / NS,
        )
        if not legs:
            return [order.report] if reached else []  # told, and so saved: a stop that was reached stays reached
        events: list[BrokerEvent] = []
        fills = list(order.report.fills)
        for leg in legs:
            before = sum(fill.quantity for fill in fills if fill.symbol == leg.symbol)
            fees = self._fees(leg.symbol, leg.action, leg.quantity, leg.price, et_date(now_ns), before)
            fill = Fill(
                f"{self.account}-{book.next_fill}", order.report.broker_id, leg.symbol, leg.action, leg.quantity,
                leg.price, now_ns, fees,
            )  # fmt: skip
            book.next_fill += 1
            fills.append(fill)
            events.append(book.book(fill))
        remaining = tuple(
            leg.quantity - sum(fill.quantity for fill in fills if fill.symbol == leg.symbol)
            for leg in order.intent.legs
        )
        state = OrderState.LIVE if any(remaining) else OrderState.FILLED
        report = replace(order.report, fills=tuple(fills), remaining=remaining, state=state, updated_ns=now_ns)
        book.keep(replace(order, report=report, executions=order.executions + 1))
        return [report, *events]

    def _fresh(self, symbol: str, now_ns: int) -> Quote | None:
        quote = self._quotes.quote(symbol)
        if quote is None or quote.age_s(now_ns) > self._settings.max_quote_age_s:
            return None
        return quote

    @property
    def _calendar(self) -> SessionCalendar:
        if self._sessions is None:
            today = et_date(self._clock.now())
            self._sessions = SessionCalendar.load(today - timedelta(days=10), today + timedelta(days=4 * 365))
        return self._sessions

    def _check(self, intent: OrderIntent, without: str = "", *, waits: bool = False) -> None:
        if not self._connected:
            raise BrokerError("the paper broker is not connected; nothing was placed", "not_connected")
        check_order(intent, self._book, without, waits=waits)

    def _check_money(self, intent: OrderIntent, reserve: Decimal, freed: Decimal = Decimal(0)) -> None:
        needed, there = reserve * intent.quantity, self._buying_power + freed
        if needed > there:
            raise BrokerError(
                f"the order needs {needed:.2f} dollars, the paper account has {there:.2f}",
                "margin_check_failed",
            )

    # --- what it says ---

    @property
    def _buying_power(self) -> Decimal:
        """Negative is a deficit, as after an assignment the account cannot carry: shown, never made good."""
        held = self._held
        return self._book.cash + held.shares - held.requirement - self._book.reserved

    @property
    def _held(self) -> Held:
        return held_back(self._book.positions.values(), self._price)

    def _price(self, symbol: str) -> Decimal | None:
        ticker = symbol if is_option(symbol) or self.facts is None else self.facts.ticker(symbol)
        quote = self._quotes.quote(ticker)
        return None if quote is None else mid_decimal(quote)

    def _mark(self, position: BrokerPosition) -> Decimal:
        mid = self._price(position.symbol)
        return position.average_open_price if mid is None else mid

    def _positions(self) -> tuple[BrokerPosition, ...]:
        return tuple(replace(position, mark=self._mark(position)) for position in self._book.positions.values())

    def _balance(self) -> AccountBalance:
        value = sum((p.quantity * p.multiplier * self._mark(p) for p in self._book.positions.values()), Decimal(0))
        return AccountBalance(
            cash=self._book.cash,
            net_liquidating_value=self._book.cash + value,
            option_buying_power=self._buying_power,
            maintenance_requirement=self._held.requirement,
        )

    def _everything(self) -> list[BrokerEvent]:
        return [*self._book.reports, *self._positions(), self._balance()]

    def _tell(self, *events: BrokerEvent) -> None:
        for event in events:
            if not self._queue.put(event):
                # Full objects: the newest of everything replaces whatever was waiting.
                self._queue.take()
                for current in self._everything():
                    self._queue.put(current)
                return

    # --- it happens ---

    async def _keep(self, book: PaperBook, *told: BrokerEvent) -> None:
        """The account becomes this one once the disk has it, and that is told. JournalError: it stays as it was."""
        await self._ledger.save(book.to_dict())
        self._book = book
        self._tell(*told, self._balance())

    async def _keep_asked(self, book: PaperBook, what: str, *told: BrokerEvent) -> None:
        """The same for what somebody asked for, who is told by a BrokerError that it did not happen."""
        try:
            await self._keep(book, *told)
        except JournalError as error:
            raise BrokerError(f"the paper account cannot be saved, nothing was {what}: {error}", "not_saved") from error

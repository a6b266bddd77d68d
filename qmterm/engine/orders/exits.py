"""Protecting what is held: stops and scale-outs become closing orders (auto) or alarmed proposals (confirm).

A decision sets a goal ("close 2 of these"); the goal lives, journalled, until fills have met it. So a stop that was
hit stays hit across cancels, re-pricing and restarts, and a scale-out level is used exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.orders import Action, Fill, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.core.signals import TradePlan
from qmterm.core.ticks import TickProgram, TickTable, round_price, tick
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.orders.underlyings import Sight, Underlyings
from qmterm.engine.orders.walking import Grid, start_price
from qmterm.risk.protect import StopInputs, protect, rolled
from qmterm.risk.stops import StopRules, decide, iv_alert, rules_text

REARM_NS = 300 * NS  # a refused exit asks again after a 5-minute bar that a person has not seen


class ProtectJournal(Protocol):
    async def write_protect(self, position_id: str, state: Mapping[str, object] | None) -> None: ...


class Guards:
    """All guards, by position id (the plan that opened the position)."""

    def __init__(
        self,
        book: Book,
        ledger: Ledger,
        marks: Marks,
        quotes: QuoteSource,
        underlyings: Underlyings,
        journal: ProtectJournal,
        clock: Clock,
        rules: StopRules,
        settings: OrderSettings,
        ticks: TickBook | None = None,
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._marks = marks
        self._quotes = quotes
        self._underlyings = underlyings
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._settings = settings
        self._ticks = ticks or TickBook()
        self._guards: dict[str, Guard] = {}
        self._sight = Sight(underlyings)
        self.iv_of: Callable[[str], float | None] = lambda _symbol: None  # set by the engine: a mark's own volatility

    def restore(self, saved: Mapping[str, Mapping[str, Any]]) -> None:
        self._guards = {position_id: Guard.from_dict(body) for position_id, body in saved.items()}

    async def catch_up(self) -> None:
        """After a restart: a fill whose guard was not written any more (killed between the two) is counted now."""
        for position_id, guard in list(self._guards.items()):
            held = self._book.position(guard.symbol)
            state = guard.state
            entered = sum(
                record.filled(guard.symbol)
                for record in self._ledger.records
                if record.intent.plan_id == position_id
                and any(leg.symbol == guard.symbol and leg.action.opens for leg in record.intent.legs)
            )
            missed = max(0, entered - state.opened)
            quantity = min(state.quantity + missed, abs(held.quantity) if held else 0)
            if missed or quantity != state.quantity:
                premium = held.average if missed and held else state.entry_premium
                state = replace(state, opened=state.opened + missed, quantity=quantity, entry_premium=premium)
                await self._keep(replace(guard, state=state, goal=min(guard.goal, quantity)))

    @property
    def rules(self) -> StopRules:
        return self._rules

    def of(self, position_id: str) -> Guard | None:
        return self._guards.get(position_id)

    @property
    def all(self) -> tuple[Guard, ...]:
        return tuple(self._guards.values())

    def text(self, position_id: str, today: date) -> str:
        guard = self._guards.get(position_id)
        if guard is None:
            return "no rules (watch it yourself)" if position_id else "no rules (opened elsewhere)"
        blind = self._sight.of(position_id)
        seen = "" if blind is None else f"blind: {blind.value} · "
        return seen + rules_text(guard.state, self._rules, today)

    def next_target(self, position_id: str) -> float | None:
        guard = self._guards.get(position_id)
        if guard is None:
            return None
        waiting = [level for level in self._rules.scale_out if level not in guard.state.fired]
        return guard.state.level_price(waiting[0], self._rules.distance_mode) if waiting else None

    # --- life of a guard ---

    async def prepare(self, plan: TradePlan, symbol: str, rolled_from: str | None = None) -> None:
        """Before an entry is sent its guard is on disk, so that a fill after a crash finds its stop.

        Rolled from another contract, it takes over the levels of that one's guard.
        """
        now = self._clock.now()
        state, levels_day = protect(plan, plan.plan_id, 0, -plan.net_price), None
        old = None if rolled_from is None else self.watching(rolled_from)
        if old is not None:
            state = rolled(state, old.state, et_date(now))
            levels_day = old.levels_day or et_date(old.opened_ns)
        await self._keep(Guard(symbol, now, state, levels_day=levels_day))

    def watching(self, symbol: str) -> Guard | None:
        """The guard of a contract that is held."""
        return next((guard for guard in self._guards.values() if guard.symbol == symbol and guard.state.quantity), None)

    async def on_fill(self, record: OrderRecord, fill: Fill, after: Position | None) -> None:
        """Follow a fill of an order that opened or closed a guarded position."""
        guard = self._guards.get(record.intent.plan_id)
        if guard is None or guard.symbol != fill.symbol:  # placed elsewhere, or the leg that a roll closes
            alike = [g for g in self._guards.values() if g.symbol == fill.symbol]
            guard = self.watching(fill.symbol) or next(iter(alike), None)
        if guard is None:
            return
        if fill.action.opens:
            average = after.average if after is not None else fill.price
            await self._keep(replace(guard, state=guard.state.filled_entry(fill.quantity, average)))
            return
        goal = max(0, guard.goal - fill.quantity)
        guard = replace(
            guard,
            state=guard.state.filled_exit(fill.quantity),
            goal=goal,
            reason=guard.reason if goal else None,
            attempts=guard.attempts if goal else 0,
        )
        await self._keep(guard)

    async def adjust_for_splits(self) -> tuple[str, ...]:
        """Bring stops and levels to today's shares: a split is no loss. Returns the underlyings concerned."""
        today = et_date(self._clock.now())
        touched = []
        for position_id in tuple(self._guards):
            guard = self._guards.get(position_id)  # looked up anew: a fill may have moved it while we wrote another
            if guard is None:
                continue
            since = guard.levels_day or et_date(guard.opened_ns)
            ratio = self._underlyings.split_ratio(guard.state.underlying, since, today)
            if ratio == 1.0:
                continue
            state = guard.state
            state = replace(state, stop=state.stop / ratio, sma50=state.sma50 / ratio, atr=state.atr / ratio)
            await self._keep(replace(guard, state=state, levels_day=today))
            touched.append(state.underlying)
        return tuple(touched)

    async def tidy(self) -> None:
        """Forget guards whose position is flat and whose entry can no longer fill."""
        for position_id, guard in list(self._guards.items()):
            entry_works = any(record.intent.plan_id == position_id for record in self._ledger.working)
            if not entry_works and self._book.quantity(guard.symbol) == 0:
                del self._guards[position_id]
                self._sight.forget(position_id)
                await self._journal.write_protect(position_id, None)

    async def _keep(self, guard: Guard) -> None:
        self._guards[guard.state.position_id] = guard
        await self._journal.write_protect(guard.state.position_id, guard.to_dict())

    # --- deciding ---

    async def look(
        self,
        announce: Callable[[Guard, Reason, Mapping[str, float | None]], None],
        blinded: Callable[[Guard, Reason | None], None] = lambda _guard, _why: None,
    ) -> None:
        """Run the rules over every guard; new decisions become goals.

        `blinded` hears once when a stock's price is refused, and with None once it is believed again.
        """
        for position_id in tuple(self._guards):
            guard = self._guards.get(position_id)  # looked up anew: a fill may have moved it while we wrote another
            if guard is None:
                continue
            # A pending scale-out never blinds the stops: a whole exit that hits meanwhile takes its goal over.
            scaling = guard.goal > 0 and guard.reason is Reason.SCALE_OUT
            if guard.state.quantity <= 0 or (guard.goal > 0 and not scaling):
                continue
            refused = self._sight.look(position_id, guard.state.underlying, partial(blinded, guard))
            inputs, guard = self._inputs(guard, refused)
            alert = iv_alert(guard.state, inputs, self._rules)
            if alert is not None:
                guard = replace(guard, state=guard.state.after([alert]))
                await self._keep(guard)
                announce(guard, alert.reason, alert.numbers)
            decisions = decide(guard.state, inputs, self._rules)
            if scaling:
                decisions = [decision for decision in decisions if decision.reason is not Reason.SCALE_OUT]
            if not decisions:
                self._guards[position_id] = guard
                continue
            state = guard.state.after(decisions)
            # A working scale-out closes part of it already; the whole exit's goal is everything that is held.
            contracts = guard.state.quantity if scaling else sum(decision.contracts for decision in decisions)
            first = decisions[0]
            fresh = guard.state.latched is None
            await self._keep(
                replace(guard, state=state, goal=contracts, reason=first.reason if contracts else None, attempts=0)
            )
            if fresh and contracts:
                announce(guard, first.reason, first.numbers)

    async def want_out(self, symbol: str, reason: Reason) -> bool:
        """All of a position is to be closed for a reason found elsewhere (the expiry desk); latches like a stop.

        False when it has no guard, is on its way out already, or a person refused its exit a moment ago.
        """
        guard = next((g for g in self._guards.values() if g.symbol == symbol and g.state.quantity > 0), None)
        if guard is None or (guard.goal > 0 and guard.reason is not Reason.SCALE_OUT):
            return False
        if self._clock.now() - guard.called_off_ns < REARM_NS:
            return False
        state = guard.state.wanted_out(reason)
        await self._keep(replace(guard, state=state, goal=state.quantity, reason=reason, attempts=0))
        return True

    def _inputs(self, guard: Guard, refused: Reason | None) -> tuple[StopInputs, Guard]:
        now = self._clock.now()
        underlying = guard.state.underlying
        opened = et_date(guard.opened_ns)
        # A trade picked by hand (no ATR behind it) has no setup whose end could close it.
        seen = guard.daily_seen or _day_before(opened)
        daily = self._underlyings.daily(underlying, seen) if guard.state.atr > 0 else None
        if daily is not None:
            guard = replace(guard, state=guard.state.new_session(daily.sma50, daily.atr), daily_seen=daily.session)
        mark = self._marks.of(guard.symbol)
        rested = now - guard.called_off_ns >= REARM_NS
        return (
            StopInputs(
                today=et_date(now),
                closable=abs(closable(self._book, self._ledger, guard.symbol, resting=False)),
                five_minute_close=None
                if refused
                else self._underlyings.five_minute_close(underlying, max(guard.opened_ns, guard.called_off_ns)),
                last_trade=self._underlyings.last(underlying) if rested and not refused else None,
                daily_close=daily.close if daily else None,
                daily_sma50=daily.sma50 if daily else None,
                mark=mark.price if rested and mark is not None and not mark.flag else None,
                iv=self.iv_of(guard.symbol) if rested and mark is not None and not mark.flag else None,
            ),
            guard,
        )

    # --- turning goals into orders ---

    def due(self) -> tuple[OrderIntent, ...]:
        """Closing orders that goals ask for now: nothing closes the symbol yet and a price is known."""
        orders = []
        for guard in self._guards.values():
            if guard.goal <= 0:
                continue
            closing = self._ledger.closing(guard.symbol, resting=False)  # what rests gives way (making_way.py)
            if closing or self._just_refused(guard):
                continue
            free = closable(self._book, self._ledger, guard.symbol, resting=False)
            contracts = min(guard.goal, abs(free))
            price = self._exit_price(guard, selling=free > 0)
            if contracts and price is not None:
                orders.append(self._from_mid(guard, self._intent(guard, contracts, price, selling=free > 0)))
        return tuple(orders)

    def _just_refused(self, guard: Guard) -> bool:
        """The broker said no to this exit a moment ago: it is asked again at re-pricing pace, not every turn."""
        since = self._clock.now() - int(self._settings.exit_reprice_s * NS)
        return any(
            record.state is OrderState.REJECTED
            and record.intent.created_ns > since
            and record.intent.plan_id == guard.state.position_id
            and record.intent.purpose in (Purpose.EXIT, Purpose.SCALE_OUT)
            and not record.intent.rests
            for record in self._ledger.records
        )

    def tried(self, position_id: str) -> None:
        """An order for this goal left; the next one gives way a tick more."""
        guard = self._guards.get(position_id)
        if guard is not None:
            self._guards[position_id] = replace(guard, attempts=guard.attempts + 1)

    async def call_off(self, position_id: str) -> None:
        """A person refused this exit: the goal goes, a latched stop is re-armed and watches again from now."""
        guard = self._guards.get(position_id)
        if guard is not None:
            await self._keep(
                replace(guard, goal=0, reason=None, state=guard.state.rearmed(), called_off_ns=self._clock.now())
            )

    def stale_exits(self) -> tuple[OrderRecord, ...]:
        """Working closes of ours that waited too long at their price."""
        limit = int(self._settings.exit_reprice_s * NS)
        now = self._clock.now()
        return tuple(
            record
            for record in self._ledger.working
            if record.intent.purpose in (Purpose.EXIT, Purpose.SCALE_OUT)
            and record.intent.reason is not Reason.USER  # a person's own price is the person's
            and not record.intent.rests
            and not record.cancelling(self._clock.monotonic(), now)
            and now - record.worked_from_ns >= limit
        )

    def _exit_price(self, guard: Guard, *, selling: bool) -> Decimal | None:
        quote = self._quotes.quote(guard.symbol)
        if quote is None:
            return None
        return exit_price(quote, guard.attempts, self._ticks.of(guard.symbol), selling=selling)

    def _from_mid(self, guard: Guard, intent: OrderIntent) -> OrderIntent:
        """A scale-out is in no hurry: it starts at the mid and is walked to the price a stop would begin at."""
        worst = intent.net_price
        if guard.reason is not Reason.SCALE_OUT or guard.attempts or not self._settings.walk or worst is None:
            return intent
        quote = self._quotes.quote(guard.symbol)
        quotes = {} if quote is None else {guard.symbol: quote}
        start = start_price(Grid(intent.legs, self._ticks.of(guard.symbol)), quotes, worst)
        return intent if start is None else replace(intent, net_price=start, worst_price=worst)

    def _intent(self, guard: Guard, contracts: int, price: Decimal, *, selling: bool) -> OrderIntent:
        now = self._clock.now()
        return OrderIntent(
            intent_id=f"x{guard.state.position_id}-{now:x}",
            created_ns=now,
            strategy=guard.state.strategy,
            underlying=guard.state.underlying,
            purpose=Purpose.SCALE_OUT if guard.reason is Reason.SCALE_OUT else Purpose.EXIT,
            legs=(Leg(guard.symbol, Action.SELL_TO_CLOSE if selling else Action.BUY_TO_CLOSE, contracts),),
            quantity=contracts,
            net_price=price if selling else -price,
            plan_id=guard.state.position_id,
            reason=guard.reason,
        )


def exit_price(quote: Quote, attempts: int, program: TickTable | TickProgram, *, selling: bool) -> Decimal | None:
    """The natural price, one tick worse after a first try: a protective order wants out, not a bargain.

    None when there is nobody on the other side.
    """
    side = quote.bid if selling else quote.ask
    if side <= 0:
        return None
    price = Decimal(str(round(side, 4)))
    step = tick(program, price)
    give = step * min(attempts, 1)  # the gate allows one tick beyond the market; later tries follow the quote
    price = price - give if selling else price + give
    return round_price(program, max(price, step), buys=not selling)


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)

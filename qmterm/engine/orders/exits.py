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
from qmterm.core.orders import Fill, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.protocols import QuoteSource
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.core.signals import TradePlan
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.exit_orders import ExitOrders, worthless
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.splits import Successor, renamed
from qmterm.engine.orders.structure import (
    being_closed,
    may_still_fill,
    needed,
    reduced,
    unit_cost,
    unit_value,
    units_broken,
    units_closable,
    units_entered,
    units_held,
    volatility,
)
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.orders.underlyings import Sight, Underlyings
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
        self._underlyings = underlyings
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._settings = settings
        self._quotes = quotes
        self._ticks = ticks or TickBook()
        self._orders = ExitOrders(ledger, quotes, self._ticks, settings)
        self._guards: dict[str, Guard] = {}
        self._sight = Sight(underlyings)
        self.iv_of: Callable[[str], float | None] = lambda _symbol: None  # set by the engine: a mark's own volatility

    def restore(self, saved: Mapping[str, Mapping[str, Any]]) -> None:
        self._guards = {position_id: Guard.from_dict(body) for position_id, body in saved.items()}

    async def catch_up(self) -> None:
        """After a restart: a fill whose guard was not written any more (killed between the two) is counted now."""
        for guard in list(self._guards.values()):
            await self._count(guard)

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

    async def prepare(self, plan: TradePlan, legs: tuple[Leg, ...], rolled_from: str | None = None) -> None:
        """Before an entry is sent its guard is on disk, so that a fill after a crash finds its stop.

        `legs` open one unit. Rolled from another contract, it takes over the levels of that one's guard.
        """
        now = self._clock.now()
        unit = reduced(legs)
        share = unit[0].quantity / Decimal(legs[0].quantity)  # a plan's price may be of two contracts a unit
        state, levels_day = protect(plan, plan.plan_id, 0, -plan.net_price * share), None
        old = None if rolled_from is None else self.watching(rolled_from)
        if old is not None:
            state = rolled(state, old.state, et_date(now))
            levels_day = old.levels_day or et_date(old.opened_ns)
        await self._keep(Guard(unit, now, state, levels_day=levels_day))

    def watching(self, symbol: str) -> Guard | None:
        """The guard of a contract that is held."""
        return next(
            (guard for guard in self._guards.values() if symbol in guard.symbols and guard.state.quantity), None
        )

    async def on_fill(self, record: OrderRecord, fill: Fill, after: Position | None) -> None:
        """Follow a fill of an order that opened or closed a guarded position."""
        guard = self._guards.get(record.intent.plan_id)
        if guard is None or fill.symbol not in guard.symbols:  # placed elsewhere, or the leg that a roll closes
            alike = [g for g in self._guards.values() if g.moved_by(fill.symbol, fill.action)]
            guard = next((g for g in alike if g.state.quantity), next(iter(alike), None))
        if guard is None:
            return
        if len(guard.legs) > 1:
            await self._count(guard)
            return
        if fill.action.opens:
            average = after.average if after is not None else fill.price
            await self._keep(replace(guard, state=guard.state.filled_entry(fill.quantity, average)))
        else:
            await self._keep(_closed(guard, fill.quantity))

    async def _count(self, guard: Guard) -> None:
        """Units anew from ledger and book: after a leg of several filled, and after a restart (a fill may be on the
        disk whose guard was not written any more).
        """
        state, legs = guard.state, guard.legs
        fresh = units_entered(self._ledger, state.position_id, legs) - state.opened
        if fresh > 0:
            cost = unit_cost(self._book, legs)
            premium = state.entry_premium if cost is None else -cost if state.sold else cost
            guard = replace(guard, state=state.filled_entry(fresh, premium))
        own = max(0, guard.state.opened - units_broken(self._ledger, state.position_id, legs))
        left = min(guard.state.quantity, units_held(self._book, legs), own)  # others may hold the same contracts
        gone = guard.state.quantity - left
        if fresh > 0 or gone:
            await self._keep(_closed(guard, gone) if gone else guard)

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

    async def follow(self, heirs: Mapping[str, Successor]) -> tuple[Guard, ...]:
        """Go on with the contracts that a split made of what is guarded; those that now watch another symbol."""
        moved = [changed for guard in self._guards.values() if (changed := renamed(guard, heirs)) is not None]
        self._guards |= {guard.state.position_id: guard for guard in moved}  # all at once: nobody tidies one away
        for guard in moved:
            await self._keep(guard)
        return tuple(moved)

    async def tidy(self) -> tuple[Guard, ...]:
        """Forget guards whose position is gone and whose entry can no longer fill; those of which a leg is left."""
        bereft = []
        open_plans = {record.intent.plan_id for record in self._ledger.records if may_still_fill(record)}
        for position_id, guard in list(self._guards.items()):
            if position_id not in open_plans and not units_held(self._book, guard.legs):
                others = needed((g.legs, g.state.quantity) for g in self._guards.values() if g is not guard)
                if guard.state.opened and any(abs(self._book.quantity(s)) > others(s) for s in guard.symbols):
                    bereft.append(guard)
                del self._guards[position_id]
                self._sight.forget(position_id)
                await self._journal.write_protect(position_id, None)
        return tuple(bereft)

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
        guard = self.watching(symbol)
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
        mark, sold = self._mark(guard, now), guard.state.sold
        rested = now - guard.called_off_ns >= REARM_NS
        seen_iv = rested and all(self._believed(leg.symbol) for leg in guard.legs if leg.action.buys is not sold)
        return (
            StopInputs(
                today=et_date(now),
                closable=units_closable(self._book, self._ledger, guard.legs),
                five_minute_close=None
                if refused
                else self._underlyings.five_minute_close(underlying, max(guard.opened_ns, guard.called_off_ns)),
                last_trade=self._underlyings.last(underlying) if rested and not refused else None,
                daily_close=daily.close if daily else None,
                daily_sma50=daily.sma50 if daily else None,
                mark=None if mark is None or not rested else -mark if sold else mark,
                iv=volatility(guard.legs, self.iv_of, sold=sold) if seen_iv else None,
            ),
            guard,
        )

    def _believed(self, symbol: str) -> Decimal | None:
        mark = self._marks.of(symbol)
        return None if mark is None or mark.flag else mark.price

    def _mark(self, guard: Guard, now_ns: int) -> Decimal | None:
        """What one unit is worth (owed: negative); a leg of several that is worth nothing is counted at its worst."""
        owned = {leg.symbol: leg.action.buys for leg in guard.legs}

        def each(symbol: str) -> Decimal | None:
            price, quote = self._believed(symbol), self._quotes.quote(symbol)
            if price is not None or len(owned) == 1 or quote is None:
                return price
            if not worthless(quote, self._ticks.of(symbol), now_ns):
                return None
            return Decimal(0) if owned[symbol] else Decimal(str(round(quote.ask, 4)))

        return unit_value(guard.legs, each)

    # --- turning goals into orders ---

    def due(self) -> tuple[OrderIntent, ...]:
        """Closing orders that goals ask for now: nothing closes the position yet and a price is known."""
        orders, now = [], self._clock.now()
        for guard in self._guards.values():
            if guard.goal <= 0 or being_closed(self._ledger, guard.legs) or self._just_refused(guard):
                continue
            units = min(guard.goal, units_closable(self._book, self._ledger, guard.legs))
            if units:
                orders.append(self._orders.of_units(guard, units, now))
        return tuple(order for order in orders if order is not None)

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


def _closed(guard: Guard, units: int) -> Guard:
    """After `units` were closed, whoever sent it."""
    goal = max(0, guard.goal - units)
    return replace(
        guard,
        state=guard.state.filled_exit(units),
        goal=goal,
        reason=guard.reason if goal else None,
        attempts=guard.attempts if goal else 0,
    )


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)

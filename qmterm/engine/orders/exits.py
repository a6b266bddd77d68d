"""Protecting what is held: stops and scale-outs become closing orders (auto) or alarmed proposals (confirm).

A decision sets a goal ("close 2 of these"); the goal lives, journalled, until fills have met it. So a stop that was
hit stays hit across cancels, re-pricing and restarts, and a scale-out level is used exactly once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.matching import net_mid
from qmterm.core.orders import Fill, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.protocols import QuoteSource
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.core.signals import TradePlan
from qmterm.engine.kept_rows import KeptRows
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.exit_orders import ExitOrders
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.guard_units import after_fill, entry_cost, fit, loose_of, recounted
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.splits import Successor, renamed
from qmterm.engine.orders.stop_inputs import REARM_NS, StopSight
from qmterm.engine.orders.structure import (
    ended_short,
    may_still_fill,
    needed,
    reduced,
    unit_cost,
    units_closable,
    units_held,
    units_leaving,
)
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.orders.underlyings import Sight, Underlyings
from qmterm.engine.patience import DiskPatience
from qmterm.risk.protect import guarded_legs, protect, rolled
from qmterm.risk.stops import StopRules, decide, iv_alert, rules_text

LATE_NS = 300 * NS  # market time after an entry ended short of its size: by then every poll has told its fills


class ProtectJournal(Protocol):
    def write_protect(self, position_id: str, state: Mapping[str, object] | None) -> Awaitable[object]: ...


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
        patience: DiskPatience | None = None,
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._quotes = quotes
        self._underlyings = underlyings
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._settings = settings
        self._rows = KeptRows(patience or DiskPatience(), self._queue)
        self._ticks = ticks or TickBook()
        self._orders = ExitOrders(ledger, quotes, self._ticks, settings)
        self._guards: dict[str, Guard] = {}
        self._sight = Sight(underlyings)
        self._ended: dict[str, int] = {}  # by position: there is nothing to guard since, but late news may come
        self._idle: dict[str, tuple[int, int]] = {}  # by position: no order could be made since, and until
        seen_by = marks, quotes, underlyings
        self._inputs = StopSight(book, ledger, *seen_by, self._ticks, lambda symbol: self.iv_of(symbol))
        self.forgotten: Callable[[OrderRecord], None] = lambda _record: None  # set by protection.py: who says it
        self.bereft: Callable[[Guard], None] = lambda _guard: None  # the same: of its trade a leg is left
        self.iv_of: Callable[[str], float | None] = lambda _symbol: None  # set by the engine: a mark's own volatility

    def restore(self, saved: Mapping[str, Mapping[str, Any]]) -> None:
        self._guards = {position_id: Guard.from_dict(body) for position_id, body in saved.items()}

    async def catch_up(self) -> None:
        """After a restart: a fill whose guard was not written any more (killed between the two) is counted now."""
        recount = fit((recounted(guard, self._ledger, self._cost) for guard in self.all), self._book)
        await self._follow([guard for guard in recount if guard != self._guards[guard.state.position_id]])

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

    def prepare(self, plan: TradePlan, legs: tuple[Leg, ...], rolled_from: str | None = None) -> Awaitable[object]:
        """Before an entry is sent its guard is on disk, so that a fill after a crash finds its stop: queued now.

        `legs` open one unit. Rolled from another contract, it takes over the levels of that one's guard.
        """
        now = self._clock.now()
        unit = reduced(legs)
        share = unit[0].quantity / Decimal(legs[0].quantity)  # a plan's price may be of two contracts a unit
        market = None  # of one leg its side says it all
        if len(unit) > 1:
            quotes = {leg.symbol: quote for leg in unit if (quote := self._quotes.quote(leg.symbol)) is not None}
            market = net_mid(unit, quotes)
        state, levels_day = protect(plan, plan.plan_id, 0, -plan.net_price * share, market), None
        old = None if rolled_from is None else self.watching(rolled_from)
        if old is not None:
            state = rolled(state, old.state, et_date(now))
            levels_day = old.levels_day or et_date(old.opened_ns)
        return self._keep(Guard(unit, now, state, levels_day=levels_day))

    def still_wanted(self, position_id: str, legs: tuple[Leg, ...], units: int) -> int:
        """Of so many units of a scale-out, those that its goal wants now: fills may have met it since it was asked."""
        guard = self._guards.get(position_id)
        if guard is None or guard.reason is not Reason.SCALE_OUT:
            return 0
        wanted = {leg.symbol: leg.quantity * guard.goal for leg in guard.legs}
        return min(units, *(wanted.get(leg.symbol, 0) // (leg.quantity // units) for leg in legs))

    def loose(self, position_id: str, symbol: str) -> int | None:
        """Contracts of one leg in no whole unit; None where there is no guard of such a leg."""
        guard = self._guards.get(position_id)
        return None if guard is None else loose_of(guard, symbol)

    def watching(self, symbol: str) -> Guard | None:
        """The guard of a contract that is held."""
        return next(
            (guard for guard in self._guards.values() if symbol in guard.symbols and guard.state.quantity), None
        )

    async def on_fill(self, record: OrderRecord, fill: Fill, _after: Position | None) -> None:
        """Follow a fill of an order that opened or closed a guarded position."""
        await self._follow(after_fill(self.all, record, fill, self._cost))
        ours = record.intent.purpose is Purpose.ENTRY and not record.external and fill.action.opens
        if ours and record.intent.plan_id not in self._guards and guarded_legs(record.intent.legs):
            self.forgotten(record)

    def _cost(self, guard: Guard) -> Decimal | None:
        """Its own fills say it; the book's average is of every trade in the contract."""
        own = entry_cost(self._ledger, guard)
        return unit_cost(self._book, guard.legs) if own is None else own

    def adjust_for_splits(self) -> tuple[str, ...]:
        """Bring stops and levels to today's shares: a split is no loss. Returns the underlyings concerned.

        Nobody waits for the rows: after a crash the levels are of the day that is written with them.
        """
        today = et_date(self._clock.now())
        touched = []
        for guard in self.all:
            since = guard.levels_day or et_date(guard.opened_ns)
            ratio = self._underlyings.split_ratio(guard.state.underlying, since, today)
            if ratio == 1.0:
                continue
            state = guard.state
            state = replace(state, stop=state.stop / ratio, sma50=state.sma50 / ratio, atr=state.atr / ratio)
            self._keep(replace(guard, state=state, levels_day=today))
            touched.append(state.underlying)
        return tuple(touched)

    async def follow(self, heirs: Mapping[str, Successor]) -> tuple[Guard, ...]:
        """Go on with the contracts that a split made of what is guarded; those that now watch another symbol."""
        moved = [changed for guard in self._guards.values() if (changed := renamed(guard, heirs)) is not None]
        await self._follow(moved)
        return tuple(moved)

    async def tidy(self) -> None:
        """Forget guards whose position is gone and whose entry can no longer fill; where a leg is left that is told.

        Before the row: when that fails the guard is gone from here all the same.
        """
        records = self._ledger.records
        open_plans = {record.intent.plan_id for record in records if may_still_fill(record)}
        short, now = {record.intent.plan_id for record in records if ended_short(record)}, self._clock.now()
        for position_id, guard in list(self._guards.items()):
            if position_id not in open_plans and not units_held(self._book, guard.legs):
                if position_id in short and now - self._ended.setdefault(position_id, now) < LATE_NS:
                    continue
                others = needed((g.legs, g.state.quantity) for g in self._guards.values() if g is not guard)
                if guard.state.opened and any(abs(self._book.quantity(s)) > others(s) for s in guard.symbols):
                    self.bereft(guard)
                del self._guards[position_id]
                self._sight.forget(position_id)
                self._idle.pop(position_id, None)
                self._ended.pop(position_id, None)
                await self._rows.keep(position_id)

    async def _follow(self, changed: list[Guard]) -> None:
        # All at once: another fill may come while we write.
        self._guards |= {guard.state.position_id: guard for guard in changed}
        for row in [self._rows.write(guard.state.position_id) for guard in changed]:
            await row

    def _keep(self, guard: Guard) -> Awaitable[object]:
        self._guards[guard.state.position_id] = guard
        return self._rows.write(guard.state.position_id)

    async def _keep_in_a_turn(self, guard: Guard) -> None:
        """As `_keep`, waited for as long as a turn may."""
        self._guards[guard.state.position_id] = guard
        await self._rows.keep(guard.state.position_id)

    def _queue(self, position_id: str) -> Awaitable[object]:
        guard = self._guards.get(position_id)
        return self._journal.write_protect(position_id, None if guard is None else guard.to_dict())

    # --- deciding ---

    async def look(
        self,
        announce: Callable[[Guard, Reason, Mapping[str, float | None]], None],
        blinded: Callable[[Guard, Reason | None], None] = lambda _guard, _why: None,
    ) -> None:
        """Run the rules over every guard; new decisions become goals.

        `blinded` hears once when a stock's price is refused, and with None once it is believed again.
        """
        await self._rows.again()
        for position_id in tuple(self._guards):
            guard = self._guards.get(position_id)  # looked up anew: a fill may have moved it while we wrote another
            if guard is None:
                continue
            # A pending scale-out never blinds the stops: a whole exit that hits meanwhile takes its goal over.
            scaling = guard.goal > 0 and guard.reason is Reason.SCALE_OUT
            if guard.state.quantity <= 0 or (guard.goal > 0 and not scaling):
                continue
            refused = self._sight.look(position_id, guard.state.underlying, partial(blinded, guard))
            inputs, guard = self._inputs.of(guard, refused, self._clock.now())
            alert = iv_alert(guard.state, inputs, self._rules)
            if alert is not None:
                guard = replace(guard, state=guard.state.after([alert]))
                announce(guard, alert.reason, alert.numbers)
            decisions = decide(guard.state, inputs, self._rules)
            if scaling:
                decisions = [decision for decision in decisions if decision.reason is not Reason.SCALE_OUT]
            # In the table before anything is awaited: a fill that comes meanwhile moves the guard as it is now.
            self._guards[position_id] = guard
            if not decisions:
                if alert is not None:
                    await self._keep_in_a_turn(guard)
                continue
            state = guard.state.after(decisions)
            # A working scale-out closes part of it already; the whole exit's goal is everything that is held.
            contracts = guard.state.quantity if scaling else sum(decision.contracts for decision in decisions)
            first = decisions[0]
            if guard.state.latched is None and (contracts or state.latched is not None):
                announce(guard, first.reason, first.numbers)  # whatever becomes of the row
            reason = first.reason if contracts else None
            hit = replace(guard, state=state, goal=contracts, reason=reason, attempts=0)
            await self._keep_in_a_turn(hit)

    async def want_out(self, symbol: str, reason: Reason, announce: Callable[[], None] = lambda: None) -> bool:
        """All of a position is to be closed for a reason found elsewhere (the expiry desk); latches like a stop.

        `announce` says so, whatever becomes of the row. False when it has no guard, is on its way out already, or a
        person refused its exit a moment ago.
        """
        guard = self.watching(symbol)
        if guard is None or (guard.goal > 0 and guard.reason is not Reason.SCALE_OUT):
            return False
        if self._clock.now() - guard.called_off_ns < REARM_NS:
            return False
        state = guard.state.wanted_out(reason)
        wanted = replace(guard, state=state, goal=state.quantity, reason=reason, attempts=0)
        announce()
        await self._keep_in_a_turn(wanted)
        return True

    # --- turning goals into orders ---

    def due(self) -> tuple[OrderIntent, ...]:
        """Closing orders that goals ask for now: what no exit of ours closes yet, as far as it is free and priced."""
        orders, now = [], self._clock.now()
        for guard in self._guards.values():
            wanted = self._wanted(guard)
            wanted = wanted and wanted - self._leaving(guard)  # most guards want nothing: no look at the ledger
            if wanted <= 0 or self._just_refused(guard):
                self._idle.pop(guard.state.position_id, None)
                continue
            units = min(guard.goal, wanted, units_closable(self._book, self._ledger, guard.legs))
            order = self._orders.of_units(guard, units, now) if units > 0 else None
            if order is not None:
                self._idle.pop(guard.state.position_id, None)
            elif self._waits(guard, now) and units > 0:
                order = self._orders.of_sold_legs(guard, units, now)
            orders.append(order)
        return tuple(order for order in orders if order is not None)

    def _waits(self, guard: Guard, now: int) -> bool:
        """No order for the whole could be made for as long as one may stand at its price."""
        patience = int(self._settings.exit_reprice_s * NS)
        since, seen = self._idle.get(guard.state.position_id, (now, now))
        if now - seen > REARM_NS:  # the night, or a stop that was called off: it begins anew
            since = now
        self._idle[guard.state.position_id] = since, now
        return now - since >= patience

    def waiting(self) -> tuple[Guard, ...]:
        """Guards whose stop hit, and of which the whole could not be ordered for that long."""
        patience = int(self._settings.exit_reprice_s * NS)
        long = [name for name, (since, seen) in self._idle.items() if seen - since >= patience]
        return tuple(guard for name in long if (guard := self._guards.get(name)) is not None)

    def _wanted(self, guard: Guard) -> int:
        """Units that its stop wants closed."""
        wanted = guard.goal if guard.state.latched is None else guard.state.quantity
        return min(wanted, guard.state.quantity)

    def _leaving(self, guard: Guard) -> int:
        return units_leaving(self._ledger, guard.state.position_id, guard.legs)

    def held_up(self, guard: Guard) -> bool:
        """A stop hit, and some of what it wants to close is neither on its way nor free to leave."""
        wanted = self._wanted(guard)
        if not wanted:
            return False
        return wanted > self._leaving(guard) + units_closable(self._book, self._ledger, guard.legs)

    def _just_refused(self, guard: Guard) -> bool:
        """The broker said no to this exit a moment ago: it is asked again at re-pricing pace, not every turn."""
        since = self._clock.now() - int(self._settings.exit_reprice_s * NS)
        return any(
            record.state is OrderState.REJECTED
            and record.intent.created_ns > since
            and record.intent.plan_id == guard.state.position_id
            and record.intent.purpose in (Purpose.EXIT, Purpose.SCALE_OUT)
            and record.intent.reason is not Reason.ORPHAN_LEG  # a leg alone of the same trade is another matter
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
            rearmed = guard.state.rearmed()
            called_off = replace(guard, goal=0, reason=None, state=rearmed, called_off_ns=self._clock.now())
            await self._keep_in_a_turn(called_off)

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

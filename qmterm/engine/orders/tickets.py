"""An order line becomes a proposal, or an order where the engine trades alone: what it opens and closes, and its price.

The traps: a leg without a word opens or closes by what is held at this moment, and what closes never opens the rest;
a price that a person gave is sent as it is or not at all. Everything then passes the gate as any order does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.instruments import is_option, option_root
from qmterm.core.matching import net_mid
from qmterm.core.order_text import Mistake, read_order
from qmterm.core.orders import Leg, OrderIntent, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.signals import MANUAL
from qmterm.core.tickets import Pricing, Ticket, TicketLeg
from qmterm.engine.commands import CommandResult, StageTicket
from qmterm.engine.orders.manual_plan import manual_plan, unused_id, warned
from qmterm.engine.orders.staged import as_staged
from qmterm.engine.orders.walking import Grid, start_price
from qmterm.engine.show.wording import describe_order, label, walk_line
from qmterm.engine.trader import Trader
from qmterm.risk.rolls import crossing_price, is_mixed
from qmterm.risk.sentences import sentence
from qmterm.risk.verdict import Verdict

LOOK_EVERY_S = 0.05
STALE_HINT = "it was asked for anew and nothing newer came: try again when it is quoted"


@dataclass(frozen=True, slots=True)
class _Priced:
    """Signed net prices of one unit: what it is sent at (None: no limit), and at worst."""

    start: Decimal | None
    worst: Decimal
    walked: bool = False


class Tickets:
    def __init__(
        self, trader: Trader, known: Callable[[], Collection[str] | None] = lambda: None, wait_s: float = 3.0
    ) -> None:
        """`known` are the tickers there are; a quote that nobody asked for before is waited for `wait_s` real s."""
        self._trader = trader
        self._known = known
        self._wait_s = wait_s
        self.wanted: set[str] = set()  # symbols whose quotes a ticket waits for: the engine watches them

    async def stage(self, command: StageTicket) -> CommandResult:
        read = read_order(command.text, et_date(self._trader.clock.now()), self._known())
        if isinstance(read, Mistake):
            return CommandResult(False, read.text, {"code": Reason.BAD_INPUT.value, "column": read.column})
        return await self.stage_ticket(read, self._trader.way.drops, send=command.send)

    async def stage_ticket(self, ticket: Ticket, drops: int, *, send: bool) -> CommandResult:
        """Judge it and propose it (or send it); nothing is sent where anything is not as it was meant.

        `drops` of what waits (making_way.py) when it was asked for: one that came since calls this off too.
        """
        await self._see({leg.symbol for leg in ticket.legs})
        await self._trader.ticks.learn(ticket.underlying)
        if self._trader.way.drops != drops:
            return refused(Reason.USER, "nothing was sent: called off while its quotes were waited for; ask again")
        legs = self._effects(ticket)
        if isinstance(legs, CommandResult):
            return legs
        units = ticket.units
        unit = tuple(replace(leg, quantity=leg.quantity // units) for leg in legs)
        priced = self._priced(ticket, unit)
        if isinstance(priced, CommandResult):
            return priced
        order = self._unit_order(ticket, unit, priced)
        if all(not leg.action.opens for leg in unit):
            return self._close(order, units, send=send)
        return self._open(order, priced, units, send=send)

    # --- what it opens and closes ---

    def _effects(self, ticket: Ticket) -> tuple[Leg, ...] | CommandResult:
        legs = []
        for leg in ticket.legs:
            held = self._trader.book.quantity(leg.symbol)
            against = held * (1 if leg.buys else -1) < 0
            opens = not against if leg.opens is None else leg.opens
            if opens and against:
                closing = replace(leg, opens=False).word
                text = f"{abs(held)} {label(leg.symbol)} are held the other way: close them ({closing}) before you open"
                return refused(Reason.ALREADY_HELD, text)
            if not opens and not against:
                return refused(Reason.NOTHING_TO_CLOSE, f"no {label(leg.symbol)} is held that {leg.word} could close")
            legs.append(Leg(leg.symbol, leg.action(opens=opens), leg.quantity))
        return tuple(legs)

    # --- the price ---

    def _priced(self, ticket: Ticket, unit: tuple[Leg, ...]) -> _Priced | CommandResult:
        trader = self._trader
        grid = Grid(unit, trader.ticks.of(unit[0].symbol))
        quotes = trader.quotes_of(unit)
        for given in (ticket.price, None if ticket.stop is None else grid_sign(ticket.legs[0]) * ticket.stop):
            if given is not None and grid.ours(given) != given:
                return refused(Reason.OFF_TICK, off_tick(given, grid, unit))
        if ticket.price is not None:
            return _Priced(ticket.price, ticket.price)
        if ticket.stop is not None:
            return _Priced(None, grid_sign(ticket.legs[0]) * ticket.stop)
        crossing = crossing_price(unit, quotes, trader.ticks.of(unit[0].symbol))
        if ticket.pricing is Pricing.MARKET:
            if crossing is None:
                return refused(Reason.EMPTY_BOOK, sentence(Reason.EMPTY_BOOK, {}) + ": give a price")
            return _Priced(None, crossing)
        if ticket.pricing is Pricing.NATURAL and crossing is not None:
            return _Priced(crossing, crossing)
        mid = start_price(grid, quotes, crossing) if crossing is not None else None
        if crossing is None or mid is None:
            dark = next((leg for leg in unit if leg.symbol not in quotes or not quotes[leg.symbol].two_sided), unit[0])
            listed = f"; is it listed? :chain {option_root(ticket.underlying)} shows" if is_option(dark.symbol) else ""
            text = f"{label(dark.symbol)} has no two-sided quote to price it from: give a price{listed}"
            return refused(Reason.NO_QUOTE, text)
        if ticket.pricing is Pricing.MID or mid == crossing or not trader.settings.walk:
            return _Priced(mid, mid)
        return _Priced(mid, crossing, walked=True)

    def _unit_order(self, ticket: Ticket, unit: tuple[Leg, ...], priced: _Priced) -> OrderIntent:
        """One unit of the order as it is to be sent."""
        return OrderIntent(
            intent_id="",
            created_ns=self._trader.clock.now(),
            strategy=MANUAL,
            underlying=ticket.underlying,
            purpose=Purpose.ENTRY,
            legs=unit,
            quantity=1,
            net_price=priced.start,
            time_in_force=ticket.time_in_force,
            reason=Reason.USER,
            kind=ticket.kind,
            stop_trigger=ticket.stop,
            good_until=ticket.good_until,
            worst_price=priced.worst if priced.walked else None,
        )

    # --- closing ---

    def _close(self, order: OrderIntent, units: int, *, send: bool) -> CommandResult:
        trader = self._trader
        held = trader.book.position(order.legs[0].symbol)
        plan_id = held.plan_id if held is not None else ""
        intent = replace(
            order,
            intent_id=unused_id(trader, f"c{plan_id or 'ext'}-{order.created_ns:x}"),
            strategy=held.strategy if held is not None else MANUAL,
            purpose=Purpose.EXIT,
            legs=tuple(replace(leg, quantity=leg.quantity * units) for leg in order.legs),
            quantity=units,
            plan_id=plan_id,
        )
        verdict = trader.close(intent, by_person=True, propose=not send)
        if not verdict.approved:
            return risk_said_no(verdict, "every one held is being closed by a working order already")
        cut = verdict.contracts < units
        note = f" (cut to {verdict.contracts}: no more is held and free to close)" if cut else ""
        done = replace(
            intent,
            legs=tuple(replace(leg, quantity=leg.quantity * verdict.contracts) for leg in order.legs),
            quantity=verdict.contracts,
        )
        return self._answer(done, f"p{intent.intent_id}", note, Decimal(0))

    # --- opening, alone or beside a close ---

    def _open(self, order: OrderIntent, priced: _Priced, units: int, *, send: bool) -> CommandResult:
        trader = self._trader
        opening = tuple(leg for leg in order.legs if leg.action.opens)
        worst, strategy, rolled = priced.worst, MANUAL, is_mixed(order)
        if rolled:  # what it opens is judged by itself, at what it costs to cross the market
            crossing = crossing_price(opening, trader.quotes_of(opening), trader.ticks.of(opening[0].symbol))
            if crossing is None:
                return refused(Reason.NO_QUOTE, f"nobody quotes the side that opens {label(opening[0].symbol)}")
            worst = crossing
            closed = [leg.symbol for leg in order.legs if not leg.action.opens]
            owners = {p.strategy for symbol in closed if (p := trader.book.position(symbol)) is not None}
            if len(owners) > 1:  # what each of them covers is judged in its own strategy
                return refused(
                    Reason.BAD_INPUT, f"it closes legs of {' and '.join(sorted(owners))}: one order for each"
                )
            strategy = owners.pop() if owners else MANUAL
        mid = net_mid(order.legs, trader.quotes_of(order.legs))
        bounded = order.counted_price is not None
        plan = manual_plan(trader, opening, worst, mid, strategy, "r" if rolled else "m", bounded=bounded)
        staged = replace(order, strategy=strategy, plan_id=plan.plan_id)
        if rolled:
            self._lineage(staged, plan.plan_id)
        verdict = trader.open(
            plan,
            trader.clock.monotonic(),
            wanted=units,
            propose=not send,
            warnings=warned(plan),
            staged=staged,
        )
        if not verdict.approved:
            bare = any(not leg.action.buys for leg in opening) and verdict.reason is Reason.UNDEFINED_RISK
            return risk_said_no(verdict, "what is sold has no cover: buy a further option against it" if bare else "")
        count = verdict.contracts
        binding = verdict.reason.value if verdict.reason else ""
        note = f" ({units} wanted, {binding} allows no more)" if count < units else ""
        intent = as_staged(trader.intent_of(plan, count), staged)
        return self._answer(intent, f"p{plan.plan_id}", note, plan.max_loss * count)

    def _lineage(self, order: OrderIntent, plan_id: str) -> None:
        """Both ends of a roll say where they came from and went to, for `why`."""
        trader = self._trader
        closed = [leg for leg in order.legs if not leg.action.opens]
        before = " / ".join(label(leg.symbol) for leg in closed)
        after = " / ".join(label(leg.symbol) for leg in order.legs if leg.action.opens)
        old_ids = {p.plan_id for leg in closed if (p := trader.book.position(leg.symbol)) is not None and p.plan_id}
        trader.trail.note(plan_id, f"rolled from {before} ({', '.join(sorted(old_ids)) or 'opened elsewhere'})")
        for old_id in sorted(old_ids):
            trader.trail.note(old_id, f"rolled to {after} ({plan_id})")
        numbers: dict[str, object] = {"from": before, "from_plan": sorted(old_ids), "to": after, "to_plan": plan_id}
        for subject in (plan_id, *sorted(old_ids)):
            trader.journal.decision(subject, "roll", trader.clock.now(), reason=Reason.USER, numbers=numbers)

    # --- answers and quotes ---

    def _answer(self, intent: OrderIntent, proposal_id: str, note: str, max_loss: Decimal) -> CommandResult:
        proposal, way = self._trader.proposals.get(proposal_id), self._trader.way
        sent = self._trader.desk.ledger.get(intent.intent_id) is not None or way.holds(intent.intent_id)
        if proposal is None and not sent:
            return CommandResult(False, self._trader.proposals.asked_already(intent))
        walk = "".join(f", {line}" for line in walk_line(intent))
        loss = f"; max loss {max_loss:,.2f}" if max_loss > 0 else ""
        verb, todo = (way.words(intent, "sending"), "") if sent else ("proposed", "; approve it with a")
        data = {
            "proposal": None if sent else proposal_id,
            "order": intent.intent_id if sent else None,
            "quantity": intent.quantity,
            "limit": None if intent.counted_price is None else str(intent.counted_price),
            "max_loss": str(max_loss),
        }
        return CommandResult(True, f"{verb} {describe_order(intent)}{note}{walk}{loss}{todo}", data)

    async def _see(self, symbols: set[str]) -> None:
        """Wait a moment for quotes that nobody watched before, or not for so long that they are too old to decide."""
        trader = self._trader
        missing = {symbol for symbol in symbols if self._unseen(symbol)}
        ends = trader.clock.monotonic() + self._wait_s
        self.wanted |= missing
        try:
            while missing and trader.clock.monotonic() < ends:
                await asyncio.sleep(LOOK_EVERY_S)
                missing = {symbol for symbol in missing if self._unseen(symbol)}
        finally:
            self.wanted -= symbols

    def _unseen(self, symbol: str) -> bool:
        """What is held is watched already: its quote gets no younger by waiting, and a close needs no young one."""
        trader = self._trader
        quote = trader.quotes.quote(symbol)
        if quote is None:
            return True
        old = quote.age_s(trader.clock.now()) > trader.gate.settings.quote_max_age_s
        return old and not trader.book.quantity(symbol) and trader.market_open()


def grid_sign(leg: TicketLeg) -> int:
    return -1 if leg.buys else 1


def off_tick(price: Decimal, grid: Grid, legs: tuple[Leg, ...]) -> str:
    """Which prices are near: a person types one of them."""
    near = sorted({abs(grid.ours(price)), abs(grid.theirs(price))})
    name = label(legs[0].symbol) if len(legs) == 1 else "a spread"
    return f"{abs(price)} is not on the price grid of {name}: the nearest are {' and '.join(map(str, near))}"


def refused(code: Reason, text: str) -> CommandResult:
    """Not staged for what the order says; nothing was sent."""
    return CommandResult(False, text, {"code": code.value, "column": None}, refused=True)


def risk_said_no(verdict: Verdict, hint: str = "") -> CommandResult:
    code = verdict.reason or Reason.NO_DATA
    more = f"; {hint}" if hint and code in (Reason.UNDEFINED_RISK, Reason.NOTHING_TO_CLOSE) else ""
    more = more or (f"; {STALE_HINT}" if code is Reason.STALE_QUOTE else "")
    return refused(code, f"refused, nothing was sent: {code.value}: {verdict.sentence}{more}")

"""A seeded account that trades at random through production's own doors; subset_judge.py says what each order risked.

Entries of strategies, a person's tickets (limit, walked, market, stop, stop limit), closes, rolls, replacements while
the broker has not said which order stands, exits that rest: all pass the real gate, and fills come in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

from qmterm.core.clock import NS, from_et
from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.orders import (
    Action,
    BrokerPosition,
    Leg,
    OrderIntent,
    OrderState,
    Purpose,
)
from qmterm.core.quotes import Quote
from qmterm.core.settings.engine import OrderSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.core.tickets import Pricing, Ticket, TicketLeg
from qmterm.engine.commands import EditOrder
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.brackets import one_long_option
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.walker import repriced, whole
from qmterm.engine.show.wording import describe_order
from qmterm.risk.rolls import is_mixed
from tests.risk.limit_judge import (
    broken_sums,
    broken_trade,
    closed_twice,
    cost_of_close,
    counted_too_little,
    lost_bounds,
)
from tests.risk.random_broker import RandomBroker, worth_now
from tests.risk.random_floor import Floor, at_once
from tests.risk.subset_judge import STRIKES, Judged, worst_of

START = from_et(date(2026, 3, 2), 11, 0)
STOCKS = ("AAPL", "AMD", "F")
STRATEGIES = ("one", "two", "three")
SETTINGS = RiskSettings(max_notional=1000, duplicate_s=0)
MOST = 4  # units that one order is asked for
SHAPES = {
    "call": (("C", 0, 1),),
    "put": (("P", 0, 1),),
    "short call": (("C", 0, -1),),
    "short put": (("P", 0, -1),),
    "call spread": (("C", 0, 1), ("C", 1, -1)),
    "credit spread": (("P", 1, -1), ("P", 0, 1)),
    "bear call": (("C", 0, -1), ("C", 1, 1)),
    "condor": (("P", 0, 1), ("P", 1, -1), ("C", 2, -1), ("C", 3, 1)),
    "ratio": (("C", 0, 1), ("C", 1, -2)),
    "backspread": (("C", 0, -1), ("C", 1, 2)),
    "strangle": (("P", 0, -1), ("C", 3, -1)),
}
SIMPLE = ("call", "put", "call spread", "credit spread", "bear call", "short call")


class RandomAccount(RandomBroker):
    """`story` tells what happened, for a seed that fails; `breaches` what broke a limit; `did` counts the deeds."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.dice = Random(seed)
        self.nlv = Decimal(self.dice.choice((20_000, 60_000, 250_000, 2_000_000)))
        self.book = Book(self.nlv * self.dice.randint(25, 100) / 100)
        orders = OrderSettings(walk=self.dice.random() < 0.5, resting_exits=self.dice.random() < 0.3)
        self.floor = Floor(self.book, self.nlv, START, SETTINGS, orders)
        self.rests_late = self.dice.random() < 0.3  # the account's owner switches them on when positions are there
        self.trader, self.ledger = self.floor.trader, self.floor.ledger
        self.breaches: list[str] = []
        self.did: dict[str, int] = {}
        self.serial = 0
        self.approved = self.refused = 0
        for stock in STOCKS:
            if self.dice.random() < 0.3:
                shares = self.dice.choice((50, 100, 200))
                self.book.adopt(BrokerPosition(stock, shares, Decimal(95), 1), "external", "", START)
        if self.dice.random() < 0.2:
            symbol = option("AAPL", "C", 105)
            self.book.adopt(BrokerPosition(symbol, self.dice.choice((-1, 1)), Decimal(3), 100), "external", "", START)

    def live(self, steps: int) -> None:
        deeds = tuple(DEEDS)
        for number in range(steps):
            if self.rests_late and number == steps // 2:
                self.trader.settings = OrderSettings(walk=self.trader.settings.walk, resting_exits=True)
            self.floor.clock.now_ns += 40 * NS
            self.dice.choices(deeds, DEEDS.values())[0](self)

    # --- what an account does: every order passes production, and the judge looks before and after ---

    def enter(self) -> None:
        """A strategy's plan."""
        stock, shape = self.dice.choice(STOCKS), self.dice.choice(tuple(SHAPES))
        legs = self._legs(stock, shape)
        net = self._net(legs, natural=self.dice.random() < 0.5)
        if not net:
            return
        # Most plans know what they can lose, some claim too little.
        way = (tuple((leg.symbol, leg.action.sign * leg.quantity) for leg in legs), -float(net) * 100)
        most, slope, _ = worst_of((), ((((), 0.0), way),), 0)
        claim = Decimal(str(round(max(most, 1.0), 2))) + 2 if not slope else Decimal(50)
        if self.dice.random() < 0.1:
            claim /= 2
        self.serial += 1
        plan = self._plan(self.dice.choice(STRATEGIES), stock, legs, net, claim)
        wanted = self.dice.choice((None, 1, 3)) if self.nlv <= 250_000 else self.dice.randint(1, MOST)
        self._watched(f"plan {shape} {plan.strategy}", lambda: self.trader.open(plan, 0.0, wanted=wanted).approved)

    def ticket(self) -> None:
        """A person's order of any kind, that opens; at times against what he holds, which closes."""
        stock, shape = self.dice.choice(STOCKS), self.dice.choice(SIMPLE)
        self._typed(self._legs(stock, shape), "ticket", shape)

    def close(self) -> None:
        """A close of some positions of one group, in one order or a leg alone, at any kind of price."""
        chosen = self._held()
        if not chosen:
            return
        units = self.dice.randint(1, min(abs(p.quantity) for p in chosen))
        legs = tuple(
            Leg(p.symbol, Action.SELL_TO_CLOSE if p.quantity > 0 else Action.BUY_TO_CLOSE, units) for p in chosen
        )
        self._show(legs)
        self._typed(legs, "close")

    def leave(self) -> None:
        """A strategy's close, by machine, of one position."""
        chosen = self._held()[:1]
        if not chosen:
            return
        held, units = chosen[0], self.dice.randint(1, abs(chosen[0].quantity))
        legs = (Leg(held.symbol, Action.SELL_TO_CLOSE if held.quantity > 0 else Action.BUY_TO_CLOSE, units),)
        self._show(legs)
        net = self._net(legs, natural=True)
        self.serial += 1
        intent = OrderIntent(
            f"x{self.serial}", self._now, held.strategy, held.underlying, Purpose.EXIT, legs, units, net,
            plan_id=held.plan_id,
        )  # fmt: skip
        self._watched("exit", lambda: self.trader.close(intent, by_person=False).approved)

    def roll(self) -> None:
        """What is held is closed and another strike opened, in one order."""
        held = [p for p in self.book.positions if is_option(p.symbol)]
        if not held:
            return
        position = self.dice.choice(held)
        old = parse_option(position.symbol)
        strike = self.dice.choice([s for s in STRIKES if s != old.strike])
        right = old.right if self.dice.random() < 0.9 else self.dice.choice("CP")
        units, long = self.dice.randint(1, abs(position.quantity)), position.quantity > 0
        legs = (
            Leg(position.symbol, Action.SELL_TO_CLOSE if long else Action.BUY_TO_CLOSE, units),
            Leg(option(old.root, right, strike), Action.BUY_TO_OPEN if long else Action.SELL_TO_OPEN, units),
        )
        self._show(legs)
        self._typed(legs, "roll")

    def edit(self) -> None:
        """Another price for a working order by hand: dearer ones are judged anew, both stand until the broker says."""
        record = self._some(lambda r: not r.external and r.intent.role is None)
        if record is None:
            return
        self._show(record.intent.legs)
        old = record.intent.net_price if record.intent.net_price is not None else record.intent.stop_trigger
        if old is None:
            return
        price = abs(old) + Decimal(self.dice.choice((-10, -4, -1, 1, 4, 10))) / 20
        if self.dice.random() < 0.5:
            price = abs(self._net(self._unit(record.intent), natural=True))
        command = EditOrder(record.intent.intent_id, f"{price:.2f}", dearer=True)
        self._watched(f"edit to {price}", lambda: self.floor.edits.edit(command).ok)

    def step(self) -> None:
        """The machine walks a price: never dearer than what was counted."""
        record = self._some(lambda r: self.floor.desk.replaceable(r) and whole(r) and r.intent.net_price is not None)
        counted = None if record is None else record.intent.counted_price
        if record is None or counted is None or record.intent.net_price == counted:
            return
        new = repriced(self.ledger, record, counted, self._now)
        self._watched("step", lambda: bool(self.trader.replace_order(record, new)))

    def rest(self) -> None:
        """Exits are put back where a position lacks them."""
        for position in self.book.positions:
            if is_option(position.symbol):
                self._show((Leg(position.symbol, Action.BUY_TO_OPEN, 1),))
        self._watched("rest", lambda: self.floor.rester.step() or True)

    def release(self) -> None:
        """Closes that waited for exits to give way: the exits are cancelled, and the closes judged anew."""
        for record in self.ledger.working:
            if record.intent.rests and self.trader.way.waits(record.intent.legs[0].symbol):
                self._tell(record, OrderState.CANCELLED)
        for held in list(self.trader.way.released()):
            self._show(held.intent.legs)
            self._watched(
                "released",
                lambda held=held: self.trader.close(held.intent, by_person=held.by_person, approved=True).approved,
            )

    # --- through production, between two looks of the judge ---

    def _typed(self, legs: tuple[Leg, ...], what: str, shape: str = "") -> None:
        """As a ticket, at a price of any kind."""
        ticket = Ticket(tuple(TicketLeg(leg.action.buys, leg.quantity, leg.symbol, leg.action.opens) for leg in legs))
        units = ticket.units
        unit = tuple(replace(leg, quantity=leg.quantity // units) for leg in legs)
        natural, way = self._net(unit, natural=True), self.dice.randrange(6 if len(legs) == 1 else 3)
        if not natural:
            return
        if way == 0:
            ticket = replace(ticket, pricing=Pricing.GIVEN, price=natural)
        elif way == 1:
            ticket = replace(ticket, pricing=Pricing.NATURAL)
        elif way == 3:
            ticket = replace(ticket, pricing=Pricing.MARKET)
        elif way > 3:
            reach = Decimal(self.dice.randint(1, 20)) / 20
            trigger = abs(natural) + (reach if natural < 0 else -reach)
            limit = trigger.copy_sign(natural) - Decimal("0.05") if way == 4 else None
            if trigger <= 0:
                return
            ticket = replace(ticket, pricing=Pricing.GIVEN, stop=trigger, price=limit)
        staged = self.floor.tickets.stage_ticket(ticket, self.floor.trader.way.drops, send=True)
        self._watched(f"{what} {ticket.kind.value} {shape}".rstrip(), lambda: at_once(staged).ok)

    def _watched(self, what: str, deed: Callable[[], bool]) -> None:
        known = self.ledger.records
        if not deed():
            self.refused += 1
            return
        fresh = list(self.ledger.records[len(known) :])
        if not fresh:
            return
        before = self._judged(known)  # nothing but the new orders is different yet
        self.approved += 1
        self.did[what] = self.did.get(what, 0) + 1
        intent = fresh[0].intent
        opened = tuple(leg for leg in self._unit(intent) if leg.action.opens)
        if intent.replaces is None and one_long_option(opened):  # as its lane does, for what can have resting exits
            cost = -Decimal(str(self.ask(opened[0].symbol)))
            plan = self._plan(intent.strategy, intent.underlying, opened, cost, Decimal(1))
            self.floor.guards.prepare(replace(plan, plan_id=intent.plan_id), opened)
        self.send(fresh)
        made = [(record.intent, record.state.value) for record in fresh]
        self._tale.append(lambda: f"{what}: {'; '.join(f'{describe_order(intent)} {state}' for intent, state in made)}")
        self._judge(before, fresh)

    # --- the judge ---

    def _judged(self, records: Sequence[OrderRecord], apart: Collection[str] = ()) -> Judged:
        return Judged(self.book.positions, records, self.ask, self.bid, apart)

    def _judge(self, before: Judged, fresh: list[OrderRecord]) -> None:
        after, intents = self._judged(self.ledger.records), [record.intent for record in fresh]
        own_cost = sum(cost_of_close(intent, self.ask) for intent in intents)
        self.breaches += broken_sums(before, after, own_cost, self.nlv, SETTINGS)
        self.breaches += lost_bounds(before, after)
        self.breaches += counted_too_little(after, self.trader.risk_book())
        self.breaches += broken_trade(before, after, intents, self.nlv, self.book.cash, SETTINGS)
        self.breaches += closed_twice(before, after, {p.symbol: p.quantity for p in self.book.positions})
        if any(is_mixed(record.intent) and self._dearer(record) for record in fresh):
            # The close and the open of a roll are each a trade by itself, at what it costs to cross the market.
            apart = self._judged(self.ledger.records, {intent.intent_id for intent in intents})
            self.breaches += broken_sums(before, apart, own_cost, self.nlv, SETTINGS)
            self.breaches += lost_bounds(before, apart)

    def _dearer(self, record: OrderRecord) -> bool:
        """It was judged: as a new order, or because it pays more than the one it replaces."""
        original = self.ledger.original(record)
        return original is None or record.intent.counted_price < original.intent.counted_price

    # --- what it chooses from ---

    def _held(self) -> list:
        if not self.book.positions:
            return []
        first = self.dice.choice(self.book.positions)
        group = [p for p in self.book.positions if (p.strategy, p.underlying) == (first.strategy, first.underlying)]
        return [p for p in group if is_option(p.symbol) == is_option(first.symbol)][: self.dice.randint(1, 4)]

    def _legs(self, stock: str, shape: str) -> tuple[Leg, ...]:
        lowest = self.dice.randrange(len(STRIKES) - 3)
        legs = tuple(
            Leg(
                option(stock, right, STRIKES[lowest + step]),
                Action.BUY_TO_OPEN if count > 0 else Action.SELL_TO_OPEN,
                abs(count),
            )
            for right, step, count in SHAPES[shape]
        )
        self._show(legs)
        return legs

    @staticmethod
    def _unit(intent: OrderIntent) -> tuple[Leg, ...]:
        return tuple(replace(leg, quantity=leg.quantity // intent.quantity) for leg in intent.legs)

    def _show(self, legs: tuple[Leg, ...]) -> None:
        """New quotes: the market has moved."""
        for leg in legs:
            mid = float(worth_now(leg.symbol)) + self.dice.randint(4, 40) / 20
            mid = round(mid, 2)
            self.floor.quotes.table[leg.symbol] = Quote(
                leg.symbol, round(mid - 0.05, 2), round(mid + 0.05, 2), 10, 10, self._now, self._now
            )

    def _net(self, legs: tuple[Leg, ...], *, natural: bool) -> Decimal:
        """Per unit, in the middle or at the far side."""
        total = Decimal(0)
        for leg in legs:
            quote = self.floor.quotes.table[leg.symbol]
            side = (quote.ask if leg.action.buys else quote.bid) if natural else (quote.bid + quote.ask) / 2
            count = leg.quantity if len(legs) > 1 else 1
            total -= leg.action.sign * count * Decimal(str(round(side, 2)))
        return total

    def _plan(self, strategy: str, stock: str, legs: tuple[Leg, ...], net: Decimal, claim: Decimal) -> TradePlan:
        assert all(underlying_of(leg.symbol) == stock for leg in legs)
        signal = Signal(
            stock, strategy, self._now, SignalState.ENTRY_LONG, 100.0, 3.0, 98.0, 1.0, 1.0, 0.9, 95.0,
            (105.0, 110.0, 115.0), 3.0, 18, 0.4,
        )  # fmt: skip
        return TradePlan(
            f"p{self.serial}",
            self._now,
            self._now + 3600 * NS,
            strategy,
            stock,
            legs,
            net,
            claim,
            claim,
            95.0,
            (),
            date(2026, 3, 20),
            signal,
        )


def option(stock: str, right: str, strike: int) -> str:
    return f"{stock:<6}260417{right}{strike * 1000:08d}"


DEEDS = {
    RandomAccount.enter: 6,
    RandomAccount.ticket: 3,
    RandomAccount.close: 2,
    RandomAccount.leave: 1,
    RandomAccount.roll: 2,
    RandomAccount.edit: 3,
    RandomAccount.step: 1,
    RandomAccount.rest: 1,
    RandomAccount.release: 1,
    RandomAccount.fill: 5,
    RandomAccount.break_legs: 1,
    RandomAccount.end: 2,
    RandomAccount.settle: 2,
}

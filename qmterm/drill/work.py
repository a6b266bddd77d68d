"""The plan of work: what strategies, a person and the market do to one engine and its broker, act by act.

An act chooses with its own drawn number among what is there at its moment, so a script survives any crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from random import Random
from time import perf_counter
from typing import TypeVar

from qmterm.core.clock import NS
from qmterm.core.fees import order_fees
from qmterm.core.matching import natural_price, net_mid
from qmterm.core.orders import Action, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.core.ticks import net_step, program_for, round_net, round_price
from qmterm.drill.house import House
from qmterm.drill.market import DAY, EXPIRY, STOCKS, DrillMarket, call
from qmterm.drill.script import Act
from qmterm.drill.wire import Network
from qmterm.engine.commands import CancelOrder, EditOrder, Flatten, Kill, Resume, RollPosition, StageTicket
from qmterm.engine.ladder import Level
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.rolls import Rolls
from qmterm.engine.orders.tickets import Tickets
from qmterm.engine.orders.walker import repriced, whole
from qmterm.engine.show.wording import label
from qmterm.sim.brokerage.desk import remaining_ticket
from qmterm.sim.brokerage.orders import OrderType, Status
from qmterm.sim.brokerage.refusals import Refused
from qmterm.sim.brokerage.ticket import Ticket

T = TypeVar("T")
STRATEGIES = ("atr_matrix", "drill-b", "drill-c")
LEVEL = 0.0005  # of the stock: an ATR, so that the first scale-out level is a jump away
IV_SPOT = 29.3  # dollars: the volatility at which the drill's value of a contract is the model's, times the stock
PERSONS_CALL = 2  # the strike that only somebody elsewhere opens
_WORKING = frozenset({OrderState.LIVE, OrderState.RECEIVED, OrderState.ROUTED})


class Work:
    def __init__(self, house: House, market: DrillMarket, network: Network) -> None:
        self._house = house
        self._market = market
        self._network = network
        self.kill_ms: list[float] = []
        self.withdrawn: set[str] = set()  # orders that a person cancelled, by a kill or a flatten too

    # Made when they are asked for: the siege's own hand works beside the broker, without a house of ours.

    @cached_property
    def _tickets(self) -> Tickets:
        return Tickets(self._house.trader, wait_s=0.0)

    @cached_property
    def _rolls(self) -> Rolls:
        return Rolls(self._house.trader, self._tickets)

    @cached_property
    def _edits(self) -> Edits:
        return Edits(self._house.trader, self._house.approvals)

    async def do(self, act: Act) -> None:
        random = Random(act.draw)
        match act.kind:
            case "entry":
                self._entry(random)
            case "spread":
                self._spread(random)
            case "exit":
                self._exit(random)
            case "exit-spread":
                self._exit_spread(random)
            case "cancel":
                await self._cancel(random)
            case "reprice":
                self._reprice(random)
            case "ticket":
                await self._ticket(random)
            case "roll":
                await self._roll(random)
            case "edit-dearer":
                self._edit(random)
            case "replace":
                self._replace_elsewhere(random)
            case "manual-open":
                stock = random.choice(list(STOCKS))
                self._elsewhere(call(stock, PERSONS_CALL), Action.BUY_TO_OPEN, random.randint(1, 3))
            case "manual-close":
                self._close_elsewhere(random)
            case "jump":
                self._market.jump(random.choice(list(STOCKS)), random.uniform(-0.02, 0.02))
            case "kill":
                await self._kill()
            case "flatten":
                self._withdraw_all()
                await self._house.person.answer(Flatten("drill"))
            case "resume":
                if self._house.trader.ladder.level >= Level.REDUCE_ONLY:
                    await self._house.person.answer(Resume("drill"))

    # --- what goes through our engine ---

    def _entry(self, random: Random) -> None:
        legs = (Leg(call(random.choice(list(STOCKS)), random.randint(0, 1)), Action.BUY_TO_OPEN, 1),)
        self._open(legs, random)

    def _spread(self, random: Random) -> None:
        stock = random.choice(list(STOCKS))
        self._open(
            (Leg(call(stock, 0), Action.BUY_TO_OPEN, 1), Leg(call(stock, 1), Action.SELL_TO_OPEN, 1)),
            random,
        )

    def _open(self, legs: tuple[Leg, ...], random: Random) -> None:
        house, now = self._house, self._house.clock.now()
        price = self._price(legs, far=random.random() < 0.6)
        if price is None or price >= 0:
            return
        stock = legs[0].symbol[:6].strip()
        spot = self._market.last(stock) or STOCKS[stock]
        fees = 2 * order_fees(((leg, abs(price)) for leg in legs), DAY).total
        cost = -price * 100 + fees
        # With levels in sight a target rests at the broker beside the stop.
        atr = spot * LEVEL if house.resting and random.random() < 0.7 else 0.0
        signal = Signal(
            stock, "drill", now, SignalState.ENTRY_LONG, spot, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 0,
            None,
        )  # fmt: skip
        signal = replace(signal, atr=atr, sma50=spot if atr else 0.0)
        plan = TradePlan(
            plan_id=f"{now:x}-{random.getrandbits(24):x}",
            time_ns=now,
            expires_ns=now + 600 * NS,
            strategy=random.choice(STRATEGIES),
            underlying=stock,
            legs=legs,
            net_price=price,
            max_loss=cost,
            buying_power=cost,
            stop=0.0,
            targets=(),
            horizon_date=EXPIRY - timedelta(days=7),
            signal=signal,
            numbers={"iv": IV_SPOT / spot} if atr else {},
        )
        wanted = random.randint(1, 6)
        if len(legs) == 1:
            house.trader.open(plan, house.clock.monotonic(), wanted=wanted)
        else:
            self._open_spread(plan, wanted)

    def _open_spread(self, plan: TradePlan, wanted: int) -> None:
        """Through the same gate and lane, but past `Trader.send_entry`, which alone puts a guard on the disk before its
        order: no stop watches these spreads. Those that `_ticket` opens have one.
        """
        trader = self._house.trader
        verdict = trader.gate.check(
            plan,
            trader.risk_book(),
            trader.clock.now(),
            ladder=trader.entry_refusal(),
            quotes=trader.quotes_of(plan.legs),
            wanted=wanted,
        )
        if verdict.approved:
            record = trader.desk.register(trader.intent_of(plan, verdict.contracts))
            trader.lanes.entry(lambda: trader.desk.send(record, lambda _record: trader.entry_refusal()))

    def _exit(self, random: Random) -> None:
        trader = self._house.trader
        held = [
            position
            for position in trader.book.positions
            if self._closable(position.symbol) and not self._half_of_spread(position.symbol)
        ]
        position = _one(held, random)
        if position is None:
            return
        free = self._closable(position.symbol)
        wanted = random.randint(1, abs(free) + 1)  # one too many at times: the guard must cut it
        action = Action.SELL_TO_CLOSE if free > 0 else Action.BUY_TO_CLOSE
        self._close((Leg(position.symbol, action, wanted),), wanted, position.strategy, position.plan_id, random)

    def _closable(self, symbol: str) -> int:
        """What rests at the broker gives way to an exit."""
        return closable(self._house.book, self._house.desk.ledger, symbol, resting=False)

    def _half_of_spread(self, symbol: str) -> bool:
        """The long leg that covers a short one: closing it alone would leave the short one naked."""
        stock = symbol[:6].strip()
        return symbol == call(stock, 0) and self._house.book.quantity(call(stock, 1)) < 0

    def _exit_spread(self, random: Random) -> None:
        pairs = [
            (call(stock, 0), call(stock, 1))
            for stock in STOCKS
            if self._closable(call(stock, 0)) > 0 and self._closable(call(stock, 1)) < 0
        ]
        pair = _one(pairs, random)
        if pair is not None:
            wanted = random.randint(1, 4)
            legs = Leg(pair[0], Action.SELL_TO_CLOSE, wanted), Leg(pair[1], Action.BUY_TO_CLOSE, wanted)
            self._close(legs, wanted, "drill-b", "", random)

    def _close(self, legs: tuple[Leg, ...], units: int, strategy: str, plan_id: str, random: Random) -> None:
        now = self._house.clock.now()
        price = self._price(legs, far=random.random() < 0.7)
        if not price:
            return
        intent = OrderIntent(
            intent_id=f"x{now:x}-{random.getrandbits(24):x}",
            created_ns=now,
            strategy=strategy,
            underlying=legs[0].symbol[:6].strip(),
            purpose=Purpose.EXIT,
            legs=legs,
            quantity=units,
            net_price=price,
            plan_id=plan_id,
            reason=Reason.USER,
        )
        self._house.trader.close(intent, by_person=random.random() < 0.3)

    def _price(self, legs: tuple[Leg, ...], *, far: bool) -> Decimal | None:
        """At the far side, or in the middle and on the grid."""
        quotes: dict[str, Quote] = {}
        for leg in legs:
            quote = self._market.quote(leg.symbol)
            if quote is None:
                return None
            quotes[leg.symbol] = quote
        price = natural_price(legs, quotes) if far else net_mid(legs, quotes)
        if price is None or len(legs) > 1:
            return None if price is None else round_net(price, net_step(leg.symbol for leg in legs))
        sign = -1 if legs[0].action.buys else 1
        return sign * round_price(program_for(legs[0].symbol[:6].strip()), abs(price), buys=legs[0].action.buys)

    def _reprice(self, random: Random) -> None:
        """Through our own desk, to a price no dearer than what was counted; walking makes such steps as well."""
        trader = self._house.trader
        ours = [r for r in trader.desk.ledger.working if not r.external and trader.desk.replaceable(r) and whole(r)]
        record = _one(ours, random)
        counted = None if record is None else record.intent.counted_price
        if record is None or counted is None:
            return
        price = self._price(record.intent.legs, far=random.random() < 0.5)
        if price is not None and record.intent.purpose is Purpose.ENTRY:
            price = max(price, counted)
        if price and price != record.intent.net_price and (price > 0) == (counted > 0):
            trader.replace_order(record, repriced(trader.desk.ledger, record, price, trader.clock.now()))

    async def _ticket(self, random: Random) -> None:
        """A person's own words, sent at once; the engine reads, judges and cuts them as any."""
        stock = random.choice(list(STOCKS))
        low, high = label(call(stock, 0)), label(call(stock, 1))
        units = random.randint(1, 4)
        one, spread = f"buy {units} {low}", f"buy {units} {low} / sell {units} {high}"
        lines = (one, f"{one} @ mid", f"{one} @ mkt", f"bto {units} {high} @ nat", spread, f"{spread} @ mid")
        await self._tickets.stage(StageTicket(random.choice(lines), send=True))

    async def _roll(self, random: Random) -> None:
        held = [p for p in self._house.book.positions if p.quantity > 0 and not self._half_of_spread(p.symbol)]
        position = _one(held, random)
        if position is None:
            return
        stock = position.symbol[:6].strip()
        others = [symbol for number in (0, 1) if (symbol := call(stock, number)) != position.symbol]
        target = label(random.choice(others)).split(maxsplit=1)[1]
        await self._rolls.roll(RollPosition(f"{label(position.symbol)} {target}", send=True))

    def _edit(self, random: Random) -> None:
        """To the far side of the market: dearer for most, and judged anew where it opens something."""
        trader = self._house.trader
        record = _one([record for record in trader.desk.ledger.working if not record.external], random)
        price = None if record is None else self._price(record.intent.legs, far=True)
        if record is not None and price:
            self._edits.edit(EditOrder(record.intent.intent_id, f"{abs(price):.2f}", dearer=True))

    async def _cancel(self, random: Random) -> None:
        working = [record for record in self._house.desk.ledger.working if record.state in _WORKING]
        record = _one(working, random)
        if record is not None:
            self.withdrawn.add(record.intent.intent_id)
            await self._house.person.answer(CancelOrder(record.intent.intent_id))

    def _withdraw_all(self) -> None:
        self.withdrawn.update(record.intent.intent_id for record in self._house.desk.ledger.working)

    async def _kill(self) -> None:
        house, sent = self._house, len(self._network.cancels)
        self._withdraw_all()
        began, real = house.clock.monotonic(), perf_counter()
        await house.person.answer(Kill("drill"))
        first: dict[str, tuple[float, float]] = {}  # the sweep of HALT asks again for what was not confirmed
        for order, virtual, wall in self._network.cancels[sent:]:
            first.setdefault(order, (virtual, wall))
        if first:
            virtual, wall = list(first.values())[-1]
            self.kill_ms.append((virtual - began + wall - real) * 1000)

    # --- what happens at the broker without us ---

    def _replace_elsewhere(self, random: Random) -> None:
        desk = self._network.brokerage.desk
        order = _one([order for order in desk.working() if order.status is Status.LIVE and not order.replaces], random)
        if order is None or order.price is None or order.broken_leg:
            return
        step = Decimal("0.05") * random.choice((-1, 1))
        ticket = replace(
            remaining_ticket(order), price=order.price + step, external_identifier=None, source="elsewhere"
        )
        self._try(lambda: desk.replace(order.order_id, ticket))

    def _close_elsewhere(self, random: Random) -> None:
        held = {s: q for s, q in self._network.brokerage.book.holdings().items() if not self._half_of_spread(s)}
        symbol = _one(sorted(held), random)
        if symbol is not None:
            action = Action.SELL_TO_CLOSE if held[symbol] > 0 else Action.BUY_TO_CLOSE
            self._elsewhere(symbol, action, random.randint(1, abs(held[symbol])))

    def _elsewhere(self, symbol: str, action: Action, quantity: int) -> None:
        legs = (Leg(symbol, action, quantity),)
        price = self._price(legs, far=True)
        if price:
            ticket = Ticket(legs, OrderType.LIMIT, "Day", price, None, source="elsewhere", strict=not action.opens)
            self._try(lambda: self._network.brokerage.desk.place(ticket))

    @staticmethod
    def _try(deed: Callable[[], object]) -> None:
        """The broker may refuse a person too."""
        try:
            deed()
        except Refused:
            return


def _one(choices: Sequence[T], random: Random) -> T | None:
    return random.choice(choices) if choices else None

"""A seeded account that trades at random through the production gate, and a judge that tries every subset of fills.

The judge shares nothing with the code under test: it enumerates which orders fill, how many units, at which price of
the stock, and adds up dollars. One group (strategy and stock) at a time is enough: an order is in one group, and the
limits are sums over groups.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import product
from random import Random

import numpy as np

from qmterm.core.clock import NS, from_et
from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import closable, risk_book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.gate import Gate

NOW = from_et(date(2026, 3, 2), 11, 0)
STOCKS = ("AAPL", "AMD", "F")
STRIKES = (90, 95, 100, 105, 110)
SPOT = 100
STRATEGIES = ("one", "two", "three")
SETTINGS = RiskSettings(max_notional=1000)
SLACK = 1.0  # dollars: fees and cents
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


class RandomAccount:
    """`story` tells what happened, for a seed that fails; `breaches` what broke a limit."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.nlv = Decimal(self.dice.choice((20_000, 60_000, 250_000, 2_000_000)))
        self.book = Book(self.nlv * self.dice.randint(25, 100) / 100)
        self.ledger = Ledger()
        self.gate = Gate(SETTINGS)
        self.story: list[str] = []
        self.breaches: list[str] = []
        self.serial = 0
        self.approved = self.refused = 0
        for stock in STOCKS:
            if self.dice.random() < 0.3:
                shares = self.dice.choice((50, 100, 200))
                self.book.adopt(BrokerPosition(stock, shares, Decimal(95), 1), "external", "", NOW)
        if self.dice.random() < 0.2:
            symbol = option("AAPL", "C", 105)
            self.book.adopt(BrokerPosition(symbol, self.dice.choice((-1, 1)), Decimal(3), 100), "external", "", NOW)

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.dice.choice((self.enter, self.enter, self.enter, self.leave, self.fill, self.break_legs, self.end))()

    # --- what an account does ---

    def enter(self) -> None:
        stock, strategy, shape = (self.dice.choice(of) for of in (STOCKS, STRATEGIES, tuple(SHAPES)))
        lowest = self.dice.randrange(len(STRIKES) - 3)
        legs, quotes, net = [], {}, Decimal(0)
        for right, step, count in SHAPES[shape]:
            symbol = option(stock, right, STRIKES[lowest + step])
            mid = worth_now(symbol) + Decimal(self.dice.randint(2, 40)) / 20
            quotes[symbol] = Quote(symbol, float(mid) - 0.05, float(mid) + 0.05, 10, 10, NOW, NOW)
            legs.append(Leg(symbol, Action.BUY_TO_OPEN if count > 0 else Action.SELL_TO_OPEN, abs(count)))
            net -= count * mid
        if not net:
            return
        # Most plans know what they can lose, some claim too little.
        ordered = [(dict((leg.symbol, leg.action.sign * leg.quantity) for leg in legs), 1, -float(net) * 100)]
        most, slope = worst_of({}, ordered, 0)
        claim = Decimal(str(round(max(most, 1.0), 2))) + 2 if not slope else Decimal(50)
        if self.dice.random() < 0.1:
            claim /= 2
        plan = plan_of(self.serial, strategy, stock, tuple(legs), net, claim)
        self.serial += 1
        before = self.measured()
        view = replace(self.view(), held=frozenset(), working=frozenset(), orders_last_minute=0, recent=frozenset())
        verdict = self.gate.check(plan, view, NOW, quotes=quotes, wanted=self.dice.choice((None, 1, 3)))
        if not verdict.approved:
            self.refused += 1
            return
        self.approved += 1
        units = verdict.contracts
        record = OrderRecord(
            OrderIntent(
                f"e{self.serial}", NOW, strategy, stock, Purpose.ENTRY,
                tuple(replace(leg, quantity=leg.quantity * units) for leg in legs), units, net,
                max_loss=claim * units,
            ),
            self.dice.choice((OrderState.LIVE, OrderState.LIVE, OrderState.SENT, OrderState.UNKNOWN)),
        )  # fmt: skip
        self.ledger.add(record)
        self.story.append(f"{strategy} {units} {shape} {stock} {STRIKES[lowest]} at {net} ({record.state.value})")
        self.judge(before, 0.0)
        if net < 0 and verdict.reason is not None and self.cash() < Decimal("0.2") * self.nlv - 1:
            self.breaches.append(f"cash {self.cash()} of {self.nlv}")

    def leave(self) -> None:
        """A close of some positions of one group, in one order or a leg alone."""
        if not self.book.positions:
            return
        first = self.dice.choice(self.book.positions)
        group = [p for p in self.book.positions if (p.strategy, p.underlying) == (first.strategy, first.underlying)]
        chosen = [p for p in group if is_option(p.symbol) == is_option(first.symbol)][: self.dice.randint(1, 4)]
        units = self.dice.randint(1, min(abs(p.quantity) for p in chosen))
        legs = tuple(
            Leg(p.symbol, Action.SELL_TO_CLOSE if p.quantity > 0 else Action.BUY_TO_CLOSE, units) for p in chosen
        )
        worth = [worth_now(p.symbol) + Decimal(self.dice.randint(0, 40)) / 20 for p in chosen]
        net = sum((-leg.action.sign * price for leg, price in zip(legs, worth, strict=True)), Decimal(0))
        if not net:
            return
        self.serial += 1
        intent = OrderIntent(
            f"x{self.serial}", NOW, first.strategy, first.underlying, Purpose.EXIT, legs, units, net
        )  # fmt: skip
        before = self.measured()
        free = {leg.symbol: closable(self.book, self.ledger, leg.symbol) for leg in legs}
        verdict = self.gate.check_exit(intent, free, book=self.view())
        if not verdict.approved:
            self.refused += 1
            return
        self.approved += 1
        units = verdict.contracts
        intent = replace(intent, legs=tuple(replace(leg, quantity=units) for leg in legs), quantity=units)
        self.ledger.add(OrderRecord(intent, OrderState.LIVE))
        self.story.append(f"{first.strategy} closes {units} of {[leg.symbol for leg in legs]} at {net}")
        multiplier = 100 if is_option(first.symbol) else 1
        self.judge(before, max(0.0, -float(net)) * units * multiplier)
        for leg in legs:
            held, closing = self.book.quantity(leg.symbol), self.ledger.closing(leg.symbol)
            if closing > abs(held):
                self.breaches.append(f"{closing} {leg.symbol} closed by orders, {held} held")

    def fill(self) -> None:
        record = self._some_order()
        if record is not None and record.remaining_units:
            units = self.dice.randint(1, record.remaining_units)
            self._execute(record, {leg.symbol: units for leg in record.intent.legs})
            self.story.append(f"{record.intent.intent_id} fills {units}")

    def break_legs(self) -> None:
        """One leg of a spread alone: what the exchange should not do, and what no gate prevents."""
        record = self._some_order()
        if record is not None and len(record.intent.legs) > 1 and self.dice.random() < 0.3:
            leg = self.dice.choice(record.intent.legs)
            if record.remaining(leg.symbol) >= leg.quantity // record.intent.quantity:
                self._execute(record, {leg.symbol: 1})
                self.story.append(f"{record.intent.intent_id}: only {leg.symbol} fills")

    def end(self) -> None:
        record = self._some_order()
        if record is not None:
            record.state = OrderState.CANCELLED
            self.story.append(f"{record.intent.intent_id} is cancelled")

    def _some_order(self) -> OrderRecord | None:
        return self.dice.choice(self.ledger.working) if self.ledger.working else None

    def _execute(self, record: OrderRecord, units: dict[str, int]) -> None:
        intent = record.intent
        # Each leg at its worth now, the first one carries what the limit differs by.
        prices = {leg.symbol: worth_now(leg.symbol) + 1 for leg in intent.legs}
        first = intent.legs[0]
        total = sum(-leg.action.sign * prices[leg.symbol] * (leg.quantity // intent.quantity) for leg in intent.legs)
        prices[first.symbol] -= first.action.sign * (intent.net_price - total) / (first.quantity // intent.quantity)
        for leg in intent.legs:
            if leg.symbol in units:
                self.serial += 1
                count = units[leg.symbol] * (leg.quantity // intent.quantity)
                made = Fill(f"f{self.serial}", "1", leg.symbol, leg.action, count, prices[leg.symbol], NOW)
                record.fills[made.fill_id] = made
                self.book.apply(made, intent.strategy, "P")
        if all(record.filled(leg.symbol) >= leg.quantity for leg in intent.legs):
            record.state = OrderState.FILLED

    # --- the judge ---

    def view(self):
        return risk_book(self.book, self.ledger, nlv=self.nlv, now_ns=NOW, buying_power=None)

    def cash(self) -> Decimal:
        """What is left when every order that pays has filled."""
        paid = (
            -record.intent.net_price * record.remaining_units * (100 if is_option(record.intent.legs[0].symbol) else 1)
            for record in self.ledger.working
        )
        return self.book.cash - sum((amount for amount in paid if amount > 0), Decimal(0))

    def measured(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(dollars, slope) of every group at its worst subset and price."""
        groups: dict[tuple[str, str], tuple[dict, list]] = {}
        shares = {p.symbol: p for p in self.book.positions if not is_option(p.symbol)}
        for position in self.book.positions:
            held, _ = groups.setdefault((position.strategy, position.underlying), ({}, []))
            held[position.symbol] = (position.quantity, float(position.average))
        for record in self.ledger.working:
            intent = record.intent
            held, orders = groups.setdefault((intent.strategy, intent.underlying), ({}, []))
            left = {leg.symbol: record.remaining(leg.symbol) for leg in intent.legs}
            units = record.remaining_units
            size = 100 if is_option(intent.legs[0].symbol) else 1
            if all(left[leg.symbol] == leg.quantity // intent.quantity * units for leg in intent.legs):
                each = {leg.symbol: leg.action.sign * leg.quantity // intent.quantity for leg in intent.legs}
                orders.append((each, units, -float(intent.net_price) * size))
            else:  # apart: bought dearly, sold for nothing
                for leg in intent.legs:
                    dear = float(parse_option(leg.symbol).strike) if leg.action.buys else 0.0
                    orders.append(({leg.symbol: leg.action.sign}, left[leg.symbol], dear * 100))
        result = {}
        for (strategy, stock), (held, orders) in groups.items():
            lent = shares.get(stock)
            spare = lent.quantity - self.ledger.closing(stock) if lent and lent.strategy != strategy else 0
            result[strategy, stock] = worst_of(held, orders, spare)
        return result

    def judge(self, before: dict[tuple[str, str], tuple[float, float]], own_cost: float) -> None:
        """No sum may be above its limit unless it was before; nothing may lose its bound; what we count is enough."""
        after, view = self.measured(), self.view()
        for which, share, counted in (
            (1, SETTINGS.max_symbol_risk, view.risk_by_symbol),
            (0, SETTINGS.max_strategy_risk, view.risk_by_strategy),
        ):
            for name in {group[which] for group in after}:
                old = sum(worst for group, (worst, _) in before.items() if group[which] == name)
                new = sum(worst for group, (worst, _) in after.items() if group[which] == name)
                if new > max(share * float(self.nlv), old + own_cost) + SLACK:
                    self.breaches.append(f"{name}: {new:.2f} after {old:.2f}, NLV {self.nlv}")
                if float(counted.get(name, 0)) < new - SLACK:
                    self.breaches.append(f"{name}: counted {counted.get(name)} of {new:.2f}")
        for group, (_, slope) in after.items():
            if slope > 0.0 and not before.get(group, (0.0, 0.0))[1]:
                self.breaches.append(f"{group}: no bound any more")


def worst_of(held, orders, spare: int) -> tuple[float, float]:
    """Every number of units of every order, at every strike and far out; calls in excess lean on spare shares."""
    symbols = sorted({*held, *(symbol for each, _, _ in orders for symbol in each)})
    spots = np.array([0.0, *STRIKES, 1000.0, 1001.0])
    worths = np.array([worth_at(symbol, spots) for symbol in symbols]).reshape(len(symbols), len(spots))
    base = np.array([held.get(symbol, (0, 0.0))[0] for symbol in symbols], dtype=float)
    sizes = np.array([100.0 if is_option(symbol) else 1.0 for symbol in symbols])
    cost = sum(quantity * average * (100 if is_option(s) else 1) for s, (quantity, average) in held.items())
    calls = np.array([100.0 if not is_option(s) or parse_option(s).right == "C" else 0.0 for s in symbols])
    calls = np.where(sizes == 1.0, 1.0, calls)
    choices = [range(units + 1) if units <= 3 else (0, 1, units // 2, units) for _, units, _ in orders]
    subsets = list(product(*choices))
    fills = np.array(subsets, dtype=float).reshape(len(subsets), len(orders))
    change = np.array([[each.get(symbol, 0) for symbol in symbols] for each, _, _ in orders], dtype=float)
    paid = np.array([price for _, _, price in orders], dtype=float)
    after = base + fills @ change.reshape(len(orders), len(symbols))
    losses = cost + (fills @ paid)[:, None] - after @ worths
    slopes = -(after @ calls)
    # Each hundred spare shares covers one call where the subset needs it; they come in at 95 and can lose it all.
    need = np.clip(np.ceil(slopes / 100.0), 0, spare // 100) * 100.0
    losses = losses + need[:, None] * (95.0 - spots)
    slopes = slopes - need
    return float(losses[:, :-2].max(initial=-1e12)), float(max(0.0, slopes.max(initial=0.0)))


def worth_at(symbol: str, spots):
    if not is_option(symbol):
        return spots
    contract = parse_option(symbol)
    return np.maximum(contract.right.sign * (spots - float(contract.strike)), 0.0) * 100.0


def worth_now(symbol: str) -> Decimal:
    if not is_option(symbol):
        return Decimal(SPOT)
    contract = parse_option(symbol)
    return max(Decimal(0), contract.right.sign * (SPOT - contract.strike)) + Decimal("0.10")


def option(stock: str, right: str, strike: int) -> str:
    return f"{stock:<6}260417{right}{strike * 1000:08d}"


def plan_of(serial: int, strategy: str, stock: str, legs: tuple[Leg, ...], net: Decimal, claim: Decimal) -> TradePlan:
    assert all(underlying_of(leg.symbol) == stock for leg in legs)
    signal = Signal(
        stock, strategy, NOW, SignalState.ENTRY_LONG, 100.0, 3.0, 98.0, 1.0, 1.0, 0.9, 95.0, (105.0, 110.0, 115.0),
        3.0, 18, 0.4,
    )  # fmt: skip
    return TradePlan(
        f"p{serial}",
        NOW,
        NOW + 3600 * NS,
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

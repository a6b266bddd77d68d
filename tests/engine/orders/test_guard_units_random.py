"""Trades in the same contracts by chance: their guards add up to what is held, and a crash changes nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Fill, Leg, OrderState, Purpose
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.guard_units import after_fill, entry_cost, fit, loose_of, recounted
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.structure import closed
from tests.engine.fakes import CASH, clock_at, entry
from tests.engine.orders.test_guard_units import CALL, HIGH, LOW, RATIO, SPREAD, guard


class Trades:
    def __init__(self, seed):
        self.dice, self.book, self.ledger, self.guards = random.Random(seed), Book(CASH), Ledger(), {}

    def cost(self, of):
        return entry_cost(self.ledger, of)

    def step(self):
        """An order that opens a trade, or closes all or part of one, one leg of it or all; its fills, shuffled."""
        if self.dice.random() < 0.35 or not self.guards:
            name = f"P{len(self.guards)}"
            unit = self.dice.choice([CALL, SPREAD, RATIO])
            self.guards[name] = guard(name, 0, unit)
            return self.fills(
                name, tuple(replace(leg, quantity=leg.quantity * self.dice.randint(1, 4)) for leg in unit)
            )
        name = self.dice.choice(list(self.guards))
        of = self.guards[name]
        if not of.state.quantity:
            return []
        units = self.dice.randint(1, of.state.quantity)
        legs = tuple(closed(leg, leg.quantity * units) for leg in of.legs)
        return self.fills(name, (self.dice.choice(legs),) if self.dice.random() < 0.3 else legs)

    def fills(self, name, legs: tuple[Leg, ...]):
        number = len(self.ledger.records)
        purpose = Purpose.ENTRY if legs[0].action.opens else Purpose.EXIT
        intent = replace(entry(f"q{number}"), legs=legs, quantity=1, plan_id=name, purpose=purpose)
        order = OrderRecord(intent, OrderState.LIVE, broker_id=str(number))
        self.ledger.add(order)
        each = [(order, leg, part) for leg in legs for part in self.parts(leg.quantity)]
        self.dice.shuffle(each)
        return each

    def parts(self, count):
        parts = []
        while count:
            parts.append(self.dice.randint(1, count))
            count -= parts[-1]
        return parts

    def filled(self, order, leg, count):
        name = f"{order.broker_id}-{len(order.fills)}"
        fill = Fill(name, order.broker_id, leg.symbol, leg.action, count, Decimal(2), clock_at().now())
        order.fills[name] = fill
        self.book.apply(fill, "s", order.intent.plan_id)
        self.take(after_fill(tuple(self.guards.values()), order, fill, self.cost))

    def take(self, guards):
        self.guards |= {each.state.position_id: each for each in guards}

    def counted(self):
        return {name: (each.state.quantity, each.loose) for name, each in self.guards.items()}


@pytest.mark.parametrize("seed", range(200))
def test_guards_add_up_to_what_is_held_and_a_crash_before_any_of_them_is_written_changes_none(seed):
    trades = Trades(seed)
    for _ in range(12):
        for order, leg, count in trades.step():
            saved = dict(trades.guards)
            trades.filled(order, leg, count)
            for symbol in (LOW, HIGH):
                held = sum(
                    sum(each.quantity for each in of.legs if each.symbol == symbol) * of.state.quantity
                    + (loose_of(of, symbol) or 0)
                    for of in trades.guards.values()
                )
                assert held == abs(trades.book.quantity(symbol))
            if trades.dice.random() < 0.2:
                right, trades.guards = trades.counted(), saved
                again = [recounted(each, trades.ledger, trades.cost) for each in saved.values()]
                trades.take(fit(again, trades.book))
                assert trades.counted() == right

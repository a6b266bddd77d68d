"""What the judge of limits counts against us, and what it leaves out: asked of a broker without an engine."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.fees import FeeBreakdown
from qmterm.core.orders import Action
from qmterm.core.settings.risk import RiskSettings
from qmterm.drill.judge_limits import UNSEEN_NS, Limits
from qmterm.sim.brokerage.book import Book
from qmterm.sim.brokerage.orders import Fill, OrderLeg, OrderType, SimOrder, Status

CALL = "AAPL  260417C00230000"
NOW = 100 * UNSEEN_NS
WORTH = Decimal(100_000)
RISK = RiskSettings(max_trade_risk=0.01, max_symbol_risk=0.015, max_strategy_risk=0.02, cash_reserve=0.9)


class Account:
    """A broker's ledger; `taken` is what the judge says of an order that was just taken."""

    def __init__(self):
        self.book = Book(WORTH)
        self.orders = {}
        standing = SimpleNamespace(net_liquidating_value=WORTH)
        self.desk = SimpleNamespace(orders=self.orders, now_ns=NOW, standing=lambda: standing)
        self.breaches = []
        self.limits = Limits(SimpleNamespace(desk=self.desk, book=self.book), RISK, self.breaches.append)

    def order(self, price, *, units=1, tag="qm", replaces=None, status=Status.LIVE):
        number = len(self.orders) + 1
        legs = [OrderLeg(CALL, Action.BUY_TO_OPEN, units)]
        limit = None if price is None else -Decimal(price)
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        made = SimOrder(number, legs, kind, "Day", limit, None, NOW, NOW, date(2026, 3, 2), status, tag)
        made.replaces = replaces
        self.orders[number] = made
        return made

    def fill(self, order, quantity, price, time_ns=NOW):
        made = Fill(f"{order.order_id}-{len(order.legs[0].fills)}", quantity, Decimal(price), time_ns)
        order.legs[0].fills.append(made)
        self.book.trade(
            CALL, Action.BUY_TO_OPEN, quantity, Decimal(price), FeeBreakdown(), time_ns, order_id=order.order_id
        )

    def taken(self, *fresh):
        self.breaches.clear()
        self.limits.check(list(fresh), [order for order in self.orders.values() if order.external_identifier])
        return [text.split()[0] + " " + text.split()[1] for text in self.breaches]


@pytest.fixture
def account():
    return Account()


def test_an_order_is_judged_at_its_limit_and_its_filled_units_at_what_they_cost(account):
    assert account.taken(account.order("10.00")) == []
    assert account.taken(account.order("10.20")) == ["order 2", "AAPL risks"]
    dear = account.order("15.00", units=1, status=Status.FILLED)
    account.fill(dear, 1, "1.00")
    account.orders.pop(2)
    assert account.taken(account.orders[1]) == []  # 1,000 that works and 100 that was paid


def test_a_step_of_a_walk_is_no_new_decision_and_a_dearer_replacement_is(account):
    account.order("10.10", status=Status.CANCELLED)
    assert account.taken(account.order("10.30", replaces=1)) == []
    assert account.taken(account.order("10.50", replaces=1)) == ["order 3", "AAPL risks"]


def test_an_order_without_a_limit_counts_once_it_has_filled(account):
    bare = account.order(None)
    assert account.taken(bare) == []
    account.fill(bare, 1, "16.00")
    assert account.taken(account.order("1.00")) == ["AAPL risks"]


def test_what_others_just_spent_is_not_held_against_the_reserve(account):
    other = account.order("105.00", tag=None, status=Status.FILLED)
    account.fill(other, 1, "105.00", NOW - 1)  # 89,500 stay
    small = account.order("6.00")
    assert account.taken(small) == []
    account.desk.now_ns += 2 * UNSEEN_NS  # by now we know of it
    assert account.taken(small) == ["cash: 88900.00"]

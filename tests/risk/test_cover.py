"""Shares that calls of other strategies lean on: only whole hundreds, only firm ones, each of them once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.risk.cover import lent_to, overdrawn
from qmterm.risk.worst_case import Holding, Part
from tests.risk.plans import CALL, HIGHER, PUT

MINE, OTHER, THIRD = ("mine", "AAPL"), ("other", "AAPL"), ("third", "AAPL")


def shares(quantity, cost="98", fees="0"):
    return Holding("AAPL", quantity, Decimal(cost), Decimal(fees))


def calls(quantity, symbol=CALL):
    return Holding(symbol, quantity, Decimal(4))


def order(*legs, units=1):
    return Part(legs, units, Decimal(1))


SELLS = order(("AAPL", -1), units=100)


@pytest.mark.parametrize(
    ("theirs", "orders", "lent"),
    [
        ((shares(100),), (), [100]),
        ((shares(250),), (), [200]),
        ((shares(99),), (), []),
        ((shares(0),), (), []),
        ((shares(-100),), (), []),
        ((), (), []),
        ((calls(3),), (), []),
        # what their own calls need is not lent
        ((shares(300), calls(-1)), (), [200]),
        ((calls(-1), shares(300)), (), [200]),
        ((shares(300), calls(-3)), (), []),
        ((shares(300), calls(-4)), (), []),
        ((shares(300), calls(-1), calls(1, HIGHER)), (), [300]),  # covered by a call of their own
        # nor what an order may sell, or may need
        ((shares(300),), (SELLS,), [200]),
        ((shares(199),), (SELLS,), []),
        ((shares(200),), (order(("AAPL", 1), units=100),), [200]),  # a purchase is not firm
        ((shares(300),), (order((CALL, -1), units=2),), [100]),
        ((shares(300),), (order((PUT, -1), units=2),), [300]),
        ((shares(300), calls(-1)), (order((CALL, 1)),), [200]),
        ((shares(300), calls(-1)), (order((CALL, -1)), SELLS), []),
    ],
)  # fmt: skip
def test_what_is_firm_and_free_is_lent_in_hundreds(theirs, orders, lent):
    found = lent_to(MINE, {OTHER: theirs}, {OTHER: orders})
    assert [holding.quantity for holding in found] == lent
    assert all(holding.symbol == "AAPL" for holding in found)


def test_what_is_lent_keeps_its_cost_and_its_part_of_the_fees():
    (lot,) = lent_to(MINE, {OTHER: (shares(150, "97.50", "3.00"),)}, {})
    assert lot == shares(100, "97.50", "2.00")


def test_several_lots_are_lent_until_the_hundreds_are_used():
    held = {OTHER: (shares(1), shares(0), shares(100), shares(250, "99"))}
    assert lent_to(MINE, held, {}) == [shares(1), shares(100), shares(199, "99")]
    two = {OTHER: (shares(100),), THIRD: (shares(250, "99"),)}
    assert lent_to(MINE, two, {}) == [shares(100), shares(200, "99")]


def test_nobody_lends_to_himself_or_to_another_stock():
    assert lent_to(MINE, {MINE: (shares(100),)}, {}) == []
    assert lent_to(MINE, {("other", "MSFT"): (shares(100),)}, {}) == []
    assert lent_to(MINE, {("mine", "MSFT"): (shares(100),)}, {}) == []


@pytest.mark.parametrize(
    ("held", "working", "calls_without"),
    [
        ({}, {}, 0),
        ({MINE: (calls(-2),)}, {}, 0),  # nothing to lean on: the group has no bound of its own
        ({MINE: (calls(-2),), OTHER: (shares(200),)}, {}, 0),
        ({MINE: (calls(-2),), OTHER: (shares(100),)}, {}, 1),
        ({MINE: (calls(-2),), OTHER: (shares(199),)}, {}, 1),
        ({MINE: (calls(-2),), OTHER: (shares(50),)}, {}, 2),
        ({MINE: (calls(-1),), THIRD: (calls(-1, HIGHER),), OTHER: (shares(100),)}, {}, 1),
        ({MINE: (calls(-1),), THIRD: (shares(100),), OTHER: (shares(100),)}, {}, 0),
        ({MINE: (calls(-2),), OTHER: (shares(200),)}, {OTHER: (SELLS,)}, 1),
        ({OTHER: (shares(100),)}, {MINE: (order((CALL, -1), units=3),)}, 2),
        ({OTHER: (shares(100), calls(-1))}, {MINE: (order((CALL, -1)),)}, 1),
        ({OTHER: (shares(150), calls(-2))}, {}, 1),  # half a hundred covers half a call, and half is one
        ({OTHER: (shares(500),)}, {}, 0),
        ({MINE: (calls(-3),), OTHER: (shares(200),)}, {OTHER: (order(("AAPL", 1), units=100),)}, 1),
        ({MINE: (calls(-2),), ("other", "MSFT"): (Holding("MSFT", 500, Decimal(1)),)}, {}, 0),
        ({MINE: (calls(-2),), OTHER: (shares(100),), ("third", "MSFT"): (calls(-5),)}, {}, 1),
    ],
)
def test_the_calls_that_lean_on_shares_which_are_not_there_are_counted(held, working, calls_without):
    assert overdrawn("AAPL", held, working) == calls_without

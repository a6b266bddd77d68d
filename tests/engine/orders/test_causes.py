"""A difference gets its cause only where the broker's newest bookings add up to it exactly."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import Action
from qmterm.core.transactions import Transaction
from qmterm.engine.orders.causes import CauseKind, cause_of_money, causes_of_positions, deliveries
from qmterm.engine.orders.reconcile import Difference
from tests.engine.fakes import OCC

DAY = date(2026, 3, 2)
SMALL = Decimal(5)


def row(number, sub_kind, symbol=OCC, quantity=None, value="0", kind="Receive Deliver", fees="0", at=100, order=None):
    size = None if quantity is None else Decimal(quantity)
    gross, paid = Decimal(value), None if fees is None else Decimal(fees)
    price = None if not size or not gross else abs(gross) / size
    net = gross - (paid or 0)
    return Transaction(str(number), kind, sub_kind, symbol, order, size, price, gross, net, paid, False, DAY, at)


def money(number, sub_kind, value, symbol="NVDA"):
    return row(number, sub_kind, symbol, None, value, "Money Movement")


def differ(symbol, ours, theirs):
    return Difference(symbol, Decimal(ours), Decimal(theirs))


def booked(differences, rows, counted=()):
    return deliveries("A", differences, rows, lambda fill_id: fill_id.removeprefix("booked-") in counted)


def test_an_assigned_call_takes_the_contract_for_nothing_and_the_shares_at_the_strike():
    rows = [row(2, "Sell to Close", "NVDA", 100, "17500", fees="0.13"), row(1, "Assignment", quantity=1)]
    found = booked([differ(OCC, -1, 0), differ("NVDA", 100, 0)], rows)
    fills = {f.symbol: f for delivery in found for f in delivery.order.fills}
    assert (fills[OCC].action, fills[OCC].price, fills[OCC].fees) == (Action.BUY_TO_CLOSE, 0, 0)
    assert (fills["NVDA"].price, fills["NVDA"].fees) == (175, Decimal("0.13"))
    assert {delivery.cause.kind for delivery in found} == {CauseKind.ASSIGNMENT}
    assert any("by assignment of NVDA 17APR26 175C" in delivery.cause.text for delivery in found)


def test_a_cash_settled_contract_pays_what_was_booked():
    (found,) = booked([differ(OCC, 2, 0)], [row(1, "Cash Settled Exercise", quantity=2, value="1284", fees=None)])
    assert found.order.fills[0].cash_flow == 1284
    assert "+1,284.00 in cash" in found.cause.text


def test_shares_that_nobody_can_name_an_option_for_are_a_delivery():
    (found,) = booked([differ("NVDA", 0, 100)], [row(1, "Buy to Open", "NVDA", 100, "-17500")])
    assert found.cause.kind is CauseKind.DELIVERY


def test_a_spread_that_ends_in_the_money_on_both_legs_is_counted_with_the_shares_that_passed_through():
    sold = OCC.replace("175", "180")
    rows = [
        row(4, "Sell to Close", "NVDA", 100, "18000"),
        row(3, "Assignment", sold, 1),
        row(2, "Buy to Open", "NVDA", 100, "-17500"),
        row(1, "Exercise", quantity=1),
    ]
    found = booked([differ(OCC, 1, 0), differ(sold, -1, 0)], rows)
    assert sum(fill.cash_flow for delivery in found for fill in delivery.order.fills) == 500
    assert len(found) == 4
    assert len(booked([differ(OCC, 1, 0), differ(sold, -1, 0)], rows[1:])) == 2  # half of a passage is none


@pytest.mark.parametrize(
    ("difference", "rows"),
    [
        (differ(OCC, -2, 0), [row(1, "Assignment", quantity=1)]),  # one is not two
        (differ(OCC, -1, 0), [row(1, "Sell to Open", quantity=1, kind="Trade")]),  # an execution is the order poll's
        (differ(OCC, -1, 0), [row(1, "Symbol Change", quantity=1)]),  # a word that is not known books nothing
        (differ("NVDA", 0, 100), [row(1, "Buy to Open", "MSFT", 100, "-17500")]),
        (differ(OCC, -1, 0), [row(1, "Expiration")]),
    ],
)
def test_what_does_not_add_up_exactly_is_not_booked(difference, rows):
    assert booked([difference], rows) == ()


def test_what_was_counted_is_not_counted_again_and_what_is_older_is_left_alone():
    rows = [row(n, "Assignment", quantity=1) for n in (3, 2, 1)]
    (found,) = booked([differ(OCC, -1, 0)], rows, counted=("3",))
    assert found.order.broker_id == "booked-2"


@given(st.integers(-20, 20).filter(bool), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_fills_of_a_delivery_move_our_size_to_theirs(ours, sizes):
    gone = min(abs(ours), sizes[0])
    theirs = ours - gone if ours > 0 else ours + gone
    rows = [row(n, "Expiration", quantity=size) for n, size in enumerate([gone, *sizes[1:]])]
    found = booked([differ(OCC, ours, theirs)], rows)
    moved = sum(f.action.sign * f.quantity for delivery in found for f in delivery.order.fills)
    assert ours + moved == theirs


@pytest.mark.parametrize(
    ("change", "rows", "kind", "words"),
    [
        ("26.00", [money(1, "Dividend", "26.00")], CauseKind.DIVIDEND, "dividend NVDA +26.00"),
        ("1000", [money(2, "Deposit", "1000"), money(1, "Dividend", "5")], CauseKind.TRANSFER, "deposit"),
        ("1005", [money(2, "Deposit", "1000"), money(1, "Dividend", "5")], CauseKind.TRANSFER, "dividend NVDA +5.00"),
        ("-9", [money(2, "Dividend", "26"), money(1, "Debit Interest", "-9")], CauseKind.CHARGE, "debit interest"),
        ("-4.20", [], CauseKind.FEE_DRIFT, "fees"),
        ("-40", [money(1, "Dividend", "26")], CauseKind.UNKNOWN, "unknown"),
    ],
)
def test_money_has_the_cause_that_adds_up(change, rows, kind, words):
    cause = cause_of_money(Decimal(change), rows, SMALL)
    assert cause.kind is kind
    assert words in cause.text
    assert cause.explained is (kind is not CauseKind.UNKNOWN)
    assert cause.is_flow is (kind is CauseKind.TRANSFER)


def of_positions(*differences, rows=(), known=(), ratio=1.0):
    return causes_of_positions(differences, rows, known.__contains__, lambda root: ratio)


def test_a_split_is_known_by_its_ratio_or_by_the_brokers_booking():
    assert of_positions(differ("NVDA", 100, 400), ratio=4.0)["NVDA"].kind is CauseKind.SPLIT
    told = [row(1, "Forward Split", "NVDA", 400)]
    assert of_positions(differ("NVDA", 100, 400), rows=told)["NVDA"].kind is CauseKind.SPLIT
    assert of_positions(differ("NVDA", 100, 300), ratio=4.0)["NVDA"].kind is CauseKind.UNKNOWN
    assert of_positions(differ("NVDA", 0, 400), rows=told)["NVDA"].kind is CauseKind.UNKNOWN
    new = "NVDA  260417C00043750"
    both = of_positions(differ(OCC, -2, 0), differ(new, 0, -8), ratio=4.0)
    assert {cause.kind for cause in both.values()} == {CauseKind.SPLIT}
    assert of_positions(differ(OCC, -2, 0))[OCC].kind is CauseKind.UNKNOWN


def test_a_trade_of_an_order_that_is_not_ours_was_made_elsewhere():
    rows = [row(1, "Buy to Open", quantity=2, kind="Trade", order="77")]
    cause = of_positions(differ(OCC, 0, 2), rows=rows)[OCC]
    assert (cause.kind, cause.explained) == (CauseKind.ELSEWHERE, False)
    assert "order 77" in cause.text
    assert of_positions(differ(OCC, 0, 2), rows=rows, known=("77",))[OCC].kind is CauseKind.UNKNOWN

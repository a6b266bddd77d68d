"""Book against broker: only what stands for a while is a difference; a ledger that lags is none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.orders import AccountBalance, AccountState, Action, BrokerPosition, Fill
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.reconcile import WINDOW_S, Difference, Reconciler, compare
from tests.engine.fakes import CASH, OCC

NOW = 1_000 * NS


def account(cash=CASH, **positions):
    rows = tuple(BrokerPosition(OCC, quantity, Decimal(4), 100) for quantity in positions.values())
    return AccountState("A", AccountBalance(cash, cash, cash), rows, ())


def at(seconds):
    """Both clocks this long after the first look."""
    return NOW + int(seconds * NS), seconds


def bought(quantity=2, number=1):
    return Fill(f"f{number}", "1", OCC, Action.BUY_TO_OPEN, quantity, Decimal("4.10"), 1)


def test_agreement_is_clean_at_the_first_look():
    reconciler = Reconciler()
    assert reconciler.look(Book(CASH), account(), *at(0.0)) == ()
    assert reconciler.clean


def test_a_difference_counts_only_after_it_stood_for_the_window():
    reconciler, book = Reconciler(10), Book(CASH)
    assert reconciler.look(book, account(x=2), *at(0.0)) == ()
    assert not reconciler.clean  # but nobody may say that both agree
    assert reconciler.look(book, account(x=2), *at(9.9)) == ()
    (difference,) = reconciler.look(book, account(x=2), *at(10.0))
    assert (difference.symbol, difference.ours, difference.theirs) == (OCC, 0, 2)
    assert "NVDA 17APR26 175C: ours 0, broker 2" in str(difference)


def test_neither_clock_alone_is_enough():
    """A market at twenty times its speed does not make a lagging ledger quicker, nor a standing one slower."""
    reconciler, book = Reconciler(10), Book(CASH)
    reconciler.look(book, account(x=2), NOW, 0.0)
    assert reconciler.look(book, account(x=2), NOW + 200 * NS, 9.9) == ()
    assert reconciler.look(book, account(x=2), NOW + 200 * NS, 10.0)


def test_a_fill_between_two_looks_begins_the_wait_again():
    reconciler, book = Reconciler(10), Book(CASH)
    reconciler.look(book, account(x=2), *at(0.0))
    book.apply(bought(1), "s", "P")
    assert reconciler.look(book, account(x=2), *at(12.0)) == ()
    assert reconciler.look(book, account(x=2), *at(21.9)) == ()
    assert reconciler.look(book, account(x=2), *at(22.0))


def test_a_fill_elsewhere_begins_the_wait_again_although_the_difference_looks_the_same():
    reconciler, book = Reconciler(10), Book(CASH)
    strange = (BrokerPosition("AMD", 5, Decimal(4), 1),)
    balance = AccountBalance(CASH, CASH, CASH)
    reconciler.look(book, AccountState("A", balance, strange, ()), *at(0.0))
    book.apply(bought(2), "s", "P")
    both = (*strange, BrokerPosition(OCC, 2, Decimal(4), 100))
    after = AccountState("A", AccountBalance(book.cash, book.cash, book.cash), both, ())
    assert reconciler.look(book, after, *at(12.0)) == ()
    (difference,) = reconciler.look(book, after, *at(22.0))
    assert difference.symbol == "AMD"


def test_a_ledger_that_lags_after_a_fill_is_no_difference():
    """Five seconds of the past on the broker's side (the ledger_lag fault): seen, waited for, gone."""
    reconciler, book = Reconciler(10), Book(CASH)
    book.apply(bought(), "s", "P")
    cash_after = book.cash
    for seconds in (0.0, 2.0, 4.0):
        assert reconciler.look(book, account(), *at(seconds)) == ()
    assert reconciler.look(book, account(cash_after, x=2), *at(5.0)) == ()
    assert reconciler.clean


def test_a_difference_that_changes_is_news_each_time():
    reconciler, book = Reconciler(10), Book(CASH)
    for seconds, quantity in ((0.0, 1), (9.0, 2), (18.0, 3)):
        assert reconciler.look(book, account(x=quantity), *at(seconds)) == ()
    assert reconciler.look(book, account(x=3), *at(28.0))


@pytest.mark.parametrize(("off", "differs"), [("0.00", False), ("0.01", False), ("0.02", True), ("-0.02", True)])
def test_cash_may_differ_by_a_cent(off, differs):
    assert bool(compare(Book(CASH), account(CASH + Decimal(off)))) is differs


def test_once_adopted_both_sides_agree():
    reconciler, book = Reconciler(10), Book(CASH)
    reconciler.look(book, account(x=2), *at(0.0))
    reconciler.look(book, account(x=2), *at(10.0))
    reconciler.accept()
    assert reconciler.clean
    assert reconciler.differences == ()


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_both_sides_are_compared(ours, theirs):
    book = Book(CASH)
    if ours:
        action = Action.BUY_TO_OPEN if ours > 0 else Action.SELL_TO_OPEN
        book.apply(Fill("f", "1", OCC, action, abs(ours), Decimal(1), 1), "s", "P")
    found = {d.symbol for d in compare(book, account(book.cash, x=theirs))}
    assert (OCC in found) is (ours != theirs)


def test_every_difference_is_named_with_both_numbers_positions_first():
    book = Book(CASH)
    book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "s", "P", 1)
    book.adopt(BrokerPosition(OCC, 2, Decimal(4), 100), "s", "P", 1)
    book.adopt(BrokerPosition("F", 7, Decimal(12), 1), "s", "P", 1)
    theirs = (
        BrokerPosition(OCC, 3, Decimal(4), 100), BrokerPosition("AMD", -5, Decimal(200), 1),
        BrokerPosition("GE", 0, Decimal(1), 1), BrokerPosition("F", 7, Decimal(12), 1),
    )  # fmt: skip
    cash = CASH - 1
    found = compare(book, AccountState("A", AccountBalance(cash, cash, cash), theirs, ()))
    assert found == (
        Difference("AMD", Decimal(0), Decimal(-5)),
        Difference("NVDA", Decimal(100), Decimal(0)),
        Difference(OCC, Decimal(2), Decimal(3)),
        Difference("", CASH, cash),
    )
    assert str(found[3]) == "cash: ours 100000, broker 99999"
    assert all(type(number) is Decimal for one in found for number in (one.ours, one.theirs))


def test_a_reconciler_that_has_not_looked_claims_nothing():
    reconciler = Reconciler()
    assert (reconciler.clean, reconciler.differences) == (False, ())


def test_the_first_look_begins_the_wait_whatever_the_clocks_show():
    """Both clocks are far from zero when an engine starts: that is no time a difference has stood."""
    reconciler, book = Reconciler(), Book(CASH)
    assert reconciler.look(book, account(x=2), NOW * 1000, 1e6) == ()
    stood = NOW * 1000 + int(WINDOW_S * NS)
    assert reconciler.look(book, account(x=2), stood - 1, 1e6 + WINDOW_S) == ()
    assert reconciler.look(book, account(x=2), stood, 1e6 + WINDOW_S - 0.01) == ()
    found = reconciler.look(book, account(x=2), stood, 1e6 + WINDOW_S)
    assert found == reconciler.differences == (Difference(OCC, Decimal(0), Decimal(2)),)
    assert not reconciler.clean
    assert reconciler.look(book, account(), *at(99.0)) == reconciler.differences == ()
    assert reconciler.clean


def test_what_was_adopted_and_comes_back_waits_its_window_again():
    reconciler, book = Reconciler(10), Book(CASH)
    reconciler.look(book, account(x=2), *at(0.0))
    assert reconciler.look(book, account(x=2), *at(10.0))
    reconciler.accept()
    assert reconciler.look(book, account(x=2), *at(11.0)) == ()
    assert reconciler.look(book, account(x=2), *at(21.0))


def test_a_difference_stands_from_the_end_of_one_reading_to_the_beginning_of_another():
    reconciler, book = Reconciler(10), Book(CASH)
    assert reconciler.look(book, account(x=2), *at(12.0), at(0.0)) == ()  # one slow answer is one look
    assert reconciler.look(book, account(x=2), *at(30.0), at(0.5)) == ()  # as are two that overlap
    assert reconciler.look(book, account(x=2), *at(30.0), (at(30.0)[0], 21.9)) == ()
    assert reconciler.look(book, account(x=2), *at(30.0), (at(21.9)[0], 30.0)) == ()
    assert reconciler.look(book, account(x=2), *at(30.0), at(22.0))

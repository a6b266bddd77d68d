"""Which contract a split made of which, and what the guard of a trade becomes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, Leg
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.reconcile import Difference
from qmterm.engine.orders.splits import Successor, owners_of, renamed, successors
from qmterm.risk.protect import protect
from tests.engine.house import plan

OLD, NEW = "NVDA  260417C00175000", "NVDA  260417C00087500"


def gone_and_come(new=NEW, ours=2, theirs=4):
    return Difference(OLD, Decimal(ours), Decimal(0)), Difference(new, Decimal(0), Decimal(theirs))


def heirs(differences, ratio=2.0):
    return successors(differences, lambda underlying: ratio if underlying == "NVDA" else 1.0)


def test_twice_as_many_at_half_the_strike_go_on():
    assert heirs(gone_and_come()) == {OLD: Successor(NEW, 2)}
    assert heirs(gone_and_come(ours=-2, theirs=-4)) == {OLD: Successor(NEW, 2)}
    third = "NVDA  260417C00058330"  # exchanges round the strike to a cent
    assert heirs(gone_and_come(third, 1, 3), 3.0) == {OLD: Successor(third, 3)}


@pytest.mark.parametrize(
    ("differences", "ratio"),
    [
        (gone_and_come(), 1.0),  # nobody split
        (gone_and_come(theirs=3), 1.5),  # adjusted contracts
        (gone_and_come(), 2.5),
        (gone_and_come("NVDA  260417C00087510"), 2.0),  # a whole cent is another strike
        ((Difference("NVDA", Decimal(1), Decimal(0)), Difference("AMD", Decimal(0), Decimal(2))), 2.0),  # shares
        (gone_and_come(theirs=1), 0.5),  # a reverse split
        (gone_and_come(theirs=3), 2.0),  # somebody traded as well
        (gone_and_come("NVDA  260417P00087500"), 2.0),
        (gone_and_come("NVDA  260515C00087500"), 2.0),
        (gone_and_come("NVDA  260417C00087000"), 2.0),
        (gone_and_come("AMD   260417C00087500"), 2.0),
        (gone_and_come()[:1], 2.0),
        ((Difference(OLD, Decimal(2), Decimal(1)), gone_and_come()[1]), 2.0),  # the old one is still there
        ((gone_and_come()[0], Difference(NEW, Decimal(1), Decimal(4))), 2.0),  # that one was held before
        ((Difference("", Decimal(1), Decimal(2)), Difference("NVDA", Decimal(1), Decimal(0))), 2.0),
    ],
)
def test_what_no_whole_split_explains_has_no_heir(differences, ratio):
    assert heirs(differences, ratio) == {}


def test_a_stock_that_did_not_split_keeps_none_after_it_from_going_on():
    other = Difference("AMD   260417C00200000", Decimal(1), Decimal(0))
    assert heirs((other, *gone_and_come())) == {OLD: Successor(NEW, 2)}


def test_the_new_contracts_belong_to_the_strategy_and_the_trade_that_held_the_old_ones():
    book = Book(Decimal(0))
    book.adopt(BrokerPosition(OLD, 2, Decimal(4), 100), "atr_matrix", "P1", 1)
    both = {OLD: Successor(NEW, 2), "NVDA  260417C00180000": Successor("not held", 2)}
    assert owners_of(book, both) == {NEW: ("atr_matrix", "P1")}


def test_a_guard_watches_the_new_contracts_when_all_its_legs_go_on_alike():
    higher, later = OLD.replace("175", "180"), "NVDA  260417C00090000"
    legs = (Leg(OLD, Action.BUY_TO_OPEN, 1), Leg(higher, Action.SELL_TO_OPEN, 1))
    state = replace(protect(plan(), "P1", 3, Decimal("2.50")), opened=4)
    guard = Guard(legs, 1, state, goal=2, loose=(0, 1))
    both = {OLD: Successor(NEW, 2), higher: Successor(later, 2)}
    after = renamed(guard, both)
    assert [leg.symbol for leg in after.legs] == [NEW, later]
    assert [leg.action for leg in after.legs] == [leg.action for leg in legs]
    assert (after.state.opened, after.state.quantity, after.goal) == (8, 6, 4)
    assert after.state.entry_premium == Decimal("1.25")
    assert (after.loose, [type(count) for count in after.loose]) == ((0, 2), [int, int])
    assert renamed(guard, {OLD: both[OLD]}) is None
    assert renamed(guard, both | {higher: Successor(later, 3)}) is None
    assert renamed(after, both) is None  # not twice

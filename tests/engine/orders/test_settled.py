"""A close waits for what the broker's ledger shows: less there means less may be closed, whatever we counted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, Fill
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.ledger import Ledger
from tests.engine.fakes import CASH, OCC, clock_at
from tests.engine.house import opened

NOW = clock_at().now()


def held(quantity):
    book = Book(CASH)
    book.adopt(BrokerPosition(OCC, quantity, Decimal(4), 100), "s", "P", NOW)
    return book


@pytest.mark.parametrize(
    ("ours", "theirs", "certain"), [(4, 4, 4), (4, 2, 2), (4, 6, 4), (4, -1, 0), (-4, -3, -3), (-4, 2, 0), (-4, -9, -4)]
)
def test_the_smaller_of_both_on_the_same_side_is_certain(ours, theirs, certain):
    book = held(ours)
    book.settle({OCC: theirs})
    assert book.settled(OCC) == closable(book, Ledger(), OCC) == certain


def test_what_the_broker_does_not_name_is_flat_and_what_was_never_read_is_ours():
    book = held(4)
    assert book.settled(OCC) == 4
    book.settle({})
    assert book.settled(OCC) == 0
    assert book.settled("F     260417C00012000") == 0


def test_a_fill_or_an_adopted_position_outdates_what_was_read():
    book = held(4)
    book.settle({OCC: 1})
    book.apply(Fill("f1", "1", OCC, Action.BUY_TO_OPEN, 1, Decimal(4), NOW), "s", "P")
    assert book.settled(OCC) == 5
    book.settle({OCC: 1})
    book.adopt(BrokerPosition(OCC, 3, Decimal(4), 100), "s", "P", NOW)
    assert book.settled(OCC) == 3


async def test_every_reading_of_the_account_is_taken_unless_a_fill_came_meanwhile():
    async with opened() as house:
        await house.hold(4)
        house.broker.held[OCC] = 3
        await house.oversight.read_account()
        assert house.book.settled(OCC) == 3
        house.broker.held[OCC] = 0
        reading = house.broker.account_state

        async def slow():
            state = await reading()
            house.book.fill_count += 1
            return replace(state, positions=())

        house.broker.account_state = slow
        await house.oversight.read_account()
        assert house.book.settled(OCC) == 3

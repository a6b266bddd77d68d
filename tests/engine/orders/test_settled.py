"""A close waits for what the broker's ledger shows: less there means less may be closed, whatever we counted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.orders import Action, BrokerPosition, Fill
from qmterm.engine.orders.book import WITNESS_NS, Book
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.ledger import Ledger
from tests.engine.fakes import CASH, OCC, clock_at
from tests.engine.house import opened

NOW = clock_at().now()


def row(quantity, stamp=0):
    return BrokerPosition(OCC, quantity, Decimal(4), 100, updated_ns=stamp)


def held(quantity):
    book = Book(CASH)
    book.adopt(BrokerPosition(OCC, quantity, Decimal(4), 100), "s", "P", NOW)
    return book


@pytest.mark.parametrize(
    ("ours", "theirs", "certain"), [(4, 4, 4), (4, 2, 2), (4, 6, 4), (4, -1, 0), (-4, -3, -3), (-4, 2, 0), (-4, -9, -4)]
)
def test_the_smaller_of_both_on_the_same_side_is_certain(ours, theirs, certain):
    book = held(ours)
    book.settle([row(theirs)], NOW)
    assert book.settled(OCC) == closable(book, Ledger(), OCC) == certain


def test_what_the_broker_does_not_name_is_flat_and_what_was_never_read_is_ours():
    book = held(4)
    assert book.settled(OCC) == 4
    book.settle([], NOW)
    assert book.settled(OCC) == 0
    assert book.settled("F     260417C00012000") == 0


def test_a_fill_or_an_adopted_position_outdates_what_was_read():
    book = held(4)
    book.settle([row(1)], NOW)
    book.apply(Fill("f1", "1", OCC, Action.BUY_TO_OPEN, 1, Decimal(4), NOW), "s", "P")
    assert book.settled(OCC) == 5
    book.settle([row(1)], NOW)
    book.adopt(BrokerPosition(OCC, 3, Decimal(4), 100), "s", "P", NOW)
    assert book.settled(OCC) == 3


def bought(quantity, stamp, number=1):
    return Fill(f"f{number}", str(number), OCC, Action.BUY_TO_OPEN, quantity, Decimal(4), stamp)


def lagging():
    """Four bought at NOW and the ledger read a second later without them."""
    book = Book(CASH)
    book.apply(bought(4, NOW), "s", "P")
    book.settle([], NOW + NS)
    assert book.settled(OCC) == 0
    assert book.behind
    return book


def test_a_frame_of_the_stream_shows_what_a_lagging_ledger_does_not():
    book = lagging()
    book.shows(row(4, NOW))
    assert book.settled(OCC) == 4
    assert not book.behind
    book.settle([], NOW + 2 * NS)  # it lags still
    assert book.settled(OCC) == 4


def test_a_frame_never_makes_more_closable_than_is_held():
    book = lagging()
    book.shows(row(9, NOW))
    assert book.settled(OCC) == 4
    book.shows(row(-4, NOW + 1))
    assert book.settled(OCC) == 0


def test_a_frame_older_than_our_latest_fill_says_nothing():
    book = lagging()
    book.shows(row(4, NOW - 1))
    assert book.settled(OCC) == 0
    book.shows(row(4, 0))  # nor does one without a time
    assert book.settled(OCC) == 0


def test_a_late_or_doubled_frame_does_not_bring_back_what_was_closed_elsewhere():
    book = lagging()
    book.shows(row(4, NOW))
    book.shows(row(0, NOW + 5))  # somebody closed it; that fill has not reached us
    book.shows(row(4, NOW))
    assert book.settled(OCC) == 0
    book.settle([], NOW + NS)
    assert book.settled(OCC) == 0


def test_a_frame_from_before_the_ledgers_own_row_is_not_believed():
    """The frame that told of the close was lost, REST lists the position as closed, the old frame comes late."""
    book = lagging()
    book.settle([row(0, NOW + 5)], NOW + NS)
    book.shows(row(4, NOW))
    assert book.settled(OCC) == 0
    book.shows(row(4, NOW + 5))
    assert book.settled(OCC) == 0


def test_a_ledger_that_never_lists_the_symbol_is_believed_after_half_a_minute():
    book = lagging()
    book.shows(row(4, NOW))
    book.settle([], NOW + WITNESS_NS)
    assert book.settled(OCC) == 0


def test_a_newer_row_of_the_ledger_outranks_the_frame_and_an_older_one_does_not():
    book = lagging()
    book.shows(row(4, NOW + 5))
    book.settle([row(1, NOW + 1)], NOW + NS)
    assert book.settled(OCC) == 4
    book.settle([row(1, NOW + 9)], NOW + NS)
    assert book.settled(OCC) == 1
    book.settle([row(2, 0)], NOW + NS)  # without a time it cannot be older
    assert book.settled(OCC) == 2


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("frame"), st.integers(0, 9)),
            st.tuples(st.just("read"), st.integers(0, 3)),
            st.tuples(st.just("fill"), st.just(0)),
        ),
        max_size=30,
    ),
    st.lists(st.integers(-4, 4).filter(bool), min_size=1, max_size=10),
)
def test_frames_in_any_order_never_show_more_than_the_broker_held_at_or_after_the_newest_word(events, changes):
    """The broker's position moves by `changes`; frames of any moment arrive in any order, some never."""
    states, total = [], 0
    for moment, change in enumerate(changes):
        total = max(0, total + change)
        states.append((total, NOW + moment))
    book = Book(CASH)
    book.adopt(BrokerPosition(OCC, 40, Decimal(4), 100), "s", "P", NOW)  # we believe in far too many
    newest = None
    for kind, which in events:
        if kind == "frame":
            quantity, stamp = states[which % len(states)]
            newest = max(newest or 0, stamp)
            book.shows(row(quantity, stamp))
        elif kind == "read":  # a ledger that is up to `which` moments behind
            quantity, stamp = states[max(0, len(states) - 1 - which)]
            newest = max(newest or 0, stamp)
            book.settle([row(quantity, stamp)], NOW)
    if newest is not None and OCC in book._settled:
        assert book.settled(OCC) == min(40, dict((stamp, quantity) for quantity, stamp in states)[newest])


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

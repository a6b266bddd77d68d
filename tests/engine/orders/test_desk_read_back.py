"""Cancels and read-backs of the desk in their exact words: asked once, rested, absent twice, moved, told once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.core.errors import BrokerError, OutcomeUnknown
from qmterm.core.orders import OrderState
from qmterm.engine.orders.ledger import CANCEL_REST_NS, OrderRecord
from tests.engine.fakes import OCC, entry, lost
from tests.engine.orders.desk_seat import BUY, Seat, order_line


@pytest.fixture
def at() -> Seat:
    return Seat()


# --- cancelling ---


async def test_a_cancel_is_asked_once_and_says_so(at):
    record = await at.desk.submit(entry())
    at.clock.advance(2)
    assert await at.desk.cancel(record, "you") == f"cancel asked for {BUY}"
    assert at.told[-1] == order_line("info", f"cancel asked (you) {BUY}")
    assert (record.cancel_asked, record.cancel_asked_at) == (True, at.clock.monotonic())
    assert (at.broker.cancels, record.cancel_rests_until_ns) == (["1000"], 0)


async def test_a_cancel_of_what_is_over_or_has_no_number_is_not_sent(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    assert await at.desk.cancel(record, "you") == f"{BUY} has no broker id yet (unknown): read-back comes first"
    record.state = OrderState.CANCELLED
    assert await at.desk.cancel(record, "you") == f"{BUY} is already cancelled"
    assert (at.broker.cancels, record.cancel_asked) == ([], False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BrokerError("too late", "x"), "cancel refused: too late"),
        (OutcomeUnknown("reset"), "cancel not confirmed: reset"),
    ],
)
async def test_a_cancel_without_effect_may_be_asked_again_after_a_rest(at, error, words):
    record = await at.desk.submit(entry())

    async def cancel(broker_id):
        raise error

    at.broker.cancel = cancel
    assert await at.desk.cancel(record, "you") == words
    assert at.told[-1] == order_line("warn", words)
    assert record.cancel_asked is False
    assert record.cancel_rests_until_ns == at.now + CANCEL_REST_NS


# --- read-back ---


async def unknown(at) -> OrderRecord:
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    at.told.clear()
    at.journal.orders.clear()
    return record


async def test_absence_is_proved_by_two_whole_read_backs_that_far_apart(at):
    at.clock.advance(1000)
    record = await unknown(at)
    state = await at.broker.account_state()
    await at.desk.read_back(replace(state, complete=False))
    assert record.absent_since is None
    began = at.clock.monotonic()
    await at.desk.read_back(state)
    at.clock.advance(9.99)
    await at.desk.read_back(state)
    assert (record.state, record.absent_since) == (OrderState.UNKNOWN, began)
    at.clock.advance(0.01)
    await at.desk.read_back(state)
    assert at.journal.orders == [("qm-1", OrderState.NOT_ACCEPTED, None, at.now, "absent from two complete read-backs")]
    assert at.told == [order_line("warn", f"not accepted: {BUY}; never sent again, watched until the session ends")]
    assert record.absent_since is None


async def test_a_reading_counts_from_the_moment_it_began(at):
    record = await unknown(at)
    state = await at.broker.account_state()
    await at.desk.read_back(state, began_at=record.unknown_since - 0.001)
    assert record.absent_since is None
    at.clock.advance(1)
    await at.desk.read_back(state, began_at=record.unknown_since)
    assert record.absent_since == record.unknown_since


async def test_two_readings_that_began_together_are_one_look_however_late_their_answers_come(at):
    """A poll and a comparison: both asked before the order arrived, one was slow."""
    record = await unknown(at)
    state, began = await at.broker.account_state(), at.clock.monotonic()
    at.clock.advance(1)
    await at.desk.read_back(state, began_at=began + 0.1)
    at.clock.advance(11)
    await at.desk.read_back(state, began_at=began + 0.2)
    assert record.state is OrderState.UNKNOWN
    await at.desk.read_back(state, began_at=began + 10.2)
    assert record.state is OrderState.NOT_ACCEPTED


async def test_one_order_that_a_reading_cannot_judge_hides_no_other(at):
    first = await unknown(at)
    at.clock.advance(5)
    at.broker.before_accept = lost
    second = await at.desk.submit(entry("qm-2"))
    first.unknown_since, second.unknown_since = second.unknown_since, first.unknown_since
    began = at.clock.monotonic() - 1
    await at.desk.read_back(await at.broker.account_state(), began_at=began)
    assert (first.absent_since, second.absent_since) == (None, began)


async def test_a_position_that_moved_stops_the_clock_and_is_told_once(at):
    record = await unknown(at)
    await at.desk.read_back(await at.broker.account_state())
    assert record.absent_since is not None
    at.broker.held[OCC] = 2
    moved = await at.broker.account_state()
    for _ in range(3):
        at.clock.advance(3)
        await at.desk.read_back(moved)
    assert at.told == [order_line("alarm", f"unknown order is in no list, but the position moved: {BUY}")]
    assert (record.absent_since, record.alarmed, record.state) == (None, True, OrderState.UNKNOWN)
    at.broker.held.clear()  # it was somebody's news on the way: absence is proved anew
    await at.desk.read_back(await at.broker.account_state())
    assert (record.absent_since, record.moved_since) == (at.clock.monotonic(), None)


async def test_a_position_that_stays_moved_is_given_up_to_the_comparison_with_an_alarm(at):
    record = await unknown(at)
    at.broker.held[OCC] = 2
    moved = await at.broker.account_state()
    await at.desk.read_back(moved)
    at.clock.advance(9.99)
    await at.desk.read_back(moved)
    assert record.state is OrderState.UNKNOWN
    at.clock.advance(0.01)
    await at.desk.read_back(moved)
    why = "in no list of two complete read-backs; what the position moved by is adopted as a difference"
    assert at.journal.orders == [("qm-1", OrderState.NOT_ACCEPTED, None, at.now, why)]
    assert at.told[-1] == order_line("alarm", f"given up: {BUY}: {why}")
    assert at.book.quantity(OCC) == 0  # adopted by the comparison, not here


async def test_a_moved_position_of_one_order_does_not_keep_another_from_being_judged(at):
    other = "NVDA  260417C00180000"
    first = await unknown(at)
    second = await at.desk.submit(entry("qm-2", symbol=other))
    await at.desk.read_back(await at.broker.account_state())
    at.clock.advance(10)
    at.broker.held[OCC] = 2
    await at.desk.read_back(await at.broker.account_state())
    assert (first.state, second.state) == (OrderState.UNKNOWN, OrderState.NOT_ACCEPTED)


async def test_a_position_that_is_where_we_have_it_has_not_moved(at):
    await at.desk.submit(entry("qm-0"))
    await at.desk.on_order(at.broker.fill("1000", 2))
    record = await unknown(at)
    await at.desk.read_back(await at.broker.account_state())
    assert record.absent_since == at.clock.monotonic()

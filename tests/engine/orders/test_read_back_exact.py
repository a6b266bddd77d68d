"""When exactly an order that no list shows is asked for, and what its answer or its silence means for differences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.core.orders import OrderState, TimeInForce
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.read_back import ASK_AGAIN_S, awaited
from tests.engine.fakes import OCC, entry, lost
from tests.engine.orders.desk_seat import Seat
from tests.engine.orders.test_read_back import away, read_twice

OTHER = "NVDA  260417C00180000"


@pytest.fixture
def at() -> Seat:
    seat = Seat()
    seat.clock.advance(1000)
    return seat


async def read_after(at, seconds):
    at.clock.advance(seconds)
    await at.desk.read_back(await at.broker.account_state())


async def test_two_readings_that_began_in_one_moment_are_one(at):
    await at.desk.submit(entry())
    away(at.broker, "1000")
    await read_after(at, 0)
    await read_after(at, 0)
    assert at.broker.looked_up == []


async def test_one_that_works_on_is_asked_for_again_when_its_time_has_come_and_no_moment_sooner(at):
    record = await at.desk.submit(replace(entry(), time_in_force=TimeInForce.GTC))
    await at.desk.on_order(at.broker.set_state("1000", OrderState.LIVE))
    away(at.broker, "1000")
    await read_twice(at)
    assert (record.looked_up_at, record.missing_since) == (at.clock.monotonic() - 1, None)
    await read_after(at, ASK_AGAIN_S - 2)
    assert at.broker.looked_up == ["1000"]
    await read_after(at, 1)
    assert at.broker.looked_up == ["1000"] * 2


async def test_one_that_the_broker_does_not_know_is_asked_for_again_after_the_window(at):
    record = await at.desk.submit(entry())
    at.broker.orders.clear()
    await read_twice(at)
    await read_after(at, 8)
    assert (at.broker.looked_up, record.state) == (["1000"], OrderState.RECEIVED)
    await read_after(at, 1)
    assert (at.broker.looked_up, record.state) == (["1000"] * 2, OrderState.REMOVED)


async def test_a_number_that_names_another_order_of_ours_does_not_say_that_this_one_stands(at):
    """A sandbox that began anew gives its numbers again."""
    record = await at.desk.submit(entry())
    second = await at.desk.submit(entry("qm-2"))
    away(at.broker, "1000")
    at.broker.archive["1000"] = replace(at.broker.orders[second.broker_id], broker_id="1000")
    await read_twice(at)
    assert (record.looked_up_at, record.missing_since) == (None, at.clock.monotonic() - 1)


async def test_an_order_of_today_is_not_searched_for_the_lists_would_show_it(at):
    at.broker.before_accept = lost
    record = await at.desk.submit(entry())
    await read_after(at, 1)
    await read_after(at, 10)
    assert (record.state, at.broker.searched) == (OrderState.NOT_ACCEPTED, [])


# --- what may still explain a difference ---


def ledger_of(*records):
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    return ledger


def unseen(name="qm-1", state=OrderState.LIVE, symbol=OCC, **more):
    """In no list since 50."""
    return OrderRecord(
        entry(name, symbol=symbol), state, **({"broker_id": name, "absent_since": 50.0, "looked_up_at": None} | more)
    )


def test_any_order_without_an_outcome_may_explain_it():
    ledger = ledger_of(OrderRecord(entry(symbol=OTHER), OrderState.UNKNOWN))
    assert awaited(ledger, [OCC], 60.0) == "an order's outcome is still unknown; its differences wait for it"


def test_an_order_that_is_asked_for_may_explain_the_difference_of_its_contract():
    text = "what became of BUY 2 NVDA 17APR26 175C @ 4.15 db is asked; its differences wait for it"
    assert awaited(ledger_of(unseen("qm-0", symbol=OTHER), unseen()), [OCC], 60.0) == text
    assert awaited(ledger_of(unseen(looked_up_at=49.0)), [OCC], 60.0) == text


@pytest.mark.parametrize(
    "record",
    [
        unseen(looked_up_at=50.0),  # answered since
        unseen(absent_since=None),  # a list shows it
        unseen(state=OrderState.CANCELLED),
        unseen(state=OrderState.SENT, broker_id=None),  # its own answer is on the way
    ],
)
def test_no_other_does(record):
    assert awaited(ledger_of(record), [OCC], 60.0) == ""


def test_nor_does_it_explain_cash_alone():
    assert awaited(ledger_of(unseen()), [""], 60.0) == ""

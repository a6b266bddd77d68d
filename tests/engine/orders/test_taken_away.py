"""An exit at the broker that a person wants gone: kept on the disk as that, so that no later run puts it back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import OrderState
from qmterm.engine.orders.brackets import ExitTerms, exits_behind
from qmterm.journal.state import TAKEN_AWAY
from tests.engine.fakes import entry
from tests.engine.orders.desk_seat import Seat

BRACKET = exits_behind(entry(), ExitTerms(Decimal("2.05"), Decimal("9.00")))


@pytest.fixture
async def at():
    """A bracket that stands at the broker, its stop not wanted by a person; no row was written since."""
    seat = Seat()
    seat.records = tuple(seat.desk.register(intent) for intent in BRACKET)
    await seat.desk.send_bracket(seat.records, lambda _record: None)
    seat.trigger, seat.target, seat.stop = seat.records
    seat.stop.unwanted = True
    seat.journal.orders.clear()
    return seat


async def test_the_disk_keeps_of_the_exit_alone_that_a_person_took_it_away(at):
    await at.desk.cancel(at.target, "by you")
    row = (at.stop.intent.intent_id, at.stop.state, at.stop.broker_id, at.now, TAKEN_AWAY)
    assert (at.journal.orders, at.stop.reason) == ([row], TAKEN_AWAY)


async def test_a_second_cancel_writes_it_no_second_time(at):
    await at.desk.cancel(at.stop, "by you")
    await at.desk.cancel(at.stop, "by you")
    assert len(at.journal.orders) == 1


@pytest.mark.parametrize(
    ("state", "number"),
    [(OrderState.UNKNOWN, "77"), (OrderState.UNKNOWN, None), (OrderState.INTENT, None), (OrderState.FILLED, "77")],
)
async def test_nothing_is_kept_of_one_that_does_not_stand_there(at, state, number):
    at.stop.state, at.stop.broker_id = state, number
    await at.desk.cancel(at.target, "by you")
    assert (at.journal.orders, at.stop.reason) == ([], "")


async def test_nor_of_an_entry_that_is_not_wanted_any_more(at):
    at.stop.unwanted, at.trigger.unwanted = False, True
    await at.desk.cancel(at.target, "by you")
    assert (at.journal.orders, at.trigger.reason) == ([], "")


@pytest.mark.parametrize(
    ("state", "why", "kept"),
    [
        (OrderState.CANCEL_REQUESTED, "", TAKEN_AWAY),
        (OrderState.CANCELLED, "", TAKEN_AWAY),
        (OrderState.CANCELLED, "margin call", "margin call"),
        (OrderState.FILLED, "", None),
    ],
)
async def test_its_end_is_kept_with_that_reason_unless_it_has_one_of_its_own(at, state, why, kept):
    await at.desk.move(at.stop, state, why)
    assert at.journal.orders == [(at.stop.intent.intent_id, state, at.stop.broker_id, at.now, kept)]
    assert at.stop.reason == (kept or "")


async def test_the_end_of_an_exit_that_nobody_took_away_has_no_such_reason(at):
    await at.desk.move(at.target, OrderState.CANCELLED, "")
    assert at.journal.orders[0][-1] is None

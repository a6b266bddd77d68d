"""Orders that only the journal still knows: of an earlier day, ours or adopted then; none is adopted a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.core.orders import BrokerOrder, OrderState
from qmterm.engine.orders.ledger import adopt
from qmterm.journal.state import StoredOrder
from tests.engine.fakes import entry
from tests.engine.orders.desk_seat import Seat

OURS = entry()
TOLD = BrokerOrder(
    "77", "qm-1", "5WT00001", "NVDA", OrderState.CANCELLED, OURS.legs, (), OURS.net_price, "Day", 1, 1
)  # fmt: skip
THEIRS = replace(TOLD, external_id=None)


def stored(intent, broker_id):
    return StoredOrder(intent, OrderState.LIVE, broker_id, 5, None, 7)


@pytest.fixture
def at():
    """Its journal has `old`, by intent id, and keeps in `sought` what it was asked for."""
    seat = Seat()
    seat.old, seat.sought = {}, []

    async def stored_order(intent_id):
        seat.sought.append(intent_id)
        return seat.old.get(intent_id)

    seat.journal.stored_order = stored_order
    return seat


@pytest.mark.parametrize("number", ["77", None])
async def test_ours_of_an_earlier_day_is_known_by_its_tag(at, number):
    at.old["qm-1"] = stored(OURS, number)
    at.clock.advance(5)
    record = await at.desk.on_order(TOLD)
    assert (record.intent, record.external, record.known_since) == (OURS, False, at.clock.monotonic())
    assert at.desk.ledger.get("qm-1") is record
    assert at.journal.rows == [("cancelled", "qm-1")]  # its end, and no second intent
    assert (record.broker_id, record.state, at.sought) == ("77", OrderState.CANCELLED, ["qm-1"])


async def test_what_was_adopted_on_an_earlier_day_is_not_adopted_again(at):
    before = adopt(replace(THEIRS, state=OrderState.LIVE), 1, 1.0).intent
    at.old["ext-77"] = stored(before, "77")
    record = await at.desk.on_order(THEIRS)
    assert (record.intent, record.external, at.sought) == (before, True, ["ext-77"])
    assert at.journal.rows == [("cancelled", "ext-77")]
    assert all("adopted" not in line[2] for line in at.told)


async def test_a_tag_of_an_earlier_day_that_belongs_to_another_number_is_not_it(at):
    at.old["qm-1"] = stored(OURS, "12")
    record = await at.desk.on_order(TOLD)
    assert (record.intent.intent_id, record.external, at.sought) == ("ext-77", True, ["qm-1", "ext-77"])
    assert at.journal.rows == [("intent", "ext-77"), ("cancelled", "ext-77")]


async def test_a_tag_of_today_is_not_looked_for_among_those_of_earlier_days(at):
    await at.desk.submit(OURS)
    record = await at.desk.on_order(TOLD)
    assert (record.intent.intent_id, at.sought) == ("ext-77", ["ext-77"])

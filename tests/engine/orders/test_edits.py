"""Another price by a person: one replacement, judged where it gets dearer, never of what is not certain."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import ClosePosition, EditOrder, StageTicket
from qmterm.engine.ladder import Level
from tests.engine.fakes import lost
from tests.engine.house import opened

WALKING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)


async def working(house, text="buy 2 NVDA 17APR26 175C @ 4.10"):
    answer = await house.tickets.stage(StageTicket(text, send=True))
    assert answer.ok, answer.text
    await house.lanes.idle()
    record = house.working[-1]
    await house.desk.on_order(house.broker.set_state(record.broker_id, OrderState.LIVE))
    return record


async def edit(house, order_id, price):
    answer = house.edits.edit(EditOrder(order_id, price))
    await house.lanes.idle()
    return answer


async def test_an_edit_sends_one_replacement_for_what_is_open():
    async with opened() as house:
        record = await working(house)
        await house.filled(record.broker_id, 1)
        answer = await edit(house, record.intent.intent_id[-4:], "4.15")
        assert answer.ok, answer.text
        assert [old for old, _ in house.broker.puts] == [record.broker_id]
        new = house.desk.ledger.replacing(record)[0]
        assert (str(new.intent.net_price), new.intent.quantity) == ("-4.15", 1)
        assert (new.intent.reason, new.intent.worst_price) == (Reason.USER, None)
        assert new.intent.max_loss > 415
        for report in house.broker.took_over(new.broker_id):
            await house.desk.on_order(report)
        assert [r.intent.intent_id for r in house.working] == [new.intent.intent_id]


async def test_a_price_that_a_person_gave_is_not_walked_afterwards():
    async with opened(orders=WALKING) as house:
        house.quote(4.10, 4.30)
        record = await working(house, "buy 1 NVDA 17APR26 175C")
        assert record.intent.worst_price is not None
        assert (await edit(house, record.intent.intent_id, "4.15")).ok
        new = house.desk.ledger.replacing(record)[0]
        for report in house.broker.took_over(new.broker_id):
            await house.desk.on_order(report)
        for _ in range(3):
            house.clock.advance(10)
            house.quote(4.10, 4.30)
            await house.turn()
        assert len(house.broker.puts) == 1


async def test_a_fill_that_wins_the_race_ends_it_and_the_edit_is_called_off():
    async with opened() as house:
        record = await working(house)
        assert (await edit(house, record.intent.intent_id, "4.15")).ok
        new = house.desk.ledger.replacing(record)[0]
        await house.filled(record.broker_id, 2)
        await house.desk.on_order(house.broker.set_state(new.broker_id, OrderState.REMOVED))
        assert house.book.quantity(record.intent.legs[0].symbol) == 2
        assert house.working == ()


async def test_an_order_whose_outcome_is_unknown_is_not_touched():
    async with opened() as house:
        house.broker.before_accept = lost
        answer = await house.tickets.stage(StageTicket("buy 1 NVDA 17APR26 175C @ 4.10", send=True))
        assert answer.ok
        await house.lanes.idle()
        (record,) = house.desk.ledger.unknown
        answer = await edit(house, record.intent.intent_id, "4.15")
        assert not answer.ok
        assert "not known yet" in answer.text
        assert house.broker.puts == []


async def test_a_second_edit_waits_for_the_first():
    async with opened() as house:
        record = await working(house)
        assert (await edit(house, record.intent.intent_id, "4.15")).ok
        await house.desk.on_order(house.broker.orders[record.broker_id])
        again = await edit(house, record.intent.intent_id, "4.20")
        assert not again.ok
        assert len(house.broker.puts) == 1


async def test_a_dearer_price_must_fit_the_limits_and_a_cheaper_one_need_not():
    async with opened() as house:
        house.quote(4.10, 5.00)
        record = await working(house, "buy 4 NVDA 17APR26 175C @ 4.50")
        dearer = await edit(house, record.intent.intent_id, "5.00")
        assert dearer.refused
        assert "allows 3 of 4" in dearer.text
        assert house.broker.puts == []
        assert (await edit(house, record.intent.intent_id, "4.45")).ok


async def test_under_no_new_an_entry_is_not_edited_and_a_close_is():
    async with opened() as house:
        await house.hold(2)
        house.quote(2.20, 2.30, "NVDA  260417C00180000")
        record = await working(house, "buy 1 NVDA 17APR26 180C @ 2.20")
        house.ladder.lower(Level.NO_NEW, Reason.USER, "", 1, by_person=True)
        assert (await edit(house, record.intent.intent_id, "2.25")).data["code"] == "LADDER_NO_NEW"
        assert house.approvals.close(ClosePosition("P1", send=True)).ok
        await house.lanes.idle()
        closing = next(r for r in house.working if r.intent.reduces)
        await house.desk.on_order(house.broker.set_state(closing.broker_id, OrderState.LIVE))
        assert (await edit(house, closing.intent.intent_id, "4.30")).ok
        assert str(house.desk.ledger.replacing(closing)[0].intent.net_price) == "4.30"


async def test_a_stops_trigger_is_edited_and_stays_a_stop():
    async with opened() as house:
        await house.hold(1)
        record = await working(house, "stc 1 NVDA 17APR26 175C stop 3.00 gtc")
        assert (await edit(house, record.intent.intent_id, "3.20")).ok
        new = house.desk.ledger.replacing(record)[0].intent
        assert (new.kind, new.stop_trigger, new.net_price) == (record.intent.kind, Decimal("3.20"), None)


@pytest.mark.parametrize(
    ("name", "price", "says"),
    [
        ("zzz", "4.15", "no order 'zzz'"),
        ("", "4.12", "the nearest are 4.10 and 4.15"),
        ("", "4.10", "is 4.10 already"),
        ("", "9.00", "PRICE_INSANE"),
        ("", "0", "cannot be zero"),
        ("", "cheap", "no price"),
        ("", "-4.10", "without a sign"),
    ],
)
async def test_an_edit_that_makes_no_sense_is_one_sentence(name, price, says):
    async with opened() as house:
        record = await working(house)
        answer = await edit(house, name or record.intent.intent_id, price)
        assert not answer.ok
        assert says in answer.text
        assert house.broker.puts == []


async def test_what_has_ended_is_not_edited():
    async with opened() as house:
        record = await working(house)
        await house.ended(record.broker_id)
        assert "nothing to edit" in (await edit(house, record.intent.intent_id, "4.15")).text


async def test_the_ledger_without_an_order_is_without_what_takes_its_place_and_has_all_others():
    async with opened() as house:
        house.quote(2.20, 2.30, "NVDA  260417C00180000")
        other = await working(house, "buy 1 NVDA 17APR26 180C @ 2.20")
        record = await working(house)
        assert (await edit(house, record.intent.intent_id, "4.15")).ok
        assert house.desk.ledger.taken_over(record) is None
        without = house.desk.ledger.without(record)
        assert without.records == (other,)
        assert without.get(record.intent.intent_id) is None

"""What the poll, the stream and the turn do to each other while one of them waits for the disk."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import BrokerPosition
from tests.engine.fakes import CASH, OCC, entry
from tests.engine.house import GONE, close_at, opened, plan

OTHER = "NVDA  260417C00180000"


def once_while_writing(house, name, act):
    """Run `act` in the middle of the first call of a journal method."""
    write = getattr(house.journal, name)
    acted = []

    async def slow(*arguments):
        if not acted:
            acted.append(True)
            await act()
        return await write(*arguments)

    setattr(house.journal, name, slow)


async def two_guards(house):
    """P1 holds 4 contracts; P2's entry of 2 works and has its guard."""
    await house.hold(4)
    second = plan("P2", house.clock.now(), OTHER)
    await house.guards.prepare(second, second.legs)
    return await house.desk.submit(replace(entry("eP2", 2, symbol=OTHER), plan_id="P2"))


async def test_a_fill_that_comes_while_another_stop_is_written_keeps_its_guard():
    async with opened() as house:
        record = await two_guards(house)
        await house.filled(record.broker_id, 1)
        once_while_writing(house, "write_protect", lambda: house.filled(record.broker_id, 1))
        house.clock.advance(300)
        close_at(house, GONE)
        await house.guards.look(lambda guard, reason, numbers: None)
        assert house.book.quantity(OTHER) == 2
        assert (house.guards.of("P2").state.quantity, house.guards.of("P2").goal) == (2, 2)
        assert house.guards.of("P1").goal == 4


async def test_a_fill_that_comes_while_a_split_is_written_keeps_its_guard():
    async with opened() as house:
        record = await two_guards(house)
        house.underlyings.splits["NVDA"] = 2.0
        house.guards.adjust_for_splits()  # nobody waits for its rows
        await house.filled(record.broker_id, 2)
        assert house.guards.of("P2").state.quantity == 2
        assert house.guards.of("P2").state.stop == pytest.approx(GONE / 2 + 0.5)


async def test_a_fill_that_comes_while_a_difference_is_written_is_not_undone():
    async with opened() as house:
        record = await house.desk.submit(entry("eP2", 2, symbol=OTHER))
        house.broker.held = {OCC: 1}  # two differences: a contract from elsewhere, and what it cost
        house.broker.cash = CASH - 400
        assert (await house.oversight.reconcile())[0] is False
        house.clock.advance(1)
        once_while_writing(house, "write_adjustment", lambda: house.filled(record.broker_id, 2))
        await house.oversight.reconcile()
        assert house.book.quantity(OCC) == 1
        assert house.book.quantity(OTHER) == 2
        fees = house.book.fees
        assert fees > 0
        assert house.book.cash == CASH - 400 - Decimal("820") - fees
        assert BrokerPosition(OTHER, 2, Decimal("4.10"), 100) in (await house.broker.account_state()).positions


async def test_a_fill_that_comes_while_an_alert_is_written_keeps_its_guard():
    async with opened() as house:
        known = replace(plan(now_ns=house.clock.now()), numbers={"iv": 0.5})
        house.trader.open(known, house.clock.monotonic(), wanted=4)
        await house.lanes.idle()
        (order,) = house.working
        await house.filled(order.broker_id, 2)
        house.clock.advance(30)
        house.quote(4.10, 4.20)
        house.marks.update()
        house.guards.iv_of = lambda symbol: 0.2
        once_while_writing(house, "write_protect", lambda: house.filled(order.broker_id, 2))
        await house.guards.look(lambda guard, reason, numbers: None)
        state = house.guards.of("P1").state
        assert (state.quantity, state.opened, state.iv_alerted) == (4, 4, True)
        assert house.journal.protects["P1"]["iv_alerted"] is True


async def test_a_stop_that_hits_while_nothing_is_free_is_announced_at_once():
    async with opened() as house:
        await house.hold(2)
        house.book.settle((), house.clock.now())
        close_at(house, GONE)
        await house.turn()
        assert [line.text for line in house.log.lines if line.level == "alarm"] == ["ATR_STOP: NVDA 17APR26 175C"]

"""A stop that waits behind an order a person placed is told of, once an order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.engine.commands import StageTicket
from tests.engine.house import GONE, close_at, opened

TOLD = "waits behind an order of yours"


def alarms(house):
    return [line.text for line in house.log.lines if line.level == "alarm" and TOLD in line.text]


async def far_sale(house):
    """Four held, and a person offers them far above the market."""
    await house.hold(4)
    assert (await house.tickets.stage(StageTicket("sell 4 NVDA 17APR26 175C @ 9.00 gtc", True))).ok
    await house.lanes.idle()
    (sale,) = house.working
    return sale


async def test_a_stop_behind_a_persons_far_limit_is_an_alarm_once_and_leaves_when_it_is_cancelled():
    async with opened() as house:
        sale = await far_sale(house)
        close_at(house, GONE)
        await house.turn()
        assert alarms(house) == []  # it may be about to fill
        house.clock.advance(15)
        house.quote(4.10, 4.20)
        for _ in range(3):
            await house.turn()
        (told,) = alarms(house)
        assert told.startswith("ATR_STOP of NVDA 17APR26 175C")
        assert "9.00" in told
        assert house.working == (sale,)
        await house.desk.cancel(sale, "you")
        await house.ended(sale.broker_id)
        await house.turn()
        (exit_,) = house.working
        assert exit_ is not sale


async def test_a_persons_order_before_any_stop_alarms_nobody():
    async with opened() as house:
        await far_sale(house)
        house.clock.advance(60)
        house.quote(4.10, 4.20)
        await house.turn()
        assert alarms(house) == []


async def test_a_stop_that_the_gate_refuses_is_an_alarm_once():
    """A long call that by now covers a sold one: alone it may not go, and nobody would know."""
    async with opened() as house:
        await house.hold(1)
        sold = BrokerPosition("NVDA  260417C00180000", -1, Decimal("2.25"), 100)
        house.book.adopt(sold, "atr_matrix", "", house.clock.now())
        close_at(house, GONE)
        for _ in range(3):
            house.clock.advance(15)
            house.quote(4.10, 4.20)
            await house.turn()
        told = [line.text for line in house.log.lines if line.level == "alarm" and "cannot leave" in line.text]
        assert house.working == ()
        assert len(told) == 1
        assert "UNDEFINED_RISK" in told[0]


async def test_a_latch_of_what_is_closed_already_blocks_nothing_and_alarms_nobody():
    async with opened() as house:
        sale = await far_sale(house)
        (guard,) = house.guards.all
        ghost = replace(guard.state, position_id="P0", quantity=0, latched=Reason.ATR_STOP)
        await house.guards._keep(replace(guard, state=ghost))
        house.clock.advance(60)
        house.quote(4.10, 4.20)
        await house.turn()
        assert alarms(house) == []
        assert not sale.unwanted

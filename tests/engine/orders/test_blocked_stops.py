"""A stop that waits behind an order a person placed is told of, once an order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.engine.commands import StageTicket
from tests.engine.fakes import OCC
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


async def test_a_profit_taken_on_one_contract_lets_the_stop_of_the_others_out_and_is_told():
    async with opened() as house:
        await house.hold(4)
        assert (await house.tickets.stage(StageTicket("sell 1 NVDA 17APR26 175C @ 9.00 gtc", True))).ok
        await house.lanes.idle()
        close_at(house, GONE)
        for _ in range(3):
            house.clock.advance(5)
            house.quote(4.10, 4.20)
            await house.turn()
        sale, stop = house.working
        assert (stop.intent.reason, stop.intent.quantity) == (Reason.ATR_STOP, 3)
        assert len(alarms(house)) == 1
        await house.filled(stop.broker_id, 3)
        await house.turn()
        assert house.working == (sale,)  # that one is the person's
        await house.ended(sale.broker_id)
        await house.turn()
        assert [(r.intent.reason, r.intent.quantity) for r in house.working] == [(Reason.ATR_STOP, 1)]


async def test_a_persons_order_that_leaves_a_stop_enough_alarms_nobody():
    """Two trades in one contract: what the person closes is not what the stop needs."""
    async with opened() as house:
        await house.hold(2)
        house.book.adopt(BrokerPosition(OCC, 6, Decimal("4.10"), 100), "atr_matrix", "P1", house.clock.now())
        assert (await house.tickets.stage(StageTicket("sell 4 NVDA 17APR26 175C @ 9.00 gtc", True))).ok
        await house.lanes.idle()
        close_at(house, GONE)
        for _ in range(3):
            house.clock.advance(20)
            house.quote(4.10, 4.20)
            await house.turn()
        assert Reason.ATR_STOP in {r.intent.reason for r in house.working}
        assert alarms(house) == []

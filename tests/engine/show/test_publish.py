"""What a screen is told of trades and of what they can lose."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.commands import StageTicket
from qmterm.engine.show.publish import Publisher
from tests.engine.house import opened

HIGH = "NVDA  260417C00180000"
SPREAD = "buy 1 NVDA 17APR26 175C / sell 1 NVDA 17APR26 180C @ 1.85 db"


def shown(house):
    portfolio = SimpleNamespace(greeks={}, view=lambda: None, expiry=tuple)
    scanning = SimpleNamespace(result=None, symbols=(), last=lambda symbol: 178.0)
    house.marks.update()
    return Publisher(
        house.trader, scanning, None, None, None, house.clock, house.log, RiskSettings(), portfolio,
        lambda: None, lambda: None,
    )  # fmt: skip


def trade_at_risk(house):
    limits = {row.name: row for row in shown(house)._risk_view({}).limits}
    return limits["trade"].used, limits["symbol"].used


async def typed(house, text):
    assert (await house.tickets.stage(StageTicket(text, True))).ok
    await house.lanes.idle()
    return house.working[-1].broker_id


async def test_a_spread_is_one_trade_that_loses_what_was_paid():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGH)
        spread = await typed(house, SPREAD)
        working, _ = trade_at_risk(house)
        assert 185 < working < 200
        await house.filled(spread, 1, "4.15")
        await house.filled(spread, 1, "2.30", HIGH)
        trade, symbol = trade_at_risk(house)
        assert 185 < trade < 200
        assert trade == symbol


async def test_a_trade_counts_what_still_works_of_its_entry():
    async with opened() as house:
        entry = await typed(house, "buy 2 NVDA 17APR26 175C @ 4.15")
        await house.filled(entry, 1, "4.15")
        assert 830 < trade_at_risk(house)[0] < 840


async def test_a_call_that_another_trade_covers_is_not_bare():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGH)
        await house.filled(await typed(house, "buy 1 NVDA 17APR26 175C @ 4.15"), 1, "4.15")
        await house.filled(await typed(house, "sell 1 NVDA 17APR26 180C @ 2.20"), 1, "2.20", HIGH)
        trade, symbol = trade_at_risk(house)
        assert trade == symbol < 220


async def test_what_a_person_opened_shows_its_premium_stop():
    async with opened() as house:
        await house.filled(await typed(house, "buy 1 NVDA 17APR26 175C @ 4.15"), 1, "4.15")
        (row,) = shown(house)._positions({})
        assert (row.stop, row.premium_stop) == (None, Decimal("2.07"))

"""A restart: what came or went while we were away is taken out of what losses are measured from."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.settings.engine import EngineSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.opening import SessionTerms, open_account, recover, restore_orders
from qmterm.engine.oversight import Oversight
from qmterm.journal.journal import Journal
from tests.engine.fakes import CASH, FakeBroker, clock_at
from tests.engine.house import House

TERMS = SessionTerms("auto", "sim", "paper", "config-1")


class Run:
    """One run of the engine's order half on a journal that outlives it."""

    def __init__(self, path, broker, clock):
        self.path, self.broker, self.clock = path, broker, clock

    async def __aenter__(self):
        self.journal = await Journal.open(self.path, self.clock)
        opened = await open_account(self.broker, self.journal, self.clock, TERMS)
        house = self.house = House(book=opened.rebuilt.book)
        house.clock.now_ns = self.clock.now()
        read = self.broker.account_state

        async def later():
            house.clock.advance(0.15)
            return await read()

        self.broker.account_state = later
        risk = RiskSettings(auto_flatten=True)
        house.oversight = Oversight(
            house.trader, self.broker, self.journal, EngineSettings(), risk, lambda: 0.0, house.lag
        )
        await restore_orders(opened, house.trader)
        await recover(opened, house.trader, house.oversight, self.broker.account)
        self.broker.account_state = read
        return house

    async def __aexit__(self, *_):
        await self.journal.close()


@pytest.mark.parametrize("change", [5_000, -5_000])
async def test_money_that_came_or_went_while_we_were_away_is_neither_gain_nor_loss(tmp_path, change):
    clock = clock_at()
    broker = FakeBroker(clock)
    path = tmp_path / "journal.sqlite"
    async with Run(path, broker, clock) as house:
        await house.oversight.begin_day()
    broker.cash += Decimal(change)
    for _ in range(2):  # and a restart after that finds it taken out once
        async with Run(path, broker, clock) as house:
            assert house.book.cash == CASH + change
            assert (house.trader.day_pnl, house.trader.day.peak) == (0, CASH + change)
            await house.oversight._watch_day()
            assert not house.trader.day.flatten_due

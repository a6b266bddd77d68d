"""Typed orders against the simulated broker, through the real client in virtual time: a spread, a roll, an edit."""

import asyncio
from contextlib import asynccontextmanager
from random import Random

from qmterm.core.orders import OrderState
from qmterm.drill.day import STEP_S
from qmterm.drill.house import TOKEN
from qmterm.drill.loop import run
from qmterm.drill.market import DrillMarket, call
from qmterm.drill.wire import Network
from qmterm.engine.commands import EditOrder, RollPosition, StageTicket
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.rolls import Rolls
from qmterm.engine.orders.tickets import Tickets
from qmterm.sim.brokerage.app import Brokerage
from tests.drill.in_memory import house_in

LOW, MIDDLE = call("AAPL", 0), call("AAPL", 1)
SPREAD = "buy 1 AAPL 17APR26 230C / sell 1 AAPL 17APR26 235C"


class Sitting:
    """A person at an engine in auto mode beside the simulated broker."""

    def __init__(self, house, brokerage, market):
        self.house, self.brokerage, self.market = house, brokerage, market
        self.tickets = Tickets(house.trader, wait_s=0.0)
        self.rolls = Rolls(house.trader, self.tickets)
        self.edits = Edits(house.trader, house.approvals)

    async def wait(self, seconds):
        for _ in range(int(seconds / STEP_S)):
            await asyncio.sleep(STEP_S)
            self.market.jump("AAPL", 0.0)  # quoted anew where it stands
            await self.brokerage.on_step(self.market.now_ns)

    async def order(self, text):
        answer = await self.tickets.stage(StageTicket(text, send=True))
        assert answer.ok, answer.text

    @property
    def held(self):
        """What both sides hold, which must be the same."""
        ours = {position.symbol: position.quantity for position in self.house.book.positions}
        assert self.brokerage.book.holdings() == ours
        return ours


@asynccontextmanager
async def seated(folder, seed=1):
    market = DrillMarket(Random(f"ticket:{seed}"))
    brokerage = Brokerage(market, TOKEN, real_time=asyncio.get_running_loop().time)
    house = house_in(folder, market, Network(brokerage, Random(seed)))
    await house.open()
    sitting = Sitting(house, brokerage, market)
    yield sitting
    await house.finish()
    assert house.trouble == []


def test_a_typed_spread_walks_to_its_fill_as_one_order(tmp_path):
    async def day():
        async with seated(tmp_path) as sitting:
            await sitting.order(SPREAD)
            await sitting.wait(180)
            assert sitting.held == {LOW: 1, MIDDLE: -1}
            first = sitting.house.desk.ledger.records[0].intent
            last = sitting.house.desk.ledger.records[-1]
            assert last.state is OrderState.FILLED
            assert last.intent.net_price >= first.worst_price
            (guard,) = sitting.house.guards.all
            assert ([leg.symbol for leg in guard.legs], guard.state.quantity) == ([LOW, MIDDLE], 1)

    run(day())


def test_a_roll_closes_and_opens_in_one_order_and_its_guard_moves(tmp_path):
    async def day():
        async with seated(tmp_path) as sitting:
            await sitting.order("buy 2 AAPL 17APR26 230C @ mkt")
            await sitting.wait(10)
            assert sitting.held == {LOW: 2}
            answer = await sitting.rolls.roll(RollPosition("AAPL 17APR26 235C @ nat", send=True))
            assert answer.ok, answer.text
            await sitting.wait(60)
            assert sitting.held == {MIDDLE: 2}
            rolled = sitting.house.desk.ledger.records[-1]
            assert [leg.action.value for leg in rolled.intent.legs] == ["Sell to Close", "Buy to Open"]
            sent = list(sitting.brokerage.desk.orders.values())[-1]
            assert sent.strict
            assert sitting.house.guards.watching(MIDDLE).state.quantity == 2
            assert sitting.house.guards.watching(LOW) is None

    run(day())


def test_an_edit_that_races_a_fill_buys_once(tmp_path):
    async def day(seed):
        folder = tmp_path / str(seed)
        folder.mkdir()
        async with seated(folder, seed) as sitting:
            await sitting.order("buy 2 AAPL 17APR26 230C @ mid")
            await sitting.wait(2)
            record = sitting.house.desk.ledger.records[0]
            sitting.market.jump("AAPL", -0.01 if seed % 2 else -0.001)  # the ask comes down to it
            await sitting.brokerage.on_step(sitting.market.now_ns)  # filled there; the news is on its way
            ask = sitting.market.quote(LOW).ask
            answer = sitting.edits.edit(EditOrder(record.intent.intent_id, f"{round(ask * 20) / 20:.2f}", dearer=True))
            await sitting.wait(60)
            assert sitting.held.get(LOW, 0) in (0, 2)
            bought = sum(fill.quantity for r in sitting.house.desk.ledger.records for fill in r.fills.values())
            assert bought == sitting.held.get(LOW, 0)
            return answer.ok and bought == 2

    assert any([run(day(seed)) for seed in range(6)])

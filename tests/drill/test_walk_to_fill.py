"""An entry walks to its fill: the real desk and SDK against the simulated broker, in virtual time."""

import asyncio
from random import Random

from qmterm.core.orders import OrderState
from qmterm.drill.day import STEP_S
from qmterm.drill.house import TOKEN
from qmterm.drill.loop import run
from qmterm.drill.market import DrillMarket
from qmterm.drill.script import Act
from qmterm.drill.wire import Network
from qmterm.drill.work import Work
from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.orders import Status
from tests.drill.in_memory import house_in

SECONDS = 120


async def one_entry(folder, seed):
    """(the house, the broker) after an entry that began at the mid had its time."""
    market = DrillMarket(Random(f"walk:{seed}"))
    brokerage = Brokerage(market, TOKEN, real_time=asyncio.get_running_loop().time)
    network = Network(brokerage, Random(seed))
    house = house_in(folder, market, network)
    await house.open()
    await Work(house, market, network).do(Act(0.0, "entry", seed))
    for _ in range(int(SECONDS / STEP_S)):
        await asyncio.sleep(STEP_S)
        market.jump("AAPL", 0.0)  # quoted anew where it stands
        await brokerage.on_step(market.now_ns)
    await house.finish()
    return house, brokerage


def test_an_entry_walks_to_its_fill_within_its_worst_price(tmp_path):
    walked = 0
    for seed in range(8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        house, brokerage = run(one_entry(folder, seed))
        assert house.trouble == []
        orders = list(brokerage.desk.orders.values())
        entry = house.desk.ledger.records[0].intent
        prices = [order.price for order in orders]
        assert prices == sorted(prices, reverse=True)
        assert min(prices) >= entry.worst_price
        assert [order.replaces for order in orders[1:]] == [order.order_id for order in orders[:-1]]
        assert [order.status for order in orders[:-1]] == [Status.CANCELLED] * (len(orders) - 1)
        assert all(record.reason.startswith("replaced by") for record in house.desk.ledger.records[:-1])
        if orders[-1].status is not Status.FILLED:
            assert house.desk.ledger.records[-1].remaining_units > 0  # its market ran away from its worst price
            continue
        assert brokerage.book.holdings() == {entry.legs[0].symbol: entry.quantity}
        assert house.book.quantity(entry.legs[0].symbol) == entry.quantity
        assert house.desk.ledger.records[-1].state is OrderState.FILLED
        walked += len(orders) > 1
    assert walked >= 3

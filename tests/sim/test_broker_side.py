"""Both faces of one world: an order sent through the unmodified tastytrade SDK fills at Polygon's quotes."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Response
from tastytrade import Account, Session
from tastytrade.order import InstrumentType, Leg, LimitOrder, OrderAction, OrderStatus, OrderTimeInForce

from qmterm.sim.server import _loopback_only

OCC = "AAPL  260417C00260000"


async def test_an_order_fills_at_the_quote_the_data_side_shows(start_simulator):
    simulator = await asyncio.to_thread(
        start_simulator, "--symbols", "50", "--lockstep", "--start", "2026-03-02T09:45", "--starting-cash", "50000"
    )
    session = Session(simulator.token, simulator.token, trust_env=False)
    session._client.base_url = simulator.url
    account = (await Account.get(session))[0]
    assert (await account.get_balances(session)).net_liquidating_value == 50_000
    path = f"/v3/snapshot/options/AAPL/O:{OCC.replace(' ', '')}"
    _, body = await asyncio.to_thread(simulator.call, "GET", path)
    limit = Decimal(str(body["results"]["last_quote"]["ask"])) + 1
    leg = Leg(
        instrument_type=InstrumentType.EQUITY_OPTION, symbol=OCC, action=OrderAction.BUY_TO_OPEN, quantity=Decimal(1)
    )
    order = LimitOrder(time_in_force=OrderTimeInForce.DAY, legs=[leg], price=-limit, external_identifier="both-faces")
    await account.place_order(session, order, dry_run=False)
    asks = []
    for _ in range(6):
        answer = await asyncio.to_thread(simulator.advance)
        _, body = await asyncio.to_thread(simulator.call, "GET", path)
        asks.append(Decimal(str(body["results"]["last_quote"]["ask"])))
        (found,) = await account.get_live_orders(session)
        if found.status is OrderStatus.FILLED:
            break
    assert found.external_identifier == "both-faces"
    assert found.legs[0].fills[0].fill_price in asks
    assert answer["account_sequence"] > 0
    (position,) = await account.get_positions(session)
    assert (position.symbol, position.quantity) == (OCC, 1)


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.168.1.7", 403), (None, 403)])
async def test_only_this_machine_is_answered(peer, status):
    async def inside(request):
        return Response()

    request = make_mocked_request("GET", "/sim/state").clone(remote=peer)
    assert (await _loopback_only(request, inside)).status == status

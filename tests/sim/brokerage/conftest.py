"""A broker in a market set by hand, and the unmodified SDK against it on loopback."""

import pytest
from aiohttp import web

from qmterm.sim.brokerage.app import Brokerage, add_routes
from tests.sim.brokerage.fake_world import TOKEN, fresh_world


@pytest.fixture
def world():
    return fresh_world()


@pytest.fixture
def broker(world):
    return Brokerage(world, TOKEN, participation=1.0)


@pytest.fixture
async def url(broker):
    app = web.Application()
    add_routes(app, broker)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def session(url):
    from tastytrade import Session

    session = Session(TOKEN, TOKEN, trust_env=False, timeout=5)
    session._client.base_url = url
    async with session:
        yield session


@pytest.fixture
async def account(session):
    from tastytrade import Account

    (account,) = await Account.get(session)
    return account

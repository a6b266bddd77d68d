"""The production broker against the simulated tastytrade on loopback, with everything on the wire counted."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pytest
from aiohttp import web

from qmterm.core.clock import NS
from qmterm.core.orders import Action, Leg, OrderIntent, Purpose
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.sim.brokerage.app import Brokerage, add_routes
from tests.sim.brokerage.fake_world import CALL_230, TOKEN, fresh_world


@dataclass
class Wire:
    """What arrived at the server, and answers that replace the simulator's."""

    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, body
    instead: dict[tuple[str, str], list] = field(default_factory=dict)  # (method, end of path) -> responses
    after: dict[tuple[str, str], list] = field(default_factory=dict)  # the same, but the work is done first
    url: str = ""

    def count(self, method, end):
        return sum(1 for seen, path, _ in self.requests if seen == method and path.endswith(end))

    def bodies(self, method, end):
        return [json.loads(body) for seen, path, body in self.requests if seen == method and path.endswith(end)]

    def _scripted(self, table, request):
        for (method, end), answers in table.items():
            if request.method == method and request.path.endswith(end) and answers:
                return answers.pop(0)
        return None


class WorldClock:
    """Market time of the fake world, real seconds of the loop."""

    def __init__(self, world):
        self._world = world

    def now(self):
        return self._world.now_ns

    def monotonic(self):
        return asyncio.get_running_loop().time()


@pytest.fixture
def world():
    return fresh_world()


@pytest.fixture
def brokerage(world):
    return Brokerage(world, TOKEN, participation=1.0)


@pytest.fixture
async def wire(brokerage):
    seen = Wire()

    @web.middleware
    async def record(request, handler):
        seen.requests.append((request.method, request.path, await request.text()))
        answer = seen._scripted(seen.instead, request)
        if answer is None:
            real = await handler(request)
            answer = seen._scripted(seen.after, request)
            if answer is None:
                return real
        return await answer(request) if callable(answer) else answer

    app = web.Application(middlewares=[record])
    add_routes(app, brokerage)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield seen
    await runner.cleanup()


@pytest.fixture
def settings(wire):
    return TastytradeSettings(
        rest_url=wire.url,
        streamer_url=wire.url.replace("http", "ws") + "/streamer",
        connect_timeout_s=5.0,  # a busy machine must not look like a broker that does not answer
        read_timeout_s=1.5,
        backoff_min_s=0.02,
        backoff_max_s=0.1,
        calls_per_second=50,
        burst=200,
    )


@pytest.fixture
async def connect(settings, world):
    """Make a connected broker; every one is closed at the end."""
    from qmterm.broker.tastytrade import TastytradeBroker

    made = []

    async def make(secret=TOKEN, account=None, **changes):
        changed = settings.model_copy(update=changes)
        broker = TastytradeBroker(changed, secret, TOKEN, account, clock=WorldClock(world))
        made.append(broker)
        broker.told = []
        broker.on_fault = broker.told.append
        await broker.connect()
        return broker

    yield make
    for broker in made:
        await broker.close()


@pytest.fixture
async def broker(connect):
    made = await connect()
    await until(lambda: made.stream_up)  # `connect` goes on without it after a while
    return made


@pytest.fixture
def step(brokerage, world):
    async def move(seconds=1.0):
        world.now_ns += int(seconds * NS)
        await brokerage.on_step(world.now_ns)

    return move


async def until(condition, seconds=10.0):
    """Wait for something another task does; fails when it does not happen in real time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the other side has no event to offer
            await asyncio.sleep(0.005)


def buy(quantity=2, price="-5.10", symbol=CALL_230, intent_id="qm-1", action=Action.BUY_TO_OPEN):
    return OrderIntent(
        intent_id=intent_id,
        created_ns=0,
        strategy="atr-matrix",
        underlying="AAPL",
        purpose=Purpose.ENTRY if action.opens else Purpose.EXIT,
        legs=(Leg(symbol, action, quantity),),
        quantity=quantity,
        net_price=Decimal(price),
    )


MONDAY = date(2026, 3, 2)

"""The simulator's broker on a loopback port: it lives in the drill's own process and outlives every engine.

The judge listens at its door: what an order would make of the limits is looked at when it is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random

import aiohttp
from aiohttp import web

from qmterm.core.errors import BrokerError
from qmterm.core.instruments import OptionContract
from qmterm.drill.house import TOKEN
from qmterm.drill.market import CONTRACTS, START_NS, DrillMarket
from qmterm.sim.brokerage.app import Brokerage, add_routes

STEP_S = 0.25

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SteppedMarket(DrillMarket):
    """The same market in real time: it stands still between two steps, as every world of the simulator does."""

    def __init__(self, random: Random, origin: float, contracts: Mapping[str, OptionContract] = CONTRACTS) -> None:
        self._stands_ns = START_NS
        super().__init__(random, origin, contracts)

    @property
    def now_ns(self) -> int:
        return self._stands_ns

    def step(self) -> None:
        self._stands_ns = super().now_ns
        super().step()


class BrokerServer:
    """`after_order` is called after each POST, `after_step` after each step of the market."""

    def __init__(self, brokerage: Brokerage, market: DrillMarket) -> None:
        self.brokerage = brokerage
        self.after_order: Callable[[], None] = lambda: None
        self.after_step: Callable[[], None] = lambda: None
        self.url = ""
        self._market = market
        self._runner: web.AppRunner | None = None
        self._stepping: asyncio.Task[None] | None = None

    async def open(self, *, stepping: bool = True, step_s: float = STEP_S) -> None:
        """`stepping`: the market goes on, and cancels are confirmed, every `step_s`."""

        @web.middleware
        async def judged(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            if request.method == "POST":
                self.after_order()
            return answer

        app = web.Application(middlewares=[judged])
        add_routes(app, self.brokerage)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        if stepping:
            self._stepping = asyncio.create_task(self._step(step_s))

    async def _step(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._market.step()
            await self.brokerage.on_step(self._market.now_ns)
            self.after_step()

    async def stand_still(self) -> None:
        """The market stops: from here on nothing fills."""
        if self._stepping is not None:
            self._stepping.cancel()
            with suppress(asyncio.CancelledError):
                await self._stepping

    async def close(self) -> None:
        await self.stand_still()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- its door for faults ---

    async def arm(self, body: dict[str, object]) -> None:
        await self._ask("POST", body)

    async def clear_faults(self) -> None:
        await self._ask("DELETE", None)

    async def _ask(self, method: str, body: dict[str, object] | None) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"{self.url}/sim/broker-faults", json=body, headers=headers) as answer,
        ):
            if answer.status >= 300:
                raise BrokerError(f"the simulator does not take {body}: {await answer.text()}")

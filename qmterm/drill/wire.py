"""tastytrade's wire without a network: the SDK's own HTTP client on one side, the simulator's handlers on the other.

What is real: the SDK, its client, its models, the WebSocket framing. What is not: sockets. A request takes seeded
milliseconds each way, so that answers and stream frames overtake each other as they do outside.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from random import Random
from time import perf_counter
from typing import Any, cast

import httpx2
from aiohttp import web
from multidict import MultiDict

from qmterm.core.settings.broker import TastytradeSettings
from qmterm.drill.process import Process
from qmterm.drill.socket import MemorySocket
from qmterm.sim.brokerage.app import Brokerage, add_routes
from qmterm.sim.brokerage.door import TornResponse

ADDRESSES = TastytradeSettings(rest_url="http://127.0.0.1:9", streamer_url="ws://127.0.0.1:9/streamer")  # nobody's
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_NAME = re.compile(r"\{(\w+)\}")


class _Routes:
    """The part of an aiohttp application that routes are added to."""

    def __init__(self) -> None:
        self.router = self
        self.on_shutdown: list[Any] = []
        self._plain: dict[tuple[str, str], Handler] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Handler]] = []

    def add_route(self, method: str, path: str, handler: Handler) -> None:
        if "{" in path:
            self._patterns.append((method, re.compile(_NAME.sub(r"(?P<\1>[^/]+)", path)), handler))
        else:
            self._plain[method, path] = handler

    def add_get(self, path: str, handler: Handler) -> None:
        self.add_route("GET", path, handler)

    def add_post(self, path: str, handler: Handler) -> None:
        self.add_route("POST", path, handler)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        handler = self._plain.get((method, path))
        if handler is not None:
            return handler, {}
        for wanted, pattern, found in self._patterns:
            match = pattern.fullmatch(path) if wanted == method else None
            if match is not None:
                return found, match.groupdict()
        return None


class _Connection:
    cut = False

    def abort(self) -> None:
        self.cut = True


class _Request:
    """What the simulator's handlers look at of an aiohttp request."""

    def __init__(self, request: httpx2.Request, names: dict[str, str]) -> None:
        self.method = request.method
        self.path = request.url.path
        self.host = request.url.host
        self.headers = request.headers
        self.query = MultiDict(request.url.params.multi_items())
        self.match_info = names
        self.transport = _Connection()
        self._body = request.content

    async def text(self) -> str:
        return self._body.decode()


class Network:
    """The simulator's side: outlives every life of the engine. `cancels` says when each cancel left, by both clocks."""

    def __init__(self, brokerage: Brokerage, random: Random) -> None:
        self.brokerage = brokerage
        self._random = random
        self._routes = _Routes()
        add_routes(cast(web.Application, self._routes), brokerage)
        self.cancels: list[tuple[str, float, float]] = []
        self.silences: list[float] = []  # when a client gave up waiting, virtual seconds
        self.after_order: Callable[[], None] = lambda: None

    def delay(self) -> float:
        """Seconds one way: a few milliseconds, one time in ten a good part of a second."""
        return self._random.uniform(0.002, 0.03) * (1 if self._random.random() < 0.9 else 20)

    async def answer(self, request: httpx2.Request) -> tuple[web.Response, bool]:
        """(the answer, whether the connection was cut instead of it)."""
        found = self._routes.find(request.method, request.url.path)
        if found is None:
            return web.Response(status=404), False
        handler, names = found
        asked = _Request(request, names)
        answer = await handler(cast(web.Request, asked))
        if request.method in ("POST", "PUT"):
            self.after_order()
        return cast(web.Response, answer), asked.transport.cut


class MemoryTransport(httpx2.AsyncBaseTransport):
    """One life's way to the broker, for REST and for the account stream."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme == "ws":
            return await self._upgrade()
        await request.aread()
        deed = request.method != "GET" and "orders" in request.url.path  # complex ones too
        if deed:
            await self._process.before("send")
        elif not self._process.alive:
            await self._process.gone()
        if request.method == "DELETE":
            self._network.cancels.append((request.url.path, asyncio.get_running_loop().time(), perf_counter()))
        patience = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(patience):
                await asyncio.sleep(self._network.delay())
                answer, cut = await self._network.answer(request)
                if deed:
                    await self._process.after("send")
                await asyncio.sleep(self._network.delay())
        except TimeoutError:
            self._network.silences.append(asyncio.get_running_loop().time())
            raise httpx2.ReadTimeout("no answer", request=request) from None
        if cut:
            raise httpx2.RemoteProtocolError("server disconnected without sending a response", request=request)
        body = answer.body if isinstance(answer.body, bytes) else b""
        headers = {"content-type": answer.content_type, "content-length": str(len(body))}
        if isinstance(answer, TornResponse):
            return httpx2.Response(answer.status, headers=headers, stream=_Torn(body[: len(body) // 2]))
        return httpx2.Response(answer.status, headers=headers, content=body)

    async def _upgrade(self) -> httpx2.Response:
        await asyncio.sleep(self._network.delay())
        if self._network.brokerage.outage.now:
            raise httpx2.ConnectError("connection refused")
        socket = MemorySocket(self._network.brokerage.stream, self._process)
        return httpx2.Response(101, extensions={"network_stream": socket})


class _Torn(httpx2.AsyncByteStream):
    def __init__(self, half: bytes) -> None:
        self._half = half

    async def __aiter__(self) -> Any:
        yield self._half
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")

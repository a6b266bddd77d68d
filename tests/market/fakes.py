"""Small servers on loopback that behave, or misbehave, as the vendor's do."""

import asyncio
import json
from contextlib import asynccontextmanager

from aiohttp import web
from websockets.asyncio.server import serve

from qmterm.core.settings.connections import PolygonSettings

KEY = "secret-key-123"


def settings(rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9", **changes):
    quick = {
        "rest_url": rest_url,
        "ws_url": ws_url,
        "connect_timeout_s": 1.0,
        "read_timeout_s": 0.4,
        "deadline_s": 1.0,
        "open_timeout_s": 1.0,
        "backoff_min_s": 0.01,
        "backoff_max_s": 0.05,
        "max_connections_wait_s": 0.3,
        "canaries": (),
    }
    return PolygonSettings(**{**quick, **changes})


@asynccontextmanager
async def rest_server(handler):
    """`handler(request, number)` answers every GET and POST; `number` counts from 1. Yields (url, list of requests)."""
    seen = []

    async def answer(request):
        seen.append(request)
        return await handler(request, len(seen))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


def json_answer(body, status=200, headers=None):
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json", headers=headers)


def status(word, message=""):
    return json.dumps([{"ev": "status", "status": word, "message": message}])


class StreamServer:
    """Speaks the vendor's protocol; `script(self, socket, attempt)` runs after the login of each connection."""

    def __init__(self, script, login="auth_success", before_login=None):
        self.script = script
        self.login = login
        self.before_login = before_login
        self.refuse = frozenset()
        self.connections = 0
        self.actions = []  # (connection, action, params)
        self.times = []

    def subscribed(self, connection):
        return [
            channel
            for number, action, params in self.actions
            if number == connection and action == "subscribe"
            for channel in params.split(",")
        ]

    async def session(self, socket):
        self.connections += 1
        self.times.append(asyncio.get_running_loop().time())
        mine = self.connections
        await socket.send(status("connected", "Connected Successfully"))
        message = json.loads(await socket.recv())
        self.actions.append((mine, message["action"], message["params"]))
        if self.before_login is not None:
            await self.before_login(self, socket)
        await socket.send(status(self.login, "authenticated"))
        tasks = [
            asyncio.create_task(self._read(socket, mine)),
            asyncio.create_task(self.script(self, socket, mine)),
            asyncio.create_task(socket.wait_closed()),
        ]
        try:
            await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, socket, mine):
        async for text in socket:
            message = json.loads(text)
            self.actions.append((mine, message["action"], message["params"]))
            word = "subscribed" if message["action"] == "subscribe" else "unsubscribed"
            for channel in message["params"].split(","):
                if channel in self.refuse:
                    await socket.send(status("error", f"not authorized: {channel}"))
                else:
                    await socket.send(status("success", f"{word} to: {channel}"))


@asynccontextmanager
async def stream_server(script, login="auth_success", before_login=None):
    """Yields (url, StreamServer)."""
    server = StreamServer(script, login, before_login)
    async with serve(server.session, "127.0.0.1", 0, max_size=None) as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/stocks", server


async def until(condition, timeout=5.0):
    """Wait for a condition, failing loudly when it does not come."""
    async with asyncio.timeout(timeout):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def forever(*_):
    await asyncio.Event().wait()

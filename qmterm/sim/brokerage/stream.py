"""The account stream: full objects to every connected client, each with the next sequence number.

No replay: what happens while nobody listens is gone, and REST must be read again. A client that cannot keep up is cut.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Collection
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from qmterm.sim.brokerage.faults import Faults
from qmterm.sim.brokerage.oauth import AccessTokens
from qmterm.sim.brokerage.wire import Json

QUEUE_LIMIT = 10_000
_CONNECT = "connect"
_NEED_ACCOUNT = ("heartbeat",)
_SUBSCRIPTIONS = ("public-watchlists-subscribe", "quote-alerts-subscribe", "user-message-subscribe")


class Listener:
    """One client of the stream, whatever carries its messages."""

    def __init__(self) -> None:
        self.session_id = secrets.token_hex(4)
        self.connected = False

    def put(self, text: str) -> None:
        raise NotImplementedError

    def close(self, code: int) -> None:
        raise NotImplementedError


class _Client(Listener):
    """One socket and what waits to be written to it; None in the queue closes it."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__()
        self.socket = socket
        self.close_code: int = WSCloseCode.OK
        self.outbox: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_LIMIT)

    def put(self, text: str) -> None:
        try:
            self.outbox.put_nowait(text)
        except asyncio.QueueFull:
            self.close(WSCloseCode.TRY_AGAIN_LATER)

    def close(self, code: int) -> None:
        self.close_code = code
        while not self.outbox.empty():
            self.outbox.get_nowait()
        self.outbox.put_nowait(None)

    async def write(self) -> None:
        while (text := await self.outbox.get()) is not None:
            await self.socket.send_str(text)
        await self.socket.close(code=self.close_code)


class AccountStream:
    def __init__(
        self,
        account: str,
        tokens: AccessTokens,
        faults: Faults,
        now_ns: Callable[[], int],
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sequence = 0  # the last one issued
        self._account = account
        self._tokens = tokens
        self._faults = faults
        self._now_ns = now_ns
        self._real_time = real_time
        self._mute_until = 0.0
        self._clients: dict[Listener, None] = {}  # in the order they came, so that runs repeat
        self._swapped: tuple[str, int] | None = None  # a frame that waits for the next one to overtake it

    @property
    def listeners(self) -> int:
        return sum(client.connected for client in self._clients)

    # --- out ---

    def emit(self, kind: str, data: Json) -> None:
        """Send one event to everybody who is connected. Never waits."""
        self.sequence += 1
        if self._real_time() < self._mute_until:
            return
        if self._faults.draw("dropped_frame", type=kind) is not None:
            return
        event = {"type": kind, "data": data, "timestamp": self._now_ns() // 1_000_000, "ws-sequence": self.sequence}
        text = json.dumps(event)
        copies = 1 if self._faults.draw("duplicate_frame", type=kind) is None else 2
        late = self._faults.draw("late_frame", type=kind)
        if late is not None:
            asyncio.get_running_loop().call_later(float(late["seconds"]), self._send, text, copies)
            return
        if self._swapped is None and self._faults.draw("swapped_frame", type=kind) is not None:
            self._swapped = text, copies
            return
        self._send(text, copies)
        if self._swapped is not None:
            self._send(*self._swapped)
            self._swapped = None

    def _send(self, text: str, copies: int = 1) -> None:
        for client in list(self._clients):
            if client.connected:
                for _ in range(copies):
                    client.put(text)

    def mute(self, seconds: float) -> None:
        """Stay connected and silent for so many real seconds; what happens meanwhile is lost."""
        self._mute_until = self._real_time() + seconds

    def poison(self, kind: str) -> None:
        """An event of a known type that does not validate."""
        self.sequence += 1
        event = {"type": kind, "data": {"id": "poison"}, "timestamp": 0, "ws-sequence": self.sequence}
        self._send(json.dumps(event))

    def close_all(self, code: int) -> None:
        for client in list(self._clients):
            client.close(code)

    # --- in ---

    def join(self, client: Listener) -> None:
        self._clients[client] = None

    def leave(self, client: Listener) -> None:
        self._clients.pop(client, None)

    @property
    def listening(self) -> Collection[Listener]:
        return self._clients.keys()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """The WebSocket endpoint; pings are answered by the server library."""
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        client = _Client(socket)
        self.join(client)
        writer = asyncio.create_task(client.write())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    client.put(json.dumps(self.answer(client, message.data)))
        finally:
            self.leave(client)
            writer.cancel()
        return socket

    def answer(self, client: Listener, text: str) -> Json:
        """The reply to one client message; always echoes the request-id it came with."""
        try:
            body: Any = json.loads(text)
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            return self._error(client, {}, "failed")
        action = body.get("action")
        if not self._tokens.valid(body.get("auth-token")):
            return self._error(client, body, "failed")
        if action == _CONNECT:
            accounts = body.get("value")
            if isinstance(accounts, str):
                accounts = [accounts]
            if not accounts or any(account != self._account for account in accounts):
                return self._error(client, body, "failed")
            client.connected = True
        elif action not in (*_NEED_ACCOUNT, *_SUBSCRIPTIONS):
            return self._error(client, body, "failed")
        elif not client.connected:
            return self._error(client, body, "connect-not-completed")
        reply: Json = {"status": "ok", "action": action, "web-socket-session-id": client.session_id}
        if "value" in body:
            reply["value"] = body["value"]
        return self._echo(reply, body)

    def _error(self, client: Listener, body: dict[str, Any], message: str) -> Json:
        reply: Json = {
            "status": "error",
            "action": body.get("action"),
            "web-socket-session-id": client.session_id,
            "message": message,
        }
        return self._echo(reply, body)

    @staticmethod
    def _echo(reply: Json, body: dict[str, Any]) -> Json:
        return reply | ({"request-id": body["request-id"]} if "request-id" in body else {})

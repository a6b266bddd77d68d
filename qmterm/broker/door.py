"""The door of a held order, at its connection: it is written to the last byte there, and not one byte has left.

The trap: a door that something can walk around. So it stands where every byte of the client passes, and only a client
all of whose connections have one may use it; any other waits at the request's hook (errors.on_request).
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2

from qmterm.broker.errors import Exchange, NotLeft, current_exchange

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LONG_S = 0.05  # held longer, the connection is asked whether it still stands


def at_connections(client: httpx2.AsyncClient) -> bool:
    """Give each connection that the client will open a door; False when some could do without."""
    transports = [client._transport, *(each for each in client._mounts.values() if each is not None)]
    ours = [each for each in transports if isinstance(each, httpx2.AsyncHTTPTransport)]
    if len(ours) < len(transports):  # a drill's transport has no connections
        return False
    for transport in ours:
        transport._pool._network_backend = _Doors(transport._pool._network_backend)
    return True


class _Doors(httpcore2.AsyncNetworkBackend):
    def __init__(self, inner: httpcore2.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return DoorStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return DoorStream(await self._inner.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class DoorStream(httpcore2.AsyncNetworkStream):
    """A connection which keeps a held request until it is whole, and then until the door opens: it leaves as one."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner
        self._watched: tuple[socket.socket, select.poll] | None = None
        self._kept = b""
        self._whole = 0  # bytes of the request that is kept

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        exchange = current_exchange.get()
        if exchange is not None and exchange.held is not None:
            if not self._kept:
                self._whole = _length(buffer, exchange.held)
            self._kept += buffer
            if len(self._kept) < self._whole:
                return
            buffer, self._kept = self._kept, b""
            await self._door(exchange, exchange.held)
        await self._inner.write(buffer, timeout)

    async def _door(self, exchange: Exchange, request: httpx2.Request) -> None:
        since = asyncio.get_running_loop().time()
        await exchange.open_door(request)
        long = exchange.left_at is not None and exchange.left_at - since > LONG_S
        if long and self._inner.get_extra_info("is_readable"):  # the broker has closed it meanwhile
            raise NotLeft("the connection ended while the order was held")
        exchange.sent = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return DoorStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and hasattr(select, "poll"):
            return self._readable()
        return self._inner.get_extra_info(info)

    def _readable(self) -> bool:
        """True when the broker has closed an idle connection. An order asks each of them on its way: quickly."""
        if self._watched is None:
            found = self._inner.get_extra_info("socket")
            if found is None or found.fileno() < 0:
                return True
            poll = select.poll()
            poll.register(found.fileno(), select.POLLIN)
            self._watched = found, poll
        ours, poll = self._watched
        return ours.fileno() < 0 or bool(poll.poll(0))


def _length(begun: bytes, request: httpx2.Request) -> int:
    """Bytes of a request that begins like this; 0 for what tells no length, and for a proxy's CONNECT before it."""
    if not begun.startswith(request.method.encode() + b" "):
        return 0
    head, end, _ = begun.partition(b"\r\n\r\n")
    told = _CONTENT_LENGTH.search(head)
    return len(head) + len(end) + int(told[1]) if told is not None else 0

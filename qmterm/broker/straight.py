"""A held order's way to its connection: straight onto one that is idle, past the pool's care for all of them.

The pool asks the system about each of its connections and sorts them anew: for an order that is as much work as the
gate. The traps: an idle connection that the pool has promised to another request, and one that the broker has closed
meanwhile. What is not certainly free and alive, and all else, goes the pool's own way.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Self, cast

import h11
import httpcore2
import httpx2
from httpx2._transports.default import AsyncResponseStream, map_httpcore_exceptions

from qmterm.broker.errors import current_exchange

Raw = list[tuple[bytes, bytes]]


@lru_cache(maxsize=64)  # of a token and of lengths: those of one order are those of the next
def _checked(headers: tuple[tuple[bytes, bytes], ...]) -> Raw:
    """Headers that the writer of HTTP has looked at, and takes as they are when they come again."""
    try:
        return cast(Raw, h11.Request(method=b"POST", target=b"/", headers=list(headers)).headers)
    except h11.LocalProtocolError as error:
        raise httpcore2.LocalProtocolError(str(error)) from None


def past_the_pool(client: httpx2.AsyncClient) -> None:
    """Give the client's held requests that way; one that goes through a proxy keeps its own."""
    plain = client._transport
    if isinstance(plain, httpx2.AsyncHTTPTransport) and type(plain._pool) is httpcore2.AsyncConnectionPool:
        client._transport = StraightTransport(plain)


class StraightTransport(httpx2.AsyncBaseTransport):
    """The client's transport, with that way for the request that a door holds."""

    def __init__(self, inner: httpx2.AsyncHTTPTransport) -> None:
        self._inner = inner
        self._pool = inner._pool
        self._url: tuple[httpx2.URL, httpcore2.URL] | None = None  # the last address, both ways: orders have one

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = current_exchange.get()
        if exchange is not None and exchange.held is request:
            url = self._core_url(request.url)
            connection = self._idle(url.origin)
            if connection is not None:
                with suppress(httpcore2.ConnectionNotAvailable):  # taken after all: said before a byte has left
                    return await self._straight(connection, url, request)
        return await self._inner.handle_async_request(request)

    async def _straight(
        self, connection: httpcore2.AsyncHTTP11Connection, url: httpcore2.URL, request: httpx2.Request
    ) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        leaving = httpcore2.Request(request.method, url, content=request.stream, extensions=request.extensions)
        with map_httpcore_exceptions():
            leaving.headers = _checked(tuple(request.headers.raw))
            answer = await connection.handle_async_request(leaving)
        assert isinstance(answer.stream, AsyncIterable)
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=AsyncResponseStream(answer.stream),
            extensions=answer.extensions,
        )

    def _core_url(self, url: httpx2.URL) -> httpcore2.URL:
        if self._url is None or self._url[0] is not url:
            core = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            self._url = url, core
        return self._url[1]

    def _idle(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTP11Connection | None:
        """From here to the request's first step nothing else runs: nobody can take it meanwhile."""
        promised = [each.connection for each in self._pool._requests]
        for connection in self._pool._connections:
            inner = getattr(connection, "_connection", None)
            if (
                isinstance(inner, httpcore2.AsyncHTTP11Connection)
                and inner.is_idle()
                and connection not in promised
                and inner.can_handle_request(origin)
                and not inner.has_expired()
            ):
                return inner
        return None

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(kind, error, trace)

    async def aclose(self) -> None:
        await self._inner.aclose()

"""The SDK's session as we keep it: no login in a cancel's way, and an order's request made in a quarter of the time.

The trap: the request must be the very one that the client makes of the SDK's call, byte for byte, whatever token,
cookies or time limits the client has by then (tests/broker/test_kept_session.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httpx2
from tastytrade import Session
from tastytrade.utils import validate_and_parse


@lru_cache(maxsize=64)  # those of one order are those of the next
def _headers(raw: tuple[tuple[bytes, bytes], ...]) -> httpx2.Headers:
    """Never handed on themselves: a request takes a copy."""
    return httpx2.Headers(raw)


class KeptSession(Session):
    """It uses a token to its end while no login may be tried: a cancel must not wait for one."""

    held_up: Callable[[], bool] = staticmethod(lambda: False)
    _joined: tuple[httpx2.URL, dict[str, httpx2.URL]] | None = None  # the base, and addresses under it

    async def refresh(self, force: bool = False) -> None:
        if not force and self.held_up() and time.time() < self.session_expiration:
            return
        await super().refresh(force)

    async def _post(self, url: str, **kwargs: Any) -> dict[str, Any]:
        """An order comes as JSON text at an address that is always the same; all else goes the SDK's own way."""
        text = kwargs.get("data")
        if not isinstance(text, str) or len(kwargs) > 1 or self._client.params:
            return await super()._post(url, **kwargs)
        await self.refresh()
        return validate_and_parse(await self._client.send(self._request(url, text.encode())))

    def _request(self, url: str, body: bytes) -> httpx2.Request:
        """What `build_request` makes: joining addresses and merging nothing with the defaults took most of its time."""
        client, address = self._client, self._address(url)
        own = ((b"Host", address.netloc), *client.headers.raw, (b"Content-Length", b"%d" % len(body)))
        times = {"timeout": client.timeout.as_dict()}
        headers = _headers(own)
        request = httpx2.Request("POST", address, headers=headers, stream=httpx2.ByteStream(body), extensions=times)
        if client.cookies:
            client.cookies.set_cookie_header(request)
        request.read()
        return request

    def _address(self, url: str) -> httpx2.URL:
        base = self._client.base_url
        if self._joined is None or self._joined[0] is not base:
            self._joined = base, {}
        address = self._joined[1].get(url)
        if address is None:
            address = self._joined[1][url] = self._client.build_request("POST", url).url
        return address

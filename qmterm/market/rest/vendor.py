"""The one seam to the vendor's REST client: which package it is, and what its transport does wrong.

The trap: the client builds its time-outs and never applies them, follows Retry-After for minutes, loses status codes
and prints to stdout (PROTOCOLS.md 4). So it keeps paths and parameters, and this door does the transport.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import certifi
import urllib3

from qmterm.core.settings.connections import PolygonSettings

_MAX_BODY = 512 * 2**20  # the whole-market snapshot is about 20 MB: anything near this is a fault
_CHUNK = 2**18


class HttpRefusal(Exception):
    """An answer other than 200, with what the vendor's own exceptions throw away; the caller classifies it."""

    def __init__(self, status: int, body: str, retry_after_s: float | None) -> None:
        super().__init__(f"{status}: {body[:200]}")
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s


class BodyTooSlow(Exception):
    """The body dripped past the deadline, or past any sane size."""


class Door:
    """Stands in for the client's urllib3 pool: real time-outs, no hidden retries, status codes kept.

    urllib3 reads no proxy variables, so loopback servers are always reached directly.
    """

    def __init__(self, settings: PolygonSettings, key: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Accept-Encoding": "gzip",
            "User-Agent": "qmterm",
        }
        self._deadline_s = settings.deadline_s
        self._monotonic = monotonic
        self._pool = urllib3.PoolManager(
            num_pools=4,
            maxsize=settings.rest_threads,
            block=False,
            headers=self._headers,
            cert_reqs="CERT_REQUIRED",
            ca_certs=certifi.where(),
            retries=False,
            timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
        )

    def request(
        self, method: str, url: str, fields: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib3.HTTPResponse:
        """One request, whole body, or an exception; called by the vendor's client in a worker thread."""
        until = self._monotonic() + self._deadline_s
        answer = self._pool.request(
            method, url, fields=dict(fields) if fields else None, headers=self._headers, preload_content=False
        )
        parts: list[bytes] = []
        size = 0
        try:
            for part in answer.stream(_CHUNK, decode_content=True):
                parts.append(part)
                size += len(part)
                if size > _MAX_BODY or self._monotonic() > until:
                    raise BodyTooSlow(f"{size} bytes after {self._deadline_s:g} s")
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        body = b"".join(parts)
        if answer.status != 200:
            raise HttpRefusal(answer.status, body[:2_000].decode("utf-8", "replace"), _retry_after(answer.headers))
        return urllib3.HTTPResponse(body=body, status=200)

    def close(self) -> None:
        self._pool.clear()


@dataclass(frozen=True, slots=True)
class Vendor:
    """The client (for its paths and parameters) and the door its requests go through."""

    client: Any
    door: Door
    base: str

    def follow(self, next_url: str) -> bytes:
        """The next page; only path and query of `next_url` count, as in the vendor's own pagination."""
        parts = urllib3.util.parse_url(next_url)
        path = parts.path or "/"
        return self.door.request("GET", self.base + path + (f"?{parts.query}" if parts.query else "")).data

    def close(self) -> None:
        self.door.close()


def open_vendor(settings: PolygonSettings, key: str) -> Vendor:
    """The vendor's client with our transport underneath."""
    from polygon import RESTClient  # the renamed package: `from massive import RESTClient`

    _silence()
    client = RESTClient(key, base=settings.rest_url, retries=0, pagination=False)
    door = Door(settings, key)
    client.client = door
    client.vx.client = door
    return Vendor(client, door, settings.rest_url)


def _silence() -> None:
    """Take away the stdout handlers that importing the package attached: they would write over the screen."""
    for name in ("RESTClient", "WebSocketClient"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now; the header says them as a number or as the moment when it is over."""
    text = headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        over, now = _http_date(text), _http_date(headers.get("Date", ""))  # both by the server's clock
        seconds = math.nan if over is None else over - (time.time() if now is None else now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _http_date(text: str) -> float | None:
    """Unix seconds."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None

"""The way into every REST handler: token, version and faults first, then the answer or the error envelope.

The trap: a fault that loses an answer must act after the work was done; one that refuses must act before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from qmterm.core.errors import BadInput
from qmterm.sim.brokerage.faults import Faults
from qmterm.sim.brokerage.oauth import AccessTokens
from qmterm.sim.brokerage.refusals import MalformedRequest, Refused, not_found

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OLDEST_VERSION = "20250813"
START_DATE_VERSION = "20261012"
_GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def ok(data: Any, context: str, status: int = 200) -> web.Response:
    return web.json_response({"data": data, "context": context}, status=status)


def bad_gateway() -> web.Response:
    return web.Response(status=502, text=_GATEWAY_PAGE, content_type="text/html")


def hang_up(request: web.Request) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


class TornResponse(web.Response):
    """An answer whose connection is cut half way through its body."""

    async def write_eof(self, data: bytes = b"") -> None:
        whole = self.body if isinstance(self.body, bytes) else b""
        await web.StreamResponse.write(self, whole[: len(whole) // 2])
        if self._req is not None and self._req.transport is not None:
            self._req.transport.close()  # after what is written, unlike abort


def refusal(refused: Refused) -> web.Response:
    return web.json_response(refused.as_json(), status=refused.status)


async def body_of(request: web.Request) -> object:
    try:
        return json.loads(await request.text())
    except json.JSONDecodeError as error:
        raise MalformedRequest("body", "is not JSON") from error


def number_in_path(request: web.Request, name: str, what: str) -> int:
    text = request.match_info[name]
    if not text.isdecimal():
        raise not_found(f"{what} {text!r}")
    return int(text)


class Outage:
    """A broker that is down: for some real seconds nothing is answered, and nothing is done."""

    def __init__(self, faults: Faults, real_time: Callable[[], float]) -> None:
        self._faults = faults
        self._real_time = real_time
        self._until = 0.0

    @property
    def now(self) -> bool:
        return self._real_time() < self._until

    def begin(self) -> bool:
        """Draw the fault; True when an outage begins now."""
        fault = self._faults.draw("down")
        if fault is None:
            return False
        self._until = self._real_time() + float(fault["seconds"])
        return True


class Door:
    """Wraps handlers."""

    def __init__(self, tokens: AccessTokens, faults: Faults, account: str, outage: Outage) -> None:
        self.tokens = tokens
        self.faults = faults
        self.account = account
        self.outage = outage

    def whole(self, handler: Handler) -> Handler:
        """Cut while the broker is down; for the routes that need no token too."""

        async def reached(request: web.Request) -> web.StreamResponse:
            return hang_up(request) if self.outage.now else await handler(request)

        return reached

    def open(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.outage.now:
                return hang_up(request)
            if self.faults.draw("429", path=request.path) is not None:
                return web.Response(status=429)
            if self.faults.draw("502", path=request.path) is not None:
                return bad_gateway()
            try:
                self._admit(request)
                answer = await handler(request)
            except Refused as refused:
                return refusal(refused)
            except BadInput as error:
                return refusal(Refused(400, "bad_request", str(error)))
            stall = self.faults.draw("stall", path=request.path)
            if stall is not None:
                await asyncio.sleep(float(stall["seconds"]))
            return answer

        return guarded

    def _admit(self, request: web.Request) -> None:
        if not request.headers.get("User-Agent"):
            raise Refused(401, "unauthorized", "A User-Agent header is required.")
        if not self.tokens.valid(request.headers.get("Authorization")):
            raise Refused(401, "invalid_session", "Session user not present.")
        version = request.headers.get("Accept-Version")
        if version is not None and version < OLDEST_VERSION:
            raise Refused(406, "406", f"API version {version} is no longer served; use {OLDEST_VERSION} or later.")
        account = request.match_info.get("account")
        if account is not None and account != self.account:
            raise Refused(403, "not_permitted", "User not permitted access")


def text_list(request: web.Request, name: str) -> list[str]:
    """A repeated query key, with or without the brackets."""
    return [*request.query.getall(name, []), *request.query.getall(f"{name}[]", [])]


def whole_number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise MalformedRequest(name, f"{text!r} is not a whole number")
    return int(text)


def paging(request: web.Request, default: int, largest: int) -> tuple[int, int]:
    """(per page, page offset)."""
    per_page = whole_number(request, "per-page", default)
    if not 1 <= per_page <= largest:
        raise MalformedRequest("per-page", f"must be 1 to {largest}")
    return per_page, whole_number(request, "page-offset", 0)

"""What a failed call means: certainly refused, or possibly done. The second is never sent again.

The SDK throws one exception type without the HTTP status; `Exchange` keeps what went over the wire, because
"422 with a code" and "500 with a code" read the same and mean opposite things for an order.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx2
from pydantic import ValidationError
from tastytrade.utils import TastytradeError

from qmterm.broker.decode import one_line
from qmterm.core.errors import RATE_LIMITED, BrokerAuthError, BrokerError, OutcomeUnknown, QmtermError

AUTH_CODES = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized", "invalid_session", "invalid_credentials", "unauthorized_client"}
)
STALE_TOKEN_CODES = frozenset({"invalid_session", "unauthorized"})
NOT_CONNECTED = "not_connected"
UNREADABLE = "unreadable_answer"
NO_SUCH_RECORD = "record_not_found"  # the broker's word for a number that names no order of the account

# Everything an SDK call can throw: its own error, the HTTP client's (RuntimeError: it was closed, or the JSON nests
# too deep), pydantic's, and what a missing key becomes. One that is forgotten here would leave a sent order unsettled.
SDK_ERRORS = (TastytradeError, httpx2.HTTPError, httpx2.InvalidURL, ValidationError, ValueError, KeyError, TypeError,
              AttributeError, TimeoutError, OSError, RuntimeError)  # fmt: skip

_WAITS = ("connect", "read", "write")
_CODE = re.compile(r"^([A-Za-z][\w.]*): ", re.MULTILINE)
_TOKEN = re.compile(r"(Bearer\s+)\S+")


@dataclass(slots=True)
class Exchange:
    """What one call put on the wire; filled by the client's hooks in the caller's own context."""

    method: str
    path: str  # the end of the path of the request that matters (a token refresh is another)
    patience_s: float | None = None  # for connecting and for the answer; None: the client's own
    door: Callable[[httpx2.Request], Awaitable[None]] | None = None  # awaited before the request that matters leaves
    at_wire: bool = False  # the door stands at the connection (door.py), not at the hook
    held: httpx2.Request | None = None  # what the connection must not let out before the door opens
    sent: bool = False
    left_at: float | None = None  # the loop's seconds when the door opened
    response: httpx2.Response | None = None

    async def open_door(self, request: httpx2.Request) -> None:
        """Wait for the door, which is there once: a second try finds it open. What it raises keeps the request here."""
        door, self.door, self.held = self.door, None, None
        if door is not None:
            await door(request)
            self.left_at = asyncio.get_running_loop().time()

    @property
    def status(self) -> int | None:
        return None if self.response is None else self.response.status_code


class NotLeft(Exception):
    """What a request was built for ended while it was held: it has not left, and is to be built anew."""


current_exchange: ContextVar[Exchange | None] = ContextVar("qmterm_broker_exchange", default=None)


async def on_request(request: httpx2.Request) -> None:
    """Client hook: note that the request that matters is about to leave, and shorten the wait for a question."""
    exchange = current_exchange.get()
    if exchange is None:
        return
    if exchange.patience_s is not None:
        limits = request.extensions.get("timeout", {})
        shorter = {name: min(limits.get(name) or exchange.patience_s, exchange.patience_s) for name in _WAITS}
        request.extensions = {**request.extensions, "timeout": {**limits, **shorter}}
    if request.method == exchange.method and request.url.path.endswith(exchange.path):
        if exchange.door is not None and exchange.at_wire:
            exchange.held = request
            return
        await exchange.open_door(request)
        exchange.sent = True


async def on_response(response: httpx2.Response) -> None:
    """Client hook: keep the answer of the request that matters, so that a body the SDK rejects is not lost."""
    exchange = current_exchange.get()
    request = response.request
    if exchange is not None and request.method == exchange.method and request.url.path.endswith(exchange.path):
        exchange.response = response


class Scrubber:
    """Takes secrets and control characters out of any text before it becomes an error, a log line or a journal row."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = {secret for secret in secrets if secret}

    def add(self, secret: str) -> None:
        if secret:
            self._secrets.add(secret)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return one_line(_TOKEN.sub(r"\1***", text))


def codes_of(error: TastytradeError) -> tuple[str, ...]:
    """The broker's own words in an SDK error: the text before the colon of each line."""
    text = str(error)
    if text.startswith(("Couldn't parse response", "No data present")):
        found = re.search(r"'error_code': '([\w.]+)'", text)
        return (found.group(1),) if found else ()
    return tuple(_CODE.findall(text))


def understood(error: BaseException) -> bool:
    """True when the broker answered in its own envelope (or OAuth's), so that its words can be believed."""
    return isinstance(error, TastytradeError) and bool(codes_of(error))


def refusal(error: TastytradeError, doing: str, scrub: Scrubber) -> BrokerError:
    codes = codes_of(error)
    code = codes[0] if codes else ""
    text = scrub(" ".join(str(error).split()))
    if code in AUTH_CODES:
        return BrokerAuthError(f"tastytrade does not accept the login while {doing}: {text}", code)
    return BrokerError(f"tastytrade refused {doing}: {text}", code)


def after_send(error: BaseException, exchange: Exchange, doing: str, scrub: Scrubber) -> QmtermError:
    """A failed order, cancel or replace: BrokerError only when it is certain that nothing was done."""
    if not exchange.sent:
        # The token refresh failed, or we never got that far: no byte of the order left.
        if isinstance(error, TastytradeError):
            return refusal(error, doing, scrub)
        return BrokerError(f"{doing} was not sent: {describe(error, scrub)}", NOT_CONNECTED)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.UnsupportedProtocol):
        return BrokerError(f"{doing} was not sent, no connection: {describe(error, scrub)}", NOT_CONNECTED)
    status = exchange.status
    if status is not None and 400 <= status < 500 and status not in (408, 429) and understood(error):
        assert isinstance(error, TastytradeError)
        return refusal(error, doing, scrub)
    answer = "no answer" if status is None else f"HTTP {status}"
    return OutcomeUnknown(f"{doing}: {answer}, {describe(error, scrub)}; it may or may not have been accepted")


def while_reading(error: BaseException, exchange: Exchange, doing: str, scrub: Scrubber) -> BrokerError:
    """A failed question: nothing was done either way."""
    if exchange.status == 429:
        return BrokerError(f"tastytrade asks for fewer calls (HTTP 429) while {doing}", RATE_LIMITED)
    if isinstance(error, TastytradeError) and understood(error):
        return refusal(error, doing, scrub)
    if exchange.status is None:
        return BrokerError(f"no answer from tastytrade while {doing}: {describe(error, scrub)}", NOT_CONNECTED)
    return BrokerError(
        f"unreadable answer from tastytrade while {doing} (HTTP {exchange.status}): {describe(error, scrub)}",
        UNREADABLE,
    )


def describe(error: BaseException, scrub: Scrubber) -> str:
    """One line, without secrets and without the whole of a 502 page."""
    text = " ".join(scrub(str(error)).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."


def body_of(response: httpx2.Response | None) -> Any:
    """The JSON of a kept answer; None when there is none, or not all of it."""
    if response is None:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError, httpx2.StreamError):
        return None


def data_of(response: httpx2.Response | None) -> dict[str, Any] | None:
    """The `data` object of a kept answer, None when it is absent or empty."""
    body = body_of(response)
    data = body.get("data") if isinstance(body, dict) else None
    return data if isinstance(data, dict) and data else None

"""The frame of every REST answer: who may ask, the usual envelope, the vendor's error bodies, JSON bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from qmterm.core.clock import to_et
from qmterm.sim.faults import Faults
from qmterm.sim.market import Market
from qmterm.sim.polygon.plan import Plan

NOT_ENTITLED = "You are not entitled to this data. Please upgrade your plan at https://polygon.io/pricing"
TOO_MANY = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
    "https://polygon.io/pricing"
)


class Refused(Exception):
    """An error answer: HTTP status, the body's status word, the text."""

    def __init__(self, http: int, status: str, text: str) -> None:
        super().__init__(text)
        self.http = http
        self.status = status

    def body(self, request_id: str) -> dict[str, str]:
        key = "error" if self.status == "ERROR" else "message"
        return {"status": self.status, "request_id": request_id, key: str(self)}


def unknown_key() -> Refused:
    return Refused(401, "ERROR", "Unknown API Key")


def not_entitled() -> Refused:
    return Refused(403, "NOT_AUTHORIZED", NOT_ENTITLED)


def not_found(text: str = "Ticker not found.") -> Refused:
    return Refused(404, "NOT_FOUND", text)


@dataclass
class Context:
    """What every handler needs. `clock` is market time to the moment (the world's own stands between steps)."""

    world: Market
    token: str
    plan: Plan
    clock: Callable[[], int]
    faults: Faults
    skew_ns: int = 0
    calls: list[float] = field(default_factory=list)  # real seconds of the latest calls, for the plan's limit

    def request_id(self, request: web.Request) -> str:
        """The same question at the same market time has the same id."""
        text = f"{request.path_qs}|{self.world.now_ns}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def need(self, allowed: bool) -> None:
        if not allowed:
            raise not_entitled()

    def symbol(self, ticker: str) -> int:
        number = self.world.universe.number.get(ticker)
        if number is None:
            raise not_found()
        return number


def answer(body: object, http: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=http, content_type="application/json")


def listing_answer(
    context: Context, request: web.Request, rows: list[object], next_url: str | None = None
) -> web.Response:
    """Rows in the usual envelope; an empty list has no `results`, as the service does it."""
    body: dict[str, object] = {
        "status": context.plan.status,
        "request_id": context.request_id(request),
        "count": len(rows),
    }
    if rows:
        body["results"] = rows
    if next_url is not None:
        body["next_url"] = next_url
    return answer(body)


def single_answer(context: Context, request: web.Request, result: object) -> web.Response:
    return answer({"status": context.plan.status, "request_id": context.request_id(request), "results": result})


def utc_text(ns: int) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def et_text(ns: int) -> str:
    """RFC 3339 with the New York offset, milliseconds."""
    return to_et(ns).isoformat(timespec="milliseconds")

"""REST answers gone wrong: what each fault of the data side makes of the right answer.

The trap: a stalled body has good headers and half of its bytes; only a deadline on the whole body ends the wait.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from qmterm.sim.faults import REST, Rule
from qmterm.sim.polygon.answers import TOO_MANY, Context, Refused, answer, not_entitled, not_found, unknown_key
from qmterm.sim.polygon.query import Query
from qmterm.sim.polygon.units import in_digits, repriced, resized

AROUND = (
    "latency",
    "stall",
    "stalled_body",
    "truncated",
    "html_502",
    "rate_limit",
    "not_authorized",
    "unknown_key",
    "not_found",
    "page_fails",
    "no_results",
    "wrong_units",
    "wrong_prices",
    "wrong_sizes",
)


async def around(context: Context, request: web.Request, response: web.Response) -> web.StreamResponse:
    """The answer as the rules in force have it."""
    rule = context.faults.take(REST, request.path, *AROUND)
    return response if rule is None else await misbehave(rule, context, request, response)


async def misbehave(rule: Rule, context: Context, request: web.Request, response: web.Response) -> web.StreamResponse:
    """The fault that a rule asks for instead of (or around) the right answer."""
    request_id = context.request_id(request)
    body = response.body if isinstance(response.body, bytes) else b""
    match rule.name:
        case "latency":
            await asyncio.sleep(rule.value / 1000.0)
        case "stall":
            await asyncio.sleep(rule.value)
        case "stalled_body":
            return await _stalled(rule.value, request, response.status, body)
        case "truncated":
            return web.Response(body=body[: len(body) // 2], content_type="application/json")
        case "html_502":
            return web.Response(text="<html><h1>502 Bad Gateway</h1></html>", status=502, content_type="text/html")
        case "rate_limit":
            limited = answer(Refused(429, "ERROR", TOO_MANY).body(request_id), 429)
            if rule.value > 0:
                limited.headers["Retry-After"] = str(int(rule.value))
            return limited
        case "not_authorized" | "unknown_key" | "not_found":
            refused = {"not_authorized": not_entitled, "unknown_key": unknown_key, "not_found": not_found}[rule.name]()
            return answer(refused.body(request_id), refused.http)
        case "no_results":
            return answer({"status": context.plan.status, "request_id": request_id})
        case "page_fails" if _page_number(request) >= rule.value:
            return answer({"status": "ERROR", "request_id": request_id, "error": "Internal error."}, 500)
        case "wrong_units" if response.status == 200:
            return web.Response(body=in_digits(body, int(rule.value)), content_type="application/json")
        case "wrong_prices" if response.status == 200:
            return web.Response(body=repriced(body, rule.value), content_type="application/json")
        case "wrong_sizes" if response.status == 200:
            return web.Response(body=resized(body, rule.value), content_type="application/json")
    return response


async def _stalled(seconds: float, request: web.Request, status: int, body: bytes) -> web.StreamResponse:
    """Headers that promise the whole body, half of it, silence, the end of the connection."""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    stalled = web.StreamResponse(status=status, headers=headers)
    with contextlib.suppress(ConnectionError):  # who gave up has left
        await stalled.prepare(request)
        await stalled.write(body[: len(body) // 2])
        await asyncio.sleep(seconds)
    if request.transport is not None:
        request.transport.abort()
    return stalled


def _page_number(request: web.Request) -> int:
    """1 for a first page, estimated from the cursor's offset for later ones."""
    query = Query(request.path, request.query)
    return 1 + query.offset // max(1, query.limit(10, 50_000))

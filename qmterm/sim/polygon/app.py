"""Polygon's REST face as one route table, with the key check, the plan's rate limit and the faults around it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from qmterm.sim.polygon import (
    aggregates,
    events,
    indicators,
    last_values,
    market_times,
    options,
    reference,
    snapshots,
)
from qmterm.sim.polygon.answers import TOO_MANY, Context, Refused, answer, unknown_key
from qmterm.sim.polygon.misbehave import around

Handler = Callable[[Context, web.Request], Awaitable[web.Response]]

_STOCKS = "/v2/snapshot/locale/us/markets/stocks"
ROUTES: tuple[tuple[str, Handler], ...] = (
    (f"{_STOCKS}/tickers", snapshots.whole_market),
    (f"{_STOCKS}/tickers/{{ticker}}", snapshots.single),
    (f"{_STOCKS}/{{direction}}", snapshots.movers),
    ("/v3/snapshot", last_values.universal),
    ("/v3/snapshot/options/{underlying}", options.chain),
    ("/v3/snapshot/options/{underlying}/{contract}", options.contract_snapshot),
    ("/v2/aggs/ticker/{ticker}/range/{multiplier:\\d+}/{span}/{first}/{last}", aggregates.ranges),
    ("/v2/aggs/grouped/locale/us/market/stocks/{day}", aggregates.grouped_daily),
    ("/v2/aggs/ticker/{ticker}/prev", aggregates.previous_close),
    ("/v1/open-close/{ticker}/{day}", aggregates.open_close),
    ("/v2/last/nbbo/{ticker}", last_values.last_quote),
    ("/v2/last/trade/{ticker}", last_values.last_trade),
    ("/v3/reference/tickers", reference.tickers),
    ("/v3/reference/tickers/types", reference.ticker_types),
    ("/v3/reference/tickers/{ticker}", reference.ticker_details),
    ("/vX/reference/tickers/{ticker}/events", reference.ticker_events),
    ("/v3/reference/exchanges", reference.exchanges),
    ("/v3/reference/conditions", reference.conditions),
    ("/v3/reference/options/contracts", options.contracts_reference),
    ("/v3/reference/options/contracts/{contract}", options.contract_reference),
    ("/v3/reference/dividends", events.dividends),
    ("/v3/reference/splits", events.splits),
    ("/v2/reference/news", events.news),
    ("/benzinga/v1/earnings", events.earnings),
    ("/v1/marketstatus/now", market_times.status),
    ("/v1/marketstatus/upcoming", market_times.holidays),
    ("/fed/v1/treasury-yields", market_times.treasury_yields),
    ("/v1/indicators/{kind:sma|ema|rsi|macd}/{ticker}", indicators.indicator),
)
MINUTE_S = 60.0


def add_routes(app: web.Application, context: Context) -> None:
    for path, handler in ROUTES:
        app.router.add_get(path, partial(_serve, context, handler))


async def _serve(context: Context, handler: Handler, request: web.Request) -> web.StreamResponse:
    try:
        _admit(context, request)
        response = await handler(context, request)
    except Refused as refusal:
        response = answer(refusal.body(context.request_id(request)), refusal.http)
    return await around(context, request, response)


def _admit(context: Context, request: web.Request) -> None:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if context.token not in (bearer, request.query.get("apiKey")):
        raise unknown_key()
    most = context.plan.calls_per_minute
    if most is not None:
        now = asyncio.get_running_loop().time()
        context.calls = [at for at in context.calls if now - at < MINUTE_S]
        if len(context.calls) >= most:
            raise Refused(429, "ERROR", TOO_MANY)
        context.calls.append(now)

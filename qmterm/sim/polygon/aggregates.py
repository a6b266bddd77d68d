"""Aggregates: ranges of any span, grouped daily, previous close, open-close.

The trap: `limit` counts base bars (minutes behind a 5-minute bar), and a range without bars has no `results`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec
import numpy as np
from aiohttp import web

from qmterm.core.bars import IntArray
from qmterm.core.clock import ET, et_date
from qmterm.core.instruments import underlying_of
from qmterm.sim import bar_history
from qmterm.sim.bar_history import MS, Bars, day_start_ms
from qmterm.sim.listing import Contracts
from qmterm.sim.polygon.answers import Context, Refused, answer, not_found
from qmterm.sim.polygon.query import Query
from qmterm.sim.world import one

DAY_SPANS = ("day", "week", "month", "quarter", "year")
MINUTE_SPANS = {"minute": 1, "hour": 60}
TOO_OLD = "Your plan doesn't include this data timeframe. Please upgrade your plan at https://polygon.io/pricing"
DEFAULT_LIMIT, MAX_LIMIT = 5000, 50_000


class Agg(msgspec.Struct, gc=False):
    v: float
    vw: float | msgspec.UnsetType
    o: float
    c: float
    h: float
    l: float  # noqa: E741
    t: int
    n: int | msgspec.UnsetType


class Grouped(msgspec.Struct, gc=False):
    T: str
    v: int
    vw: float | msgspec.UnsetType
    o: float
    c: float
    h: float
    l: float  # noqa: E741
    t: int
    n: int | msgspec.UnsetType


def rows_of(bars: Bars, invents: bool = True) -> list[Agg]:
    """`invents`: a number of trades by rule; without it, it is left out, and an average of 0 is none."""
    columns = (bars.open, bars.close, bars.high, bars.low, bars.start_ms)
    o, c, h, l, start = (column.tolist() for column in columns)  # noqa: E741
    counts = _trade_counts(bars.volume, invents)
    return list(map(Agg, bars.volume.tolist(), _averages(bars.vwap, invents), o, c, h, l, start, counts))


def _trade_counts(volume: np.ndarray, invents: bool) -> list[int | msgspec.UnsetType]:
    return np.maximum(volume // 100, 1).astype(int).tolist() if invents else [msgspec.UNSET] * len(volume)


def _averages(vwap: np.ndarray, invents: bool) -> list[float | msgspec.UnsetType]:
    return [value if invents or value > 0 else msgspec.UNSET for value in vwap.tolist()]


def moment_ms(text: str, end_of_day: bool) -> int:
    """A date or Unix ms of a path as ms; a date's end is its last millisecond."""
    if text.isdigit():
        value = int(text)
        return value // MS if value > 10**16 else value
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            400, "ERROR", f"Could not parse the time parameter: {text!r}. Use YYYY-MM-DD or Unix MS."
        ) from error
    return day_start_ms(day + timedelta(days=1)) - 1 if end_of_day else day_start_ms(day)


def contract_columns(context: Context, ticker: str) -> tuple[Contracts, int]:
    found = context.world.listed(ticker)
    if found is None:
        raise not_found()
    return one(*found), context.symbol(underlying_of(ticker))


def base_bars(context: Context, ticker: str, span: str, first_ms: int, last_ms: int) -> Bars:
    """Daily or minute bars, whichever the span is made of."""
    world = context.world
    first, last = et_date(first_ms * MS), et_date(last_ms * MS)
    if ticker.startswith("O:"):
        context.need(context.plan.options)
        contracts, symbol = contract_columns(context, ticker)
        if span not in DAY_SPANS:
            return bar_history.bars_of([])
        return bar_history.option_daily(world, contracts, symbol, first, last)
    number, first_ms, last_ms = named_span(context, ticker, first_ms, last_ms)
    first, last = et_date(first_ms * MS), et_date(last_ms * MS)
    if span in DAY_SPANS:
        bars = bar_history.daily(world, number, first, last)
        return bars.where((bars.start_ms >= first_ms) & (bars.start_ms <= last_ms))
    return bar_history.minutes(world, number, first_ms, last_ms)


def named_span(context: Context, ticker: str, first_ms: int, last_ms: int) -> tuple[int, int, int]:
    """The symbol and the part of a span in which it had this ticker: bars stay under the name they were made under."""
    happenings = context.world.happenings
    former = happenings.former(ticker)
    if former is not None:
        return former.symbol, first_ms, min(last_ms, day_start_ms(former.day) - 1)
    number = context.symbol(ticker)
    since = happenings.first_day(number)
    return number, first_ms if since is None else max(first_ms, day_start_ms(since)), last_ms


def bucket_starts(bars: Bars, multiplier: int, span: str) -> IntArray:
    """Where each base bar's bucket begins, in ms."""
    if span in MINUTE_SPANS:
        width = MINUTE_SPANS[span] * multiplier * 60_000
        return bars.start_ms // width * width
    days = [et_date(int(start) * MS) for start in bars.start_ms]
    return np.array([day_start_ms(_period(day, multiplier, span)) for day in days], dtype=np.int64)


def _period(day: date, multiplier: int, span: str) -> date:
    if span == "day":
        return date.fromordinal(day.toordinal() - day.toordinal() % multiplier) if multiplier > 1 else day
    if span == "week":  # a week begins on Sunday
        sunday = day.toordinal() - day.isoweekday() % 7
        return date.fromordinal(sunday - sunday // 7 % multiplier * 7)
    months = {"month": 1, "quarter": 3, "year": 12}[span] * multiplier
    number = (day.year * 12 + day.month - 1) // months * months
    return date(number // 12, number % 12 + 1, 1)


def aggregate(context: Context, ticker: str, multiplier: int, span: str, first_ms: int, last_ms: int) -> Bars:
    base = base_bars(context, ticker, span, first_ms, last_ms)
    if multiplier == 1 and span in ("day", "minute"):
        return base
    return bar_history.grouped(base, bucket_starts(base, multiplier, span))


def as_traded(context: Context, ticker: str, bars: Bars) -> Bars:
    """The same bars before split adjustment."""
    corporate, number = context.world.corporate, context.symbol(ticker)
    factors = [corporate.split_factor(number, et_date(int(start) * MS)) for start in bars.start_ms]
    return bars.scaled(np.array(factors))


async def ranges(context: Context, request: web.Request) -> web.Response:
    at = request.match_info
    query = Query(request.path, request.query)
    span, ticker = at["span"], at["ticker"]
    if span not in DAY_SPANS and span not in MINUTE_SPANS and span != "second":
        raise Refused(400, "ERROR", f"Unknown timespan {span!r}.")
    multiplier = int(at["multiplier"])
    first, last = moment_ms(at["first"], False), moment_ms(at["last"], True)
    if last < first:
        raise Refused(400, "ERROR", "The parameter 'to' cannot be a time that occurs before 'from'.")
    today = et_date(context.clock())
    if context.plan.end_of_day and context.world.history.on(today) is None:
        last = min(last, day_start_ms(today) - 1)
    if last < day_start_ms(today - timedelta(days=366 * context.plan.years)):
        raise Refused(403, "NOT_AUTHORIZED", TOO_OLD)
    bars = aggregate(context, ticker, multiplier, span, first, last)
    adjusted = query.get("adjusted", "true") != "false"
    if not adjusted and not ticker.startswith("O:"):
        bars = as_traded(context, ticker, bars)
    rows = rows_of(bars, context.world.invents)
    if query.get("sort", "asc").startswith("desc"):
        rows.reverse()
    per_row = multiplier * MINUTE_SPANS.get(span, 1)
    limit = max(1, query.limit(DEFAULT_LIMIT, MAX_LIMIT) // per_row)
    page, next_url = query.page(rows, limit)
    return _envelope(context, request, ticker, page, adjusted, next_url)


def _envelope(
    context: Context,
    request: web.Request,
    ticker: str | None,
    rows: list[Agg] | list[Grouped],
    adjusted: bool,
    next_url: str | None = None,
) -> web.Response:
    body: dict[str, object] = {} if ticker is None else {"ticker": ticker}
    body |= {"queryCount": len(rows), "resultsCount": len(rows), "adjusted": adjusted}
    if rows:
        body["results"] = rows
    body |= {"status": context.plan.status, "request_id": context.request_id(request), "count": len(rows)}
    if next_url is not None:
        body["next_url"] = next_url
    return answer(body)


async def grouped_daily(context: Context, request: web.Request) -> web.Response:
    """One session of the whole market; the running day only once it is over on delayed plans."""
    world = context.world
    try:
        day = date.fromisoformat(request.match_info["day"])
    except ValueError as error:
        raise Refused(400, "ERROR", f"Could not parse the date {request.match_info['day']!r}.") from error
    bars = world.history.on(day)
    if bars is None and day == world.today.day:
        if context.plan.end_of_day:
            text = "Attempted to request today's data before end of day. Please upgrade your plan."
            raise Refused(403, "NOT_AUTHORIZED", text)
        bars = world.today.day_bars()
    if bars is None:
        return _envelope(context, request, None, [], True)
    traded = np.flatnonzero(bars.volume > 0)
    names: Sequence[str] = world.universe.tickers
    unit, invents = world.unit, world.invents
    if world.happenings.renames:
        names = [world.happenings.ticker_on(number, day) for number in range(len(names))]
    start = day_start_ms(day)
    envelope = {
        "queryCount": len(traded),
        "resultsCount": len(traded),
        "adjusted": True,
        "status": context.plan.status,
        "request_id": context.request_id(request),
        "count": len(traded),
    }

    def render() -> bytes:
        volume = bars.volume[traded]
        prices = ((getattr(bars, name)[traded] / unit).tolist() for name in ("open", "close", "high", "low"))
        average = _averages(bars.vwap[traded] / unit, invents)
        count = len(traded)
        trades = _trade_counts(volume, invents)
        tickers = [names[row] for row in traded.tolist()]
        rows = list(map(Grouped, tickers, volume.tolist(), average, *prices, [start] * count, trades))
        return msgspec.json.encode({**envelope, "results": rows} if rows else envelope)

    body = render() if len(traded) < 2000 else await asyncio.to_thread(render)
    return web.Response(body=body, content_type="application/json")


async def previous_close(context: Context, request: web.Request) -> web.Response:
    world, ticker = context.world, request.match_info["ticker"]
    day = world.previous.day
    start = day_start_ms(day)
    bars = base_bars(context, ticker, "day", start, start)
    body: dict[str, object] = {
        "ticker": ticker,
        "queryCount": len(bars),
        "resultsCount": len(bars),
        "adjusted": True,
        "status": context.plan.status,
        "request_id": context.request_id(request),
        "count": len(bars),
    }
    if len(bars):
        row = rows_of(bars, world.invents)[0]
        body["results"] = [{"T": ticker, **msgspec.to_builtins(row)}]
    return answer(body)


async def open_close(context: Context, request: web.Request) -> web.Response:
    ticker, text = request.match_info["ticker"], request.match_info["day"]
    start = moment_ms(text, False)
    bars = base_bars(context, ticker, "day", start, start)
    if not len(bars):
        raise not_found("Data not found.")
    row = rows_of(bars)[0]
    noon = datetime.fromtimestamp(start / 1000, ET).date()
    return answer(
        {
            "status": context.plan.status,
            "from": noon.isoformat(),
            "symbol": ticker,
            "open": row.o,
            "high": row.h,
            "low": row.l,
            "close": row.c,
            "volume": row.v,
            "afterHours": row.c,
            "preMarket": row.o,
        }
    )

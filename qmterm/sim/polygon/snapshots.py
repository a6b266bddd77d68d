"""Whole-market, single and top-mover snapshots.

The trap: 32,345 rows are 18 MB of JSON. Columns are copied on the event loop (a millisecond), the rows are built
and encoded in a thread.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
import numpy as np
from aiohttp import web

from qmterm.core.bars import IntArray
from qmterm.sim.polygon.answers import Context, Refused, answer
from qmterm.sim.world import World

MOVERS = 20


class Bar(msgspec.Struct, gc=False):
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: int
    vw: float


class Minute(msgspec.Struct, gc=False):
    av: int
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: int
    vw: float
    t: int
    n: int


class Trade(msgspec.Struct, gc=False):
    c: list[int] | None
    i: str
    p: float
    s: int
    t: int
    x: int


class TopOfBook(msgspec.Struct, gc=False):
    P: float
    S: int
    p: float
    s: int
    t: int


class Ticker(msgspec.Struct, gc=False, omit_defaults=True):
    ticker: str
    todaysChange: float
    todaysChangePerc: float
    updated: int
    day: Bar
    prevDay: Bar
    min: Minute
    lastTrade: Trade | None = None
    lastQuote: TopOfBook | None = None


@dataclass(frozen=True)
class Columns:
    """A copy of what the rows say, taken at one instant."""

    tickers: list[str]
    day: list[IntArray]  # cents: o h l c, shares: v, cents: vw
    previous: list[IntArray]
    minute: list[IntArray]  # cents: o h l c, shares: v, end ns, day volume
    last: IntArray
    last_size: IntArray
    last_ns: IntArray
    bid: IntArray
    ask: IntArray
    bid_lots: IntArray
    ask_lots: IntArray
    quote_ns: IntArray


def take_columns(world: World, rows: IntArray | None) -> Columns:
    pick: IntArray | slice = slice(None) if rows is None else rows
    today, previous = world.today, world.previous
    tickers = world.universe.tickers
    vwap = np.where(today.volume > 0, today.turnover / np.maximum(today.volume, 1), 0.0)
    bid, ask = world.stock_sides(pick)
    bid_lots, ask_lots = world.stock_lots(pick)

    def copies(*columns: np.ndarray) -> list[IntArray]:
        return [np.array(column[pick], dtype=np.int64) for column in columns]

    return Columns(
        tickers=list(tickers) if rows is None else [tickers[row] for row in rows.tolist()],
        day=copies(today.open, today.high, today.low, today.close, today.volume, np.rint(vwap)),
        previous=copies(previous.open, previous.high, previous.low, previous.close, previous.volume, previous.vwap),
        minute=copies(*today.latest_minute, today.all_volume),
        last=copies(today.last)[0],
        last_size=copies(today.last_size)[0],
        last_ns=copies(today.last_ns)[0],
        bid=np.array(bid, dtype=np.int64),
        ask=np.array(ask, dtype=np.int64),
        bid_lots=bid_lots,
        ask_lots=ask_lots,
        quote_ns=np.asarray(today.quote_ns(world.step_ns)[pick], dtype=np.int64),
    )


def _dollars(cents: IntArray) -> list[float]:
    out: list[float] = (cents / 100.0).tolist()
    return out


def _bars(columns: list[IntArray]) -> list[Bar]:
    o, h, l, c, v, vw = columns  # noqa: E741
    return list(map(Bar, _dollars(o), _dollars(h), _dollars(l), _dollars(c), v.tolist(), _dollars(vw)))


def build_rows(columns: Columns, trades: bool, quotes: bool, closed_ns: int) -> list[Ticker]:
    """`closed_ns` stamps a last trade that was made in the session before."""
    count = len(columns.tickers)
    before = columns.previous[3]
    change = np.where(columns.last_ns > 0, columns.last - before, 0)
    percent = np.round(100.0 * change / before, 3).tolist()
    o, h, l, c, v, end, total = columns.minute  # noqa: E741
    average = (o + h + l + c) // 4
    start = np.where(end > 0, end // 1_000_000 - 60_000, 0).tolist()
    minutes = map(
        Minute,
        total.tolist(),
        _dollars(o),
        _dollars(h),
        _dollars(l),
        _dollars(c),
        v.tolist(),
        _dollars(average),
        start,
        np.maximum(v // 100, np.minimum(v, 1)).tolist(),
    )
    stamps = np.where(columns.last_ns > 0, columns.last_ns, closed_ns).tolist()
    last = _dollars(columns.last)
    number = (columns.last_ns // 1_000_000_000 % 1_000_000).tolist()
    sales: list[Trade | None] = [None] * count
    if trades:
        ids = map(str, number)
        sizes = columns.last_size.tolist()
        sales = list(map(Trade, [None] * count, ids, last, sizes, stamps, [4] * count))
    tops: list[TopOfBook | None] = [None] * count
    if quotes:
        lots = columns.ask_lots.tolist(), columns.bid_lots.tolist()
        asks, bids = _dollars(columns.ask), _dollars(columns.bid)
        tops = list(map(TopOfBook, asks, lots[0], bids, lots[1], columns.quote_ns.tolist()))
    return list(
        map(
            Ticker,
            columns.tickers,
            _dollars(change),
            percent,
            stamps,
            _bars(columns.day),
            _bars(columns.previous),
            minutes,
            sales,
            tops,
        )
    )


def rows_of(context: Context, rows: IntArray | None) -> list[Ticker]:
    world, plan = context.world, context.plan
    closed = world.calendar.close_ns(world.previous.day)
    return build_rows(take_columns(world, rows), plan.trades, plan.quotes, closed)


async def whole_market(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.snapshots)
    world, plan = context.world, context.plan
    wanted = [ticker for ticker in request.query.get("tickers", "").split(",") if ticker]
    rows = None
    if wanted:
        known = [world.universe.number[ticker] for ticker in wanted if ticker in world.universe.number]
        rows = np.array(known, dtype=np.int64)
    columns = take_columns(world, rows)
    closed = world.calendar.close_ns(world.previous.day)
    envelope = {"status": plan.status, "request_id": context.request_id(request), "count": len(columns.tickers)}

    def render() -> bytes:
        return msgspec.json.encode({**envelope, "tickers": build_rows(columns, plan.trades, plan.quotes, closed)})

    body = render() if len(columns.tickers) < 2000 else await asyncio.to_thread(render)
    return web.Response(body=body, content_type="application/json")


async def single(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.snapshots)
    row = rows_of(context, np.array([context.symbol(request.match_info["ticker"])]))[0]
    return answer({"status": context.plan.status, "request_id": context.request_id(request), "ticker": row})


async def movers(context: Context, request: web.Request) -> web.Response:
    """The 20 largest risers or fallers of the day."""
    context.need(context.plan.snapshots)
    direction = request.match_info["direction"]
    if direction not in ("gainers", "losers"):
        raise Refused(404, "NOT_FOUND", f"There is no list of {direction!r}: ask for gainers or losers.")
    world = context.world
    change = world.today.last / world.previous.close - 1.0
    order = np.argsort(-change if direction == "gainers" else change, kind="stable")[:MOVERS]
    rows = rows_of(context, order.astype(np.int64))
    return answer({"status": context.plan.status, "request_id": context.request_id(request), "tickers": rows})

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
from qmterm.sim.market import Market
from qmterm.sim.past import PriceArray
from qmterm.sim.polygon.answers import Context, Refused, answer

MOVERS = 20


class Bar(msgspec.Struct, gc=False):
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: int
    vw: float | msgspec.UnsetType


class Minute(msgspec.Struct, gc=False):
    av: int
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: int
    vw: float | msgspec.UnsetType
    t: int
    n: int | msgspec.UnsetType


class Trade(msgspec.Struct, gc=False):
    c: list[int] | None
    i: str | msgspec.UnsetType
    p: float
    s: int
    t: int
    x: int | msgspec.UnsetType


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

    unit: float  # what a dollar is in the prices
    invents: bool  # counts and identifiers follow from rules
    tickers: list[str]
    day: list[PriceArray]  # prices: o h l c, shares: v, price: vw
    previous: list[PriceArray]
    minute: list[PriceArray]  # day volume; o h l c, volume, end ns and, where told, vw (NaN unknown) of a minute
    last: PriceArray
    last_size: IntArray
    last_ns: IntArray
    bid: PriceArray
    ask: PriceArray
    bid_lots: IntArray
    ask_lots: IntArray
    quote_ns: IntArray


def take_columns(world: Market, rows: IntArray | None) -> Columns:
    pick: IntArray | slice = slice(None) if rows is None else rows
    today, previous = world.today, world.previous
    tickers = world.universe.tickers
    vwap = np.where(today.volume > 0, today.turnover / np.maximum(today.volume, 1), 0.0)
    if world.invents:
        vwap = np.rint(vwap)
    bid, ask = world.stock_sides(pick)
    bid_lots, ask_lots = world.stock_lots(pick)

    def copies(*columns: PriceArray) -> list[PriceArray]:
        return [
            np.array(column[pick], dtype=np.float64 if column.dtype.kind == "f" else np.int64) for column in columns
        ]

    return Columns(
        unit=world.unit,
        invents=world.invents,
        tickers=list(tickers) if rows is None else [tickers[row] for row in rows.tolist()],
        day=copies(today.open, today.high, today.low, today.close, today.volume, vwap),
        previous=copies(previous.open, previous.high, previous.low, previous.close, previous.volume, previous.vwap),
        minute=copies(today.all_volume, *today.latest_minute),
        last=copies(today.last)[0],
        last_size=copies(today.last_size)[0],
        last_ns=copies(today.last_ns)[0],
        bid=bid.copy(),
        ask=ask.copy(),
        bid_lots=bid_lots,
        ask_lots=ask_lots,
        quote_ns=world.stock_quote_ns(pick),
    )


def _dollars(prices: PriceArray, unit: float) -> list[float]:
    out: list[float] = (prices / unit).tolist()
    return out


def _known(prices: PriceArray, unit: float) -> list[float | msgspec.UnsetType]:
    """Dollars; what is not known is left out of its row."""
    return [value if value == value else msgspec.UNSET for value in _dollars(prices, unit)]


def _bars(columns: list[PriceArray], unit: float) -> list[Bar]:
    *prices, v, vw = columns
    return list(map(Bar, *(_dollars(column, unit) for column in prices), v.tolist(), _known(vw, unit)))


def build_rows(columns: Columns, trades: bool, quotes: bool, closed_ns: int) -> list[Ticker]:
    """`closed_ns` stamps a last trade that was made in the session before."""
    count = len(columns.tickers)
    before = columns.previous[3]
    unit = columns.unit
    compared = (columns.last_ns > 0) & (before > 0)
    change = np.where(compared, columns.last - before, 0)
    percent = np.where(compared, np.round(100.0 * change / np.where(before > 0, before, 1), 3), 0.0).tolist()
    total, o, h, l, c, v, end, *told = columns.minute  # noqa: E741
    average = told[0] if told else (o + h + l + c) // 4
    trade_counts: list[int | msgspec.UnsetType] = [msgspec.UNSET] * count
    if columns.invents:
        trade_counts = np.maximum(v // 100, np.minimum(v, 1)).tolist()
    start = np.where(end > 0, end // 1_000_000 - 60_000, 0).tolist()
    minutes = map(
        Minute,
        total.tolist(),
        _dollars(o, unit),
        _dollars(h, unit),
        _dollars(l, unit),
        _dollars(c, unit),
        v.tolist(),
        _known(average, unit),
        start,
        trade_counts,
    )
    stamps = np.where(columns.last_ns > 0, columns.last_ns, closed_ns).tolist()
    last = _dollars(columns.last, unit)
    number = columns.last_ns // 1_000_000_000 % 1_000_000
    sales: list[Trade | None] = [None] * count
    if trades:
        sizes = columns.last_size.tolist()
        made_up = columns.invents
        sales = [
            Trade(None, str(n) if made_up else msgspec.UNSET, price, size, stamp, 4 if made_up else msgspec.UNSET)
            if size
            else None
            for n, price, size, stamp in zip(number.tolist(), last, sizes, stamps, strict=True)
        ]
    tops: list[TopOfBook | None] = [None] * count
    if quotes:
        lots = columns.ask_lots.tolist(), columns.bid_lots.tolist()
        asks, bids = _dollars(columns.ask, unit), _dollars(columns.bid, unit)
        sides = zip(asks, lots[0], bids, lots[1], columns.quote_ns.tolist(), strict=True)
        tops = [TopOfBook(*side) if side[0] else None for side in sides]
    return list(
        map(
            Ticker,
            columns.tickers,
            _dollars(change, unit),
            percent,
            stamps,
            _bars(columns.day, unit),
            _bars(columns.previous, unit),
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
    before, last = world.previous.close, world.today.last
    change = np.where((before > 0) & (last > 0), last / np.maximum(before, 1e-9), 1.0) - 1.0
    order = np.argsort(-change if direction == "gainers" else change, kind="stable")[:MOVERS]
    rows = rows_of(context, order.astype(np.int64))
    return answer({"status": context.plan.status, "request_id": context.request_id(request), "tickers": rows})

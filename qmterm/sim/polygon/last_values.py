"""Last trade, last quote, and the universal snapshot of mixed assets."""

from __future__ import annotations

import numpy as np
from aiohttp import web

from qmterm.core.clock import to_et
from qmterm.core.instruments import is_option
from qmterm.sim.listing import Listing
from qmterm.sim.polygon.answers import Context, listing_answer, not_found, single_answer
from qmterm.sim.polygon.options import chain_rows
from qmterm.sim.polygon.query import Query
from qmterm.sim.polygon.snapshots import rows_of

UNIVERSAL_LIMIT = 250


async def last_quote(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.quotes)
    ticker = request.match_info["ticker"]
    context.symbol(ticker)
    quote = context.world.quote(ticker)
    if quote is None:
        raise not_found()
    return single_answer(
        context,
        request,
        {
            "T": ticker,
            "p": quote.bid,
            "s": quote.bid_size // 100,
            "x": 11,
            "P": quote.ask,
            "S": quote.ask_size // 100,
            "X": 12,
            "t": quote.time_ns,
            "y": quote.time_ns,
            "q": quote.time_ns // 1_000_000_000 % 10**8,
            "z": 3,
        },
    )


async def last_trade(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.trades)
    world, ticker = context.world, request.match_info["ticker"]
    stamp = world.calendar.close_ns(world.previous.day)
    if is_option(ticker):
        context.need(context.plan.options)
        found = world.listed(ticker)
        if found is None:
            raise not_found()
        row = next(chain_rows(context, found[0], np.array([found[1]])))
        trade = row.get("last_trade")
        if not isinstance(trade, dict):
            raise not_found("No trade found.")
        price, size, stamp = float(trade["price"]), int(trade["size"]), int(trade["sip_timestamp"])
    else:
        number = context.symbol(ticker)
        price, size = float(world.today.last[number]) / world.unit, int(world.today.last_size[number])
        if not size:
            raise not_found("No trade found.")
        stamp = int(world.today.last_ns[number]) or stamp
    body = {"T": ticker, "p": price, "s": size, "x": 4, "i": str(stamp // 1_000_000 % 10**6), "z": 3}
    body |= {"t": stamp, "y": stamp, "f": stamp, "q": stamp // 1_000_000_000 % 10**8}
    return single_answer(context, request, body)


async def universal(context: Context, request: web.Request) -> web.Response:
    """Rows for up to 250 tickers of any kind; an unknown one is a row with an error, the answer stays 200."""
    context.need(context.plan.snapshots)
    query = Query(request.path, request.query)
    wanted = [ticker for ticker in query.get("ticker.any_of").split(",") if ticker]
    if not wanted:
        wanted = sorted(context.world.universe.number)
    page, next_url = query.page(wanted, query.limit(10, UNIVERSAL_LIMIT))
    return listing_answer(context, request, [_row(context, ticker) for ticker in page], next_url)


def _row(context: Context, ticker: str) -> dict[str, object]:
    world = context.world
    if is_option(ticker):
        found = world.listed(ticker)
        if found is not None:
            return _option_row(context, ticker, *found)
    elif ticker in world.universe.number:
        return _stock_row(context, ticker)
    return {"ticker": ticker, "error": "NOT_FOUND", "message": "Ticker not found."}


def _status(context: Context) -> str:
    return {"regular": "open", "pre-market": "early_trading", "after-hours": "late_trading"}.get(
        context.world.phase.value, "closed"
    )


def _option_row(context: Context, ticker: str, listing: Listing, row: int) -> dict[str, object]:
    out = next(chain_rows(context, listing, np.array([row])))
    day = out.pop("day")
    session = {k: v for k, v in day.items() if k not in ("last_updated", "vwap")} if isinstance(day, dict) else {}
    name = f"{listing.root} {to_et(context.world.now_ns):%Y} option"
    return {
        **out,
        "ticker": ticker,
        "type": "options",
        "name": name,
        "market_status": _status(context),
        "session": session,
    }


def _stock_row(context: Context, ticker: str) -> dict[str, object]:
    number = context.symbol(ticker)
    row = rows_of(context, np.array([number]))[0]
    out: dict[str, object] = {
        "ticker": ticker,
        "type": "stocks",
        "name": context.world.universe.name(number),
        "market_status": _status(context),
        "session": {
            "change": row.todaysChange,
            "change_percent": row.todaysChangePerc,
            "open": row.day.o,
            "high": row.day.h,
            "low": row.day.l,
            "close": row.day.c,
            "volume": row.day.v,
            "previous_close": row.prevDay.c,
        },
    }
    frame = context.plan.timeframe
    if row.lastTrade is not None:
        trade = row.lastTrade
        out["last_trade"] = {
            "price": trade.p,
            "size": trade.s,
            "exchange": trade.x,
            "last_updated": trade.t,
            "timeframe": frame,
        }
    if row.lastQuote is not None:
        top = row.lastQuote
        out["last_quote"] = {
            "bid": top.p,
            "bid_size": top.s,
            "ask": top.P,
            "ask_size": top.S,
            "last_updated": top.t,
            "timeframe": frame,
        }
    return out

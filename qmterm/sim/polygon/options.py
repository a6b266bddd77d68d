"""Option chains, single contracts and the contracts reference.

The trap: parts are missing as in the real service: no `greeks` deep in the money, an empty `day` for contracts that
never traded, quotes and trades only on plans that have them. Before a contract's first trade `day` is yesterday's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from aiohttp import web

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import from_et
from qmterm.sim.listing import Contracts, Listing
from qmterm.sim.market import stamps
from qmterm.sim.option_quotes import contract_number
from qmterm.sim.option_tape import AUTO, EXCHANGES
from qmterm.sim.polygon.answers import Context, Refused, listing_answer, not_found, single_answer
from qmterm.sim.polygon.query import Query

CHAIN_DEFAULT, CHAIN_LIMIT = 10, 250
REFERENCE_DEFAULT, REFERENCE_LIMIT = 10, 1000
DEEP = 0.995  # |delta| beyond which the service gives no Greeks
OPTION_EXCHANGES = ("BATO", "XASE", "XPHL", "XCBO", "ARCX")


def matching_rows(listing: Listing, query: Query, now_ns: int, *, expired: bool = False) -> IntArray:
    """Rows that pass the filters of a query, in ticker order."""
    columns = listing.contracts
    mask: BoolArray = np.ones(len(listing), dtype=np.bool_) if expired else columns.expiry_ns > now_ns
    passes = query.bounds("expiration_date")
    good_days = np.array([day for day in listing.expiries if passes(day.isoformat())], dtype="datetime64[D]")
    mask = mask & np.isin(columns.expiry, good_days)
    for operator, bound in query.numbers("strike_price").items():
        mask = mask & _compare(columns.strike, operator, bound)
    kind = query.get("contract_type")
    if kind:
        if kind not in ("call", "put", "other"):
            raise Refused(400, "ERROR", f"contract_type must be call, put or other, not {kind!r}")
        mask = mask & (columns.is_call if kind == "call" else ~columns.is_call & (kind == "put"))
    return np.flatnonzero(mask)


def _compare(values: FloatArray, operator: str, bound: float) -> BoolArray:
    tests = {"gte": values >= bound, "gt": values > bound, "lte": values <= bound, "lt": values < bound}
    return np.asarray(tests.get(operator, values == bound), dtype=np.bool_)


def ordered(columns: Contracts, rows: IntArray, query: Query) -> IntArray:
    """Rows by `sort` (ticker, expiration_date, strike_price) and `order`."""
    sort = query.get("sort", "ticker")
    if sort == "strike_price":
        rows = rows[np.argsort(columns.strike[rows], kind="stable")]
    return rows[::-1] if query.descending else rows


async def chain(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.options)
    query = Query(request.path, request.query)
    listing = context.world.listing(request.match_info["underlying"])
    limit = query.limit(CHAIN_DEFAULT, CHAIN_LIMIT)
    if listing is None:
        return listing_answer(context, request, [])
    rows = ordered(listing.contracts, matching_rows(listing, query, context.world.now_ns), query)
    page = rows[query.offset : query.offset + limit]
    end = query.offset + len(page)
    next_url = query.next_url(end) if end < len(rows) else None
    return listing_answer(context, request, list(chain_rows(context, listing, page)), next_url)


async def contract_snapshot(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.options)
    found = context.world.listed(request.match_info["contract"])
    if found is None or found[0].root != request.match_info["underlying"]:
        raise not_found("Options contract not found.")
    return single_answer(context, request, next(chain_rows(context, found[0], np.array([found[1]]))))


def chain_rows(context: Context, listing: Listing, rows: IntArray) -> Iterator[dict[str, object]]:
    """Snapshot rows of some contracts of one underlying."""
    if not len(rows):
        return
    world, plan = context.world, context.plan
    columns = listing.contracts.take(rows)
    symbol = world.universe.number[listing.root]
    quotes = world.option_quotes(columns)
    interest = world.open_interest(columns)
    volume, before = world.option_volume(columns, interest)
    days = _DayColumns(context, columns, symbol)
    spot = float(world.today.last[symbol]) / world.unit
    quote_times = stamps(quotes.time_ns, len(rows))
    updated = max(int(world.today.last_ns[symbol]), world.calendar.close_ns(world.previous.day))
    sales = _last_trades(context, columns, interest, np.asarray(quotes.value)) if plan.trades else [None] * len(columns)
    numbers = np.column_stack([quotes.implied, quotes.delta, quotes.gamma, quotes.theta, quotes.vega]).tolist()
    for i, row in enumerate(rows.tolist()):
        is_call, strike = bool(columns.is_call[i]), float(columns.strike[i])
        bid, ask, value = float(quotes.bid[i]), float(quotes.ask[i]), round(float(quotes.value[i]), 2)
        break_even = strike + value if is_call else strike - value
        out: dict[str, object] = {
            "day": days.row(i, int(volume[i]), int(before[i])),
            "details": {
                "contract_type": "call" if is_call else "put",
                "exercise_style": "american",
                "expiration_date": str(columns.expiry[i]),
                "shares_per_contract": 100,
                "strike_price": strike,
                "ticker": f"O:{listing.root}{listing.tails[row]}",
            },
        }
        underlying: dict[str, object] = {"last_updated": updated, "ticker": listing.root, "timeframe": plan.timeframe}
        if spot > 0:
            underlying["price"] = spot
        if not np.isnan(value):
            out["break_even_price"] = round(break_even, 4)
            underlying["change_to_break_even"] = round(break_even - spot, 4)
        out["underlying_asset"] = underlying
        if interest[i] >= 0:
            out["open_interest"] = int(interest[i])
        implied, delta, gamma, theta, vega = numbers[i]
        if abs(delta) <= DEEP:
            out["greeks"] = {"delta": delta, "gamma": gamma, "theta": theta, "vega": vega}
            out["implied_volatility"] = implied
        if plan.quotes and not np.isnan(ask):
            out["last_quote"] = {
                "ask": ask,
                "ask_size": int(quotes.ask_size[i]),
                "bid": bid,
                "bid_size": int(quotes.bid_size[i]),
                "last_updated": quote_times[i],
                "midpoint": round((bid + ask) / 2, 4),
                "timeframe": plan.timeframe,
            }
        if sales[i] is not None and volume[i] + before[i] > 0:
            out["last_trade"] = sales[i]
        yield out


def _last_trades(
    context: Context, columns: Contracts, interest: IntArray, value: FloatArray
) -> list[dict[str, object] | None]:
    """Last prints, of the session before for contracts that have not traded in this one. The price is the present
    value: the world keeps no quotes of the moment of the print."""
    world, frame = context.world, context.plan.timeframe
    closed = world.calendar.close_ns(world.previous.day)
    exchange = np.array(EXCHANGES)[contract_number(columns, 5) % len(EXCHANGES)].tolist()
    sizes = (contract_number(columns, 6) % 20 + 1).tolist()
    prices = np.round(value, 2).tolist()

    def row(i: int, condition: int, venue: int, size: int, stamp: int) -> dict[str, object]:
        return {
            "conditions": [condition],
            "exchange": venue,
            "price": prices[i],
            "sip_timestamp": stamp,
            "size": size,
            "timeframe": frame,
        }

    out: list[dict[str, object] | None] = [None] * len(columns)
    if world.invents:
        out = [row(i, AUTO, exchange[i], sizes[i], closed) for i in range(len(columns))]
    last = world.last_option_prints(columns, interest)
    known = (last.row, last.condition, last.exchange, last.size, last.time_ns)
    for i, condition, venue, size, stamp in zip(*(column.tolist() for column in known), strict=True):
        out[i] = row(i, condition, venue, size, stamp)
    return out


class _DayColumns:
    """Open, high, low and close of contracts today and in the session before, from the stock's own bar."""

    def __init__(self, context: Context, columns: Contracts, symbol: int) -> None:
        world = context.world
        self._today_ns, self._before_ns = from_et(world.today.day), from_et(world.previous.day)
        unit = world.unit
        earlier = world.history.before(world.previous.day) or world.previous
        self._earlier = world.option_values(columns, earlier.close / unit, world.calendar.close_ns(earlier.day))
        previous, closing = world.previous, world.calendar.close_ns(world.previous.day)
        self._before = [
            world.option_values(columns, bars / unit, closing)
            for bars in (previous.open, previous.high, previous.low, previous.close)
        ]
        self._today = self._before
        today = world.today
        if today.volume[symbol] > 0:
            instant = world.option_instant
            self._today = [
                world.option_values(columns, np.maximum(bars, 1) / unit, instant)
                for bars in (today.open, today.high, today.low, today.close)
            ]

    def row(self, i: int, volume: int, volume_before: int) -> dict[str, object]:
        if volume > 0:
            values, last, stamp, count = self._today, self._before[3], self._today_ns, volume
        elif volume_before > 0:
            values, last, stamp, count = self._before, self._earlier, self._before_ns, volume_before
        else:
            return {}
        if any(np.isnan(column[i]) for column in values):
            return {"volume": count, "last_updated": stamp}
        opened, closed = round(float(values[0][i]), 2), round(float(values[3][i]), 2)
        high = round(max(float(column[i]) for column in values), 2)
        low = round(min(float(column[i]) for column in values), 2)
        previous = round(float(last[i]), 2)
        return {
            "change": round(closed - previous, 2),
            "change_percent": round(100.0 * (closed - previous) / previous, 3) if previous > 0 else 0.0,
            "close": closed,
            "high": high,
            "last_updated": stamp,
            "low": low,
            "open": opened,
            "previous_close": previous,
            "volume": count,
            "vwap": round((high + low + 2 * closed) / 4, 4),
        }


def reference_row(listing: Listing, row: int) -> dict[str, object]:
    columns = listing.contracts
    is_call = bool(columns.is_call[row])
    return {
        "cfi": "OCASPS" if is_call else "OPASPS",
        "contract_type": "call" if is_call else "put",
        "exercise_style": "american",
        "expiration_date": str(columns.expiry[row]),
        "primary_exchange": OPTION_EXCHANGES[int(columns.key[row]) % len(OPTION_EXCHANGES)],
        "shares_per_contract": 100,
        "strike_price": float(columns.strike[row]),
        "ticker": f"O:{listing.root}{listing.tails[row]}",
        "underlying_ticker": listing.root,
    }


async def contracts_reference(context: Context, request: web.Request) -> web.Response:
    """Contracts by filter. Without an underlying it walks all optionable names in order, page by page."""
    world = context.world
    query = Query(request.path, request.query)
    limit = query.limit(REFERENCE_DEFAULT, REFERENCE_LIMIT)
    if query.get("expired") == "true" or query.get("as_of", world.wall_date.isoformat()) < world.today.day.isoformat():
        return listing_answer(context, request, [])  # the simulator keeps no contracts of the past
    passes = query.bounds("underlying_ticker")
    universe = world.universe
    names = sorted(universe.tickers[i] for i in np.flatnonzero(universe.optionable) if passes(universe.tickers[i]))
    if query.descending:
        names.reverse()
    rows: list[object] = []
    seen = 0
    for name in names:
        listing = world.listing(name)
        if listing is None:
            continue
        found = ordered(listing.contracts, matching_rows(listing, query, world.now_ns), query)
        skip = max(0, query.offset - seen)
        seen += len(found)
        for row in found[skip:].tolist():
            if len(rows) == limit:
                return listing_answer(context, request, rows, query.next_url(query.offset + limit))
            rows.append(reference_row(listing, row))
    return listing_answer(context, request, rows)


async def contract_reference(context: Context, request: web.Request) -> web.Response:
    found = context.world.listed(request.match_info["contract"])
    if found is None:
        raise not_found("Options contract not found.")
    return single_answer(context, request, reference_row(*found))

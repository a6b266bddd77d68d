"""Ticks over REST: the trades and quotes of a stretch of time.

The trap: no tick of the past was kept. Trades are made from the minute bars, so that bars built from them by the sale
conditions give those minutes back: open, high, low and close trade, and an odd lot outside the range counts for the
volume only. Quotes stand around each minute's close. Options have a tape of their own (option_ticks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiohttp import web

from qmterm.core.calendar import Phase
from qmterm.core.instruments import is_option
from qmterm.sim.bar_history import MS, Bars
from qmterm.sim.polygon.aggregates import aggregate, as_traded
from qmterm.sim.polygon.answers import Context, Refused, listing_answer
from qmterm.sim.polygon.option_ticks import option_quotes, option_trades
from qmterm.sim.polygon.query import Query
from qmterm.sim.polygon.tick_rows import TopOfBook, Trade

DEFAULT_LIMIT, MAX_LIMIT = 1_000, 50_000
LONGEST_NS = 5 * 86_400_000_000_000
MINUTE_MS = 60_000
ODD_LOT, ODD_LOT_SIZE, EXTENDED = 37, 7, 12
MOMENTS_MS = (1_000, 17_000, 33_000, 59_000)  # of the open, the two extremes and the close inside a minute
ODD_LOT_MS = 41_000


async def trades(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.trades)
    ticker, query = request.match_info["ticker"], Query(request.path, request.query)
    first, last = _bounds(context, query)
    if is_option(ticker):
        return _answer(context, request, query, list(option_trades(context, ticker)), first, last)
    bars = _minutes(context, ticker, first, last)
    made = [row for number in range(len(bars)) for row in _minute_trades(context, bars, number)]
    return _answer(context, request, query, made, first, last)


async def quotes(context: Context, request: web.Request) -> web.Response:
    context.need(context.plan.quotes)
    ticker, query = request.match_info["ticker"], Query(request.path, request.query)
    first, last = _bounds(context, query)
    rows = (
        option_quotes(context, ticker)
        if is_option(ticker)
        else _stock_quotes(context, ticker, _minutes(context, ticker, first, last))
    )
    return _answer(context, request, query, list(rows), first, last)


def _answer(
    context: Context, request: web.Request, query: Query, rows: Sequence[Trade | TopOfBook], first: int, last: int
) -> web.Response:
    found = sorted(
        (row for row in rows if first <= row.sip_timestamp <= last),
        key=lambda row: (row.sip_timestamp, row.sequence_number),
        reverse=query.get("order", "desc") != "asc",
    )
    page, next_url = query.page(found, query.limit(DEFAULT_LIMIT, MAX_LIMIT))
    return listing_answer(context, request, list(page), next_url)


def _bounds(context: Context, query: Query) -> tuple[int, int]:
    """First and last nanosecond asked for, none later than now; five days at most."""
    now = context.clock()
    first, last = now - LONGEST_NS, now
    for operator in ("gte", "gt", "lte", "lt"):
        text = query.get(f"timestamp.{operator}")
        if not text:
            continue
        if not text.isdigit():
            raise Refused(400, "ERROR", f"timestamp.{operator} must be Unix nanoseconds here, not {text!r}")
        if operator in ("gte", "gt"):
            first = max(first, int(text) + (operator == "gt"))
        else:
            last = min(last, int(text) - (operator == "lt"))
    return first, last


def _minutes(context: Context, ticker: str, first_ns: int, last_ns: int) -> Bars:
    """The whole minutes of a stretch, as they traded; the one that runs has no ticks yet."""
    bars = aggregate(context, ticker, 1, "minute", first_ns // MS // MINUTE_MS * MINUTE_MS, last_ns // MS)
    return as_traded(context, ticker, bars.where(bars.start_ms + MINUTE_MS <= context.clock() // MS))


def _minute_trades(context: Context, bars: Bars, number: int) -> Iterator[Trade]:
    start, volume = int(bars.start_ms[number]), int(bars.volume[number])
    opened, high, low, close = (float(c[number]) for c in (bars.open, bars.high, bars.low, bars.close))
    extremes = (high, low) if close < opened else (low, high)
    odd = ODD_LOT_SIZE if volume > 100 else 0
    quarter, rest = divmod(volume - odd, 4)
    outside = [] if context.world.calendar.phase(start * MS) is Phase.REGULAR else [EXTENDED]
    for place, (moment, price) in enumerate(zip(MOMENTS_MS, (opened, *extremes, close), strict=True)):
        yield _trade(start + moment, place, price, quarter + (rest if place == 3 else 0), outside)
    if odd:
        yield _trade(start + ODD_LOT_MS, 4, round(high + 0.05, 4), odd, [*outside, ODD_LOT])


def _trade(at_ms: int, place: int, price: float, size: int, conditions: list[int]) -> Trade:
    stamp = at_ms * MS + place
    return Trade(
        price=price,
        size=size,
        sip_timestamp=stamp,
        participant_timestamp=stamp - 350_000,
        sequence_number=at_ms // 1_000 * 10 + place,
        exchange=11,
        id=str(stamp % 10**9),
        tape=3,
        conditions=conditions,
    )


def _stock_quotes(context: Context, ticker: str, bars: Bars) -> Iterator[TopOfBook]:
    now = context.world.quote(ticker)
    half = 0.01 if now is None else max(0.01, round((now.ask - now.bid) / 2, 2))
    for start, close in zip(bars.start_ms.tolist(), bars.close.tolist(), strict=True):
        yield _quote((start + MOMENTS_MS[-1]) * MS, round(close - half, 4), round(close + half, 4), 3, 4)
    if now is not None:
        yield _quote(now.time_ns, now.bid, now.ask, now.bid_size // 100, now.ask_size // 100)


def _quote(stamp: int, bid: float, ask: float, bid_size: int, ask_size: int) -> TopOfBook:
    return TopOfBook(
        bid_price=bid,
        ask_price=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        sip_timestamp=stamp,
        participant_timestamp=stamp - 350_000,
        sequence_number=stamp // (1_000 * MS),
        bid_exchange=11,
        ask_exchange=12,
        tape=3,
    )

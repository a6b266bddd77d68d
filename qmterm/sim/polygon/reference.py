"""Reference data: tickers, their details, exchanges, conditions."""

from __future__ import annotations

from aiohttp import web

from qmterm.core.clock import from_et
from qmterm.sim.companies import SECTORS
from qmterm.sim.polygon.answers import Context, listing_answer, single_answer, utc_text
from qmterm.sim.polygon.query import Query
from qmterm.sim.randomness import mix

STOCK_EXCHANGES = ("XNYS", "XNAS", "ARCX", "BATS")
CONDITIONS = (
    (201, "Canceled", "options"),
    (209, "Automatic Execution", "options"),
    (210, "Reopening Trade", "options"),
    (219, "Intermarket Sweep Order", "options"),
    (227, "Single Leg Auction Non ISO", "options"),
    (228, "Single Leg Auction ISO", "options"),
    (229, "Single Leg Cross Non ISO", "options"),
    (230, "Single Leg Cross ISO", "options"),
    (231, "Single Leg Floor Trade", "options"),
    (232, "Multi Leg Auto-Electronic Trade", "options"),
    (247, "Multilateral Compression Trade", "options"),
)


def _figi(context: Context, number: int, kind: str) -> str:
    digits = int(mix(context.world.seed, number, 81)[0] % 10**8)
    return f"BBG00{kind}{digits:06X}"[:12].ljust(12, "0")


def ticker_row(context: Context, number: int) -> dict[str, object]:
    universe = context.world.universe
    fund = universe.is_fund(number)
    return {
        "ticker": universe.tickers[number],
        "name": universe.name(number),
        "market": "stocks",
        "locale": "us",
        "primary_exchange": "ARCX" if fund else STOCK_EXCHANGES[number % 2],
        "type": "ETF" if fund else "CS",
        "active": True,
        "currency_name": "usd",
        "cik": f"{1_000_000 + number:010d}",
        "composite_figi": _figi(context, number, "A"),
        "share_class_figi": _figi(context, number, "B"),
        "last_updated_utc": utc_text(from_et(context.world.previous.day)),
    }


async def tickers(context: Context, request: web.Request) -> web.Response:
    universe = context.world.universe
    query = Query(request.path, request.query)
    limit = query.limit(100, 1000)
    wanted, search = query.bounds("ticker"), query.get("search").lower()
    kind, exchange = query.get("type"), query.get("exchange")
    if query.get("active", "true") == "false" or query.get("market", "stocks") not in ("stocks", ""):
        return listing_answer(context, request, [])
    order = sorted(universe.number, reverse=query.descending)
    found = [ticker for ticker in order if wanted(ticker)]
    if search:
        found = [t for t in found if search in t.lower() or search in universe.name(universe.number[t]).lower()]
    if kind:
        found = [t for t in found if kind == ("ETF" if universe.is_fund(universe.number[t]) else "CS")]
    if exchange:
        found = [t for t in found if ticker_row(context, universe.number[t])["primary_exchange"] == exchange]
    page, next_url = query.page(found, limit)
    rows: list[object] = [ticker_row(context, universe.number[ticker]) for ticker in page]
    return listing_answer(context, request, rows, next_url)


async def ticker_details(context: Context, request: web.Request) -> web.Response:
    number = context.symbol(request.match_info["ticker"])
    universe = context.world.universe
    shares = round(float(universe.volume[number]) * 150, -3)
    price = float(context.world.previous.close[number]) / 100.0
    sector = SECTORS[int(universe.sector[number])]
    extra = {
        "description": f"{universe.name(number)} is a simulated company in the sector {sector}.",
        "homepage_url": f"https://{universe.tickers[number].lower()}.example.com",
        "list_date": "2004-08-19",
        "market_cap": round(price * shares, 2),
        "round_lot": 100,
        "share_class_shares_outstanding": int(shares),
        "weighted_shares_outstanding": int(shares),
        "sic_code": f"{3000 + 100 * int(universe.sector[number])}",
        "sic_description": sector.upper(),
        "total_employees": 100 + int(shares) % 90_000,
    }
    return single_answer(context, request, {**ticker_row(context, number), **extra})


async def ticker_types(context: Context, request: web.Request) -> web.Response:
    kinds = (("CS", "Common Stock"), ("ETF", "Exchange Traded Fund"))
    rows: list[object] = [
        {"code": code, "description": text, "asset_class": "stocks", "locale": "us"} for code, text in kinds
    ]
    return listing_answer(context, request, rows)


async def exchanges(context: Context, request: web.Request) -> web.Response:
    rows: list[object] = [
        {
            "id": number,
            "type": "exchange",
            "asset_class": "stocks",
            "locale": "us",
            "name": mic,
            "mic": mic,
            "operating_mic": mic,
        }
        for number, mic in enumerate(STOCK_EXCHANGES, start=10)
    ]
    return listing_answer(context, request, rows)

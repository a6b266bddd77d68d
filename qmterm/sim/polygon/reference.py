"""Reference data: tickers, their details, exchanges, conditions."""

from __future__ import annotations

from aiohttp import web

from qmterm.core.clock import from_et
from qmterm.sim.market import Listed
from qmterm.sim.polygon.answers import Context, listing_answer, single_answer, utc_text
from qmterm.sim.polygon.query import Query
from qmterm.sim.randomness import mix

STOCK_EXCHANGES = ("XNYS", "XNAS", "ARCX", "BATS")
CONDITIONS = (
    (0, "Regular Sale", "stocks"),
    (12, "Form T/Extended Hours", "stocks"),
    (14, "Intermarket Sweep", "stocks"),
    (37, "Odd Lot Trade", "stocks"),
    (201, "Canceled", "options"),
    (202, "Late and Out Of Sequence", "options"),
    (203, "Last and Canceled", "options"),
    (204, "Late", "options"),
    (205, "Opening Trade and Canceled", "options"),
    (206, "Opening Trade, Late, and Out Of Sequence", "options"),
    (207, "Only Trade and Canceled", "options"),
    (208, "Opening Trade and Late", "options"),
    (209, "Automatic Execution", "options"),
    (210, "Reopening Trade", "options"),
    (219, "Intermarket Sweep Order", "options"),
    (227, "Single Leg Auction Non ISO", "options"),
    (228, "Single Leg Auction ISO", "options"),
    (229, "Single Leg Cross Non ISO", "options"),
    (230, "Single Leg Cross ISO", "options"),
    (231, "Single Leg Floor Trade", "options"),
    (232, "Multi Leg Auto-Electronic Trade", "options"),
    (233, "Multi Leg Auction", "options"),
    (234, "Multi Leg Cross", "options"),
    (235, "Multi Leg Floor Trade", "options"),
    (236, "Multi Leg Auto-Electronic Trade against Single Leg", "options"),
    (237, "Stock Options Auction", "options"),
    (238, "Multi Leg Auction against Single Leg", "options"),
    (239, "Multi Leg Floor Trade against Single Leg", "options"),
    (240, "Stock Options Auto-Electronic Trade", "options"),
    (241, "Stock Options Cross", "options"),
    (242, "Stock Options Floor Trade", "options"),
    (243, "Stock Options Auto-Electronic Trade against Single Leg", "options"),
    (244, "Stock Options Auction against Single Leg", "options"),
    (245, "Stock Options Floor Trade against Single Leg", "options"),
    (246, "Multi Leg Floor Trade of Proprietary Products", "options"),
    (247, "Multilateral Compression Trade", "options"),
    (248, "Extended Hours Trade", "options"),
)


def _figi(context: Context, number: int, kind: str) -> str:
    digits = int(mix(context.world.seed, number, 81)[0] % 10**8)
    return f"BBG00{kind}{digits:06X}"[:12].ljust(12, "0")


def listing_exchange(universe: Listed, number: int) -> str:
    """MIC of the exchange that lists a name: funds on Arca, the others by turns on the NYSE and Nasdaq."""
    return "ARCX" if universe.is_fund(number) else STOCK_EXCHANGES[number % 2]


def ticker_row(context: Context, number: int) -> dict[str, object]:
    universe = context.world.universe
    known: dict[str, object] = {
        "ticker": universe.tickers[number],
        "name": universe.name(number),
        "market": "stocks",
        "locale": "us",
    }
    if not context.world.invents:
        told = {key: value for key, value in known.items() if value}
        return {**told, "active": True, "currency_name": "usd"}
    fund = universe.is_fund(number)
    return {
        **known,
        "primary_exchange": listing_exchange(universe, number),
        "type": "ETF" if fund else "CS",
        "active": True,
        "currency_name": "usd",
        "cik": f"{1_000_000 + number:010d}",
        "composite_figi": _figi(context, number, "A"),
        "share_class_figi": _figi(context, number, "B"),
        "last_updated_utc": utc_text(from_et(context.world.previous.day)),
    }


def former_rows(context: Context, query: Query) -> list[object]:
    """Tickers that nobody has any more."""
    wanted, rows = query.bounds("ticker"), list[object]()
    for rename in sorted(context.world.happenings.renames, key=lambda rename: rename.old):
        if wanted(rename.old):
            row = {**ticker_row(context, rename.symbol), "ticker": rename.old, "active": False}
            rows.append({**row, "delisted_utc": utc_text(from_et(rename.day))})
    return rows


async def ticker_events(context: Context, request: web.Request) -> web.Response:
    """Which tickers an issue has had, newest first; asked by any of them."""
    ticker, happenings = request.match_info["ticker"], context.world.happenings
    former = happenings.former(ticker)
    number = context.symbol(ticker) if former is None else former.symbol
    listed = from_et(context.world.history.rows[0].day)
    mine = [rename for rename in happenings.renames if rename.symbol == number]
    first = mine[0].old if mine else context.world.universe.tickers[number]
    changes = [(rename.day.isoformat(), rename.new) for rename in reversed(mine)]
    changes.append((utc_text(listed)[:10], first))
    row = ticker_row(context, number)
    return single_answer(
        context,
        request,
        {
            "name": row["name"],
            "composite_figi": row["composite_figi"],
            "cik": row["cik"],
            "events": [
                {"type": "ticker_change", "date": day, "ticker_change": {"ticker": name}} for day, name in changes
            ],
        },
    )


async def tickers(context: Context, request: web.Request) -> web.Response:
    universe = context.world.universe
    query = Query(request.path, request.query)
    limit = query.limit(100, 1000)
    wanted, search = query.bounds("ticker"), query.get("search").lower()
    kind, exchange = query.get("type"), query.get("exchange")
    if query.get("market", "stocks") not in ("stocks", ""):
        return listing_answer(context, request, [])
    if query.get("active", "true") == "false":
        gone, after = query.page(former_rows(context, query), limit)
        return listing_answer(context, request, gone, after)
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
    profile = universe.profile(number)
    if profile is None:
        return single_answer(context, request, ticker_row(context, number))
    shares, sector = profile.shares, profile.sector
    price = float(context.world.previous.close[number]) / context.world.unit
    extra = {
        "description": f"{universe.name(number)} is a simulated company in the sector {sector}.",
        "homepage_url": f"https://{universe.tickers[number].lower()}.example.com",
        "list_date": "2004-08-19",
        "market_cap": round(price * shares, 2),
        "round_lot": 100,
        "share_class_shares_outstanding": shares,
        "weighted_shares_outstanding": shares,
        "sic_code": profile.industry_code,
        "sic_description": sector.upper(),
        "total_employees": profile.employees,
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


async def conditions(context: Context, request: web.Request) -> web.Response:
    query = Query(request.path, request.query)
    asset = query.get("asset_class")
    rows: list[object] = [
        {
            "id": number,
            "type": "sale_condition",
            "name": name,
            "asset_class": kind,
            "sip_mapping": {"OPRA": chr(97 + number % 26)} if kind == "options" else {"CTA": "@", "UTP": "@"},
            "data_types": ["trade"],
        }
        for number, name, kind in CONDITIONS
        if asset in ("", kind)
    ]
    page, next_url = query.page(rows, query.limit(10, 1000))
    return listing_answer(context, request, page, next_url)

"""One company's filings, relatives and short interest, and the conditions with their rules.

The trap: a filing is served from its filing day on, and funds file nothing; nothing leaks from the future.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from aiohttp import web

from qmterm.core.conditions import ALL, RULES
from qmterm.sim.corporate import Earnings
from qmterm.sim.polygon.answers import Context, answer, listing_answer
from qmterm.sim.polygon.query import Query
from qmterm.sim.polygon.reference import CONDITIONS, ticker_row
from qmterm.sim.randomness import chance

RELATIVES = 10
QUARTER_DAYS = 91
FILED_AFTER = timedelta(days=3)
SETTLEMENTS = 12
SHARES_PER_VOLUME = 150.0  # shares outstanding for each share that trades in a day

# Names of the consolidated tape's sale conditions; the rules are core/conditions.py's.
STOCK_CONDITIONS = {
    0: "Regular Sale",
    1: "Acquisition",
    2: "Average Price Trade",
    3: "Automatic Execution",
    4: "Bunched Trade",
    5: "Bunched Sold Trade",
    7: "Cash Sale",
    8: "Closing Prints",
    9: "Cross Trade",
    10: "Derivatively Priced",
    12: "Form T/Extended Hours",
    13: "Extended Hours (Sold Out Of Sequence)",
    14: "Intermarket Sweep",
    15: "Market Center Official Close",
    16: "Market Center Official Open",
    17: "Market Center Opening Trade",
    19: "Market Center Closing Trade",
    20: "Next Day",
    21: "Price Variation Trade",
    22: "Prior Reference Price",
    23: "Rule 155 Trade (AMEX)",
    25: "Opening Prints",
    28: "Re-Opening Prints",
    29: "Seller",
    33: "Sold (Out Of Sequence)",
    34: "Split Trade",
    35: "Stopped Stock (Regular Trade)",
    36: "Yellow Flag Regular Trade",
    37: "Odd Lot Trade",
    38: "Corrected Consolidated Close",
    41: "Trade Thru Exempt",
    52: "Contingent Trade",
    53: "Qualified Contingent Trade (QCT)",
}
_OFFICIAL = frozenset({15, 16})
_DROPPED = frozenset({201})  # option trades that were cancelled move nothing


async def conditions(context: Context, request: web.Request) -> web.Response:
    query = Query(request.path, request.query)
    asset, data = query.get("asset_class"), query.get("data_type", "trade")
    rows = [] if data not in ("", "trade") else [row for row in _conditions() if asset in ("", row["asset_class"])]
    page, next_url = query.page(rows, query.limit(10, 1000))
    return listing_answer(context, request, list(page), next_url)


def _conditions() -> Iterator[dict[str, object]]:
    for number, name in STOCK_CONDITIONS.items():
        counts = RULES.get(number, ALL)
        rules = {
            "updates_high_low": counts.high_low,
            "updates_open_close": counts.last,
            "updates_volume": counts.volume,
        }
        yield {
            "id": number,
            "type": "sale_condition",
            "name": name,
            "asset_class": "stocks",
            "sip_mapping": {"CTA": chr(64 + number % 26), "UTP": chr(64 + number % 26)},
            "update_rules": {
                "consolidated": rules,
                "market_center": rules | ({"updates_open_close": True} if number in _OFFICIAL else {}),
            },
            "data_types": ["trade"],
        }
    for number, name, kind in CONDITIONS:
        if kind == "options":
            moves = number not in _DROPPED
            rules = dict.fromkeys(("updates_high_low", "updates_open_close", "updates_volume"), moves)
            yield {
                "id": number,
                "type": "sale_condition",
                "name": name,
                "asset_class": kind,
                "sip_mapping": {"OPRA": chr(97 + number % 26)},
                "update_rules": {"consolidated": rules},
                "data_types": ["trade"],
            }


async def related(context: Context, request: web.Request) -> web.Response:
    """The largest of the same sector."""
    ticker = request.match_info["ticker"]
    number, universe = context.symbol(ticker), context.world.universe
    rows = [{"ticker": universe.tickers[other]} for other in universe.relatives(number, RELATIVES)]
    body = {"status": "OK", "request_id": context.request_id(request), "stock_symbol": ticker, "results": rows}
    return answer(body)


async def short_interest(context: Context, request: web.Request) -> web.Response:
    query = Query(request.path, request.query)
    world, universe = context.world, context.world.universe
    number = context.symbol(query.get("ticker"))
    rows: list[object] = []
    profile, day = universe.profile(number), world.previous.day
    while profile is not None and len(rows) < SETTLEMENTS:
        day -= timedelta(days=15)
        average = profile.shares / SHARES_PER_VOLUME
        shares = round(average * (1.0 + 4.0 * float(chance(world.seed, 51, number, day.toordinal())[0])))
        rows.append(
            {
                "ticker": universe.tickers[number],
                "settlement_date": day.isoformat(),
                "short_interest": shares,
                "avg_daily_volume": round(average),
                "days_to_cover": round(shares / average, 2),
            }
        )
    page, next_url = query.page(rows, query.limit(10, 50_000))
    return listing_answer(context, request, list(page), next_url)


async def financials(context: Context, request: web.Request) -> web.Response:
    query = Query(request.path, request.query)
    number, today = context.symbol(query.get("ticker")), context.world.wall_date
    quarters = query.get("timeframe", "quarterly") == "quarterly"
    reports = [
        report
        for report in context.world.corporate.earnings_of(number, today)
        if report.actual_eps is not None and report.day + FILED_AFTER <= today
    ]
    rows: list[object] = [_filing(context, number, report) for report in reversed(reports)] if quarters else []
    page, next_url = query.page(rows, query.limit(10, 100))
    return listing_answer(context, request, list(page), next_url)


def _filing(context: Context, number: int, report: Earnings) -> dict[str, object]:
    universe, row = context.world.universe, ticker_row(context, number)
    profile = universe.profile(number)
    shares = 0 if profile is None else profile.shares
    earned = (report.actual_eps or 0.0) * shares
    sales = abs(earned) / (0.06 + 0.2 * float(chance(context.world.seed, 52, number)[0]))
    assets = 8.0 * sales
    ended = _quarter_end(report.day)
    return {
        "start_date": (ended - timedelta(days=QUARTER_DAYS - 1)).isoformat(),
        "end_date": ended.isoformat(),
        "filing_date": (report.day + FILED_AFTER).isoformat(),
        "cik": row["cik"],
        "company_name": row["name"],
        "tickers": [row["ticker"]],
        "fiscal_period": report.quarter,
        "fiscal_year": str(report.fiscal_year),
        "timeframe": "quarterly",
        "financials": {
            "income_statement": {
                "revenues": _amount("Revenues", sales, 100),
                "operating_income_loss": _amount("Operating Income/Loss", 1.25 * earned, 1100),
                "net_income_loss": _amount("Net Income/Loss", earned, 3200),
                "basic_earnings_per_share": _per_share("Basic Earnings Per Share", report.actual_eps, 4200),
                "diluted_earnings_per_share": _per_share("Diluted Earnings Per Share", report.actual_eps, 4300),
            },
            "balance_sheet": {
                "assets": _amount("Assets", assets, 100),
                "liabilities": _amount("Liabilities", 0.6 * assets, 600),
                "equity": _amount("Equity", 0.4 * assets, 1400),
            },
            "cash_flow_statement": {
                "net_cash_flow_from_operating_activities": _amount(
                    "Net Cash Flow From Operating Activities", 1.2 * earned, 100
                ),
                "net_cash_flow": _amount("Net Cash Flow", 0.1 * earned, 1100),
            },
            "comprehensive_income": {"comprehensive_income_loss": _amount("Comprehensive Income/Loss", earned, 100)},
        },
    }


def _amount(label: str, value: float, order: int) -> dict[str, object]:
    return {"label": label, "value": round(value), "unit": "USD", "order": order}


def _per_share(label: str, value: float | None, order: int) -> dict[str, object]:
    return {"label": label, "value": value, "unit": "USD / shares", "order": order}


def _quarter_end(reported: date) -> date:
    """The last day of the calendar quarter before a report."""
    first = date(reported.year, (reported.month - 1) // 3 * 3 + 1, 1)
    return first - timedelta(days=1)

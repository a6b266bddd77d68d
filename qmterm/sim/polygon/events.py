"""What happens to companies: dividends, splits, earnings and news, as the service lists them.

The trap: an article is served once its time has come, a dividend once it was declared; nothing leaks from the future.
"""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from qmterm.core.clock import from_et
from qmterm.sim.corporate import Dividend
from qmterm.sim.news import PUBLISHERS, Article
from qmterm.sim.polygon.answers import Context, listing_answer, utc_text
from qmterm.sim.polygon.query import Query
from qmterm.sim.randomness import mix

# --- corporate actions ---


async def dividends(context: Context, request: web.Request) -> web.Response:
    world = context.world
    query = Query(request.path, request.query)
    ticker, ex = query.bounds("ticker"), query.bounds("ex_dividend_date")
    names, today = world.universe.tickers, world.wall_date
    found = [
        dividend
        for dividend in world.corporate.dividends
        if (dividend.declared or dividend.ex_date) <= today
        and ticker(names[dividend.symbol])
        and ex(dividend.ex_date.isoformat())
    ]
    found.sort(key=lambda dividend: (dividend.ex_date, dividend.symbol), reverse=query.get("order", "desc") != "asc")
    page, next_url = query.page(found, query.limit(10, 1000))
    rows: list[object] = [
        {
            "cash_amount": round(dividend.as_paid, 6),
            "currency": "USD",
            "dividend_type": "CD",
            "ex_dividend_date": dividend.ex_date.isoformat(),
            "id": f"E{int(mix(dividend.symbol, dividend.ex_date.toordinal())[0]):016x}",
            "ticker": names[dividend.symbol],
            **_terms(dividend),
        }
        for dividend in page
    ]
    return listing_answer(context, request, rows, next_url)


def _terms(dividend: Dividend) -> dict[str, object]:
    """The dates around a dividend, as far as they are known."""
    dates = {
        "declaration_date": dividend.declared,
        "record_date": dividend.record,
        "pay_date": dividend.paid,
    }
    known: dict[str, object] = {name: day.isoformat() for name, day in dates.items() if day is not None}
    return known if dividend.frequency is None else {**known, "frequency": dividend.frequency}


async def splits(context: Context, request: web.Request) -> web.Response:
    world = context.world
    query = Query(request.path, request.query)
    ticker, day = query.bounds("ticker"), query.bounds("execution_date")
    names = world.universe.tickers
    every = [*world.corporate.splits, *world.happenings.announced]
    found = [split for split in every if ticker(names[split.symbol]) and day(split.day.isoformat())]
    found.sort(key=lambda split: (split.day, split.symbol), reverse=query.get("order", "desc") != "asc")
    page, next_url = query.page(found, query.limit(10, 1000))
    rows: list[object] = [
        {
            "execution_date": split.day.isoformat(),
            "id": f"E{int(mix(split.symbol, split.day.toordinal(), 2)[0]):016x}",
            "split_from": split.old,
            "split_to": split.new,
            "ticker": names[split.symbol],
        }
        for split in page
    ]
    return listing_answer(context, request, rows, next_url)


async def earnings(context: Context, request: web.Request) -> web.Response:
    """Past and coming reports (the vendor's partner feed, a paid add-on)."""
    world = context.world
    context.need(context.plan.earnings and world.invents)  # files tell of no reports: an empty list would deny them
    query = Query(request.path, request.query)
    limit = query.limit(100, 50_000)
    ticker, day = query.bounds("ticker"), query.bounds("date")
    names, now = world.universe.tickers, world.wall_date
    found = []
    for number in reporting(context, query):
        if ticker(names[number]):
            found += [report for report in world.corporate.earnings_of(number, now) if day(report.day.isoformat())]
    found.sort(key=lambda report: (report.day, report.symbol), reverse="desc" in query.get("sort", "date.desc"))
    page, next_url = query.page(found, limit)
    rows: list[object] = []
    for report in page:
        row: dict[str, object] = {
            "ticker": names[report.symbol],
            "company_name": world.universe.name(report.symbol),
            "date": report.day.isoformat(),
            "time": "16:15:00" if report.after_close else "07:30:00",
            "date_status": "confirmed" if report.day - now < timedelta(days=30) else "projected",
            "currency": "USD",
            "fiscal_period": report.quarter,
            "fiscal_year": report.fiscal_year,
            "estimated_eps": report.estimated_eps,
            "importance": 3,
            "last_updated": utc_text(from_et(world.previous.day)),
        }
        if report.actual_eps is not None:
            surprise = round(report.actual_eps - report.estimated_eps, 2)
            row |= {"actual_eps": report.actual_eps, "eps_surprise": surprise}
        rows.append(row)
    return listing_answer(context, request, rows, next_url)


def reporting(context: Context, query: Query) -> list[int]:
    """Symbols whose reports a query can mean, so that a date range does not walk the whole market."""
    world = context.world
    named = query.get("ticker") or query.get("ticker.any_of")
    if named:
        return [world.universe.number[name] for name in named.split(",") if name in world.universe.number]
    low, high = query.get("date.gte") or query.get("date.gt"), query.get("date.lte") or query.get("date.lt")
    exact = query.get("date")
    if exact:
        low = high = exact
    return world.corporate.reporting_between(low or "0000", high or "9999")


# --- news ---


def news_row(context: Context, article: Article) -> dict[str, object]:
    names = context.world.universe.tickers
    publisher, home = PUBLISHERS[article.number % len(PUBLISHERS)]
    tickers_named = [names[symbol] for symbol in article.tickers]
    identity = f"{int(mix(context.world.seed, article.number)[0]):016x}" * 4
    reason = f"The article reads {article.sentiment} for {tickers_named[0]}."
    insights = [{"ticker": tickers_named[0], "sentiment": article.sentiment, "sentiment_reasoning": reason}]
    if len(tickers_named) > 1:
        insights.append(
            {"ticker": tickers_named[1], "sentiment": "neutral", "sentiment_reasoning": "Mentioned in passing."}
        )
    return {
        "id": identity,
        "publisher": {
            "name": publisher,
            "homepage_url": home,
            "logo_url": f"{home}/logo.png",
            "favicon_url": f"{home}/favicon.ico",
        },
        "title": article.title,
        "author": "Sim Reporter",
        "published_utc": utc_text(article.published_ns),
        "article_url": f"{home}/{article.number}",
        "tickers": tickers_named,
        "image_url": f"{home}/{article.number}.jpg",
        "description": article.description,
        "keywords": ["simulated"],
        "insights": insights,
    }


async def news(context: Context, request: web.Request) -> web.Response:
    """The newest articles. A replay's files hold none: it refuses, as "no article" would mean that all is quiet."""
    context.need(context.world.invents)
    query = Query(request.path, request.query)
    limit = query.limit(10, 1000)
    universe = context.world.universe
    published = query.bounds("published_utc")
    name = query.get("ticker")
    symbol = universe.number.get(name, -1) if name else None
    wanted = query.bounds("ticker")
    found = [
        article
        for article in context.world.published()
        if published(utc_text(article.published_ns))
        and (symbol in article.tickers if name else any(wanted(universe.tickers[s]) for s in article.tickers))
    ]
    if query.get("order", "desc").startswith("desc"):
        found.reverse()
    page, next_url = query.page(found, limit)
    return listing_answer(context, request, [news_row(context, article) for article in page], next_url)

"""What is known of one company over REST: profile, renamings, relatives, news, earnings, filings, short interest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import Any

import msgspec

from qmterm.core.errors import DataError
from qmterm.market.company import CompanyProfile, FinancialReport, ShortInterest, TickerChange
from qmterm.market.records import EarningsDate, Insight, NewsItem
from qmterm.market.rest import bodies
from qmterm.market.rest import reference_bodies as rows
from qmterm.market.rest.calls import LIST_PAGE, Calls
from qmterm.market.rest.columns import check_some_good, dated
from qmterm.market.rest.entitlements import Family
from qmterm.market.times import iso_date, rfc3339_ns, utc_text

_EARNINGS_AT_ONCE = 100
_FILINGS_PAGE = 100

_details = msgspec.json.Decoder(rows.DetailsRow)
_events = msgspec.json.Decoder(rows.EventsBody)
_related = msgspec.json.Decoder(rows.RelatedRow)
_filing = msgspec.json.Decoder(rows.FinancialRow)
_short = msgspec.json.Decoder(rows.ShortInterestRow)
_earnings = msgspec.json.Decoder(bodies.EarningsRow)
_news = msgspec.json.Decoder(bodies.NewsRow)


class CompanyCalls(Calls):
    async def company(self, symbol: str, as_of: date | None = None) -> CompanyProfile:
        """The profile as known now or on a day; DataError when the ticker is not known."""
        row = await self._single(
            f"details of {symbol}",
            lambda c: c.get_ticker_details(symbol, date=as_of.isoformat() if as_of else None, raw=True),
            _details,
            Family.REFERENCE,
        )
        return CompanyProfile(
            symbol=row.ticker,
            name=row.name,
            type=row.type,
            exchange=row.primary_exchange,
            sector=row.sic_description,
            sic_code=row.sic_code,
            market_cap=row.market_cap,
            shares=row.share_class_shares_outstanding,
            weighted_shares=row.weighted_shares_outstanding,
            employees=row.total_employees,
            list_date=iso_date(row.list_date),
            homepage=row.homepage_url,
            description=row.description,
            cik=row.cik,
            active=row.active,
        )

    async def ticker_changes(self, symbol: str) -> tuple[TickerChange, ...]:
        """The symbols a company has traded under, oldest first."""
        body = await self._single(
            f"events of {symbol}",
            lambda c: c.get_ticker_events(symbol, types="ticker_change", raw=True),
            _events,
            Family.REFERENCE,
        )
        found = [
            TickerChange(day, row.ticker_change.ticker)
            for row in body.events
            if row.ticker_change is not None and row.ticker_change.ticker and (day := iso_date(row.date)) is not None
        ]
        return tuple(sorted(found, key=lambda change: change.day))

    async def related(self, symbol: str) -> tuple[str, ...]:
        """Companies that news and returns bring together with this one, nearest first."""
        found = await self._page(
            f"companies related to {symbol}",
            lambda c: c.get_related_companies(symbol, raw=True),
            _related,
            Family.REFERENCE,
        )
        return tuple(row.ticker for row in found)

    async def financials(
        self, symbol: str, timeframe: str = "quarterly", limit: int = 8
    ) -> tuple[FinancialReport, ...]:
        """The latest filings (quarterly, annual or ttm), newest first; one page."""
        found = await self._page(
            f"financials of {symbol}",
            lambda c: c.vx.list_stock_financials(
                ticker=symbol,
                timeframe=timeframe,
                limit=min(limit, _FILINGS_PAGE),
                sort="period_of_report_date",
                order="desc",
                raw=True,
            ),
            _filing,
            Family.FINANCIALS,
        )
        return tuple(_report(symbol, row) for row in found)

    async def short_interest(self, symbol: str, limit: int = 24) -> tuple[ShortInterest, ...]:
        """Short interest by settlement day, newest first; one page."""
        found = await self._page(
            f"short interest of {symbol}",
            lambda c: c.list_short_interest(ticker=symbol, limit=limit, sort="settlement_date.desc", raw=True),
            _short,
            Family.SHORT_INTEREST,
        )
        dated = [
            ShortInterest(day, row.short_interest, row.days_to_cover)
            for row in found
            if (day := iso_date(row.settlement_date)) is not None
        ]
        return tuple(sorted(dated, key=lambda one: one.settled, reverse=True))

    async def earnings(self, symbols: Iterable[str], since: date, until: date) -> tuple[EarningsDate, ...]:
        """Earnings dates of some symbols (paid add-on: NotEntitled without it, which means unknown, not none)."""
        wanted = sorted(set(symbols))
        found: list[EarningsDate] = []
        for first in range(0, len(wanted), _EARNINGS_AT_ONCE):
            ask = partial(_ask_earnings, wanted[first : first + _EARNINGS_AT_ONCE], since, until)
            rows = await self._list("earnings dates", ask, _earnings, Family.EARNINGS, every=True)
            found += [
                EarningsDate(row.ticker, day, row.time or "", row.date_status == "confirmed")
                for day, row in dated(rows, lambda row: row.date, "earnings dates")
            ]
        return tuple(sorted(found, key=lambda event: (event.day, event.symbol)))

    async def news(self, symbol: str | None, since_ns: int, limit: int = 50) -> tuple[NewsItem, ...]:
        """The newest articles of a symbol (None: of the market) since a market time, newest first; one page."""
        since = utc_text(since_ns)
        what = f"news of {symbol or 'the market'}"
        found = await self._page(
            what,
            lambda c: c.list_ticker_news(
                symbol, published_utc_gte=since, limit=limit, sort="published_utc", order="desc", raw=True
            ),
            _news,
            Family.NEWS,
        )
        items = [item for row in found if (item := _news_item(row)) is not None]
        check_some_good(len(items), len(found) - len(items), what)
        self.unreadable += len(found) - len(items)
        return tuple(items)


def _ask_earnings(symbols: list[str], since: date, until: date, client: Any) -> Any:
    return client.list_benzinga_earnings(
        ticker_any_of=symbols, date_gte=since.isoformat(), date_lte=until.isoformat(), limit=LIST_PAGE, raw=True
    )


def _report(symbol: str, row: rows.FinancialRow) -> FinancialReport:
    return FinancialReport(
        symbol=symbol,
        period=row.fiscal_period,
        fiscal_year=str(row.fiscal_year),
        end=iso_date(row.end_date),
        filed=iso_date(row.filing_date),
        statements={
            statement: {line: amount.value for line, amount in lines.items() if amount.value is not None}
            for statement, lines in row.financials.items()
        },
    )


def _news_item(row: bodies.NewsRow) -> NewsItem | None:
    """None when nobody knows when it was published."""
    try:
        published_ns = rfc3339_ns(row.published_utc)
    except DataError:
        return None
    return NewsItem(
        news_id=row.id,
        published_ns=published_ns,
        title=row.title,
        publisher=row.publisher.name if row.publisher else "",
        symbols=tuple(row.tickers),
        url=row.article_url,
        description=row.description or "",
        keywords=tuple(row.keywords or ()),
        insights=tuple(Insight(i.ticker, i.sentiment, i.sentiment_reasoning) for i in row.insights or ()),
    )

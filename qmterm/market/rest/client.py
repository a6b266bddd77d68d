"""What qmterm asks of Polygon's REST service, each as one async method that returns our own types.

The trap: never one call a symbol for the market. The snapshot is one call, a day of history is one call; calls that
name a symbol are for candidates, positions and what somebody looks at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from typing import Any, TypeVar

import msgspec

from qmterm.core.errors import DataError
from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.records import (
    BarColumns,
    Dividend,
    EarningsDate,
    GroupedColumns,
    Insight,
    MarketStatus,
    NewsItem,
    OptionRows,
    SnapshotColumns,
    Split,
    YieldCurve,
)
from qmterm.market.rest import bodies, columns
from qmterm.market.rest.caller import RestCaller
from qmterm.market.rest.snapshot import snapshot_columns
from qmterm.market.times import iso_date, rfc3339_ns, utc_text

R = TypeVar("R")

_CHAIN_PAGE = 250  # the vendor's maximum
_LIST_PAGE = 1_000
_EARNINGS_AT_ONCE = 100

_status = msgspec.json.Decoder(bodies.StatusBody)
_reference = msgspec.json.Decoder(bodies.ContractReference)
_dividend = msgspec.json.Decoder(bodies.DividendRow)
_split = msgspec.json.Decoder(bodies.SplitRow)
_earnings = msgspec.json.Decoder(bodies.EarningsRow)
_news = msgspec.json.Decoder(bodies.NewsRow)
_yield = msgspec.json.Decoder(bodies.YieldRow)


class PolygonRest:
    """Every method may raise NotEntitled, RateLimited, DataSilent, DataAuthError or another DataError."""

    def __init__(
        self, settings: PolygonSettings, key: str, clock_monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.caller = RestCaller(settings, key, clock_monotonic)
        self.delayed = False  # some answer was 15 minutes old by plan

    def close(self) -> None:
        self.caller.close()

    # --- the whole market ---

    async def market_status(self) -> MarketStatus:
        return await self.caller.one("market status", lambda c: c.get_market_status(raw=True), _market_status)

    async def whole_market_snapshot(self) -> SnapshotColumns:
        """Every stock in one call."""
        snapshot = await self.caller.one(
            "whole-market snapshot", lambda c: c.get_snapshot_all("stocks", raw=True), snapshot_columns
        )
        self.delayed |= snapshot.delayed
        return snapshot

    async def grouped_daily(self, day: date) -> GroupedColumns:
        """One session's bars of every stock in one call, adjusted for splits known today; empty on a closed day."""
        return await self.caller.one(
            f"daily bars of {day}",
            lambda c: c.get_grouped_daily_aggs(day.isoformat(), adjusted=True, raw=True),
            lambda body: columns.grouped_columns(body, day),
        )

    async def splits(self, since: date) -> tuple[Split, ...]:
        """Splits executed on or after a day, all symbols."""
        rows = await self._list(
            "splits",
            lambda c: c.list_splits(execution_date_gte=since.isoformat(), limit=_LIST_PAGE, raw=True),
            _split,
        )
        return tuple(
            Split(row.ticker, day, row.split_from, row.split_to)
            for row in rows
            if (day := iso_date(row.execution_date)) is not None and row.split_from > 0 and row.split_to > 0
        )

    async def treasury_yields(self, since: date | None = None) -> YieldCurve | None:
        """The newest par yields published since a day; None when there are none.

        The service's word for the order has changed once, so the newest row is chosen here.
        """
        page = await self.caller.one(
            "treasury yields",
            lambda c: c.list_treasury_yields(
                date_gte=since.isoformat() if since else None, limit=100, sort="date.desc", raw=True
            ),
            lambda body: columns.rows_page(body, _yield, "treasury yields"),
        )
        newest = max(page.rows, key=lambda row: row.date, default=None)
        return _yield_curve(newest) if newest is not None else None

    # --- one underlying ---

    async def option_rows(
        self,
        underlying: str,
        expiry_from: date,
        expiry_to: date,
        strike_from: float | None = None,
        strike_to: float | None = None,
    ) -> OptionRows:
        """The chain snapshot between two expiries, all pages; no contracts is an empty chain."""
        filters: dict[str, Any] = {
            "expiration_date.gte": expiry_from.isoformat(),
            "expiration_date.lte": expiry_to.isoformat(),
            "limit": _CHAIN_PAGE,
            "sort": "ticker",
            "order": "asc",
        }
        if strike_from is not None:
            filters["strike_price.gte"] = strike_from
        if strike_to is not None:
            filters["strike_price.lte"] = strike_to
        contracts = await self.caller.pages(
            f"option chain of {underlying}",
            lambda c: c.list_snapshot_options_chain(underlying, params=dict(filters), raw=True),
            lambda body: columns.contract_page(body, underlying),
        )
        rows = await asyncio.to_thread(columns.option_rows, underlying, contracts)
        self.delayed |= rows.delayed
        return rows

    async def has_options(self, underlying: str) -> bool:
        """Whether any unexpired standard option is listed: one small call."""
        page = await self.caller.one(
            f"option contracts of {underlying}",
            lambda c: c.list_options_contracts(underlying_ticker=underlying, expired=False, limit=1, raw=True),
            lambda body: columns.rows_page(body, _reference, f"option contracts of {underlying}"),
        )
        return bool(page.rows)

    async def dividends(self, symbol: str, since: date | None = None) -> tuple[Dividend, ...]:
        """Declared cash dividends by ex date, oldest first."""
        rows = await self._list(
            f"dividends of {symbol}",
            lambda c: c.list_dividends(
                ticker=symbol,
                ex_dividend_date_gte=since.isoformat() if since else None,
                limit=_LIST_PAGE,
                raw=True,
            ),
            _dividend,
        )
        found = [
            Dividend(row.ticker, day, row.cash_amount, iso_date(row.pay_date), row.frequency or 0, row.dividend_type)
            for row in rows
            if (day := iso_date(row.ex_dividend_date)) is not None
        ]
        return tuple(sorted(found, key=lambda dividend: dividend.ex_date))

    async def earnings(self, symbols: Iterable[str], since: date, until: date) -> tuple[EarningsDate, ...]:
        """Earnings dates of some symbols (paid add-on: NotEntitled without it, which means unknown, not none)."""
        wanted = sorted(set(symbols))
        found: list[EarningsDate] = []
        for first in range(0, len(wanted), _EARNINGS_AT_ONCE):
            ask = partial(_ask_earnings, wanted[first : first + _EARNINGS_AT_ONCE], since, until)
            rows = await self._list("earnings dates", ask, _earnings)
            found += [
                EarningsDate(row.ticker, day, row.time or "", row.date_status == "confirmed")
                for row in rows
                if (day := iso_date(row.date)) is not None
            ]
        return tuple(sorted(found, key=lambda event: (event.day, event.symbol)))

    async def news(self, symbol: str | None, since_ns: int, limit: int = 50) -> tuple[NewsItem, ...]:
        """The newest articles of a symbol (None: of the market) since a market time, newest first; one page."""
        since = utc_text(since_ns)
        page = await self.caller.one(
            f"news of {symbol or 'the market'}",
            lambda c: c.list_ticker_news(
                symbol, published_utc_gte=since, limit=limit, sort="published_utc", order="desc", raw=True
            ),
            lambda body: columns.rows_page(body, _news, "news"),
        )
        return tuple(_news_item(row) for row in page.rows)

    async def aggs(self, symbol: str, multiplier: int, span: str, first: date | int, last: date | int) -> BarColumns:
        """Bars of one symbol; `first` and `last` are dates or Unix ms."""
        bars = await self.caller.pages(
            f"bars of {symbol}",
            lambda c: c.list_aggs(
                symbol, multiplier, span, _bound(first), _bound(last), adjusted=True, sort="asc", limit=50_000, raw=True
            ),
            lambda body: columns.bar_page(body, symbol),
        )
        return columns.bar_columns(symbol, bars)

    async def _list(self, what: str, request: Callable[[Any], Any], decoder: msgspec.json.Decoder[R]) -> list[R]:
        return await self.caller.pages(what, request, lambda body: columns.rows_page(body, decoder, what))


def _bound(value: date | int) -> str | int:
    return value.isoformat() if isinstance(value, date) else value


def _ask_earnings(symbols: list[str], since: date, until: date, client: Any) -> Any:
    return client.list_benzinga_earnings(
        ticker_any_of=symbols, date_gte=since.isoformat(), date_lte=until.isoformat(), limit=_LIST_PAGE, raw=True
    )


def _market_status(body: bytes) -> MarketStatus:
    parsed = _status.decode(body)
    return MarketStatus(
        parsed.market, parsed.earlyHours, parsed.afterHours, rfc3339_ns(parsed.serverTime), parsed.exchanges
    )


def _news_item(row: bodies.NewsRow) -> NewsItem:
    return NewsItem(
        news_id=row.id,
        published_ns=rfc3339_ns(row.published_utc),
        title=row.title,
        publisher=row.publisher.name if row.publisher else "",
        symbols=tuple(row.tickers),
        url=row.article_url,
        description=row.description or "",
        keywords=tuple(row.keywords or ()),
        insights=tuple(Insight(i.ticker, i.sentiment, i.sentiment_reasoning) for i in row.insights or ()),
    )


def _yield_curve(row: bodies.YieldRow) -> YieldCurve:
    day = iso_date(row.date)
    if day is None:
        raise DataError(f"treasury yields: {row.date!r} is not a date")
    known = {name: value for name, value in msgspec.structs.asdict(row).items() if name != "date" and value is not None}
    return YieldCurve(day, known)

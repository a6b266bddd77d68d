"""Prices over REST: snapshots, bars of every span, last trades and quotes, ticks, the vendor's own indicators.

The trap: a bar's limit counts base bars, a datetime becomes nanoseconds where milliseconds are expected, and an
unknown ticker inside a list is an error inside a row. Only dates and integers go out from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import Any, Literal

import msgspec

from qmterm.core.errors import DataError
from qmterm.market.records import BarColumns, GroupedColumns, SnapshotColumns
from qmterm.market.rest import bodies, columns, tick_columns
from qmterm.market.rest.calls import Calls
from qmterm.market.rest.entitlements import Family
from qmterm.market.rest.paging import Request
from qmterm.market.rest.snapshot import one_snapshot, snapshot_columns, some_snapshots
from qmterm.market.ticks import DayPrices, IndicatorSeries, LastQuote, LastTrade, QuoteTicks, TradeTicks, UniversalRow

Span = Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
Indicator = Literal["sma", "ema", "rsi", "macd"]

_UNIVERSAL_AT_ONCE = 250  # tickers a call, the vendor's maximum
_TICK_PAGE = 50_000
_BASE_BARS = 50_000

_trade = msgspec.json.Decoder(bodies.TradeRow)
_quote = msgspec.json.Decoder(bodies.QuoteRow)
_last_trade = msgspec.json.Decoder(bodies.LastTradeRow)
_last_quote = msgspec.json.Decoder(bodies.LastQuoteRow)
_open_close = msgspec.json.Decoder(bodies.OpenCloseBody)
_universal = msgspec.json.Decoder(bodies.Universal)
_indicator = msgspec.json.Decoder(bodies.IndicatorValues)


class PriceCalls(Calls):
    # --- the whole market ---

    async def whole_market_snapshot(self) -> SnapshotColumns:
        """Every stock in one call."""
        return self._seen(
            await self.caller.one(
                "whole-market snapshot",
                lambda c: c.get_snapshot_all("stocks", raw=True),
                snapshot_columns,
                Family.SNAPSHOTS,
            )
        )

    async def movers(self, direction: Literal["gainers", "losers"]) -> SnapshotColumns:
        """The twenty stocks that moved most since the previous close, most first."""
        what = f"snapshot of the {direction}"
        return self._seen(
            await self.caller.one(
                what,
                lambda c: c.get_snapshot_direction("stocks", direction, raw=True),
                lambda body: some_snapshots(body, what),
                Family.SNAPSHOTS,
            )
        )

    async def grouped_daily(self, day: date) -> GroupedColumns:
        """One session's bars of every stock in one call, adjusted for splits known today; empty on a closed day."""
        return await self.caller.one(
            f"daily bars of {day}",
            lambda c: c.get_grouped_daily_aggs(day.isoformat(), adjusted=True, raw=True),
            lambda body: columns.grouped_columns(body, day),
            Family.BARS,
        )

    # --- some instruments ---

    async def snapshot(self, symbol: str) -> SnapshotColumns:
        """One stock; DataError when the vendor does not know it."""
        what = f"snapshot of {symbol}"
        return self._seen(
            await self.caller.one(
                what,
                lambda c: c.get_snapshot_ticker("stocks", symbol, raw=True),
                lambda body: one_snapshot(body, what),
                Family.SNAPSHOTS,
            )
        )

    async def universal_snapshot(self, symbols: Iterable[str]) -> tuple[UniversalRow, ...]:
        """Stocks, options (`O:…`) and indices together, 250 a call; an unknown one is a row with an error."""
        wanted = list(dict.fromkeys(symbols))
        found: list[bodies.Universal] = []
        for first in range(0, len(wanted), _UNIVERSAL_AT_ONCE):
            ask = partial(_ask_universal, wanted[first : first + _UNIVERSAL_AT_ONCE])
            found += await self._list("snapshot of some instruments", ask, _universal, Family.SNAPSHOTS)
        rows = tuple(tick_columns.universal_row(row) for row in found)
        late = [row.symbol for row in rows if row.delayed]
        self.options_delayed |= any(symbol.startswith("O:") for symbol in late)
        self.stocks_delayed |= any(":" not in symbol for symbol in late)  # indices are a plan of their own
        return rows

    async def aggs(
        self, symbol: str, multiplier: int, span: Span | str, first: date | int, last: date | int, adjusted: bool = True
    ) -> BarColumns:
        """Bars of one symbol; `first` and `last` are dates or Unix ms."""
        what = f"bars of {symbol}"
        pages = await self.caller.pages(
            what,
            lambda c: c.list_aggs(
                symbol,
                multiplier,
                span,
                _bound(first),
                _bound(last),
                adjusted=adjusted,
                sort="asc",
                limit=_BASE_BARS,
                raw=True,
            ),
            lambda body: columns.bar_page(body, symbol),
            Family.BARS,
        )
        return columns.bar_columns(symbol, self._kept(what, pages.parts))

    async def previous_close(self, symbol: str) -> BarColumns:
        """The previous session's bar, adjusted; works for options, too. Empty when there is none."""
        what = f"previous close of {symbol}"
        page = await self.caller.one(
            what,
            lambda c: c.get_previous_close_agg(symbol, adjusted=True, raw=True),
            lambda body: columns.bar_page(body, symbol),
            Family.BARS,
        )
        return columns.bar_columns(symbol, self._kept(what, [page]))

    async def open_close(self, symbol: str, day: date) -> DayPrices:
        """One session with its prices before the open and after the close; not adjusted for later splits."""
        what = f"open and close of {symbol} on {day}"
        return await self.caller.one(
            what,
            lambda c: c.get_daily_open_close_agg(symbol, day.isoformat(), adjusted=False, raw=True),
            lambda body: _day_prices(body, symbol, day, what),
            Family.BARS,
        )

    async def last_trade(self, symbol: str) -> LastTrade:
        """The latest trade of a stock or an option (`O:…`)."""
        option = symbol.startswith("O:")
        row = await self._single(
            f"last trade of {symbol}",
            lambda c: c.get_last_trade(symbol, raw=True),
            _last_trade,
            Family.OPTION_TRADES if option else Family.TRADES,
        )
        return tick_columns.last_trade(symbol, row)

    async def last_quote(self, symbol: str) -> LastQuote:
        """The national best bid and offer of a stock. Options have no such call: ask for the contract's snapshot."""
        if symbol.startswith("O:"):
            raise DataError(f"last quote of {symbol}: there is none for options; use the contract's snapshot")
        row = await self._single(
            f"last quote of {symbol}", lambda c: c.get_last_quote(symbol, raw=True), _last_quote, Family.QUOTES
        )
        return tick_columns.last_quote(symbol, row)

    # --- ticks ---

    async def trade_ticks(self, symbol: str, from_ns: int, until_ns: int, most: int = 200_000) -> TradeTicks:
        """Trades with from_ns ≤ time < until_ns, oldest first, no more than about `most` (then not `complete`)."""
        what = f"trades of {symbol}"
        family = Family.OPTION_TRADES if symbol.startswith("O:") else Family.TRADES
        pages = await self.caller.pages(
            what,
            _ticks("list_trades", symbol, from_ns, until_ns, most),
            lambda body: tick_columns.trade_page(body, _trade, what),
            family,
            most=_pages_of(most),
        )
        return tick_columns.trade_ticks(symbol, pages)

    async def quote_ticks(self, symbol: str, from_ns: int, until_ns: int, most: int = 200_000) -> QuoteTicks:
        """Quotes with from_ns ≤ time < until_ns, oldest first, no more than about `most` (then not `complete`)."""
        what = f"quotes of {symbol}"
        option = symbol.startswith("O:")
        pages = await self.caller.pages(
            what,
            _ticks("list_quotes", symbol, from_ns, until_ns, most),
            lambda body: tick_columns.quote_page(body, _quote, what),
            Family.OPTION_QUOTES if option else Family.QUOTES,
            most=_pages_of(most),
        )
        return tick_columns.quote_ticks(symbol, pages, round_lots=not option)

    # --- for comparison with our own ---

    async def indicator(
        self,
        kind: Indicator,
        symbol: str,
        span: Span | str = "day",
        window: int = 14,
        limit: int = 500,
        macd: tuple[int, int, int] = (12, 26, 9),
    ) -> IndicatorSeries:
        """The vendor's own values, the newest `limit` (at most 5,000); `macd` is short, long, signal."""
        row = await self._single(
            f"{kind} of {symbol}",
            partial(_ask_indicator, kind, symbol, span, window, limit, macd),
            _indicator,
            Family.INDICATORS,
        )
        return tick_columns.indicator_series(symbol, kind, row.values)

    def _seen(self, snapshot: SnapshotColumns) -> SnapshotColumns:
        self.stocks_delayed |= snapshot.delayed
        return snapshot


def _bound(value: date | int) -> str | int:
    return value.isoformat() if isinstance(value, date) else value


def _pages_of(most: int) -> int:
    return max(1, -(-most // _TICK_PAGE))


def _ticks(method: str, symbol: str, from_ns: int, until_ns: int, most: int) -> Request:
    """Integers only: the client would read a naive datetime in the machine's zone."""

    def ask(client: Any) -> Any:
        return getattr(client, method)(
            symbol,
            timestamp_gte=from_ns,
            timestamp_lt=until_ns,
            order="asc",
            sort="timestamp",
            limit=min(most, _TICK_PAGE),
            raw=True,
        )

    return ask


def _ask_universal(symbols: list[str], client: Any) -> Any:
    return client.list_universal_snapshots(ticker_any_of=symbols, limit=_UNIVERSAL_AT_ONCE, raw=True)


def _ask_indicator(
    kind: Indicator, symbol: str, span: str, window: int, limit: int, macd: tuple[int, int, int], client: Any
) -> Any:
    common = {"timespan": span, "adjusted": True, "series_type": "close", "order": "desc", "limit": limit, "raw": True}
    if kind == "macd":
        short, long, signal = macd
        return client.get_macd(symbol, short_window=short, long_window=long, signal_window=signal, **common)
    return getattr(client, f"get_{kind}")(symbol, window=window, **common)


def _day_prices(body: bytes, symbol: str, day: date, what: str) -> DayPrices:
    row = _open_close.decode(body)
    columns.check_status(row, what)
    if row.symbol != symbol:
        raise DataError(f"{what}: the answer is about {row.symbol or 'nothing'}")
    return DayPrices(symbol, day, row.open, row.high, row.low, row.close, row.volume, row.preMarket, row.afterHours)

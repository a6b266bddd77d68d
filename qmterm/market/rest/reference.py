"""The market's own facts over REST: status, holidays, tickers, exchanges, conditions, corporate actions, yields."""

from __future__ import annotations

from datetime import date
from math import inf

import msgspec

from qmterm.market.company import Exchange, Holiday, SaleCondition, TickerRows
from qmterm.market.records import Dividend, MarketStatus, Split, YieldCurve
from qmterm.market.rest import bodies
from qmterm.market.rest import reference_bodies as rows
from qmterm.market.rest.budget import Priority
from qmterm.market.rest.calls import LIST_PAGE, Calls
from qmterm.market.rest.columns import check_some_good, dated
from qmterm.market.rest.entitlements import Family
from qmterm.market.rest.paging import Request
from qmterm.market.times import iso_date, rfc3339_ns

_status = msgspec.json.Decoder(bodies.StatusBody)
_holidays = msgspec.json.Decoder(list[rows.HolidayRow])
_ticker = msgspec.json.Decoder(rows.TickerRow)
_exchange = msgspec.json.Decoder(rows.ExchangeRow)
_condition = msgspec.json.Decoder(rows.ConditionRow)
_dividend = msgspec.json.Decoder(bodies.DividendRow)
_split = msgspec.json.Decoder(bodies.SplitRow)
_yield = msgspec.json.Decoder(bodies.YieldRow)


class ReferenceCalls(Calls):
    # --- the calendar ---

    async def market_status(self) -> MarketStatus:
        """Also the market's clock, on which everything else is timed: it goes first."""
        return await self.caller.one(
            "market status",
            lambda c: c.get_market_status(raw=True),
            _market_status,
            Family.STATUS,
            Priority.ORDERS,
        )

    async def market_holidays(self) -> tuple[Holiday, ...]:
        """The coming holidays and early closes, one row an exchange."""
        return await self.caller.one(
            "market holidays", lambda c: c.get_market_holidays(raw=True), _market_holidays, Family.STATUS
        )

    # --- the universe ---

    async def tickers(self) -> TickerRows:
        """Every active stock, fund and receipt that the vendor lists."""
        return await self._tickers("tickers", active=True)

    async def delisted_since(self, since: date) -> TickerRows:
        """Tickers that went away on or after a day, newest first.

        The service has no filter on that day, and some rows state none: those are left out.
        """
        found = await self._tickers("delisted tickers", active=False)
        dated = [(day, row) for row, day in enumerate(found.delisted) if day is not None and day >= since]
        return found.take([row for _, row in sorted(dated, reverse=True)])

    async def _tickers(self, what: str, *, active: bool) -> TickerRows:
        found = await self._list(
            what,
            lambda c: c.list_tickers(market="stocks", active=active, limit=LIST_PAGE, sort="ticker", raw=True),
            _ticker,
            Family.REFERENCE,
        )
        return TickerRows(
            ticker=tuple(row.ticker for row in found),
            type=tuple(row.type for row in found),
            exchange=tuple(row.primary_exchange for row in found),
            active=tuple(row.active for row in found),
            delisted=tuple(iso_date(row.delisted_utc) for row in found),
        )

    async def exchanges(self, asset_class: str = "stocks") -> tuple[Exchange, ...]:
        found = await self._page(
            f"exchanges of {asset_class}",
            lambda c: c.get_exchanges(asset_class, raw=True),
            _exchange,
            Family.REFERENCE,
        )
        return tuple(Exchange(row.id, row.type, row.mic, row.name) for row in found)

    async def conditions(self, asset_class: str = "stocks") -> tuple[SaleCondition, ...]:
        """All trade conditions of stocks or options with their rules of the consolidated tape."""
        found = await self._list(
            f"conditions of {asset_class}",
            lambda c: c.list_conditions(asset_class=asset_class, data_type="trade", limit=LIST_PAGE, raw=True),
            _condition,
            Family.REFERENCE,
        )
        return tuple(_sale_condition(row) for row in found)

    # --- corporate actions of all companies ---

    async def splits(self, since: date) -> tuple[Split, ...]:
        """Splits executed on or after a day, all symbols."""
        found = await self._list(
            "splits",
            lambda c: c.list_splits(execution_date_gte=since.isoformat(), limit=LIST_PAGE, raw=True),
            _split,
            Family.REFERENCE,
            every=True,
        )
        rows = [
            Split(row.ticker, day, row.split_from, row.split_to)
            for day, row in dated(found, lambda row: row.execution_date, "splits")
            if 0 < row.split_from < inf and 0 < row.split_to < inf
        ]
        self.unreadable += len(found) - len(rows)  # no ratio: there is nothing to apply
        return tuple(rows)

    async def dividends(self, symbol: str, since: date | None = None) -> tuple[Dividend, ...]:
        """Declared cash dividends of a company by ex date, oldest first."""
        return await self._dividends(
            f"dividends of {symbol}",
            lambda c: c.list_dividends(
                ticker=symbol,
                ex_dividend_date_gte=since.isoformat() if since else None,
                limit=LIST_PAGE,
                raw=True,
            ),
        )

    async def market_dividends(self, first: date, last: date) -> tuple[Dividend, ...]:
        """Dividends of all companies with an ex date in a window, oldest first: a few calls for the whole market."""
        return await self._dividends(
            f"dividends from {first} to {last}",
            lambda c: c.list_dividends(
                ex_dividend_date_gte=first.isoformat(),
                ex_dividend_date_lte=last.isoformat(),
                limit=LIST_PAGE,
                raw=True,
            ),
        )

    async def _dividends(self, what: str, request: Request) -> tuple[Dividend, ...]:
        rows = await self._list(what, request, _dividend, Family.REFERENCE, every=True)
        found = [
            Dividend(
                row.ticker,
                day,
                row.cash_amount,
                iso_date(row.pay_date),
                row.frequency or 0,
                row.dividend_type,
                (row.currency or "USD").upper(),
            )
            for day, row in dated(rows, lambda row: row.ex_dividend_date, what)
        ]
        return tuple(sorted(found, key=lambda dividend: (dividend.ex_date, dividend.symbol)))

    # --- the economy ---

    async def treasury_yields(self, since: date | None = None) -> YieldCurve | None:
        """The newest par yields published since a day; None when there are none.

        The service's word for the order has changed once, so the newest row is chosen here.
        """
        found = await self._page(
            "treasury yields",
            lambda c: c.list_treasury_yields(
                date_gte=since.isoformat() if since else None, limit=100, sort="date.desc", raw=True
            ),
            _yield,
            Family.ECONOMY,
        )
        dated = [(day, row) for row in found if (day := iso_date(row.date)) is not None]
        check_some_good(len(dated), len(found) - len(dated), "treasury yields")
        self.unreadable += len(found) - len(dated)
        newest = max(dated, key=lambda one: one[0], default=None)
        return _yield_curve(*newest) if newest is not None else None


def _market_status(body: bytes) -> MarketStatus:
    parsed = _status.decode(body)
    return MarketStatus(
        parsed.market, parsed.earlyHours, parsed.afterHours, rfc3339_ns(parsed.serverTime), parsed.exchanges
    )


def _market_holidays(body: bytes) -> tuple[Holiday, ...]:
    """A bare array, without the usual envelope."""
    return tuple(
        Holiday(row.exchange, row.name, day, row.status, rfc3339_ns(row.close) if row.close else None)
        for row in _holidays.decode(body)
        if (day := iso_date(row.date)) is not None
    )


def _sale_condition(row: rows.ConditionRow) -> SaleCondition:
    rules = (row.update_rules.consolidated if row.update_rules else None) or rows.Updates()
    return SaleCondition(
        row.id,
        row.asset_class,
        row.name,
        row.type,
        rules.updates_high_low,
        rules.updates_open_close,
        rules.updates_volume,
    )


def _yield_curve(day: date, row: bodies.YieldRow) -> YieldCurve:
    known = {name: value for name, value in msgspec.structs.asdict(row).items() if name != "date" and value is not None}
    return YieldCurve(day, known)

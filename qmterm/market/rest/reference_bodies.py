"""The JSON bodies of reference answers: tickers, companies, contracts, filings, conditions; only the fields we read."""

from __future__ import annotations

import msgspec


class TickerRow(msgspec.Struct):
    ticker: str
    type: str = ""
    primary_exchange: str = ""
    active: bool = True
    delisted_utc: str | None = None


class DetailsRow(msgspec.Struct):
    ticker: str
    name: str = ""
    type: str = ""
    primary_exchange: str = ""
    active: bool = True
    sic_description: str = ""
    sic_code: str = ""
    market_cap: float | None = None
    share_class_shares_outstanding: float | None = None
    weighted_shares_outstanding: float | None = None
    total_employees: int | None = None
    list_date: str | None = None
    homepage_url: str = ""
    description: str = ""
    cik: str = ""


class Renaming(msgspec.Struct):
    ticker: str = ""


class EventRow(msgspec.Struct):
    date: str
    type: str = ""
    ticker_change: Renaming | None = None


class EventsBody(msgspec.Struct):
    events: list[EventRow] = []


class Deliverable(msgspec.Struct):
    amount: float = 0.0


class ContractRow(msgspec.Struct):
    ticker: str
    underlying_ticker: str = ""
    exercise_style: str = ""
    shares_per_contract: float = 100.0
    additional_underlyings: list[Deliverable] | None = None


class HolidayRow(msgspec.Struct):
    date: str
    exchange: str = ""
    name: str = ""
    status: str = ""
    close: str | None = None


class ExchangeRow(msgspec.Struct):
    id: int
    type: str = ""
    mic: str = ""
    name: str = ""


class Updates(msgspec.Struct):
    updates_high_low: bool | None = None
    updates_open_close: bool | None = None
    updates_volume: bool | None = None


class UpdateRules(msgspec.Struct):
    consolidated: Updates | None = None


class ConditionRow(msgspec.Struct):
    id: int
    name: str = ""
    asset_class: str = ""
    type: str = ""
    update_rules: UpdateRules | None = None


class RelatedRow(msgspec.Struct):
    ticker: str


class Amount(msgspec.Struct):
    value: float | None = None


class FinancialRow(msgspec.Struct):
    financials: dict[str, dict[str, Amount]] = {}
    fiscal_period: str = ""
    fiscal_year: str | int = ""
    end_date: str | None = None
    filing_date: str | None = None
    tickers: list[str] | None = None


class ShortInterestRow(msgspec.Struct):
    settlement_date: str
    short_interest: float
    days_to_cover: float | None = None

"""The JSON bodies of the REST answers as msgspec structs, only the fields we read (PROTOCOLS.md 3).

The trap: almost every part may be absent by plan or by life cycle (no quotes below Advanced, no day bar before the
first trade), and numbers may be whole or fractional, so every number is a float and every part optional.
"""

from __future__ import annotations

import msgspec

NAN = float("nan")


class Body(msgspec.Struct):
    """What every answer has; the counts tell an empty answer from a broken one."""

    status: str = ""
    next_url: str | None = None
    count: int | None = None
    resultsCount: int | None = None

    @property
    def says_empty(self) -> bool:
        return self.count == 0 or self.resultsCount == 0


class RawRows(Body):
    """Any answer with a list of results, rows undecoded: one bad row must not cost the others."""

    results: list[msgspec.Raw] | None = None


class RawTickers(Body):
    tickers: list[msgspec.Raw] | None = None


class RawTicker(Body):
    ticker: msgspec.Raw = msgspec.Raw()  # a Raw cannot be optional


class RawSingle(Body):
    results: msgspec.Raw = msgspec.Raw()


# --- snapshots ---


class DayBar(msgspec.Struct):
    o: float = NAN
    h: float = NAN
    l: float = NAN  # noqa: E741
    c: float = NAN
    v: float = 0.0
    vw: float = NAN


class MinuteBar(msgspec.Struct):
    o: float = NAN
    h: float = NAN
    l: float = NAN  # noqa: E741
    c: float = NAN
    v: float = NAN
    t: float = 0.0


class SnapshotTrade(msgspec.Struct):
    p: float = NAN
    t: int = 0


class SnapshotQuote(msgspec.Struct):
    p: float = NAN
    P: float = NAN
    s: float = 0.0
    S: float = 0.0
    t: int = 0


class Ticker(msgspec.Struct):
    ticker: str
    day: DayBar | None = None
    min: MinuteBar | None = None
    prevDay: DayBar | None = None
    lastTrade: SnapshotTrade | None = None
    lastQuote: SnapshotQuote | None = None
    updated: int = 0


# --- aggregates ---


class Bar(msgspec.Struct):
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float
    t: int
    vw: float = NAN
    T: str = ""


class BarPage(Body):
    results: list[Bar] | None = None


# --- option chain ---


class Details(msgspec.Struct, gc=False):
    """The symbol says the rest: right, expiry, strike."""

    ticker: str
    shares_per_contract: float = 100.0


class OptionDay(msgspec.Struct, gc=False):
    volume: float = 0.0
    last_updated: int = 0


class OptionGreeks(msgspec.Struct, gc=False):
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None


class OptionQuote(msgspec.Struct, gc=False):
    bid: float = NAN
    ask: float = NAN
    bid_size: float = 0.0
    ask_size: float = 0.0
    last_updated: int = 0
    timeframe: str = ""


class OptionTrade(msgspec.Struct, gc=False):
    price: float = NAN
    sip_timestamp: int = 0


class Underlying(msgspec.Struct, gc=False):
    price: float | None = None
    value: float | None = None
    last_updated: int = 0


class Contract(msgspec.Struct, gc=False):
    """`underlying_asset` undecoded: it is the same in most rows of a page."""

    details: Details
    day: OptionDay | None = None
    greeks: OptionGreeks | None = None
    implied_volatility: float | None = None
    open_interest: float | None = None
    last_quote: OptionQuote | None = None
    last_trade: OptionTrade | None = None
    underlying_asset: msgspec.Raw = msgspec.Raw()


class ContractPage(Body):
    results: list[Contract] | None = None


# --- single moments ---


class TradeRow(msgspec.Struct):
    price: float
    size: float
    sip_timestamp: int = 0
    participant_timestamp: int = 0
    exchange: int = 0
    sequence_number: int = 0
    correction: int = 0
    conditions: list[int] | None = None


class QuoteRow(msgspec.Struct):
    bid_price: float = 0.0
    ask_price: float = 0.0
    bid_size: float = 0.0
    ask_size: float = 0.0
    sip_timestamp: int = 0
    participant_timestamp: int = 0
    sequence_number: int = 0


class LastTradeRow(msgspec.Struct):
    p: float
    T: str = ""
    s: float = 0.0
    t: int = 0
    x: int = 0
    c: list[int] | None = None


class LastQuoteRow(msgspec.Struct):
    T: str = ""
    p: float = NAN
    P: float = NAN
    s: float = 0.0
    S: float = 0.0
    t: int = 0


class OpenCloseBody(Body):
    symbol: str = ""
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None
    preMarket: float | None = None
    afterHours: float | None = None


class Session(msgspec.Struct):
    close: float | None = None
    previous_close: float | None = None
    change_percent: float | None = None
    volume: float | None = None


class UniversalTrade(msgspec.Struct):
    price: float | None = None
    last_updated: int = 0
    sip_timestamp: int = 0
    timeframe: str = ""


class Universal(msgspec.Struct):
    ticker: str
    type: str = ""
    error: str = ""
    message: str = ""
    market_status: str = ""
    session: Session | None = None
    last_trade: UniversalTrade | None = None
    last_quote: OptionQuote | None = None
    value: float | None = None
    last_updated: int = 0
    open_interest: float | None = None
    implied_volatility: float | None = None
    timeframe: str = ""


class IndicatorRow(msgspec.Struct):
    timestamp: int
    value: float
    signal: float = NAN
    histogram: float = NAN


class IndicatorValues(msgspec.Struct):
    values: list[IndicatorRow] = []


# --- calendar, corporate actions, news ---


class StatusBody(msgspec.Struct):
    market: str
    serverTime: str
    earlyHours: bool = False
    afterHours: bool = False
    exchanges: dict[str, str] = {}


class DividendRow(msgspec.Struct):
    ticker: str
    ex_dividend_date: str
    cash_amount: float
    pay_date: str | None = None
    frequency: int | None = None
    dividend_type: str = "CD"
    currency: str | None = None  # dollars where it is not said


class SplitRow(msgspec.Struct):
    ticker: str
    execution_date: str
    split_from: float
    split_to: float


class EarningsRow(msgspec.Struct):
    ticker: str
    date: str
    time: str | None = None
    date_status: str | None = None


class InsightRow(msgspec.Struct):
    ticker: str
    sentiment: str
    sentiment_reasoning: str = ""


class PublisherRow(msgspec.Struct):
    name: str = ""


class NewsRow(msgspec.Struct):
    id: str
    title: str
    published_utc: str
    article_url: str = ""
    description: str | None = None
    tickers: list[str] = []
    keywords: list[str] | None = None
    publisher: PublisherRow | None = None
    insights: list[InsightRow] | None = None


class YieldRow(msgspec.Struct):
    date: str
    yield_1_month: float | None = None
    yield_3_month: float | None = None
    yield_6_month: float | None = None
    yield_1_year: float | None = None
    yield_2_year: float | None = None
    yield_3_year: float | None = None
    yield_5_year: float | None = None
    yield_7_year: float | None = None
    yield_10_year: float | None = None
    yield_20_year: float | None = None
    yield_30_year: float | None = None

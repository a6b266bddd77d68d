"""Bodies about single moments to our records: ticks as columns, last values, mixed snapshots, indicators."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from qmterm.market.rest import bodies
from qmterm.market.rest.caller import Pages
from qmterm.market.rest.columns import (
    ROUND_LOT,
    check_some_good,
    counted_page,
    floats,
    prices,
    sizes,
    times,
    whole,
)
from qmterm.market.ticks import IndicatorSeries, LastQuote, LastTrade, QuoteTicks, TradeTicks, UniversalRow
from qmterm.market.times import to_ns

TradePage = tuple[list[bodies.TradeRow], int]
QuotePage = tuple[list[bodies.QuoteRow], int]


def trade_page(body: bytes, decoder: msgspec.json.Decoder[bodies.TradeRow], what: str) -> TradePage:
    return counted_page(body, decoder, what)


def quote_page(body: bytes, decoder: msgspec.json.Decoder[bodies.QuoteRow], what: str) -> QuotePage:
    return counted_page(body, decoder, what)


def trade_ticks(symbol: str, pages: Pages[TradePage]) -> TradeTicks:
    rows = [row for part, _ in pages.parts for row in part]
    bad = sum(bad for _, bad in pages.parts)
    check_some_good(len(rows), bad, f"trades of {symbol}")
    rows.sort(key=lambda row: (row.sip_timestamp or row.participant_timestamp, row.sequence_number))
    return TradeTicks(
        symbol=symbol,
        time_ns=times([row.sip_timestamp or row.participant_timestamp for row in rows]),
        price=prices([row.price for row in rows]),
        size=sizes([row.size for row in rows]),
        exchange=whole([row.exchange for row in rows]),
        sequence=whole([row.sequence_number for row in rows]),
        correction=whole([row.correction for row in rows]),
        conditions=tuple(tuple(row.conditions or ()) for row in rows),
        complete=pages.complete,
        malformed=bad,
    )


def quote_ticks(symbol: str, pages: Pages[QuotePage], *, round_lots: bool) -> QuoteTicks:
    rows = [row for part, _ in pages.parts for row in part]
    bad = sum(bad for _, bad in pages.parts)
    check_some_good(len(rows), bad, f"quotes of {symbol}")
    rows.sort(key=lambda row: (row.sip_timestamp or row.participant_timestamp, row.sequence_number))
    lot = ROUND_LOT if round_lots else 1
    return QuoteTicks(
        symbol=symbol,
        time_ns=times([row.sip_timestamp or row.participant_timestamp for row in rows]),
        bid=floats([row.bid_price for row in rows]),  # a bid of 0 is a bid of 0
        ask=prices([row.ask_price for row in rows]),
        bid_size=sizes([row.bid_size for row in rows]) * lot,
        ask_size=sizes([row.ask_size for row in rows]) * lot,
        sequence=whole([row.sequence_number for row in rows]),
        complete=pages.complete,
        malformed=bad,
    )


def last_trade(symbol: str, row: bodies.LastTradeRow) -> LastTrade:
    return LastTrade(symbol, row.p, row.s, to_ns(row.t), row.x, tuple(row.c or ()))


def last_quote(symbol: str, row: bodies.LastQuoteRow) -> LastQuote:
    return LastQuote(symbol, row.p, row.P, row.s * ROUND_LOT, row.S * ROUND_LOT, to_ns(row.t))


def universal_row(row: bodies.Universal) -> UniversalRow:
    session, trade, quote = row.session or bodies.Session(), row.last_trade, row.last_quote
    price = trade.price if trade is not None else None
    if price is None:
        price = session.close if session.close else row.value
    newest = max(
        (trade.sip_timestamp or trade.last_updated) if trade is not None else 0,
        quote.last_updated if quote is not None else 0,
        row.last_updated,
    )
    frames = {part.timeframe for part in (trade, quote) if part is not None} | {row.timeframe}
    return UniversalRow(
        symbol=row.ticker,
        kind=row.type,
        error=f"{row.error}: {row.message}" if row.error else "",
        market_status=row.market_status,
        price=price,
        bid=_known(quote.bid) if quote is not None else None,
        ask=_known(quote.ask) if quote is not None else None,
        time_ns=to_ns(newest),
        previous_close=session.previous_close or None,
        change_pct=session.change_percent,
        volume=session.volume,
        open_interest=row.open_interest,
        iv=row.implied_volatility,
        delayed="DELAYED" in frames,
    )


def indicator_series(symbol: str, kind: str, values: Sequence[bodies.IndicatorRow]) -> IndicatorSeries:
    rows = sorted({row.timestamp: row for row in values}.values(), key=lambda row: row.timestamp)
    return IndicatorSeries(
        symbol=symbol,
        kind=kind,
        time_ns=times([row.timestamp for row in rows]),
        value=floats([row.value for row in rows]),
        signal=floats([row.signal for row in rows]),
        histogram=floats([row.histogram for row in rows]),
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None

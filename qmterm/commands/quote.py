"""`qmterm quote SYMBOL…`: bid, ask and last of stocks and option contracts, each with its age and its code.

The trap: what a plan leaves out is not a price of zero. Without snapshots the last close stands in, with its real age
and the code that says so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, TextIO

from qmterm.commands.chain import cell, known
from qmterm.commands.market_session import MarketSession, MarketWish, age_s, age_words, open_market
from qmterm.commands.progress import progress
from qmterm.core.clock import et_date
from qmterm.core.errors import BadSymbol, DataError, NotEntitled
from qmterm.core.instruments import OptionContract, is_option, parse_option
from qmterm.core.reasons import Reason

if TYPE_CHECKING:
    from qmterm.market.board.table import QuoteTable

MOST = 1_000
SNAPSHOT, CHAIN, CLOSE = "snapshot", "chain snapshot", "previous close"
COLUMNS = (("SYMBOL", 21, 0), ("BID", 9, 2), ("ASK", 9, 2), ("SIZES", 13, 0), ("LAST", 9, 2), ("AGE", 8, 0))


def from_command_line(names: Sequence[str], wish: MarketWish, *, as_json: bool, out: TextIO | None = None) -> int:
    """0 when every name is known, 1 when some are not (they are rows with code NO_DATA); BadSymbol when none is."""
    stocks, contracts = sorted_out(names)
    body = asyncio.run(_read(stocks, contracts, wish))
    missing = [row["symbol"] for row in body["rows"] if row["code"] == Reason.NO_DATA]
    if len(missing) == len(body["rows"]):
        raise BadSymbol(f"{', '.join(missing)}: not known to the data server; check the spelling")
    target = out if out is not None else sys.stdout
    if as_json:
        print(json.dumps(body, allow_nan=False), file=target)
    else:
        _print(body, target)
    if missing:
        print(f"qmterm: not known to the data server: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def sorted_out(names: Iterable[str]) -> tuple[list[str], list[OptionContract]]:
    """Tickers and contracts, each once, in the order given; BadSymbol for what is neither."""
    from qmterm.commands.chain import stock_name

    words = list(dict.fromkeys(name.strip().upper() for name in names))
    if len(words) > MOST:
        raise BadSymbol(f"{len(words)} names in one question: ask for at most {MOST}")
    stocks = [stock_name(word) for word in words if not is_option(word)]
    return stocks, [parse_option(word) for word in words if is_option(word)]


async def _read(stocks: list[str], contracts: list[OptionContract], wish: MarketWish) -> dict[str, Any]:
    async with progress("opening the market") as say, open_market(wish) as session:
        say(f"reading {len(stocks) + len(contracts)} quotes")
        rows = [*await _stocks(session, stocks), *await _options(session, contracts)]
        return {**session.about(), "rows": rows}


async def _stocks(session: MarketSession, symbols: list[str]) -> list[dict[str, Any]]:
    if not symbols:
        return []
    try:
        await session.load_stocks(symbols)
    except NotEntitled:
        return [await _close(session, symbol, symbol, "stock") for symbol in symbols]
    return [_row(session, session.board.stocks, symbol, "stock", SNAPSHOT) for symbol in symbols]


async def _options(session: MarketSession, contracts: list[OptionContract]) -> list[dict[str, Any]]:
    """One call for all contracts of one root and expiry: their range of strikes."""
    together: dict[tuple[str, date], list[OptionContract]] = defaultdict(list)
    for contract in contracts:
        together[contract.root, contract.expiry].append(contract)
    refused: set[str] = set()
    for (root, expiry), group in together.items():
        if expiry < session.today:
            continue  # it has expired: nothing can be asked about it
        strikes = [float(contract.strike) for contract in group]
        try:
            rows = await session.rest.option_rows(root, expiry, expiry, min(strikes), max(strikes))
        except NotEntitled:
            refused.update(contract.occ for contract in group)
            continue
        session.board.load_options(rows, session.now())
    out = []
    for contract in contracts:
        if contract.occ in refused:
            out.append(await _close(session, contract.occ, contract.polygon, "option"))
        elif contract.expiry < session.today:
            out.append({**_empty(contract.occ, "option"), "code": Reason.EXPIRED.value})
        else:
            out.append(_row(session, session.board.options, contract.occ, "option", CHAIN))
    return out


def _row(session: MarketSession, table: QuoteTable, symbol: str, kind: str, source: str) -> dict[str, Any]:
    from qmterm.market.quality.quotes import doubt

    number = table.numbers.get(symbol)
    if number is None:
        return {**_empty(symbol, kind), "code": Reason.NO_DATA.value}
    now = session.now()
    quote = table.quote(number)
    reason = doubt(quote, now)
    if quote is None and session.delayed:
        reason = Reason.NOT_ENTITLED  # the plan has prices, but no quotes
    return {
        "symbol": symbol,
        "kind": kind,
        "bid": None if quote is None else known(quote.bid),
        "ask": None if quote is None else known(quote.ask),
        "bid_size": None if quote is None else quote.bid_size,
        "ask_size": None if quote is None else quote.ask_size,
        "last": known(float(table.last[number])),
        "last_age_s": age_s(now, int(table.trade_ns[number])),
        "age_s": None if quote is None else age_s(now, quote.time_ns),
        "code": None if reason is None else reason.value,
        "source": source,
    }


async def _close(session: MarketSession, symbol: str, ticker: str, kind: str) -> dict[str, Any]:
    """The latest close where the plan has no snapshot: old, and marked so."""
    bars = await session.rest.previous_close(ticker)
    if not len(bars):
        return {**_empty(symbol, kind), "code": Reason.NO_DATA.value}
    day = et_date(int(bars.start_ns[0]))
    if not session.calendar.first <= day <= session.calendar.last or not session.calendar.is_session(day):
        raise DataError(f"previous close of {ticker}: {day} is not a session; the server sends another unit of time")
    return {
        **_empty(symbol, kind),
        "last": known(float(bars.close[0])),
        "last_age_s": age_s(session.now(), session.calendar.close_ns(day)),
        "code": Reason.NOT_ENTITLED.value,
        "source": CLOSE,
    }


def _empty(symbol: str, kind: str) -> dict[str, Any]:
    unknown = ("bid", "ask", "bid_size", "ask_size", "last", "last_age_s", "age_s")
    return {"symbol": symbol, "kind": kind, **dict.fromkeys(unknown), "code": None, "source": None}


def _print(body: dict[str, Any], out: TextIO) -> None:
    print(" ".join(f"{name:>{width}}" for name, width, _ in COLUMNS) + "  CODE", file=out)
    for row in body["rows"]:
        sizes = None if row["bid_size"] is None else f"{row['bid_size']}×{row['ask_size']}"
        age = row["age_s"] if row["age_s"] is not None else row["last_age_s"]
        values = (row["symbol"], row["bid"], row["ask"], sizes, row["last"], age_words(age))
        cells = (cell(value, width, decimals) for value, (_, width, decimals) in zip(values, COLUMNS, strict=True))
        print(f"{' '.join(cells)}  {row['code'] or ''}".rstrip(), file=out)
    delayed = "; delayed 15 min" if body["delayed"] else ""
    print(f"{body['market_time']} market {body['market']}, {body['source']}{delayed}", file=out)

"""REST bodies to columns: grouped bars and chains, in worker threads (the market snapshot is in snapshot.py).

The trap: msgspec holds the GIL while it decodes, so a 20 MB body in one go would stall the engine's loop. Large
bodies are split into undecoded rows first, and the rows decoded one by one, which lets other threads in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import BadSymbol, DataError
from qmterm.core.instruments import OptionContract, parse_option
from qmterm.market.records import BarColumns, GroupedColumns, OptionRows
from qmterm.market.rest import bodies
from qmterm.market.rest.caller import Page
from qmterm.market.times import NEVER_NS, to_ns, to_ns_array

R = TypeVar("R")

ROUND_LOT = 100  # the stock feed counts quote sizes in round lots
MOST_UNITS = 1e15
MOST_BAD_ROWS = 0.01  # above this share the answer is broken, not a few rows

_raw_rows = msgspec.json.Decoder(bodies.RawRows)
_bar_page = msgspec.json.Decoder(bodies.BarPage)
_bar = msgspec.json.Decoder(bodies.Bar)
_contract = msgspec.json.Decoder(bodies.Contract)


def rows_of(raw: list[msgspec.Raw], decoder: msgspec.json.Decoder[R], what: str) -> tuple[list[R], int]:
    """Decode rows one by one: (good rows, number of bad ones); DataError when too many are bad."""
    good: list[R] = []
    bad = 0
    for row in raw:
        try:
            good.append(decoder.decode(row))
        except msgspec.DecodeError:
            bad += 1
    if bad > max(1, MOST_BAD_ROWS * len(raw)):
        raise DataError(f"{what}: {bad} of {len(raw)} rows are not readable; the server sends something else")
    return good, bad


def check_status(body: bodies.Body, what: str) -> None:
    """200 with an error inside is still an error."""
    if body.status in ("ERROR", "NOT_AUTHORIZED", "NOT_FOUND"):
        raise DataError(f"{what}: the server answers with status {body.status}")


def rows_page(body: bytes, decoder: msgspec.json.Decoder[R], what: str) -> Page[R]:
    """A page of any list answer; a page without results is an error unless it says that it is empty."""
    parsed = _raw_rows.decode(body)
    check_status(parsed, what)
    if parsed.results is None:
        if parsed.says_empty:
            return Page([], None)
        raise DataError(f"{what}: the answer has no results and does not say that it is empty")
    return Page(rows_of(parsed.results, decoder, what)[0], parsed.next_url)


# --- bars ---


def _bars(body: bytes, what: str) -> tuple[list[bodies.Bar], int, bodies.Body]:
    try:
        page = _bar_page.decode(body)
    except msgspec.ValidationError:  # a bad row somewhere: find it
        raw = _raw_rows.decode(body)
        rows, bad = rows_of(raw.results or [], _bar, what)
        parsed: bodies.Body = raw
        absent = raw.results is None
    else:
        rows, bad, parsed, absent = page.results or [], 0, page, page.results is None
    check_status(parsed, what)
    if absent and not parsed.says_empty:
        raise DataError(f"{what}: the answer has no results and does not say that it is empty")
    return rows, bad, parsed


def grouped_columns(body: bytes, day: date) -> GroupedColumns:
    rows, bad, _ = _bars(body, f"daily bars of {day}")
    if any(not row.T for row in rows):
        raise DataError(f"daily bars of {day}: a row has no ticker")
    return GroupedColumns(
        day=day,
        symbols=tuple(row.T for row in rows),
        open=_floats([row.o for row in rows]),
        high=_floats([row.h for row in rows]),
        low=_floats([row.l for row in rows]),
        close=_floats([row.c for row in rows]),
        volume=_floats([row.v for row in rows]),
        vwap=_floats([row.vw for row in rows]),
        malformed=bad,
    )


def bar_page(body: bytes, symbol: str) -> Page[bodies.Bar]:
    rows, _, parsed = _bars(body, f"bars of {symbol}")
    return Page(rows, parsed.next_url)


def bar_columns(symbol: str, bars: list[bodies.Bar]) -> BarColumns:
    rows = sorted({row.t: row for row in bars}.values(), key=lambda row: row.t)
    return BarColumns(
        symbol=symbol,
        start_ns=_times([row.t for row in rows]),
        open=_floats([row.o for row in rows]),
        high=_floats([row.h for row in rows]),
        low=_floats([row.l for row in rows]),
        close=_floats([row.c for row in rows]),
        volume=_floats([row.v for row in rows]),
        vwap=_floats([row.vw for row in rows]),
    )


# --- option chain ---


def contract_page(body: bytes, underlying: str) -> Page[bodies.Contract]:
    return rows_page(body, _contract, f"option chain of {underlying}")


def option_rows(underlying: str, rows: list[bodies.Contract]) -> OptionRows:
    """All pages of one chain as columns. Contracts whose symbol cannot be read are left out and counted."""
    named: dict[str, tuple[OptionContract, bodies.Contract]] = {}
    bad = 0
    for row in rows:
        try:
            parsed = parse_option(row.details.ticker)
        except BadSymbol:
            bad += 1
            continue
        named[parsed.occ] = (parsed, row)
    pairs = sorted(named.values(), key=lambda pair: (pair[0].expiry, pair[0].strike, pair[0].right.value, pair[0].root))
    options = [pair[0] for pair in pairs]
    rows = [pair[1] for pair in pairs]
    quotes = [row.last_quote or bodies.OptionQuote() for row in rows]
    trades = [row.last_trade or bodies.OptionTrade() for row in rows]
    days = [row.day or bodies.OptionDay() for row in rows]
    greeks = [row.greeks or bodies.OptionGreeks() for row in rows]
    multiplier = np.round(_sizes([row.details.shares_per_contract for row in rows])).astype(np.int64)
    spot_ns, spot = _newest_spot(rows)
    return OptionRows(
        underlying=underlying,
        occ=tuple(option.occ for option in options),
        expiry=np.array([option.expiry for option in options], dtype="datetime64[D]"),
        strike=_floats([float(option.strike) for option in options]),
        is_call=np.array([option.right.value == "C" for option in options], dtype=np.bool_),
        multiplier=multiplier,
        adjusted=(multiplier != 100) | np.array([option.adjusted for option in options], dtype=np.bool_),
        bid=_floats([q.bid for q in quotes]),
        ask=_floats([q.ask for q in quotes]),
        bid_size=_whole([q.bid_size for q in quotes]),
        ask_size=_whole([q.ask_size for q in quotes]),
        quote_ns=_times([q.last_updated for q in quotes]),
        last=_floats([t.price for t in trades]),
        trade_ns=_times([t.sip_timestamp for t in trades]),
        day_volume=_whole([d.volume for d in days]),
        day_ns=_times([d.last_updated for d in days]),
        open_interest=_whole([-1 if row.open_interest is None else row.open_interest for row in rows], unknown=-1),
        iv=_maybe([row.implied_volatility for row in rows]),
        delta=_maybe([g.delta for g in greeks]),
        gamma=_maybe([g.gamma for g in greeks]),
        theta=_maybe([g.theta for g in greeks]),
        vega=_maybe([g.vega for g in greeks]),
        spot=spot,
        spot_ns=spot_ns,
        delayed=any(q.timeframe == "DELAYED" for q in quotes),
        malformed=bad,
    )


def _newest_spot(rows: list[bodies.Contract]) -> tuple[int, float | None]:
    """(time, price) of the underlying: pages are read one after the other, so the latest one knows best."""
    found = [
        (min(to_ns(asset.last_updated), NEVER_NS), price)
        for row in rows
        if (asset := row.underlying_asset) is not None
        and (price := asset.price if asset.price is not None else asset.value) is not None
        and 0 < price < MOST_UNITS
    ]
    return max(found, default=(0, None))


# --- columns ---


def _floats(values: list[float]) -> FloatArray:
    column: FloatArray = np.array(values, dtype=np.float64)
    column[np.isinf(column)] = np.nan  # 1e400 is readable JSON
    return column


def _sizes(values: list[float]) -> FloatArray:
    """Shares or contracts: a size beyond any market is none."""
    column: FloatArray = np.array(values, dtype=np.float64)
    return np.where((column >= 0) & (column < MOST_UNITS), column, 0.0)


def _whole(values: list[float], unknown: int = 0) -> IntArray:
    """Whole numbers; `unknown` in the place of anything impossible."""
    column: FloatArray = np.array(values, dtype=np.float64)
    return np.where((column >= 0) & (column < MOST_UNITS), column, unknown).astype(np.int64)


def _prices(values: list[float]) -> FloatArray:
    """Prices where the vendor writes 0 for "none yet" (the day bar before the first trade)."""
    column = _floats(values)
    column[column <= 0] = np.nan
    return column


def _maybe(values: list[float | None]) -> FloatArray:
    return _floats([bodies.NAN if value is None else value for value in values])


def _times(values: Sequence[int | float]) -> IntArray:
    column: NDArray[np.int64] = np.array([int(v) if 0 <= v < NEVER_NS else 0 for v in values], dtype=np.int64)
    return to_ns_array(column)

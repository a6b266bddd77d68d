"""A chain's pages to columns: each page while the next one is on the wire, then all of them in one order.

The trap: reading ten thousand option symbols one by one takes longer than fetching them. They are read as a table of
bytes; what does not fit the plain pattern goes through the careful reader, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import parse_option
from qmterm.market.records import OptionRows
from qmterm.market.rest import bodies
from qmterm.market.rest.columns import MOST_UNITS, floats, list_page, maybe, sizes, times, whole
from qmterm.market.times import NEVER_NS, to_ns

_contracts = msgspec.json.Decoder(bodies.ContractPage)
_contract = msgspec.json.Decoder(bodies.Contract)

_OCC = 21  # six of the root, then YYMMDD, C or P, and the strike in thousandths
_TAIL = 15
_PREFIX = 2  # O:
_ZERO, _NINE, _A, _Z, _SPACE = (ord(char) for char in "09AZ ")


@dataclass(frozen=True, slots=True)
class Symbols:
    """Option symbols as columns; where not `good` the other columns mean nothing."""

    good: BoolArray
    occ: NDArray[np.bytes_]  # S21
    expiry: NDArray[np.datetime64]
    strike: FloatArray
    is_call: BoolArray
    adjusted: BoolArray  # the root ends in a digit


@dataclass(frozen=True, slots=True)
class OptionPart:
    """One page, unsorted."""

    symbols: Symbols
    floats: FloatArray  # one row for each of _FLOATS
    whole: IntArray  # one row for each of _WHOLE
    spot: float | None
    spot_ns: int
    delayed: bool
    malformed: int


_FLOATS = ("bid", "ask", "last", "iv", "delta", "gamma", "theta", "vega")
_WHOLE = (
    "multiplier",
    "bid_size",
    "ask_size",
    "quote_ns",
    "trade_ns",
    "day_volume",
    "day_ns",
    "open_interest",
)


def read_symbols(tickers: Sequence[str]) -> Symbols:
    """Many Polygon (or OCC) option symbols at once."""
    count = len(tickers)
    table: NDArray[np.bytes_] = np.char.encode(np.array(tickers, dtype=np.str_), "ascii", "replace")
    width = table.dtype.itemsize
    raw = table.view(np.uint8).reshape(count, width) if count else np.empty((0, max(width, 1)), dtype=np.uint8)
    length = np.count_nonzero(raw, axis=1)
    root = length - _TAIL - _PREFIX
    plain = (root >= 1) & (root <= _OCC - _TAIL)
    if width > _PREFIX:
        plain &= (raw[:, 0] == ord("O")) & (raw[:, 1] == ord(":"))
    out = np.full((count, _OCC), _SPACE, dtype=np.uint8)
    rows = np.flatnonzero(plain)
    if rows.size:
        ends = length[rows, None]
        out[rows, _OCC - _TAIL :] = raw[rows[:, None], ends - _TAIL + np.arange(_TAIL)]
        for letters in np.unique(root[rows]).tolist():
            some = rows[root[rows] == letters]
            out[some, :letters] = raw[some, _PREFIX : _PREFIX + letters]
    good = plain & _well_formed(out, root)
    for number in np.flatnonzero(~good).tolist():
        try:
            occ = parse_option(tickers[number]).occ
        except BadSymbol:
            continue
        out[number] = np.frombuffer(occ.encode("ascii"), dtype=np.uint8)
        good[number] = True
    digits = (out[:, 6:] - np.uint8(_ZERO)).astype(np.int64)
    year, month, day = (digits[:, at] * 10 + digits[:, at + 1] for at in (0, 2, 4))
    months = np.where(good, (2000 + year - 1970) * 12 + month - 1, 0)
    expiry = months.astype("datetime64[M]").astype("datetime64[D]") + np.where(good, day - 1, 0)
    last = out[:, :6][np.arange(count), np.maximum(np.count_nonzero(out[:, :6] != _SPACE, axis=1) - 1, 0)]
    return Symbols(
        good=good,
        occ=out.view(f"S{_OCC}").ravel(),
        expiry=expiry,
        strike=(digits[:, 7:] @ 10 ** np.arange(7, -1, -1)) / 1000.0,
        is_call=out[:, 12] == ord("C"),
        adjusted=(last >= _ZERO) & (last <= _NINE),
    )


def _well_formed(occ: NDArray[np.uint8], root: IntArray) -> BoolArray:
    """Whether each row reads as a symbol: letters, a real date, a right, digits."""
    digit = (occ >= _ZERO) & (occ <= _NINE)
    letter = (occ >= _A) & (occ <= _Z)
    inside = np.arange(6) < root[:, None]
    named = letter[:, 0] & (letter[:, :6] | digit[:, :6] | (occ[:, :6] == ord(".")) | ~inside).all(axis=1)
    right = (occ[:, 12] == ord("C")) | (occ[:, 12] == ord("P"))
    numbers = digit[:, 6:12].all(axis=1) & digit[:, 13:].all(axis=1)
    value = (occ - np.uint8(_ZERO)).astype(np.int64)
    month, day = value[:, 8] * 10 + value[:, 9], value[:, 10] * 10 + value[:, 11]
    # Short months go through the careful reader, which knows leap years.
    dated = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 28) | ((day > 28) & _has_day(value, month, day))
    return np.asarray(named & right & numbers & dated, dtype=np.bool_)


def _has_day(value: IntArray, month: IntArray, day: IntArray) -> BoolArray:
    sane = np.clip(month, 1, 12)
    months = (2000 + value[:, 6] * 10 + value[:, 7] - 1970) * 12 + sane - 1
    starts = months.astype("datetime64[M]")
    days = ((starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")).astype(np.int64)
    return np.asarray((month == sane) & (day <= days), dtype=np.bool_)


def option_part(body: bytes, underlying: str) -> OptionPart:
    """One page's rows as columns."""
    rows, bad = list_page(body, _contracts, _contract, f"option chain of {underlying}")
    symbols = read_symbols([row.details.ticker for row in rows])
    quotes = [row.last_quote or _NO_QUOTE for row in rows]
    trades = [row.last_trade or _NO_TRADE for row in rows]
    days = [row.day or _NO_DAY for row in rows]
    greeks = [row.greeks or _NO_GREEKS for row in rows]
    spot_ns, spot = _newest_spot(rows)
    return OptionPart(
        symbols=symbols,
        floats=np.stack(
            [
                floats([q.bid for q in quotes]),
                floats([q.ask for q in quotes]),
                floats([t.price for t in trades]),
                maybe([row.implied_volatility for row in rows]),
                maybe([g.delta for g in greeks]),
                maybe([g.gamma for g in greeks]),
                maybe([g.theta for g in greeks]),
                maybe([g.vega for g in greeks]),
            ]
        ),
        whole=np.stack(
            [
                np.round(sizes([row.details.shares_per_contract for row in rows])).astype(np.int64),
                whole([q.bid_size for q in quotes]),
                whole([q.ask_size for q in quotes]),
                times([q.last_updated for q in quotes]),
                times([t.sip_timestamp for t in trades]),
                whole([d.volume for d in days]),
                times([d.last_updated for d in days]),
                whole([-1 if row.open_interest is None else row.open_interest for row in rows], unknown=-1),
            ]
        ),
        spot=spot,
        spot_ns=spot_ns,
        delayed=any(q.timeframe == "DELAYED" for q in quotes),
        malformed=bad,
    )


_NO_QUOTE, _NO_TRADE, _NO_DAY, _NO_GREEKS = (
    bodies.OptionQuote(),
    bodies.OptionTrade(),
    bodies.OptionDay(),
    bodies.OptionGreeks(),
)


def option_rows(underlying: str, parts: Sequence[OptionPart]) -> OptionRows:
    """All pages of one chain: by expiry, strike, call first; each contract once, as its last page says.

    Contracts whose symbol cannot be read are left out and counted.
    """
    good = np.concatenate([part.symbols.good for part in parts])
    occ = np.concatenate([part.symbols.occ for part in parts])
    expiry = np.concatenate([part.symbols.expiry for part in parts])
    strike = np.concatenate([part.symbols.strike for part in parts])
    is_call = np.concatenate([part.symbols.is_call for part in parts])
    adjusted = np.concatenate([part.symbols.adjusted for part in parts])
    numbers = np.concatenate([part.floats for part in parts], axis=1)
    counts = np.concatenate([part.whole for part in parts], axis=1)
    rows = np.flatnonzero(good)
    # The last page that names a contract wins: stable sorts keep the pages' order among equals.
    order = rows[np.lexsort((occ[rows], ~is_call[rows], strike[rows], expiry[rows]))]
    if order.size:
        order = order[np.append(occ[order[1:]] != occ[order[:-1]], True)]
    spot_ns, spot = max(((part.spot_ns, part.spot) for part in parts if part.spot is not None), default=(0, None))
    at = {name: counts[row, order] for row, name in enumerate(_WHOLE)}
    of = {name: numbers[row, order] for row, name in enumerate(_FLOATS)}
    return OptionRows(
        underlying=underlying,
        occ=tuple(occ[order].astype(f"U{_OCC}").tolist()),
        expiry=expiry[order],
        strike=strike[order],
        is_call=is_call[order],
        multiplier=at["multiplier"],
        adjusted=(at["multiplier"] != 100) | adjusted[order],
        bid=of["bid"],
        ask=of["ask"],
        bid_size=at["bid_size"],
        ask_size=at["ask_size"],
        quote_ns=at["quote_ns"],
        last=of["last"],
        trade_ns=at["trade_ns"],
        day_volume=at["day_volume"],
        day_ns=at["day_ns"],
        open_interest=at["open_interest"],
        iv=of["iv"],
        delta=of["delta"],
        gamma=of["gamma"],
        theta=of["theta"],
        vega=of["vega"],
        spot=spot,
        spot_ns=spot_ns,
        delayed=any(part.delayed for part in parts),
        malformed=int(np.count_nonzero(~good)) + sum(part.malformed for part in parts),
    )


def _newest_spot(rows: Sequence[bodies.Contract]) -> tuple[int, float | None]:
    """(time, price) of the underlying: pages are read one after the other, so the latest one knows best."""
    newest: tuple[int, float | None] = (0, None)
    seen = None
    for row in rows:
        asset = row.underlying_asset
        if asset is None:
            continue
        price = asset.price if asset.price is not None else asset.value
        if (asset.last_updated, price) == seen or price is None or not 0 < price < MOST_UNITS:
            continue
        seen = (asset.last_updated, price)
        newest = max(newest, (min(to_ns(asset.last_updated), NEVER_NS), price), key=lambda one: (one[0], one[1] or 0.0))
    return newest

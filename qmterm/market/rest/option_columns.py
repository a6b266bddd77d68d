"""A chain's pages to columns: each page while the next one is on the wire, then all of them in one order.

The trap: reading ten thousand option symbols one by one takes longer than fetching them. They are read as a table of
bytes; what does not fit the plain pattern goes through the careful reader, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import parse_option
from qmterm.market.records import OptionRows
from qmterm.market.rest import bodies
from qmterm.market.rest.columns import MOST_UNITS, finite, list_page, whole
from qmterm.market.times import NEVER_NS, to_ns, to_ns_array

_contracts = msgspec.json.Decoder(bodies.ContractPage)
_contract = msgspec.json.Decoder(bodies.Contract)
_underlying = msgspec.json.Decoder(bodies.Underlying | None)

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


_FLOATS = (
    "bid",
    "ask",
    "last",
    "iv",
    "delta",
    "gamma",
    "theta",
    "vega",
    "multiplier",
    "bid_size",
    "ask_size",
    "day_volume",
    "open_interest",
)
_TIMES = ("quote_ns", "trade_ns", "day_ns")


@dataclass(frozen=True, slots=True)
class OptionPart:
    """One page, as it came: neither sorted nor checked."""

    tickers: list[str]
    numbers: FloatArray  # (rows, _FLOATS)
    times: IntArray  # (rows, _TIMES)
    spot: float | None
    spot_ns: int
    delayed: bool
    malformed: int


def read_symbols(tickers: Sequence[str]) -> Symbols:
    """Many Polygon (or OCC) option symbols at once."""
    count = len(tickers)
    table = np.array(tickers, dtype=np.str_)
    width = table.dtype.itemsize // 4
    wide = table.view(np.uint32).reshape(count, width) if count and width else np.zeros((count, 1), dtype=np.uint32)
    raw = np.where(wide < 128, wide, ord("?")).astype(np.uint8)
    length = np.count_nonzero(raw, axis=1)
    root = length - _TAIL - _PREFIX
    plain = (root >= 1) & (root <= _OCC - _TAIL)
    if width > _PREFIX:
        plain &= (raw[:, 0] == ord("O")) & (raw[:, 1] == ord(":"))
    out = np.full((count, _OCC), _SPACE, dtype=np.uint8)
    for letters in np.unique(root[plain]).tolist():
        some = plain & (root == letters)
        end = letters + _PREFIX + _TAIL
        out[some, _OCC - _TAIL :] = raw[some, end - _TAIL : end]
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
    numbers: list[float | None] = []
    stamps: list[int] = []
    frames: set[str] = set()
    assets: set[bytes] = set()
    for row in rows:
        quote, trade = row.last_quote or _NO_QUOTE, row.last_trade or _NO_TRADE
        day, greeks = row.day or _NO_DAY, row.greeks or _NO_GREEKS
        numbers += (
            quote.bid,
            quote.ask,
            trade.price,
            row.implied_volatility,
            greeks.delta,
            greeks.gamma,
            greeks.theta,
            greeks.vega,
            row.details.shares_per_contract,
            quote.bid_size,
            quote.ask_size,
            day.volume,
            row.open_interest,
        )
        stamps += (quote.last_updated, trade.sip_timestamp, day.last_updated)
        frames.add(quote.timeframe)
        assets.add(bytes(row.underlying_asset))
    spot_ns, spot = _newest_spot(assets)
    return OptionPart(
        tickers=[row.details.ticker for row in rows],
        numbers=np.array(numbers, dtype=np.float64).reshape(-1, len(_FLOATS)),  # None is NaN
        times=_stamps(stamps).reshape(-1, len(_TIMES)),
        spot=spot,
        spot_ns=spot_ns,
        delayed="DELAYED" in frames,
        malformed=bad,
    )


def _stamps(values: list[int]) -> IntArray:
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:  # readable JSON, but no time
        return np.array([value if 0 <= value < NEVER_NS else 0 for value in values], dtype=np.int64)


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
    symbols = read_symbols([ticker for part in parts for ticker in part.tickers])
    numbers, stamps = np.concatenate([part.numbers for part in parts]), np.concatenate([part.times for part in parts])
    occ, expiry, strike, is_call = symbols.occ, symbols.expiry, symbols.strike, symbols.is_call
    rows = np.flatnonzero(symbols.good)
    # The last page that names a contract wins: stable sorts keep the pages' order among equals.
    order = rows[np.lexsort((~is_call[rows], strike[rows], expiry[rows]))]
    same = (strike[order[1:]] == strike[order[:-1]]) & (expiry[order[1:]] == expiry[order[:-1]])
    if (same & (is_call[order[1:]] == is_call[order[:-1]])).any():  # two roots, or a contract on two pages
        order = rows[np.lexsort((occ[rows], ~is_call[rows], strike[rows], expiry[rows]))]
        order = order[np.append(occ[order[1:]] != occ[order[:-1]], True)]
    of = {name: numbers[order, column] for column, name in enumerate(_FLOATS)}
    at = {name: to_ns_array(stamps[order, column]) for column, name in enumerate(_TIMES)}
    multiplier = whole(np.round(of["multiplier"]))
    spot_ns, spot = max(((part.spot_ns, part.spot) for part in parts if part.spot is not None), default=(0, None))
    return OptionRows(
        underlying=underlying,
        occ=tuple(occ[order].astype(f"U{_OCC}").tolist()),
        expiry=expiry[order],
        strike=strike[order],
        is_call=is_call[order],
        multiplier=multiplier,
        adjusted=(multiplier != 100) | symbols.adjusted[order],
        bid=finite(of["bid"]),
        ask=finite(of["ask"]),
        bid_size=whole(of["bid_size"]),
        ask_size=whole(of["ask_size"]),
        quote_ns=at["quote_ns"],
        last=finite(of["last"]),
        trade_ns=at["trade_ns"],
        day_volume=whole(of["day_volume"]),
        day_ns=at["day_ns"],
        open_interest=whole(of["open_interest"], unknown=-1),
        iv=finite(of["iv"]),
        delta=finite(of["delta"]),
        gamma=finite(of["gamma"]),
        theta=finite(of["theta"]),
        vega=finite(of["vega"]),
        spot=spot,
        spot_ns=spot_ns,
        delayed=any(part.delayed for part in parts),
        malformed=int(np.count_nonzero(~symbols.good)) + sum(part.malformed for part in parts),
    )


def _newest_spot(assets: Iterable[bytes]) -> tuple[int, float | None]:
    """(time, price) of the underlying: pages are read one after the other, so the latest one knows best."""
    found: list[tuple[int, float]] = []
    for raw in assets:
        try:
            asset = _underlying.decode(raw) if raw else None
        except msgspec.DecodeError:
            continue  # the contract is still a contract
        if asset is None:
            continue
        price = asset.value if asset.price is None else asset.price
        if price is not None and 0 < price < MOST_UNITS:
            found.append((min(to_ns(asset.last_updated), NEVER_NS), price))
    return max(found, default=(0, None))

"""One page of a chain to columns: machine code for the rows, msgspec for what is odd.

The trap: pages are read while the next ones are fetched, and the JSON reader holds the GIL, so what it reads keeps the
fetching waiting. The machine code gives the GIL away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.market.native import MachineCode, Native
from qmterm.market.rest import bodies
from qmterm.market.rest.columns import MOST_UNITS, check_bad_rows, check_status, list_page
from qmterm.market.rest.option_symbols import OCC_LETTERS, Symbols, read_symbols
from qmterm.market.times import NEVER_NS, to_ns

FLOATS = (
    *("bid", "ask", "bid_size", "ask_size", "last", "iv", "delta", "gamma", "theta", "vega"),
    *("multiplier", "day_volume", "open_interest"),
)
TIMES = ("quote_ns", "trade_ns", "day_ns")

_contracts = msgspec.json.Decoder(bodies.ContractPage)
_contract = msgspec.json.Decoder(bodies.Contract)
_raw_rows = msgspec.json.Decoder(bodies.RawRows)
_raw = msgspec.json.Decoder(msgspec.Raw)
_underlying = msgspec.json.Decoder(bodies.Underlying | None)
_NO_QUOTE, _NO_TRADE, _NO_DAY, _NO_GREEKS = (
    bodies.OptionQuote(),
    bodies.OptionTrade(),
    bodies.OptionDay(),
    bodies.OptionGreeks(),
)
_USUAL_ROW, _LEAST_ROW = 600, 3  # bytes
_MOST_ASSETS = 1_024  # different ones on a page; a row beyond is odd
_STAND_IN = b'"the rows"'  # in the envelope's list, which tells it from a second one

_machine_code = Native("qmterm.market.rest.option_code", "read_contracts", holds_gil=False)


@dataclass(frozen=True, slots=True)
class OptionPart:
    """One page, as it came: neither sorted nor checked."""

    symbols: Symbols
    numbers: FloatArray  # (rows, FLOATS)
    times: IntArray  # (rows, TIMES)
    spot: float | None
    spot_ns: int
    delayed: bool
    malformed: int  # rows that are no contracts, left out; symbols that cannot be read are not among them


def warm_up() -> None:
    """Load the machine code (seconds on a fresh machine); until then pages are read by msgspec."""
    _machine_code.load()


def option_part(body: bytes, underlying: str) -> OptionPart:
    """One page's rows as columns; DataError when too many are no contracts."""
    what = f"option chain of {underlying}"
    run = _machine_code.run
    found = None if run is None else fast_part(body, what, run)
    return plain_part(body, what) if found is None else found


def plain_part(body: bytes, what: str) -> OptionPart:
    """The same with msgspec: the meaning of every field."""
    rows, bad = list_page(body, _contracts, _contract, what)
    spot_ns, spot = _newest_spot({bytes(row.underlying_asset) for row in rows})
    return OptionPart(
        symbols=read_symbols([row.details.ticker for row in rows]),
        numbers=_floats(rows),
        times=_stamps(rows),
        spot=spot,
        spot_ns=spot_ns,
        delayed=any(map(_is_delayed, rows)),
        malformed=bad,
    )


def fast_part(body: bytes, what: str, run: MachineCode) -> OptionPart | None:
    """None when the body as a whole is not in the common form."""
    from qmterm.market.rest import option_code as code

    assets: IntArray = np.empty((_MOST_ASSETS, 2), dtype=np.int64)
    for room in (len(body) // _USUAL_ROW + 64, len(body) // _LEAST_ROW + 1):
        numbers: FloatArray = np.empty((room, code.NUMBERS_WIDTH))
        wholes: IntArray = np.empty((room, code.WHOLES_WIDTH), dtype=np.int64)
        places: IntArray = np.empty((room, code.PLACES_WIDTH), dtype=np.int64)
        occ = np.empty(room, dtype=f"S{OCC_LETTERS}")
        state = np.zeros(code.STATE_SIZE, dtype=np.int64)
        for place, array in (
            (code.NUMBERS, numbers),
            (code.WHOLES, wholes),
            (code.OCC, occ),
            (code.PLACES, places),
            (code.ASSETS, assets),
        ):
            state[place] = array.ctypes.data
        state[code.ROWS_ROOM], state[code.ASSETS_ROOM] = room, _MOST_ASSETS
        count = run(body, len(body), 0, state.ctypes.data)
        if count != code.MORE_ROOM:
            break
    if count < 0:
        return None
    begin, end = int(state[code.BEGIN]), int(state[code.END])
    try:
        envelope = _raw_rows.decode(body[:begin] + b"[" + _STAND_IN + b"]" + body[end:])
        told = {bytes(_raw.decode(body[first:last])) for first, last in assets[: state[code.ASSET_COUNT]].tolist()}
    except (msgspec.DecodeError, UnicodeError):
        return None
    if envelope.results is None or [*map(bytes, envelope.results)] != [_STAND_IN] or _STAND_IN in body[end:]:
        return None  # the key is there twice
    check_status(envelope, what)
    numbers, wholes, occ = numbers[:count], wholes[:count], occ[:count]
    marks = wholes[:, code.MARKS]
    symbols = Symbols(
        good=np.ones(count, dtype=np.bool_),
        occ=occ,
        expiry=wholes[:, code.EXPIRY],
        strike=wholes[:, code.STRIKE],
        is_call=marks & code.IS_CALL != 0,
        adjusted=marks & code.IS_ADJUSTED != 0,
    )
    times = wholes[:, : len(TIMES)]
    odd = np.flatnonzero(places[:count, code.PLACE_TO]) if state[code.ODD_ROWS] else np.zeros(0, dtype=np.int64)
    rows: list[bodies.Contract] = []
    bad: list[int] = []
    for row in odd.tolist():
        try:
            rows.append(_contract.decode(_raw.decode(body[places[row, code.PLACE_FROM] : places[row, code.PLACE_TO]])))
        except msgspec.ValidationError:
            bad.append(row)
        except (msgspec.DecodeError, UnicodeError):  # no JSON: then the whole body is none
            return None
    check_bad_rows(len(bad), count, what)
    marks[odd] = 0
    if rows:
        own = np.setdiff1d(odd, bad)
        numbers[own], times[own] = _floats(rows), _stamps(rows)
        symbols.put(own, read_symbols([row.details.ticker for row in rows]))
        told |= {bytes(row.underlying_asset) for row in rows}
    delayed = bool((marks & code.IS_DELAYED).any()) or any(map(_is_delayed, rows))
    if bad:
        kept = np.delete(np.arange(count), bad)
        numbers, times, symbols = numbers[kept], times[kept], symbols.take(kept)
    spot_ns, spot = _newest_spot(told)
    return OptionPart(symbols, numbers, times, spot, spot_ns, delayed, len(bad))


def _floats(rows: Sequence[bodies.Contract]) -> FloatArray:
    numbers: list[float | None] = []
    for row in rows:
        quote, trade = row.last_quote or _NO_QUOTE, row.last_trade or _NO_TRADE
        day, greeks = row.day or _NO_DAY, row.greeks or _NO_GREEKS
        numbers += (
            *(quote.bid, quote.ask, quote.bid_size, quote.ask_size, trade.price, row.implied_volatility),
            *(greeks.delta, greeks.gamma, greeks.theta, greeks.vega),
            *(row.details.shares_per_contract, day.volume, row.open_interest),
        )
    return np.array(numbers, dtype=np.float64).reshape(-1, len(FLOATS))  # None is NaN


def _stamps(rows: Sequence[bodies.Contract]) -> IntArray:
    stamps = [
        stamp
        for row in rows
        for stamp in (
            (row.last_quote or _NO_QUOTE).last_updated,
            (row.last_trade or _NO_TRADE).sip_timestamp,
            (row.day or _NO_DAY).last_updated,
        )
    ]
    # Readable JSON may hold numbers that are no times.
    sane = [stamp if 0 <= stamp < NEVER_NS else 0 for stamp in stamps]
    return np.array(sane, dtype=np.int64).reshape(-1, len(TIMES))


def _is_delayed(row: bodies.Contract) -> bool:
    return row.last_quote is not None and row.last_quote.timeframe == "DELAYED"


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

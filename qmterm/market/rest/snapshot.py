"""The whole-market snapshot as columns, in a worker thread: machine code for the rows, msgspec for what is odd.

The trap: 20 MB in one go would stall the engine's loop. The machine code gives the GIL away while it reads; the plain
way splits the body into undecoded rows and decodes them one by one, which lets other threads in between.
"""

from __future__ import annotations

import msgspec
import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import DataError
from qmterm.market.native import MachineCode, Native
from qmterm.market.records import SnapshotColumns
from qmterm.market.rest import bodies
from qmterm.market.rest.columns import (
    MOST_UNITS,
    ROUND_LOT,
    check_bad_rows,
    check_some_good,
    check_status,
    is_absent,
    rows_of,
)
from qmterm.market.times import NEVER_NS, to_ns_array

_WHAT = "whole-market snapshot"
_KEY = b'"tickers"'
_USUAL_ROW, _LEAST_ROW = 300, 14  # bytes
_LONGEST_NAME = 32

_raw_tickers = msgspec.json.Decoder(bodies.RawTickers)
_raw = msgspec.json.Decoder(msgspec.Raw)
_raw_ticker = msgspec.json.Decoder(bodies.RawTicker)
_ticker = msgspec.json.Decoder(bodies.Ticker)
_NO_DAY, _NO_MINUTE = bodies.DayBar(), bodies.MinuteBar()
_NO_TRADE, _NO_QUOTE = bodies.SnapshotTrade(), bodies.SnapshotQuote()


_machine_code = Native("qmterm.market.rest.snapshot_code", "read_tickers", holds_gil=False)


def warm_up() -> None:
    """Load the machine code (seconds on a fresh machine); until then snapshots are read row by row."""
    _machine_code.load()


def snapshot_columns(body: bytes) -> SnapshotColumns:
    """Every row that can be read; DataError when there are none, or too many that cannot."""
    run = _machine_code.run
    found = None if run is None else fast_columns(body, run)
    return plain_columns(body) if found is None else found


def plain_columns(body: bytes) -> SnapshotColumns:
    """The same, row by row with msgspec: the meaning of every field."""
    parsed = _raw_tickers.decode(body)
    check_status(parsed, _WHAT)
    if not parsed.tickers:
        raise DataError(f"{_WHAT}: the answer has no tickers (the market is never empty)")
    rows, bad = rows_of(parsed.tickers, _ticker, _WHAT)
    check_some_good(len(rows), bad, _WHAT)
    return _of_rows(rows, bad, parsed.status)


def some_snapshots(body: bytes, what: str) -> SnapshotColumns:
    """Some tickers, perhaps none: gainers, losers, a list."""
    parsed = _raw_tickers.decode(body)
    check_status(parsed, what)
    if parsed.tickers is None and not parsed.says_empty:
        raise DataError(f"{what}: the answer has no tickers and does not say that it is empty")
    rows, bad = rows_of(parsed.tickers or [], _ticker, what)
    check_some_good(len(rows), bad, what)
    return _of_rows(rows, bad, parsed.status)


def one_snapshot(body: bytes, what: str) -> SnapshotColumns:
    """One ticker's; DataError without it."""
    parsed = _raw_ticker.decode(body)
    check_status(parsed, what)
    if is_absent(parsed.ticker):
        raise DataError(f"{what}: the answer has no ticker")
    return _of_rows([_ticker.decode(parsed.ticker)], 0, parsed.status)


def _of_rows(rows: list[bodies.Ticker], bad: int, status: str) -> SnapshotColumns:
    numbers, times = _blocks(len(rows))
    for place, row in enumerate(rows):
        numbers[place], times[place] = _numbers(row), _times(row)
    return _columns([row.ticker for row in rows], numbers, times, status == "DELAYED", bad)


def fast_columns(body: bytes, run: MachineCode) -> SnapshotColumns | None:
    """None when the body as a whole is not in the common form."""
    from qmterm.market.rest import snapshot_code as code

    for room in (len(body) // _USUAL_ROW + 64, len(body) // _LEAST_ROW + 1):
        numbers, times = _blocks(room)
        places: IntArray = np.empty((room, code.PLACES_WIDTH), dtype=np.int64)
        names = np.empty(room * _LONGEST_NAME, dtype=np.uint8)
        state = np.zeros(code.STATE_SIZE, dtype=np.int64)
        for place, array in (
            (code.NUMBERS, numbers),
            (code.TIMES, times),
            (code.NAMES, names),
            (code.PLACES, places),
        ):
            state[place] = array.ctypes.data
        state[code.NAMES_ROOM], state[code.ROWS_ROOM] = names.size, room
        count = run(body, len(body), 0, state.ctypes.data)
        if count != code.MORE_ROOM:
            break
    if count < 0:
        return None
    begin, end = int(state[code.BEGIN]), int(state[code.END])
    try:
        envelope = _raw_tickers.decode(body[:begin] + b"[]" + body[end:])
    except msgspec.DecodeError:
        return None
    if envelope.tickers != [] or body[:begin].count(_KEY) + body[end:].count(_KEY) != 1:  # the key is there twice
        return None
    check_status(envelope, _WHAT)
    symbols = names[: state[code.NAMES_LENGTH]].tobytes().decode("ascii").split("\n")[:-1]
    numbers, times = numbers[:count], times[:count]
    bad: list[int] = []
    for place in np.flatnonzero(places[:count, code.PLACE_TO]).tolist() if state[code.ODD_ROWS] else ():
        text = body[places[place, code.PLACE_FROM] : places[place, code.PLACE_TO]]
        try:
            row = _ticker.decode(_raw.decode(text))
        except msgspec.ValidationError:
            bad.append(place)
        except msgspec.DecodeError:  # no JSON: then the whole body is none
            return None
        else:
            symbols[place], numbers[place], times[place] = row.ticker, _numbers(row), _times(row)
    check_bad_rows(len(bad), count, _WHAT)
    check_some_good(count - len(bad), len(bad), _WHAT)
    if bad:
        numbers, times = np.delete(numbers, bad, axis=0), np.delete(times, bad, axis=0)
        left_out = set(bad)
        symbols = [symbol for place, symbol in enumerate(symbols) if place not in left_out]
    return _columns(symbols, numbers, times, envelope.status == "DELAYED", len(bad))


# --- a row as the machine code lays it out ---


def _blocks(rows: int) -> tuple[FloatArray, IntArray]:
    from qmterm.market.rest import snapshot_code as code

    return np.empty((rows, code.NUMBERS_WIDTH)), np.empty((rows, code.TIMES_WIDTH), dtype=np.int64)


def _numbers(row: bodies.Ticker) -> tuple[float, ...]:
    day, previous = row.day or _NO_DAY, row.prevDay or _NO_DAY
    minute, quote = row.min or _NO_MINUTE, row.lastQuote or _NO_QUOTE
    return (
        *(day.o, day.h, day.l, day.c, day.v, day.vw),
        *(previous.o, previous.h, previous.l, previous.c, previous.v, previous.vw),
        *(minute.o, minute.h, minute.l, minute.c, minute.v, minute.t),
        *((row.lastTrade or _NO_TRADE).p, quote.p, quote.P, quote.s, quote.S),
    )


def _times(row: bodies.Ticker) -> tuple[int, ...]:
    times = (row.lastQuote or _NO_QUOTE).t, (row.lastTrade or _NO_TRADE).t, row.updated
    return *(time if 0 <= time < NEVER_NS else 0 for time in times), 0


def _columns(
    symbols: list[str], numbers: FloatArray, times: IntArray, delayed: bool, malformed: int
) -> SnapshotColumns:
    from qmterm.market.rest import snapshot_code as code

    columns = np.ascontiguousarray(numbers.T)
    columns[np.isinf(columns)] = np.nan  # 1e400 is readable JSON
    whole = np.ascontiguousarray(times.T)
    minute = columns[code.MIN_T]
    sane = (minute >= 0) & (minute < NEVER_NS)
    minute_t = np.where(sane, minute, 0.0).astype(np.int64)
    return SnapshotColumns(
        symbols=tuple(symbols),
        bid=columns[code.QUOTE_BID],
        ask=columns[code.QUOTE_ASK],
        bid_size=_sizes(columns[code.QUOTE_BID_SIZE]) * ROUND_LOT,
        ask_size=_sizes(columns[code.QUOTE_ASK_SIZE]) * ROUND_LOT,
        quote_ns=to_ns_array(whole[code.QUOTE_T]),
        last=columns[code.TRADE_P],
        trade_ns=to_ns_array(whole[code.TRADE_T]),
        day_open=_prices(columns[code.DAY_O]),
        day_high=_prices(columns[code.DAY_H]),
        day_low=_prices(columns[code.DAY_L]),
        day_close=_prices(columns[code.DAY_C]),
        day_volume=columns[code.DAY_V],
        day_vwap=_prices(columns[code.DAY_VW]),
        minute_open=_prices(columns[code.MIN_O]),
        minute_high=_prices(columns[code.MIN_H]),
        minute_low=_prices(columns[code.MIN_L]),
        minute_close=_prices(columns[code.MIN_C]),
        minute_volume=columns[code.MIN_V],
        minute_ns=to_ns_array(minute_t),
        prev_close=_prices(columns[code.PREV_C]),
        prev_volume=columns[code.PREV_V],
        updated_ns=to_ns_array(whole[code.UPDATED]),
        delayed=delayed,
        malformed=malformed,
    )


def _prices(column: FloatArray) -> FloatArray:
    """Where the vendor writes 0 for "none yet" (the day bar before the first trade)."""
    column[column <= 0] = np.nan
    return column


def _sizes(column: FloatArray) -> FloatArray:
    return np.where((column >= 0) & (column < MOST_UNITS), column, 0.0)

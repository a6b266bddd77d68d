"""REST bodies to columns: grouped bars and chains, in worker threads (the market snapshot is in snapshot.py).

The trap: msgspec holds the GIL while it decodes, so a 20 MB body in one go would stall the engine's loop. Large
bodies are split into undecoded rows first, and the rows decoded one by one, which lets other threads in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import DataError
from qmterm.market.records import BarColumns, GroupedColumns
from qmterm.market.rest import bodies
from qmterm.market.times import NEVER_NS, iso_date, to_ns_array

R = TypeVar("R")
P = TypeVar("P", bound=bodies.Body)

ROUND_LOT = 100  # the stock feed counts quote sizes in round lots
MOST_UNITS = 1e15
MOST_BAD_ROWS = 0.01  # above this share the answer is broken, not a few rows

_raw_rows = msgspec.json.Decoder(bodies.RawRows)
_bar_page = msgspec.json.Decoder(bodies.BarPage)
_bar = msgspec.json.Decoder(bodies.Bar)
_single = msgspec.json.Decoder(bodies.RawSingle)


def rows_of(
    raw: list[msgspec.Raw], decoder: msgspec.json.Decoder[R], what: str, *, every: bool = False
) -> tuple[list[R], int]:
    """Decode rows one by one: (good rows, number of bad ones); DataError when too many are bad.

    `every`: a row left out would be a wrong answer (a split that never happened), so none may be bad.
    """
    good: list[R] = []
    bad = 0
    for row in raw:
        try:
            good.append(decoder.decode(row))
        except msgspec.DecodeError:
            bad += 1
    check_bad_rows(bad, len(raw), what, most=0 if every else None)
    return good, bad


def check_bad_rows(bad: int, rows: int, what: str, most: int | None = None) -> None:
    """DataError when so many rows of a page are unreadable that the others cannot be believed either."""
    if bad > (max(1, MOST_BAD_ROWS * rows) if most is None else most):
        raise DataError(f"{what}: {bad} of {rows} rows are not readable; the server sends something else")


def check_some_good(good: int, bad: int, what: str) -> None:
    """DataError when not one row of a whole answer is readable: that is no empty answer."""
    if bad and not good:
        raise DataError(f"{what}: none of the answer's rows is readable; the server sends something else")


def dated(rows: list[R], text_of: Callable[[R], str], what: str) -> list[tuple[date, R]]:
    """Rows with their days, where none may be lost; DataError when one has no day."""
    found = [(day, row) for row in rows if (day := iso_date(text_of(row))) is not None]
    check_bad_rows(len(rows) - len(found), len(rows), what, most=0)
    return found


def check_status(body: bodies.Body, what: str) -> None:
    """200 with an error inside is still an error."""
    if body.status in ("ERROR", "NOT_AUTHORIZED", "NOT_FOUND"):
        raise DataError(f"{what}: the server answers with status {body.status}")


def list_page(
    body: bytes, whole_page: msgspec.json.Decoder[P], row: msgspec.json.Decoder[R], what: str
) -> tuple[list[R], int]:
    """(rows, bad ones) of a page decoded at once; one by one only when some row is bad."""
    try:
        page = whole_page.decode(body)
    except msgspec.ValidationError:
        return counted_page(body, row, what)
    check_status(page, what)
    rows: list[R] | None = getattr(page, "results", None)
    return (rows, 0) if rows is not None else _nothing(page, what)


def single(body: bytes, decoder: msgspec.json.Decoder[R], what: str) -> R:
    """The one object of an answer; without it the answer is an error."""
    parsed = _single.decode(body)
    check_status(parsed, what)
    if is_absent(parsed.results):
        raise DataError(f"{what}: the answer has no result")
    return decoder.decode(parsed.results)


def is_absent(raw: msgspec.Raw) -> bool:
    return bytes(raw) in (b"", b"null")


def counted_page(
    body: bytes, decoder: msgspec.json.Decoder[R], what: str, *, every: bool = False
) -> tuple[list[R], int]:
    """(rows, bad ones) of a page, decoded one by one; without results it is an error unless it says that it is empty.

    `every` as in `rows_of`.
    """
    parsed = _raw_rows.decode(body)
    check_status(parsed, what)
    return _nothing(parsed, what) if parsed.results is None else rows_of(parsed.results, decoder, what, every=every)


def _nothing(body: bodies.Body, what: str) -> tuple[list[R], int]:
    if body.says_empty:
        return [], 0
    raise DataError(f"{what}: the answer has no results and does not say that it is empty")


# --- bars ---


def _bars(body: bytes, what: str) -> tuple[list[bodies.Bar], int]:
    return list_page(body, _bar_page, _bar, what)


def grouped_columns(body: bytes, day: date) -> GroupedColumns:
    rows, bad = _bars(body, f"daily bars of {day}")
    check_some_good(len(rows), bad, f"daily bars of {day}")
    if any(not row.T for row in rows):
        raise DataError(f"daily bars of {day}: a row has no ticker")
    return GroupedColumns(
        day=day,
        symbols=tuple(row.T for row in rows),
        open=floats([row.o for row in rows]),
        high=floats([row.h for row in rows]),
        low=floats([row.l for row in rows]),
        close=floats([row.c for row in rows]),
        volume=floats([row.v for row in rows]),
        vwap=floats([row.vw for row in rows]),
        malformed=bad,
    )


def bar_page(body: bytes, symbol: str) -> tuple[list[bodies.Bar], int]:
    return _bars(body, f"bars of {symbol}")


def bar_columns(symbol: str, bars: list[bodies.Bar]) -> BarColumns:
    rows = sorted({row.t: row for row in bars}.values(), key=lambda row: row.t)
    return BarColumns(
        symbol=symbol,
        start_ns=times([row.t for row in rows]),
        open=floats([row.o for row in rows]),
        high=floats([row.h for row in rows]),
        low=floats([row.l for row in rows]),
        close=floats([row.c for row in rows]),
        volume=floats([row.v for row in rows]),
        vwap=floats([row.vw for row in rows]),
    )


# --- columns ---


def floats(values: list[float]) -> FloatArray:
    column: FloatArray = np.array(values, dtype=np.float64)
    column[np.isinf(column)] = np.nan  # 1e400 is readable JSON
    return column


def sizes(values: list[float]) -> FloatArray:
    """Shares or contracts: a size beyond any market is none."""
    column: FloatArray = np.array(values, dtype=np.float64)
    return np.where((column >= 0) & (column < MOST_UNITS), column, 0.0)


def finite(column: FloatArray) -> FloatArray:
    """NaN in the place of anything infinite: 1e400 is readable JSON."""
    return np.where(np.isinf(column), np.nan, column)


def whole(values: list[float] | FloatArray, unknown: int = 0) -> IntArray:
    """Whole numbers; `unknown` in the place of anything impossible."""
    try:
        column: FloatArray = np.array(values, dtype=np.float64)
    except OverflowError:  # a whole number of 400 digits is readable JSON
        column = np.array([value if 0 <= value < MOST_UNITS else unknown for value in values], dtype=np.float64)
    return np.where((column >= 0) & (column < MOST_UNITS), column, unknown).astype(np.int64)


def prices(values: list[float]) -> FloatArray:
    """Prices where the vendor writes 0 for "none yet" (the day bar before the first trade)."""
    column = floats(values)
    column[column <= 0] = np.nan
    return column


def maybe(values: list[float | None]) -> FloatArray:
    return floats([bodies.NAN if value is None else value for value in values])


def times(values: Sequence[int | float]) -> IntArray:
    column: NDArray[np.int64] = np.array([int(v) if 0 <= v < NEVER_NS else 0 for v in values], dtype=np.int64)
    return to_ns_array(column)

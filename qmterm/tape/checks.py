"""Rows that cannot be played, each found with its place: a replay refuses a bad file instead of playing around it.

Trap: what a strategy saw in a replay is taken as evidence. A row that was left out in silence would change it. So an
import holds rows by minute to the same: what is in a store can be played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.clock import to_et
from qmterm.core.errors import BadInput, BadSymbol
from qmterm.core.instruments import parse_option
from qmterm.tape import layout
from qmterm.tape.instants import days_of
from qmterm.tape.layout import MINUTES, OPTION_QUOTES, Layout

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
FIRST_HOUR, LAST_HOUR = 4, 19  # New York: extended hours


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece of data came from: the file, and the row of the file (from 0) of each row of the piece."""

    file: Path
    rows: IntArray

    @classmethod
    def after(cls, file: Path, rows_before: int, count: int) -> Place:
        return cls(file, np.arange(rows_before, rows_before + count))


def refuse(bad: BoolArray, place: Place, column: str, what: str) -> None:
    """BadInput for the first bad row."""
    if bad.any():
        row = int(place.rows[int(bad.argmax())]) + 1
        more = int(np.count_nonzero(bad)) - 1
        also = f" (and {more:,} more)" if more else ""
        raise BadInput(f"{place.file}: row {row:,}{also}, column {column}: {what}; correct the row or take it out")


def check_bars(columns: Mapping[str, FloatArray], place: Place) -> None:
    """Prices are positive numbers, the high is the highest, a volume is not negative."""
    for name in ("open", "high", "low", "close"):
        values = columns[name]
        refuse(~np.isfinite(values), place, name, "there is no number")
        refuse(values <= 0, place, name, "a price is above 0")
    high, low = columns["high"], columns["low"]
    refuse(high < np.maximum(columns["open"], columns["close"]), place, "high", "lower than open or close")
    refuse(low > np.minimum(columns["open"], columns["close"]), place, "low", "higher than open or close")
    refuse(~(columns["volume"] >= 0), place, "volume", "it must be a number from 0")


def check_quotes(columns: Mapping[str, FloatArray], place: Place) -> None:
    """Sides and sizes are numbers from 0; an ask is above 0. Crossed and locked quotes happen in life: they stay."""
    for name in ("bid", "ask", "bid_size", "ask_size"):
        values = columns[name]
        refuse(~np.isfinite(values), place, name, "there is no number (leave a minute without quote out)")
        refuse(values < 0, place, name, "it must not be negative")
    refuse(columns["ask"] <= 0, place, "ask", "an ask is above 0 (leave a minute without quote out)")


def check_minutes(start_ns: IntArray, place: Place) -> None:
    refuse(start_ns % MINUTE_NS != 0, place, "start_ns", "it is not the start of a minute")


def check_hours(start_ns: IntArray, place: Place) -> None:
    """Stocks trade from 04:00 to 20:00: what is stamped otherwise is a day bar, or in a wrong zone."""
    hours, where = np.unique(start_ns // HOUR_NS, return_inverse=True)
    local = np.array([to_et(int(hour) * HOUR_NS).hour for hour in hours], dtype=np.int64)
    shut = (local < FIRST_HOUR) | (local > LAST_HOUR)
    refuse(shut[where], place, "start_ns", "nothing trades before 04:00 and from 20:00 New York on: is it in UTC?")


def check_names(names: Any, place: Place, column: str) -> None:
    """`names` is an arrow column."""
    import pyarrow.compute as pc

    missing = pc.fill_null(pc.equal(names, ""), True)
    refuse(np.asarray(missing.to_numpy(), dtype=np.bool_), place, column, "there is no name")


def check_by_minute(table: Any, kind: Layout, place: Place) -> None:
    """All that a replay demands of single rows by minute, of bars or of option quotes."""
    columns = {name: table[name].to_numpy() for name in kind.names if name not in kind.key}
    start = table["start_ns"].to_numpy()
    check_names(table[kind.key[0]], place, kind.key[0])
    check_minutes(start, place)
    if kind is MINUTES:
        check_hours(start, place)
        check_bars(columns, place)
    else:
        check_quotes(columns, place)


def as_occ(table: Any, place: Place) -> Any:
    """Option quotes with each contract under its OCC symbol, however the file spells it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spelled = table["occ"].combine_chunks().dictionary_encode()
    names = []
    for number, name in enumerate(spelled.dictionary.to_pylist()):
        try:
            names.append(parse_option(name).occ)
        except BadSymbol as error:
            refuse(np.asarray(pc.equal(spelled.indices, number)), place, "occ", str(error))
    column = pa.array(names, pa.string()).take(spelled.indices)
    return table.set_column(table.column_names.index("occ"), "occ", column)


def check_session(path: Path, kind: Layout, day: date) -> None:
    """A store's file of one session by minute, held to all that a replay demands."""
    names: dict[str, int] = {}
    codes, times, places = [], [], []
    first = 0
    for table in layout.batches(path, kind):
        place = Place.after(path, first, table.num_rows)
        first += table.num_rows
        check_by_minute(table, kind, place)
        start = table["start_ns"].to_numpy()
        refuse(days_of(start) != (day - date(1970, 1, 1)).days, place, "start_ns", f"it is not of {day}")
        column = (as_occ(table, place) if kind is OPTION_QUOTES else table)[kind.key[0]]
        spelled = column.combine_chunks().dictionary_encode()
        of = np.array([names.setdefault(name, len(names)) for name in spelled.dictionary.to_pylist()], dtype=np.int64)
        codes.append(of[spelled.indices.to_numpy()])
        times.append(start)
        places.append(place)
    if places:
        check_once(np.concatenate(codes), np.concatenate(times), list(names), places, " and ".join(kind.key))


def check_once(code: IntArray, time: NDArray[Any], names: list[str], places: list[Place], column: str) -> IntArray:
    """The order of rows by (time, code); BadInput when two rows are of the same name and time.

    The rows are those of all `places`, one after the other.
    """
    order = np.lexsort((code, time))
    again = np.flatnonzero((np.diff(time[order]).astype(np.int64) == 0) & (np.diff(code[order]) == 0))
    if len(again):
        one, other = (_where(int(order[again[0] + step]), places) for step in (1, 0))
        name = names[int(code[order[again[0]]])]
        raise BadInput(f"{one} has the same {column} as {other} ({name}); keep one of them")
    return np.asarray(order, dtype=np.int64)


def _where(row: int, places: list[Place]) -> str:
    for place in places:
        if row < len(place.rows):
            return f"{place.file}: row {int(place.rows[row]) + 1:,}"
        row -= len(place.rows)
    raise IndexError(row)

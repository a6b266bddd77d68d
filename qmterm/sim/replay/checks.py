"""Rows that cannot be played, each found with its place: a replay refuses a bad file instead of playing around it.

Trap: what a strategy saw in a replay is taken as evidence. A row that was left out in silence would change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput

MINUTE_NS = 60_000_000_000


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


def check_names(names: Any, place: Place, column: str) -> None:
    """`names` is an arrow column."""
    missing = np.asarray(names.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    refuse(missing, place, column, "there is no name")


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

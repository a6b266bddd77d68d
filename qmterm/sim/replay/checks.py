"""Rows that cannot be played, each found with its place: a replay refuses a bad file instead of playing around it.

Trap: what a strategy saw in a replay is taken as evidence. A row that was left out in silence would change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput

MINUTE_NS = 60_000_000_000


def refuse(bad: BoolArray, file: Path, first_row: int, column: str, what: str) -> None:
    """BadInput for the first bad row; `first_row` counts the rows of the file before this piece."""
    if bad.any():
        row = first_row + int(bad.argmax()) + 1
        more = int(np.count_nonzero(bad)) - 1
        also = f" (and {more:,} more)" if more else ""
        raise BadInput(f"{file}: row {row:,}{also}, column {column}: {what}; correct the row or take it out")


def check_bars(columns: Mapping[str, FloatArray], file: Path, first_row: int) -> None:
    """Prices are positive numbers, the high is the highest, a volume is not negative."""
    for name in ("open", "high", "low", "close"):
        values = columns[name]
        refuse(~np.isfinite(values), file, first_row, name, "there is no number")
        refuse(values <= 0, file, first_row, name, "a price is above 0")
    high, low = columns["high"], columns["low"]
    refuse(high < np.maximum(columns["open"], columns["close"]), file, first_row, "high", "lower than open or close")
    refuse(low > np.minimum(columns["open"], columns["close"]), file, first_row, "low", "higher than open or close")
    refuse(~(columns["volume"] >= 0), file, first_row, "volume", "it must be a number from 0")


def check_quotes(columns: Mapping[str, FloatArray], file: Path, first_row: int) -> None:
    """Sides and sizes are numbers from 0; an ask is above 0. Crossed and locked quotes happen in life: they stay."""
    for name in ("bid", "ask", "bid_size", "ask_size"):
        values = columns[name]
        refuse(~np.isfinite(values), file, first_row, name, "there is no number (leave a minute without quote out)")
        refuse(values < 0, file, first_row, name, "it must not be negative")
    refuse(columns["ask"] <= 0, file, first_row, "ask", "an ask is above 0 (leave a minute without quote out)")


def check_minutes(start_ns: IntArray, file: Path, first_row: int) -> None:
    refuse(start_ns % MINUTE_NS != 0, file, first_row, "start_ns", "it is not the start of a minute")


def check_names(names: Any, file: Path, first_row: int, column: str) -> None:
    """`names` is an arrow column."""
    missing = np.asarray(names.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    refuse(missing, file, first_row, column, "there is no name")


def check_once(code: IntArray, time: NDArray[Any], names: list[str], file: Path, column: str) -> IntArray:
    """The order of rows by (time, code); BadInput when two rows are of the same name and time."""
    order = np.lexsort((code, time))
    again = np.flatnonzero((np.diff(time[order]).astype(np.int64) == 0) & (np.diff(code[order]) == 0))
    if len(again):
        row = int(order[again[0] + 1])
        other, name = int(order[again[0]]) + 1, names[int(code[row])]
        raise BadInput(f"{file}: row {row + 1:,} has the same {column} as row {other:,} ({name}); keep one of them")
    return np.asarray(order, dtype=np.int64)

"""The history cache: one Parquet file for each session with the daily bar of every symbol.

Trap: a crash can leave a torn file. Files appear by rename only, and one that cannot be read is deleted and counted
as missing, so that the caller pulls that day again instead of trading on a hole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.errors import BadInput, DataError
from qmterm.tape.quality import BAR_COLUMNS, usable

SUFFIX = ".parquet"


class DaysMissing(DataError):
    """Sessions asked for that the cache does not hold (never pulled, or deleted as unreadable)."""

    def __init__(self, directory: Path, days: Sequence[date]) -> None:
        shown = ", ".join(str(day) for day in days[:3]) + (", …" if len(days) > 3 else "")
        super().__init__(f"history in {directory} lacks {len(days)} sessions ({shown}): run `qmterm history pull`")
        self.days = tuple(days)


def day_path(directory: Path, day: date) -> Path:
    """Where the bars of a session are kept."""
    return directory / f"{day.isoformat()}{SUFFIX}"


def missing_days(directory: Path, days: Iterable[date]) -> tuple[date, ...]:
    """The days without a file, in the order given; says nothing about files that cannot be read."""
    return tuple(day for day in days if not day_path(directory, day).exists())


def write_grouped(directory: Path, day: date, columns: Mapping[str, Any]) -> Path:
    """Store one session: `symbol`, open, high, low, close, volume (equal lengths, any order of symbols).

    Unusable rows and repeated symbols are left out. The file appears whole or not at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    absent = [name for name in ("symbol", *BAR_COLUMNS) if name not in columns]
    if absent:
        raise BadInput(f"bars of {day} lack the columns {', '.join(absent)}")
    bars: dict[str, FloatArray] = {name: np.asarray(columns[name], dtype=np.float64) for name in BAR_COLUMNS}
    symbols = np.asarray(columns["symbol"], dtype=np.str_)
    if len({len(symbols), *(len(column) for column in bars.values())}) != 1:
        raise BadInput(f"bars of {day}: the columns differ in length")
    good, _ = usable(bars)
    kept = np.flatnonzero(good)
    names, first = np.unique(symbols[kept], return_index=True)
    rows = kept[first]
    table = pa.table(
        {
            "date": pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), dtype=np.int32)), pa.array([day])),
            "symbol": pa.array(names.tolist(), type=pa.string()),
            **{name: pa.array(column[rows]) for name, column in bars.items()},
        }
    )
    directory.mkdir(parents=True, exist_ok=True)
    path = day_path(directory, day)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(table, unfinished, compression="lz4", use_dictionary=["date"], write_page_checksum=True)
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
    return path


def read_grouped(directory: Path, days: Iterable[date], allow_missing: bool = False) -> DailyPanel:
    """The cached sessions as one panel; `days` are sessions, the latest one is what `stale` counts from.

    Days without a readable file raise DaysMissing (unreadable files are deleted first); with `allow_missing` the
    panel is made of the rest.
    """
    wanted = sorted(set(days))
    if not wanted:
        raise BadInput(f"no session asked of the history in {directory}")
    tables, absent = _read_files(directory, wanted)
    if absent and (not allow_missing or not tables):
        raise DaysMissing(directory, absent)

    import pyarrow as pa
    import pyarrow.compute as pc

    held = sorted(tables)
    names = pc.unique(pa.chunked_array([chunk for day in held for chunk in tables[day]["symbol"].chunks], pa.string()))
    names = names.take(pc.array_sort_indices(names))
    symbols = tuple(names.to_pylist())
    codes: list[IntArray] = []
    bars: list[dict[str, FloatArray]] = []
    for day in held:
        table = tables.pop(day)
        numbers = pc.index_in(table["symbol"], value_set=names).to_numpy().astype(np.int64)
        columns = {name: table[name].to_numpy() for name in BAR_COLUMNS}
        numbers, columns = _checked(numbers, columns)
        codes.append(numbers)
        bars.append(columns)
    return _align(symbols, wanted, held, codes, bars)


def _read_files(directory: Path, days: Sequence[date]) -> tuple[dict[date, Any], list[date]]:
    """Tables by day, and the days that have no readable file; an unreadable one is deleted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: dict[date, Any] = {}
    absent: list[date] = []
    names = ["symbol", *BAR_COLUMNS]
    schema = pa.schema([("symbol", pa.string()), *((name, pa.float64()) for name in BAR_COLUMNS)])
    for day in days:
        path = day_path(directory, day)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                tables[day] = file.read(columns=names).select(names).cast(schema)
        except FileNotFoundError:
            absent.append(day)
        except (pa.ArrowException, OSError, KeyError, ValueError):
            path.unlink(missing_ok=True)
            absent.append(day)
    return tables, absent


def _checked(codes: IntArray, columns: dict[str, FloatArray]) -> tuple[IntArray, dict[str, FloatArray]]:
    """Rows that may enter the panel: files written by other tools can hold bad rows and repeated symbols."""
    good, faults = usable(columns)
    repeated = len(codes) > 0 and int(np.bincount(codes).max()) > 1
    if not faults and not repeated:
        return codes, columns
    rows = np.flatnonzero(good)
    _, first = np.unique(codes[rows], return_index=True)
    rows = rows[first]
    return codes[rows], {name: column[rows] for name, column in columns.items()}


def _align(
    symbols: tuple[str, ...],
    sessions: Sequence[date],
    held: Sequence[date],
    codes: Sequence[IntArray],
    bars: Sequence[Mapping[str, FloatArray]],
) -> DailyPanel:
    """Right-align: the newest bar of each symbol goes to the last column, the one before it to its left."""
    count = len(symbols)
    width = len(held)
    # Time-major while filling: one day then writes along one line of memory.
    blocks = {name: np.full((width, count), np.nan) for name in BAR_COLUMNS}
    days: NDArray[np.datetime64] = np.full((width, count), np.datetime64("NaT", "D"), dtype="datetime64[D]")
    filled = np.zeros(count, dtype=np.int64)
    newest: IntArray = np.full(count, -1, dtype=np.int64)
    number_of = {day: number for number, day in enumerate(sessions)}
    for position in range(width - 1, -1, -1):
        rows = codes[position]
        column = width - 1 - filled[rows]
        for name, block in blocks.items():
            block[column, rows] = bars[position][name]
        days[column, rows] = np.datetime64(held[position], "D")
        filled[rows] += 1
        fresh = rows[newest[rows] < 0]
        newest[fresh] = number_of[held[position]]
    width = int(filled.max()) if count else 0
    known: BoolArray = filled > 0
    return DailyPanel(
        symbols=tuple(name for name, kept in zip(symbols, known.tolist(), strict=True) if kept),
        last_session=sessions[-1],
        **{name: np.ascontiguousarray(block[-width:, known].T) for name, block in blocks.items()},
        bars=filled[known],
        stale=(len(sessions) - 1 - newest)[known],
        days=np.ascontiguousarray(days[-width:, known].T),
    )

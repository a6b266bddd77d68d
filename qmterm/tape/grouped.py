"""The history cache: one Parquet file for each session with the daily bar of every symbol.

Trap: a crash can leave a torn file. Files appear by rename only, and one that cannot be read is deleted and counted
as missing, so that the caller pulls that day again instead of trading on a hole. A disk that fails to answer (too many
open files, no permission) says nothing about the file: that is raised, and nothing is deleted.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.errors import BadInput, DataError
from qmterm.tape.layout import SUFFIX
from qmterm.tape.quality import BAR_COLUMNS, PRICE_COLUMNS, usable
from qmterm.tape.storing import storing
from qmterm.tape.symbols import CHECKSUM, Numbers, SymbolTable, plain

NUMBER = "number"  # column: the symbol's line in the store's symbol table
PULLED = b"qmterm.pulled"  # key in a file's schema metadata: the day up to which its prices have their splits
SOURCE = b"qmterm.source"  # key: who told the session; absent in files of old versions, which held whole markets only
WHOLE, IMPORTS = b"grouped", b"import"
IMPORTED = "imported"  # column, only where a row is of an imported file
_naming = threading.Lock()  # sessions are pulled side by side; two programs at once are what the checksum is for


class DaysMissing(DataError):
    """Sessions asked for that the cache does not hold (never pulled, or deleted as unreadable)."""

    def __init__(self, directory: Path, days: Sequence[date]) -> None:
        shown = ", ".join(str(day) for day in days[:3]) + (", …" if len(days) > 3 else "")
        super().__init__(f"history in {directory} lacks {len(days)} sessions ({shown}): run `qmterm history pull`")
        self.days = tuple(days)


class TornFile(DataError):
    """A file of the store that cannot be read as what it should be."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is torn ({why}): delete it and run `qmterm history pull`")
        self.path = path


@dataclass(frozen=True, slots=True)
class DayRows:
    """One session as it is stored: rows in the file's order, unchecked."""

    day: date
    symbols: NDArray[np.str_]
    columns: Mapping[str, FloatArray]
    imported: BoolArray  # brought in from a file, not told by the vendor

    def __len__(self) -> int:
        return len(self.symbols)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a session's file says of itself."""

    adjusted: date | None  # up to which day its prices have their splits
    whole: bool  # the vendor told it, for the whole market; False: it holds rows of imported files only


def day_path(directory: Path, day: date) -> Path:
    """Where the bars of a session are kept."""
    return directory / f"{day.isoformat()}{SUFFIX}"


def missing_days(directory: Path, days: Iterable[date]) -> tuple[date, ...]:
    """The days without a file, in the order given; says nothing about files that cannot be read."""
    return tuple(day for day in days if not day_path(directory, day).exists())


def write_grouped(
    directory: Path, day: date, columns: Mapping[str, Any], pulled: date | None = None, whole: bool = True
) -> Path:
    """Store one session: `symbol`, open, high, low, close, volume (equal lengths, any order of symbols).

    `imported` may say which rows are a file's and not the vendor's. Unusable rows and repeated symbols are left out.
    The file appears whole or not at all, and says in itself up to which day (`pulled`) its prices are adjusted for
    splits, and whether it is the whole market or imported rows only.
    """
    import pyarrow as pa

    absent = [name for name in ("symbol", *BAR_COLUMNS) if name not in columns]
    if absent:
        raise BadInput(f"bars of {day} lack the columns {', '.join(absent)}")
    bars: dict[str, FloatArray] = {name: np.asarray(columns[name], dtype=np.float64) for name in BAR_COLUMNS}
    symbols = np.asarray(columns["symbol"], dtype=np.str_)
    imported = np.asarray(columns.get(IMPORTED, np.zeros(len(symbols))), dtype=np.bool_)
    if len({len(symbols), len(imported), *(len(column) for column in bars.values())}) != 1:
        raise BadInput(f"bars of {day}: the columns differ in length")
    good, _ = usable(bars)
    kept = np.flatnonzero(good)
    names, first = np.unique(symbols[kept], return_index=True)
    rows = kept[first]
    spelled = pa.array(names.tolist(), type=pa.string())
    with storing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with _naming:
        held = SymbolTable.load(directory)
        table = held.with_names(spelled)
        if table is not held:
            table.save(directory)
    numbers = table.numbers(spelled)
    content = pa.table(
        {
            "date": pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), dtype=np.int32)), pa.array([day])),
            "symbol": spelled,
            NUMBER: pa.array(numbers),
            **{name: pa.array(column[rows]) for name, column in bars.items()},
            **({IMPORTED: pa.array(imported[rows])} if imported[rows].any() else {}),
        }
    ).replace_schema_metadata(
        {
            CHECKSUM: table.checksum(numbers) or b"",
            SOURCE: WHOLE if whole else IMPORTS,
            **({} if pulled is None else {PULLED: pulled.isoformat().encode()}),
        }
    )
    path = day_path(directory, day)
    write_whole(path, content, dictionary=["date", *PRICE_COLUMNS])
    return path


def write_whole(path: Path, table: Any, dictionary: Sequence[str] | bool = False) -> None:
    """A Parquet file that appears whole or not at all, its pages with checksums; NotWritten when it cannot."""
    import pyarrow.parquet as pq

    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    use = list(dictionary) if not isinstance(dictionary, bool) else dictionary
    with storing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, unfinished, compression="lz4", use_dictionary=use, write_page_checksum=True)
            os.replace(unfinished, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                unfinished.unlink()


def read_day(directory: Path, day: date) -> DayRows:
    """One session's rows as they are; TornFile when it cannot be read, FileNotFoundError when it is not there."""
    path = day_path(directory, day)
    with opened(path) as file:
        mixed = IMPORTED in file.schema_arrow.names
    table = read_columns(path, ("symbol", *BAR_COLUMNS, *((IMPORTED,) if mixed else ())))
    symbols = np.asarray(table["symbol"].to_pylist(), dtype=np.str_)
    imported = np.asarray(table[IMPORTED].to_pylist() if mixed else np.zeros(len(symbols)), dtype=np.bool_)
    return DayRows(day, symbols, {name: floats(table[name]) for name in BAR_COLUMNS}, imported)


def read_columns(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Columns of a session's file in their proper types, checksums verified; TornFile when that cannot be."""
    return checked_columns(path, names)[0]


def checked_columns(path: Path, names: Sequence[str]) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """`read_columns`, and what the same file says about itself."""
    import pyarrow as pa

    with opened(path) as file:
        table = file.read(columns=list(names), use_threads=False)
        types = {"symbol": pa.string(), NUMBER: pa.int32(), IMPORTED: pa.bool_()}
        columns = {}
        for name in names:
            column, kind = table[name], types.get(name, pa.float64())
            columns[name] = column if column.type == kind else column.cast(kind)
        return columns, dict(file.schema_arrow.metadata or {})


def origin_of(directory: Path, day: date) -> Origin | None:
    """What a session's file says of itself; None when it is not there or cannot be read."""
    try:
        with opened(day_path(directory, day)) as file:
            told = file.schema_arrow.metadata or {}
        adjusted = told.get(PULLED)
        return Origin(None if adjusted is None else date.fromisoformat(adjusted.decode()), told.get(SOURCE) != IMPORTS)
    except (FileNotFoundError, TornFile, ValueError):
        return None


def trusted_numbers(path: Path, table: SymbolTable) -> tuple[Numbers, bytes] | None:
    """The number column of a session and its checksum, when the table spells the file's names by it; None when not."""
    import pyarrow as pa

    with opened(path) as file:
        if NUMBER not in file.schema_arrow.names:
            return None
        column = file.read(columns=[NUMBER], use_threads=False)[NUMBER]
        if column.null_count or column.type != pa.int32():
            return None
        numbers = plain(column, np.int32)
        told: bytes | None = (file.schema_arrow.metadata or {}).get(CHECKSUM)
        return (numbers, told) if told is not None and told == table.checksum(numbers) else None


def floats(column: Any) -> FloatArray:
    """A float64 column as numpy, NaN where it has nothing."""
    import pyarrow.compute as pc

    return plain(pc.fill_null(column, float("nan")) if column.null_count else column, np.float64)


@contextlib.contextmanager
def opened(path: Path) -> Any:
    """The Parquet file while it is used; what a torn one raises becomes TornFile, what the disk raises stays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Given a path, pyarrow asks every file system it knows first: a tenth of a second for a year.
        with pa.OSFile(str(path)) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise TornFile(path, str(error).splitlines()[0]) from error
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise TornFile(path, (str(error).splitlines() or ["unreadable"])[0]) from error


def numbered(directory: Path, days: Iterable[date]) -> tuple[date, ...]:
    """Give sessions written before there was a symbol table their numbers; says which were written again."""
    table = SymbolTable.load(directory)
    changed = []
    for day in days:
        try:
            if trusted_numbers(day_path(directory, day), table):
                continue
            rows = read_day(directory, day)
        except (FileNotFoundError, TornFile):
            continue
        origin = origin_of(directory, day) or Origin(None, True)
        columns = {"symbol": rows.symbols, **rows.columns, IMPORTED: rows.imported}
        write_grouped(directory, day, columns, origin.adjusted, origin.whole)
        table = SymbolTable.load(directory)
        changed.append(day)
    return tuple(changed)

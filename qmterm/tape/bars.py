"""Daily bars from any Parquet file: checked, split-adjusted as of a date, right-aligned into a panel.

Trap: only splits with an ex-date up to `as_of` are known by then; using a later one would let a back-test see the
future. Prices are adjusted for splits, never for dividends (QUANT.md 1.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.tape.grouped import DaysMissing, missing_days, write_grouped
from qmterm.tape.instants import session_days
from qmterm.tape.panel import read_grouped
from qmterm.tape.quality import BAR_COLUMNS, PRICE_COLUMNS, BarReport, usable

__all__ = [
    "BarReport",
    "DailyFile",
    "DaysMissing",
    "load_daily",
    "missing_days",
    "read_daily",
    "read_grouped",
    "write_grouped",
]

REQUIRED = ("symbol", "date", *BAR_COLUMNS)
_FIRST_DAY = np.datetime64("1700-01-01", "D")
_EARLIEST, _LATEST = date(1900, 1, 1), date(2100, 12, 31)  # a day outside is a slip of whoever wrote the file


@dataclass(frozen=True, slots=True)
class DailyFile:
    """The panel of a file, and what had to be left out of it."""

    panel: DailyPanel
    report: BarReport


def read_daily(
    path: Path, as_of: date | None = None, max_bars: int | None = None, symbols: Sequence[str] | None = None
) -> DailyPanel:
    """The panel alone; see `load_daily`."""
    return load_daily(path, as_of, max_bars, symbols).panel


def load_daily(
    path: Path, as_of: date | None = None, max_bars: int | None = None, symbols: Sequence[str] | None = None
) -> DailyFile:
    """Read a Parquet file with symbol, date, open, high, low, close, volume (optional split_ratio, ex_dividend).

    Bars after `as_of` (default: the file's last date) are not looked at. `max_bars` keeps the latest bars of each
    symbol, `symbols` only those. BadInput names what is wrong with the file.
    """
    if as_of is not None and not _EARLIEST <= as_of <= _LATEST:
        raise BadInput(f"{as_of} is no day of {_EARLIEST} to {_LATEST}")
    table = _open(path)
    names, codes = _symbol_codes(table["symbol"])
    days = _dates(table["date"], path)
    _check_range(days, path)
    columns = {name: _numbers(table[name], name, path) for name in BAR_COLUMNS}
    ratios = _numbers(table["split_ratio"], "split_ratio", path) if "split_ratio" in table.column_names else None

    good, faults = usable(columns)
    nameless = good & ((codes < 0) | np.isnat(days))
    if nameless.any():
        faults["without a symbol or date"] = int(np.count_nonzero(nameless))
        good &= ~nameless
    keep = good.copy()
    if as_of is not None:
        keep &= days <= np.datetime64(as_of, "D")
    if symbols is not None:
        keep &= np.isin(codes, [names.index(name) for name in symbols if name in names])
    rows = np.flatnonzero(keep)
    rows = rows[np.lexsort((days[rows], codes[rows]))]
    again = _repeats(codes[rows], days[rows])
    if again.any():
        faults["repeated (same symbol and date)"] = int(np.count_nonzero(again))
        rows = rows[~again]
    if len(rows) == 0:
        until = f" up to {as_of}" if as_of is not None else ""
        raise BadInput(f"{path} has no usable daily bar{until}: check the file and the date")

    last_day = days[rows].max()
    last_session = _session_at(as_of if as_of is not None else last_day.astype(object))
    picked = {name: column[rows] for name, column in columns.items()}
    if ratios is not None:
        # A split counts even where the bar of its day had to be left out: the prices after it are the new ones.
        told = np.isfinite(ratios) & (ratios > 0) & (codes >= 0) & ~np.isnat(days)
        told &= days <= np.datetime64(last_session if as_of is None else as_of, "D")
        _adjust_for_splits(picked, codes[rows], days[rows], codes[told], days[told], ratios[told])
    panel = _panel(names, codes[rows], days[rows], picked, last_session, max_bars)
    return DailyFile(panel, BarReport(rows=len(days), kept=len(days) - sum(faults.values()), dropped=faults))


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            have = file.schema_arrow.names
            absent = [name for name in REQUIRED if name not in have]
            if absent:
                raise BadInput(
                    f"{path} lacks the column{'s' if len(absent) > 1 else ''} {', '.join(absent)}: "
                    f"daily bars need {', '.join(REQUIRED)}"
                )
            return file.read(columns=[*REQUIRED, *(name for name in ("split_ratio",) if name in have)])
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: give the path of a Parquet file of daily bars") from None
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as a Parquet file: {str(error).splitlines()[0]}") from error


def _symbol_codes(column: Any) -> tuple[tuple[str, ...], IntArray]:
    """Sorted names and, for each row, the number of its name (−1 where there is none)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.cast(column, pa.string())
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    names = pc.drop_null(pc.unique(text))
    names = names.take(pc.array_sort_indices(names))
    codes = pc.fill_null(pc.index_in(text, value_set=names), -1)
    return tuple(names.to_pylist()), codes.to_numpy(zero_copy_only=False).astype(np.int64)


def _dates(column: Any, path: Path) -> NDArray[np.datetime64]:
    import pyarrow as pa

    try:
        days = session_days(column)
    except (pa.ArrowException, ValueError) as error:
        raise BadInput(f"{path}: column date is not a date ({str(error).splitlines()[0]})") from error
    return np.asarray(days.to_numpy(), dtype="datetime64[D]")


def _numbers(column: Any, name: str, path: Path) -> FloatArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = pc.cast(column, pa.float64(), safe=False)
    except pa.ArrowException as error:
        raise BadInput(f"{path}: column {name} does not hold numbers ({str(error).splitlines()[0]})") from error
    return np.asarray(pc.fill_null(values, np.nan).to_numpy(), dtype=np.float64)


def _repeats(codes: IntArray, days: NDArray[np.datetime64]) -> BoolArray:
    """True for each row (sorted by symbol and day) that repeats the one before it; the first one stays."""
    again = np.zeros(len(codes), dtype=np.bool_)
    again[1:] = (codes[1:] == codes[:-1]) & (days[1:] == days[:-1])
    return again


def _check_range(days: NDArray[np.datetime64], path: Path) -> None:
    outside = (days < np.datetime64(_EARLIEST, "D")) | (days > np.datetime64(_LATEST, "D"))  # false where there is none
    if outside.any():
        row = int(outside.argmax())
        more = f" (and {np.count_nonzero(outside) - 1} more)" if np.count_nonzero(outside) > 1 else ""
        raise BadInput(
            f"{path}: row {row + 1}{more}, column date: {days[row]} is no day of {_EARLIEST} to {_LATEST}; correct the "
            "row or take it out"
        )


def _session_at(day: date) -> date:
    """The latest session at or before a day."""
    return SessionCalendar.load(date(day.year - 1, 1, 1), day).last_n(day, 1)[0]


def _adjust_for_splits(
    columns: dict[str, FloatArray],
    codes: IntArray,
    days: NDArray[np.datetime64],
    split_codes: IntArray,
    split_days: NDArray[np.datetime64],
    ratios: FloatArray,
) -> None:
    """Divide prices before each ex-date by the split's ratio and multiply volumes by it, in place."""
    keys, first = np.unique(_key(split_codes, split_days), return_index=True)  # a day told twice is one split
    logs = np.concatenate(([0.0], np.cumsum(np.log(ratios[first]))))
    # factor of a row = product of the ratios of the same symbol after its day
    until = np.searchsorted(keys, _key(codes + 1, np.full(len(codes), _FIRST_DAY)))
    factor = np.exp(logs[until] - logs[np.searchsorted(keys, _key(codes, days), side="right")])
    changed = np.abs(factor - 1.0) > 1e-12
    for name in PRICE_COLUMNS:
        columns[name] = np.where(changed, columns[name] / factor, columns[name])
    columns["volume"] = np.where(changed, columns["volume"] * factor, columns["volume"])


def _key(codes: IntArray, days: NDArray[np.datetime64]) -> IntArray:
    """Symbol and day as one number that sorts like the pair."""
    return np.asarray((codes << 32) + (days - _FIRST_DAY).astype(np.int64), dtype=np.int64)


def _panel(
    names: tuple[str, ...],
    codes: IntArray,
    days: NDArray[np.datetime64],
    columns: dict[str, FloatArray],
    last_session: date,
    max_bars: int | None,
) -> DailyPanel:
    """Rows sorted by symbol and day as right-aligned blocks."""
    present, starts, counts = np.unique(codes, return_index=True, return_counts=True)
    width = int(counts.max()) if max_bars is None else min(int(counts.max()), max_bars)
    row = np.repeat(np.arange(len(present)), counts)
    from_end = np.repeat(starts + counts, counts) - np.arange(len(codes))  # 1 = the latest bar
    fits = from_end <= width
    target = (row[fits], width - from_end[fits])
    blocks = {name: np.full((len(present), width), np.nan) for name in BAR_COLUMNS}
    for name, block in blocks.items():
        block[target] = columns[name][fits]
    dates: NDArray[np.datetime64] = np.full((len(present), width), np.datetime64("NaT", "D"), dtype="datetime64[D]")
    dates[target] = days[fits]
    return DailyPanel(
        symbols=tuple(names[code] for code in present),
        last_session=last_session,
        **blocks,
        bars=np.minimum(counts, width).astype(np.int64),
        stale=_sessions_behind(dates[:, -1], last_session),
        days=dates,
    )


def _sessions_behind(last_bars: NDArray[np.datetime64], last_session: date) -> IntArray:
    """Sessions after each symbol's last bar, up to and including the panel's last session."""
    earliest: date = last_bars.min().astype(object)
    calendar = SessionCalendar.load(min(earliest, last_session), last_session)
    sessions = np.array(calendar.days, dtype="datetime64[D]")
    reached = np.searchsorted(sessions, np.datetime64(last_session, "D"), side="right")
    behind = reached - np.searchsorted(sessions, last_bars, side="right")
    return np.asarray(np.maximum(0, behind), dtype=np.int64)

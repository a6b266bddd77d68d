"""Files in the documented layout into the store, however big: one pass to spread the rows, one to write the sessions.

The traps: a file is mostly sorted by symbol while the store is by session, so rows go through a few files on disk, a
range of sessions each, never all at once through memory. And prices of a file that has splits are as traded: they are
put on the share counts of its last day, or of the session's own pull where the store holds that session already. A
session that only files brought in is not the market: it is told apart, and a pull still fetches it.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.market.history import leftovers
from qmterm.market.history.manifest import Manifest
from qmterm.market.history.scale import rescaled
from qmterm.market.records import Split
from qmterm.tape import layout as layouts
from qmterm.tape.checks import Place, as_occ, check_by_minute, refuse
from qmterm.tape.grouped import IMPORTED, DayRows, TornFile, read_day, write_grouped, write_whole
from qmterm.tape.instants import days_of
from qmterm.tape.layout import DAILY, OPTION_QUOTES, Layout, session_path
from qmterm.tape.quality import BAR_COLUMNS, BarReport, usable

ROWS_AT_ONCE = 1_000_000  # rows of one range of sessions
FILES_AT_ONCE = 256
NO_DAY = -(2**31)  # a row without a date


@dataclass(slots=True)
class ImportReport:
    layout: str
    rows: int = 0
    written: int = 0  # rows
    sessions: list[date] = field(default_factory=list)
    splits: int = 0
    closed_days: int = 0  # rows of days without a session, left out
    kept: int = 0  # rows that the store had already
    dropped: Counter[str] = field(default_factory=Counter)  # rows that cannot be used, by the name of their fault

    def sentence(self) -> str:
        """What became of the rows, in one line."""
        faults = BarReport(self.rows, self.rows - self.dropped.total(), dict(self.dropped)).sentence()
        places = f"{self.written:,} written into {len(self.sessions):,} sessions, {self.kept:,} were there already"
        return f"{faults}; {places}, {self.closed_days:,} on days without a session"


def import_file(
    path: Path,
    directory: Path,
    calendar: SessionCalendar,
    progress: Callable[[str], None] = lambda _: None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> ImportReport:
    """Bring a file into the store; what the store holds of a symbol and session stays. BadInput names what is wrong."""
    layout = layouts.layout_of(path)
    report = ImportReport(layout.name)
    progress(f"reading {path} ({layout.name})")
    counts, splits, dateless = _first_look(path, layout, calendar)
    report.rows = sum(counts.values()) + dateless
    if dateless:
        report.dropped["without a date"] = dateless
    if not counts:
        raise BadInput(f"{path} has no row: nothing to import")
    first, last = min(counts), max(counts)
    sessions = {day for day in calendar.sessions(first, last) if day in counts}
    report.closed_days = sum(counts.values()) - sum(counts[day] for day in sessions)
    manifest = Manifest.read(directory)
    if layout is DAILY:
        report.splits = len(manifest.learn(splits, last))
    ranges = _ranges({day: counts[day] for day in sessions}, rows_at_once)
    leftovers.clear(_made(directory))
    with tempfile.TemporaryDirectory(prefix=f".import-{os.getpid()}-", dir=directory) as folder:
        parts = _in_waves(path, layout, ranges, Path(folder))
        for number, part in enumerate(parts):
            progress(f"writing sessions {ranges[number][0]} to {ranges[number][-1]}")
            table = _read_part(part)
            for day, rows in _by_day(table, layout):
                before = report.written
                if layout is DAILY:
                    _daily(directory, day, rows, splits, last, manifest, report)
                else:
                    _by_minute(directory, layout, day, rows, report)
                if report.written > before:
                    report.sessions.append(day)
            if layout is DAILY:
                manifest.write(directory)
    return report


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _days(table: Any, layout: Layout) -> IntArray:
    """The session of each row, as days since 1970."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if layout is not DAILY:
        return days_of(table["start_ns"].to_numpy())
    days = pc.fill_null(pc.cast(table["date"], pa.int32()), NO_DAY)
    return np.asarray(days.to_numpy(), dtype=np.int64)


def _tables(path: Path, layout: Layout) -> Iterator[Any]:
    """The rows in pieces. Rows by minute are held to what a replay demands, contracts are under their OCC symbols."""
    first = 0
    for table in layouts.batches(path, layout):
        if layout is not DAILY:
            place = Place.after(path, first, table.num_rows)
            check_by_minute(table, layout, place)
            if layout is OPTION_QUOTES:
                table = as_occ(table, place)
            first += table.num_rows
        yield table


def _first_look(path: Path, layout: Layout, calendar: SessionCalendar) -> tuple[dict[date, int], list[Split], int]:
    """Rows of each day, the splits that a file of daily bars tells, and how many rows have no date."""
    import pyarrow.compute as pc

    counts: dict[int, int] = {}
    splits: list[Split] = []
    first, last = (day.toordinal() - 719_163 for day in (calendar.first, calendar.last))
    rows = 0
    for table in _tables(path, layout):
        days = _days(table, layout)
        far = (days != NO_DAY) & ((days < first) | (days > last))
        if far.any():
            what = f"{np.datetime64(int(days[far][0]), 'D')} is no day of {calendar.first} to {calendar.last}"
            refuse(far, Place.after(path, rows, len(days)), layout.key[1], f"{what} (one unit of time a file)")
        rows += len(days)
        for day, count in zip(*(column.tolist() for column in np.unique(days, return_counts=True)), strict=True):
            counts[day] = counts.get(day, 0) + count
        if layout is DAILY:
            ratio = table["split_ratio"]
            told = table.filter(pc.and_(pc.is_finite(ratio), pc.and_(pc.greater(ratio, 0), pc.not_equal(ratio, 1))))
            splits += [
                Split(row["symbol"], row["date"], 1.0, row["split_ratio"])
                for row in told.to_pylist()
                if row["symbol"] and row["date"]
            ]
    dateless = counts.pop(NO_DAY, 0)
    return {date.fromordinal(day + 719_163): count for day, count in counts.items()}, splits, dateless


def _ranges(counts: dict[date, int], most: int) -> list[list[date]]:
    """Sessions in a row, as many as fit at once."""
    ranges: list[list[date]] = []
    room = 0
    for day in sorted(counts):
        if not ranges or room < counts[day]:
            ranges.append([])
            room = most
        ranges[-1].append(day)
        room -= counts[day]
    return ranges


def _in_waves(path: Path, layout: Layout, ranges: list[list[date]], folder: Path) -> list[Path]:
    """`_spread`, over the file again for every FILES_AT_ONCE ranges: a process may open only so many files."""
    parts: list[Path] = []
    for first in range(0, len(ranges), FILES_AT_ONCE):
        parts += _spread(path, layout, ranges[first : first + FILES_AT_ONCE], _made(folder / str(first)))
    return parts


def _spread(path: Path, layout: Layout, ranges: list[list[date]], folder: Path) -> list[Path]:
    """Each row to the file of its range."""
    import pyarrow as pa

    begins = np.array([span[0].toordinal() - 719_163 for span in ranges], dtype=np.int64)
    ends = np.array([span[-1].toordinal() - 719_163 for span in ranges], dtype=np.int64)
    paths = [folder / f"{number}.arrow" for number in range(len(ranges))]
    with ExitStack() as opened:
        schema = layouts.arrow_schema(layout).append(pa.field("day", pa.int32()))
        files = [opened.enter_context(pa.OSFile(str(part), "wb")) for part in paths]
        writers = [opened.enter_context(pa.ipc.new_stream(file, schema)) for file in files]
        for table in _tables(path, layout):
            days = _days(table, layout)
            table = table.append_column("day", pa.array(days, pa.int32()))
            owner = np.searchsorted(begins, days, side="right") - 1
            inside = (owner >= 0) & (days <= ends[np.maximum(owner, 0)])
            for number in np.unique(owner[inside]).tolist():
                writers[number].write_table(table.take(np.flatnonzero(inside & (owner == number))))
    return paths


def _read_part(part: Path) -> Any:
    import pyarrow as pa

    with pa.OSFile(str(part), "rb") as file, pa.ipc.open_stream(file) as reader:
        table = reader.read_all()
    part.unlink()
    return table


def _by_day(table: Any, layout: Layout) -> Iterator[tuple[date, Any]]:
    days = table["day"].to_numpy()
    order = np.argsort(days, kind="stable")
    found, starts = np.unique(days[order], return_index=True)
    for number, day in enumerate(found.tolist()):
        end = starts[number + 1] if number + 1 < len(starts) else len(order)
        yield date.fromordinal(day + 719_163), table.take(order[starts[number] : end])


def _daily(
    directory: Path,
    day: date,
    rows: Any,
    splits: list[Split],
    basis: date,
    manifest: Manifest,
    report: ImportReport,
) -> None:
    """Write a session, the store's own rows first."""
    names = np.asarray([name or "" for name in rows["symbol"].to_pylist()], dtype=np.str_)
    bars = {name: np.array(rows[name].to_numpy()) for name in BAR_COLUMNS}
    good, faults = usable(bars)
    nameless = good & (names == "")
    rows_left = np.flatnonzero(good & ~nameless)
    _, first = np.unique(names[rows_left], return_index=True)  # the first good row counts
    faults["without a symbol"] = int(np.count_nonzero(nameless))
    faults["repeated (same symbol and date)"] = len(rows_left) - len(first)
    report.dropped.update({fault: count for fault, count in faults.items() if count})
    own = _held(directory, day)
    kept = rows_left[first]
    if own is not None:
        kept = kept[~np.isin(names[kept], own.symbols)]
    report.kept += len(first) - len(kept)
    report.written += len(kept)
    if not len(kept):
        return
    names, bars = names[kept], {name: column[kept] for name, column in bars.items()}
    pulled = manifest.pulled.get(day) if own is not None else None
    target = basis if pulled is None else pulled
    bars = rescaled(names, bars, splits, day, day, basis)
    bars = rescaled(names, bars, manifest.known_splits(), day, basis, target)
    imported = np.ones(len(names), dtype=np.bool_)
    if own is not None:
        names = np.concatenate([own.symbols, names])
        bars = {name: np.concatenate([own.columns[name], column]) for name, column in bars.items()}
        imported = np.concatenate([own.imported, imported])
    whole = pulled is not None and day not in manifest.imported
    write_grouped(directory, day, {"symbol": names, **bars, IMPORTED: imported}, pulled=target, whole=whole)
    manifest.pulled[day] = target
    if not whole:
        manifest.imported.add(day)


def _held(directory: Path, day: date) -> DayRows | None:
    """What the store has of a session; a torn file is deleted."""
    try:
        return read_day(directory, day)
    except FileNotFoundError:
        return None
    except TornFile as torn:
        torn.path.unlink(missing_ok=True)
        return None


def _by_minute(directory: Path, layout: Layout, day: date, rows: Any, report: ImportReport) -> None:
    """Write a session of minutes sorted by name and time; of two rows for one minute the store's, else the first."""
    import pyarrow as pa

    path = session_path(directory, layout, day)
    rows = rows.drop_columns(["day"])
    before = 0
    if path.exists():
        own = layouts.read(path, layout)
        before = own.num_rows
        rows = pa.concat_tables([own, rows])
    name, instant = layout.key
    names = np.asarray(rows[name].to_pylist(), dtype=np.str_)
    times = rows[instant].to_numpy()
    order = np.lexsort((np.arange(len(names)), times, names))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (names[order][1:] != names[order][:-1]) | (times[order][1:] != times[order][:-1])
    counts = order[first][np.cumsum(first) - 1]  # of each row the one that counts in its place
    fresh = order[first] >= before
    repeated = int(np.count_nonzero(~first & (counts >= before)))
    if repeated:
        report.dropped[f"repeated (same {name} and minute)"] += repeated
    report.kept += int(np.count_nonzero((order >= before) & (counts < before)))
    report.written += int(np.count_nonzero(fresh))
    if fresh.any():
        write_whole(path, rows.take(order[first]), dictionary=[name])

"""What a replay is made of: the files at a path, each known by its columns (tape/layout.py), and what they cover.

The trap: files of other kinds lie in the same folders (a store's chains and volatility). Those folders are passed over
by name; any other Parquet or CSV file must be of a known layout, or the trader would miss data without knowing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from qmterm.core.errors import BadInput
from qmterm.tape import layout
from qmterm.tape.checks import Place
from qmterm.tape.frames import SUFFIX as FRAMES
from qmterm.tape.instants import days_of
from qmterm.tape.layout import DAILY, MINUTES, OPTION_QUOTES, Layout

_OTHERS = frozenset({"chains", "volatility"})  # folders of a store that hold something else
_TABLES = (".parquet", ".csv", ".csv.gz")
_LOOK_AT = ", ".join((*(f"*{name}" for name in _TABLES), f"*{FRAMES}"))


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a replay by kind, each in the order of their names."""

    path: Path
    daily: tuple[Path, ...] = ()
    minutes: tuple[Path, ...] = ()
    option_quotes: tuple[Path, ...] = ()
    recordings: tuple[Path, ...] = ()


def find(path: Path) -> Source:
    """The files at a path: one file, or a folder with its subfolders. BadInput when there is nothing to play."""
    if not path.exists():
        raise BadInput(f"{path} does not exist: --replay takes a recording, a Parquet or CSV file, or a folder of them")
    files = _files(path) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{path} holds nothing to replay ({_LOOK_AT}): docs/data.md has the layout of the files")
    recordings = [file for file in files if file.name.endswith(FRAMES)]
    kinds: dict[str, list[Path]] = {kind.name: [] for kind in (DAILY, MINUTES, OPTION_QUOTES)}
    for file in files:
        if not file.name.endswith(FRAMES):
            kinds[layout.layout_of(file).name].append(file)
    daily, minutes, quotes = (tuple(kinds[kind.name]) for kind in (DAILY, MINUTES, OPTION_QUOTES))
    found = Source(path, daily, minutes, quotes, tuple(recordings))
    if recordings and (found.minutes or found.option_quotes):
        other = (*found.minutes, *found.option_quotes)[0]
        raise BadInput(
            f"{path} holds recordings ({recordings[0].name}) and bars or quotes by minute ({other.name}): two stories "
            "of the same day cannot be played at once, so move one of them elsewhere (daily bars may stay)"
        )
    return found


def _files(folder: Path) -> list[Path]:
    found = []
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") or part in _OTHERS for part in inside):
            name = file.name.lower()
            if name.endswith((*_TABLES, FRAMES)):
                found.append(file)
    return found


def dated(file: Path) -> date | None:
    """The session that a store's file is named by; None for a file that may hold any number of them."""
    try:
        return date.fromisoformat(file.name.split(".")[0])
    except ValueError:
        return None


def session_tables(files: tuple[Path, ...], kind: Layout, day: date) -> Iterator[tuple[Place, Any]]:
    """(place, table) of one session out of files by minute; files of other sessions are not opened."""
    import numpy as np
    import pyarrow as pa

    for file in files:
        if dated(file) not in (None, day):
            continue
        first = 0
        for table in layout.batches(file, kind):
            days = days_of(table["start_ns"].to_numpy())
            mine = days == (day - date(1970, 1, 1)).days
            if dated(file) is not None and not mine.all():
                row = first + int((~mine).argmax())
                raise BadInput(
                    f"{file}: row {row + 1} is of {_day_text(int(days[row - first]))}, not of the session the file is "
                    "named by: put it into the file of its own day, or give the file a name that is no date"
                )
            if mine.any():
                yield Place(file, first + np.flatnonzero(mine)), table if mine.all() else table.filter(pa.array(mine))
            first += table.num_rows


def _day_text(number: int) -> str:
    return date.fromordinal(date(1970, 1, 1).toordinal() + number).isoformat()


def coverage(files: tuple[Path, ...], kind: Layout) -> tuple[set[date], set[str]]:
    """(sessions, names) that files by minute hold, read in pieces: only these two columns of a Parquet file."""
    import numpy as np
    import pyarrow.compute as pc

    sessions: set[date] = set()
    names: set[str] = set()
    name = kind.key[0]
    for file in files:
        for table in layout.batches(file, kind):
            names.update(text for text in pc.unique(table[name]).to_pylist() if text)
            if dated(file) is None:
                numbers = np.unique(days_of(table["start_ns"].to_numpy()))
                sessions.update(date.fromordinal(date(1970, 1, 1).toordinal() + int(n)) for n in numbers)
        day = dated(file)
        if day is not None:
            sessions.add(day)
    return sessions, names

"""What a store holds, what it lacks, and how long pulling that takes at the plan's rate.

The trap: the free plan gives five calls a minute, so a first history of 300 sessions is an hour: it must be said first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from qmterm.market.history.manifest import Manifest
from qmterm.tape.layout import DAILY, LAYOUTS, stored_sessions
from qmterm.tape.symbols import SymbolTable


@dataclass(frozen=True, slots=True)
class Held:
    what: str
    sessions: int
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class Status:
    directory: Path
    held: tuple[Held, ...]
    symbols: int
    size_bytes: int
    missing: tuple[date, ...]  # of the sessions asked about: not there, or imported rows only
    imports_only: tuple[date, ...]  # of all sessions: what files brought in is there, the market is not
    calls_per_minute: int

    @property
    def eta_s(self) -> float:
        return pull_seconds(len(self.missing), self.calls_per_minute)


def status(directory: Path, wanted: Sequence[date], calls_per_minute: int) -> Status:
    held = []
    for layout in LAYOUTS:
        days = stored_sessions(directory, layout)
        held.append(Held(layout.name, len(days), days[0] if days else None, days[-1] if days else None))
    there = set(stored_sessions(directory, DAILY))
    imported = there & Manifest.read(directory).imported
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) if directory.is_dir() else 0
    missing = tuple(day for day in wanted if day not in there or day in imported)
    symbols = len(SymbolTable.load(directory))
    return Status(directory, tuple(held), symbols, size, missing, tuple(sorted(imported)), calls_per_minute)


def pull_seconds(calls: int, per_minute: int) -> float:
    """Real seconds until this many calls were made: at the plan's rate, or at the half second that one takes."""
    return calls * max(60.0 / per_minute, 0.5 / 3) if calls else 0.0


def duration(seconds: float) -> str:
    """For people: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"

"""What each contract usually trades: its daily volumes as chains told them, kept by date, averaged over 20 sessions.

The trap: only finished sessions count. A snapshot at noon knows half a day, and half a day in the mean would make the
afternoon look unusual.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from qmterm.core.bars import IntArray
from qmterm.core.errors import DataError

SESSIONS = 20
FEWEST = 5  # below this many sessions a mean says too little and stays unknown


class VolumeStore:
    """One Parquet file a session (columns occ, volume) below a folder; None = nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._waiting: dict[date, dict[str, int]] = defaultdict(dict)

    def note(self, day: date, occ: Sequence[str], volume: IntArray) -> None:
        """A finished session's volumes; unknown (negative) ones are left out."""
        if self._folder is None:
            return
        waiting = self._waiting[day]
        for name, traded in zip(occ, volume.tolist(), strict=True):
            if traded >= 0:
                waiting[name] = traded

    def save(self) -> int:
        """Write what was noted, joined with what the files have; how many contracts were written."""
        waiting, self._waiting = self._waiting, defaultdict(dict)
        written = 0
        for day, volumes in waiting.items():
            if self._folder is not None and volumes:
                file = self._folder / f"date={day.isoformat()}.parquet"
                merged = {**(_read(file) if file.exists() else {}), **volumes}
                _write(file, merged)
                written += len(volumes)
        return written

    def means(self, before: date) -> Mapping[str, float]:
        """Mean volume of the contracts known on enough of the last sessions before a day."""
        if self._folder is None or not self._folder.is_dir():
            return {}
        files = sorted(file for file in self._folder.glob("date=*.parquet") if file.stem[5:] < before.isoformat())
        total: dict[str, int] = defaultdict(int)
        days: dict[str, int] = defaultdict(int)
        for file in files[-SESSIONS:]:
            for name, traded in _read(file).items():
                total[name] += traded
                days[name] += 1
        return {name: total[name] / count for name, count in days.items() if count >= FEWEST}


def _read(file: Path) -> dict[str, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file, columns=["occ", "volume"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file}: not a file of contract volumes ({error}); delete it, it is made again") from error
    return dict(zip(table["occ"].to_pylist(), table["volume"].to_pylist(), strict=True))


def _write(file: Path, volumes: Mapping[str, int]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted(volumes)
    table = pa.table({"occ": pa.array(names, pa.string()), "volume": pa.array([volumes[n] for n in names], pa.int64())})
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, part, compression="zstd")
        os.replace(part, file)  # whole or not at all
    except OSError as error:
        raise DataError(f"{file}: contract volumes cannot be written ({error.strerror or error})") from error

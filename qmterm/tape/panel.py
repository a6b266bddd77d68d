"""Sessions of the store as one panel, filled in place: 300 sessions of the whole market in about a second.

Two passes. The first reads only who traded (numbers of the symbol table), the second writes prices into blocks of a
few sessions that are turned into the panel while they are in the processor's cache. The trap is memory: the panel is
all there may be, so nothing of a file outlives the copying of it, a date is kept instead of a mark, and rows with
holes are moved together at the end, a few at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.tape.grouped import NUMBER, DaysMissing, TornFile, day_path, floats, read_columns, trusted_numbers
from qmterm.tape.quality import BAR_COLUMNS
from qmterm.tape.symbols import Numbers, SymbolTable, at, plain

TOGETHER = 4  # sessions turned at a time: more would cost memory, fewer too many passes over the panel
ROWS = 512  # rows turned or moved at a time
NO_DAY = np.datetime64("NaT", "D")


def read_grouped(directory: Path, days: Iterable[date], allow_missing: bool = False) -> DailyPanel:
    """The cached sessions as one panel; `days` are sessions, the latest one is what `stale` counts from.

    Days without a readable file raise DaysMissing (unreadable files are deleted first); with `allow_missing` the
    panel is made of the rest.
    """
    wanted = sorted(set(days))
    if not wanted:
        raise BadInput(f"no session asked of the history in {directory}")
    with _system_memory():
        while True:
            source = _Source(directory, SymbolTable.load(directory))
            held = source.look_at(wanted)
            absent = sorted(set(wanted) - set(held))
            if absent and (not allow_missing or not held):
                raise DaysMissing(directory, absent)
            try:
                return _Filling(source, held).panel(wanted)
            except TornFile as torn:  # its prices, when its numbers could be read
                torn.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _system_memory() -> Iterator[None]:
    """Arrow's own pool keeps 20 MB of what it was given back, for every reader; here each file is let go at once."""
    import pyarrow as pa

    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


@dataclass(slots=True)
class _Source:
    """The files, and the table grown in memory by names that only files of other tools know."""

    directory: Path
    table: SymbolTable
    traded: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))  # over the table
    foreign: set[date] = field(default_factory=set)  # sessions whose numbers cannot be trusted: read by name

    def look_at(self, days: Sequence[date]) -> list[date]:
        """The readable sessions; `traded` then says which symbols have a row in any. A torn file is deleted."""
        held = []
        for day in days:
            try:
                numbers = self._numbers(day)
            except FileNotFoundError:
                continue
            except TornFile as torn:
                torn.path.unlink(missing_ok=True)
                continue
            if len(self.traded) < len(self.table):
                self.traded = np.pad(self.traded, (0, len(self.table) - len(self.traded)))
            self.traded[numbers] = True
            held.append(day)
        return held

    def _numbers(self, day: date) -> Numbers:
        path = day_path(self.directory, day)
        numbers = trusted_numbers(path, self.table)
        if numbers is None:
            self.foreign.add(day)
            names = read_columns(path, ("symbol",))["symbol"].combine_chunks().drop_null()
            self.table = self.table.with_names(names)
            numbers = self.table.numbers(names)
        return numbers

    def bars(self, day: date) -> tuple[Numbers, list[FloatArray]]:
        """Numbers and the five columns of a session; −1 for a row without a name."""
        first = "symbol" if day in self.foreign else NUMBER
        columns = read_columns(day_path(self.directory, day), (first, *BAR_COLUMNS))
        if day in self.foreign:
            numbers = self.table.numbers(columns[first].combine_chunks())
        else:
            numbers = plain(columns[first], np.int32)
        return numbers, [floats(columns[name]) for name in BAR_COLUMNS]


class _Filling:
    """The arrays while they are filled: by calendar first, holes closed afterwards."""

    def __init__(self, source: _Source, held: Sequence[date]) -> None:
        import pyarrow.compute as pc

        self._source = source
        self._held = held
        used = np.flatnonzero(source.traded)
        spelled = at(source.table.names, used)
        order = plain(pc.array_sort_indices(spelled), np.uint64).astype(np.int64)
        used = used[order]
        self.symbols: list[str] = at(spelled, order).to_pylist()
        self._row_of = np.full(len(source.table) + 1, -1, dtype=np.int64)  # the last place answers for number −1
        self._row_of[used] = np.arange(len(used))
        shape = (len(used), len(held))
        self.blocks = {name: np.empty(shape) for name in BAR_COLUMNS}
        self.days: NDArray[np.datetime64] = np.empty(shape, dtype="datetime64[D]")

    def panel(self, sessions: Sequence[date]) -> DailyPanel:
        self._fill()
        size, lines = self.days.shape
        count, last = np.zeros(size, dtype=np.int64), np.full(size, -1, dtype=np.int64)
        for start in range(0, size, ROWS):
            part = slice(start, start + ROWS)
            count[part], last[part] = self._close(part)
        width, known = int(count.max(initial=0)), count > 0
        # The usual panel is full width and every name has a bar: then nothing is copied.
        if width < lines or not known.all():
            for name in BAR_COLUMNS:
                self.blocks[name] = np.ascontiguousarray(self.blocks[name][known, lines - width :])
            self.days = np.ascontiguousarray(self.days[known, lines - width :])
        number_of = {day: number for number, day in enumerate(sessions)}
        place = np.array([number_of[day] for day in self._held], dtype=np.int64)
        return DailyPanel(
            symbols=tuple(name for name, kept in zip(self.symbols, known.tolist(), strict=True) if kept),
            last_session=sessions[-1],
            **self.blocks,
            bars=count[known],
            stale=(len(sessions) - 1 - place[last])[known],
            days=self.days,
        )

    def _fill(self) -> None:
        size = len(self.symbols)
        chunk = np.empty((len(BAR_COLUMNS), TOGETHER, size))
        days: NDArray[np.datetime64] = np.empty((TOGETHER, size), dtype="datetime64[D]")
        for begin in range(0, len(self._held), TOGETHER):
            held = self._held[begin : begin + TOGETHER]
            chunk.fill(np.nan)
            days.fill(NO_DAY)
            for line, day in enumerate(held):
                self._day(day, chunk[:, line], days[line])
            here = slice(begin, begin + len(held))
            for start in range(0, size, ROWS):
                rows = slice(start, start + ROWS)
                for number, block in enumerate(self.blocks.values()):
                    block[rows, here] = chunk[number, : len(held), rows].T
                self.days[rows, here] = days[: len(held), rows].T

    def _day(self, day: date, into: FloatArray, days: NDArray[np.datetime64]) -> None:
        numbers, columns = self._source.bars(day)
        rows = self._row_of[numbers]
        good = _usable(columns) & (rows >= 0)
        if good.all():
            days[rows] = day
            if np.count_nonzero(~np.isnat(days)) == len(rows):
                for number, column in enumerate(columns):
                    into[number, rows] = column
                return
            days.fill(NO_DAY)
        # Files written by other tools can hold bad rows and repeated symbols: the first good one counts.
        kept = np.flatnonzero(good)
        _, first = np.unique(rows[kept], return_index=True)
        kept = kept[first]
        days[rows[kept]] = day
        for number, column in enumerate(columns):
            into[number, rows[kept]] = column[kept]

    def _close(self, part: slice) -> tuple[IntArray, IntArray]:
        """Move bars of rows with holes together, to the right; (bars, place of the newest before the move) of each."""
        lines = self.days.shape[1]
        there: BoolArray = ~np.isnat(self.days[part])
        count = there.sum(axis=1, dtype=np.int64)
        newest = lines - 1 - np.argmax(there[:, ::-1], axis=1)
        newest[count == 0] = -1
        holes = np.flatnonzero((count < lines - np.argmax(there, axis=1)) & (count > 0))
        if len(holes):
            order = np.argsort(there[holes], axis=1, kind="stable")  # absent ones first
            block: Any
            for block in (*self.blocks.values(), self.days):
                rows = block[part]
                rows[holes] = np.take_along_axis(rows[holes], order, axis=1)
        return count, newest.astype(np.int64)


def _usable(columns: list[FloatArray]) -> BoolArray:
    """What tape.quality calls usable, without counting why not."""
    open_, high, low, close, volume = columns
    lowest = np.minimum(np.minimum(open_, close), low)  # NaN where one is
    highest = np.maximum(np.maximum(open_, close), high)
    good = (lowest > 0) & (highest < np.inf) & (volume >= 0) & (volume < np.inf) & (high >= low)
    return np.asarray(good, dtype=np.bool_)

"""Sessions of the store as one panel, filled in place: 300 sessions of the whole market in about a second.

Two passes. The first reads only who traded when (numbers of the symbol table, a bit a bar), the second writes prices
into blocks of a few sessions that are turned into the panel while they are in the processor's cache. The trap is
memory: the panel is all there may be, so nothing of a file outlives the copying of it, and rows with holes are moved
together at the end, a few at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.tape.grouped import NUMBER, DaysMissing, TornFile, day_path, read_columns, trusted_numbers
from qmterm.tape.quality import BAR_COLUMNS
from qmterm.tape.symbols import Numbers, SymbolTable

TOGETHER = 16  # sessions turned at a time: two cache lines a row
ROWS = 1024  # rows turned or moved at a time
THREADS = 2
NO_DAY = np.datetime64("NaT", "D")


def read_grouped(directory: Path, days: Iterable[date], allow_missing: bool = False) -> DailyPanel:
    """The cached sessions as one panel; `days` are sessions, the latest one is what `stale` counts from.

    Days without a readable file raise DaysMissing (unreadable files are deleted first); with `allow_missing` the
    panel is made of the rest.
    """
    wanted = sorted(set(days))
    if not wanted:
        raise BadInput(f"no session asked of the history in {directory}")
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            source = _Source(directory, SymbolTable.load(directory))
            present = source.who_traded(wanted)
            held = sorted(present)
            absent = [day for day in wanted if day not in present]
            if absent and (not allow_missing or not held):
                raise DaysMissing(directory, absent)
            try:
                return _Filling(source, held, present).panel(pool, wanted)
            except TornFile as torn:  # its prices, when its numbers could be read
                torn.path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Source:
    """The files, and the table grown in memory by names that only files of other tools know."""

    directory: Path
    table: SymbolTable
    foreign: set[date] = field(default_factory=set)  # sessions whose numbers cannot be trusted: read by name

    def who_traded(self, days: Sequence[date]) -> dict[date, BoolArray]:
        """A mask over the table for each readable session; a torn file is deleted."""
        found: dict[date, BoolArray] = {}
        for day in days:
            try:
                numbers = self._numbers(day)
            except FileNotFoundError:
                continue
            except TornFile as torn:
                torn.path.unlink(missing_ok=True)
                continue
            mask = np.zeros(len(self.table), dtype=np.bool_)
            mask[numbers] = True
            found[day] = mask
        return found

    def _numbers(self, day: date) -> Numbers:
        path = day_path(self.directory, day)
        numbers = trusted_numbers(path, self.table)
        if numbers is not None:
            return numbers
        self.foreign.add(day)
        names = read_columns(path, ("symbol",))["symbol"].combine_chunks().drop_null()
        self.table = self.table.with_names(names)
        return self.table.numbers(names)

    def bars(self, day: date) -> tuple[Numbers, list[FloatArray]]:
        """Numbers and the five columns of a session; −1 for a row without a name."""
        if day not in self.foreign:
            table = read_columns(day_path(self.directory, day), (NUMBER, *BAR_COLUMNS))
            numbers = np.asarray(table[NUMBER].to_numpy(), dtype=np.int32)
        else:
            table = read_columns(day_path(self.directory, day), ("symbol", *BAR_COLUMNS))
            numbers = self.table.numbers(table["symbol"].combine_chunks())
        return numbers, [table[name].to_numpy() for name in BAR_COLUMNS]


class _Filling:
    """The arrays while they are filled: by calendar first, holes closed afterwards."""

    def __init__(self, source: _Source, held: Sequence[date], present: dict[date, BoolArray]) -> None:
        self._source = source
        self._held = held
        size = len(source.table)
        names = source.table.names
        traded = np.zeros(size, dtype=np.bool_)
        for mask in present.values():
            traded[: len(mask)] |= mask
        used = np.flatnonzero(traded)
        spelled = names.take(used)
        import pyarrow.compute as pc

        order = pc.array_sort_indices(spelled).to_numpy().astype(np.int64)
        used = used[order]
        self.symbols: list[str] = spelled.take(order).to_pylist()
        self._row_of = np.full(size + 1, -1, dtype=np.int64)  # the last place answers for number −1
        self._row_of[used] = np.arange(len(used))
        # (sessions, symbols): True where a usable bar is; a row of memory a session
        self.present = np.zeros((len(held), len(used)), dtype=np.bool_)
        for line, day in enumerate(held):
            mask = present.pop(day)
            self.present[line, self._row_of[np.flatnonzero(mask)]] = True
        self.blocks = {name: np.empty((len(used), len(held))) for name in BAR_COLUMNS}

    def panel(self, pool: ThreadPoolExecutor, sessions: Sequence[date]) -> DailyPanel:
        self._fill(pool)
        count = self.present.sum(axis=0, dtype=np.int64)
        lines = np.arange(len(self._held))
        newest = np.where(self.present.any(axis=0), len(lines) - 1 - np.argmax(self.present[::-1], axis=0), -1)
        gaps = np.flatnonzero((newest != len(lines) - 1) | (count != len(lines) - np.argmax(self.present, axis=0)))
        days = self._days()
        list(pool.map(lambda start: self._close(gaps[start : start + ROWS], days), range(0, len(gaps), ROWS)))
        width = int(count.max(initial=0))
        known = count > 0
        # The usual panel is full width and every name has a bar: then nothing is copied.
        if width < len(lines) or not known.all():
            for name in BAR_COLUMNS:
                block = self.blocks.pop(name)
                self.blocks[name] = np.ascontiguousarray(block[known, len(lines) - width :])
            days = np.ascontiguousarray(days[known, len(lines) - width :])
        number_of = {day: number for number, day in enumerate(sessions)}
        place = np.array([number_of[day] for day in self._held], dtype=np.int64)
        return DailyPanel(
            symbols=tuple(name for name, kept in zip(self.symbols, known.tolist(), strict=True) if kept),
            last_session=sessions[-1],
            **self.blocks,
            bars=count[known],
            stale=(len(sessions) - 1 - place[newest])[known],
            days=days,
        )

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        chunk = np.empty((len(BAR_COLUMNS), TOGETHER, len(self.symbols)))
        for begin in range(0, len(self._held), TOGETHER):
            days = range(begin, min(begin + TOGETHER, len(self._held)))
            chunk.fill(np.nan)
            list(pool.map(lambda line, first=begin: self._day(line, chunk[:, line - first]), days))

            def turn(start: int, days: range = days) -> None:
                for number, block in enumerate(self.blocks.values()):
                    rows = slice(start, start + ROWS)
                    block[rows, days.start : days.stop] = chunk[number, : len(days), rows].T

            list(pool.map(turn, range(0, len(self.symbols), ROWS)))

    def _day(self, line: int, into: FloatArray) -> None:
        numbers, columns = self._source.bars(self._held[line])
        rows = self._row_of[numbers]
        good = _usable(columns) & (rows >= 0)
        if good.all() and np.count_nonzero(self.present[line]) == len(rows):
            for number, column in enumerate(columns):
                into[number, rows] = column
            return
        # Files written by other tools can hold bad rows and repeated symbols: the first good one counts.
        kept = np.flatnonzero(good)
        _, first = np.unique(rows[kept], return_index=True)
        kept = kept[first]
        self.present[line] = False
        self.present[line, rows[kept]] = True
        for number, column in enumerate(columns):
            into[number, rows[kept]] = column[kept]

    def _days(self) -> NDArray[np.datetime64]:
        held = np.array(self._held, dtype="datetime64[D]")
        days: NDArray[np.datetime64] = np.empty((len(self.symbols), len(held)), dtype="datetime64[D]")
        days[:] = held
        for start in range(0, len(self.symbols), ROWS):
            days[start : start + ROWS][~self.present[:, start : start + ROWS].T] = NO_DAY
        return days

    def _close(self, rows: IntArray, days: NDArray[np.datetime64]) -> None:
        """Move the bars of rows with holes together, to the right."""
        order: IntArray = np.argsort(self.present[:, rows].T, axis=1, kind="stable")  # absent ones first
        block: Any
        for block in (*self.blocks.values(), days):
            block[rows] = np.take_along_axis(block[rows], order, axis=1)


def _usable(columns: list[FloatArray]) -> BoolArray:
    """What tape.quality calls usable, without counting why not."""
    open_, high, low, close, volume = columns
    lowest = np.minimum(np.minimum(open_, close), low)  # NaN where one is
    highest = np.maximum(np.maximum(open_, close), high)
    good = (lowest > 0) & (highest < np.inf) & (volume >= 0) & (volume < np.inf) & (high >= low)
    return np.asarray(good, dtype=np.bool_)

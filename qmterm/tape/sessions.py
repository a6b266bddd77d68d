"""The session files a panel is made of: who traded in each, and its bars, read from several threads at once.

The trap: a file is opened twice, and a pull may write it again in between. What was learnt of its names holds only
while its checksum is the same; ChangedFile otherwise, and the reader begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.tape.grouped import NUMBER, TornFile, checked_columns, day_path, floats, read_columns, trusted_numbers
from qmterm.tape.quality import BAR_COLUMNS
from qmterm.tape.symbols import CHECKSUM, Numbers, SymbolTable, plain


class ChangedFile(Exception):
    """A session's file is not the one that was looked at."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Who traded in a session, a bit for each number of the table, and what vouches for it."""

    bits: NDArray[np.uint8]
    rows: int
    checksum: bytes


class Sessions:
    """The files, and the table grown in memory by names that only files of other tools know."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.table = SymbolTable.load(directory)
        self.traded: BoolArray = np.zeros(len(self.table), dtype=np.bool_)  # over the table: a row in any session
        self._rank: NDArray[np.int32] = _ranks(self.table)
        self._seen: dict[date, _Seen] = {}  # sessions in order of names without repetition: the pull writes no others
        self._foreign: set[date] = set()  # sessions whose numbers cannot be trusted: read by name

    def look_at(
        self, days: Sequence[date], spread: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
    ) -> list[date]:
        """The readable sessions; `traded` then says which symbols have a row in any. A torn file is deleted."""
        held = []
        for day, there in zip(days, spread(self._look, days), strict=True):
            if isinstance(there, TornFile):
                there.path.unlink(missing_ok=True)
            elif there is not None:
                held.append(day)
                self.traded |= there
        for day in [day for day in held if day in self._foreign]:
            if not self._name(day):
                held.remove(day)
        return held

    def _look(self, day: date) -> BoolArray | TornFile | None:
        path = day_path(self.directory, day)
        there: BoolArray = np.zeros(len(self.table), dtype=np.bool_)
        try:
            trusted = trusted_numbers(path, self.table)
        except FileNotFoundError:
            return None
        except TornFile as torn:
            return torn
        if trusted is None:
            self._foreign.add(day)
            return there
        numbers, checksum = trusted
        there[numbers] = True
        ranks = self._rank.take(numbers)
        if (ranks[1:] > ranks[:-1]).all():
            self._seen[day] = _Seen(np.packbits(there), len(numbers), checksum)
        return there

    def _name(self, day: date) -> bool:
        """Give the names of a session their places in the table; False when its file cannot be read."""
        path = day_path(self.directory, day)
        try:
            names = read_columns(path, ("symbol",))["symbol"].combine_chunks().drop_null()
        except FileNotFoundError:
            return False
        except TornFile:
            path.unlink(missing_ok=True)
            return False
        self.table = self.table.with_names(names)
        self.traded = np.pad(self.traded, (0, len(self.table) - len(self.traded)))
        self.traded[self.table.numbers(names)] = True
        return True

    def present(self, day: date) -> BoolArray | None:
        """Over the table, who has a row in this session; None where only `numbered_bars` can tell."""
        seen = self._seen.get(day)
        return None if seen is None else np.unpackbits(seen.bits, count=len(self.table)).view(np.bool_)

    def bars(self, day: date) -> list[FloatArray]:
        """The five columns of a session whose `present` is known, in order of names."""
        seen = self._seen[day]
        columns, told = checked_columns(day_path(self.directory, day), BAR_COLUMNS)
        values = [floats(columns[name]) for name in BAR_COLUMNS]
        if told.get(CHECKSUM) != seen.checksum or any(len(column) != seen.rows for column in values):
            raise ChangedFile
        return values

    def numbered_bars(self, day: date) -> tuple[Numbers, list[FloatArray]]:
        """Numbers and the five columns of any session, in the file's order; −1 for a row without a name."""
        first = "symbol" if day in self._foreign else NUMBER
        columns, told = checked_columns(day_path(self.directory, day), (first, *BAR_COLUMNS))
        if day in self._foreign:
            numbers = self.table.numbers(columns[first].combine_chunks())
        else:
            numbers = plain(columns[first], np.int32)
            if told.get(CHECKSUM) != self.table.checksum(numbers):
                raise ChangedFile
        return numbers, [floats(columns[name]) for name in BAR_COLUMNS]


def _ranks(table: SymbolTable) -> NDArray[np.int32]:
    """The place of each number when the names are sorted."""
    import pyarrow.compute as pc

    order = plain(pc.array_sort_indices(table.names), np.uint64)
    ranks = np.empty(len(table), dtype=np.int32)
    ranks[order] = np.arange(len(table), dtype=np.int32)
    return ranks

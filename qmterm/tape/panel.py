"""Sessions of the store as one panel, filled in place: 300 sessions of the whole market in about a second.

Two passes over the files, each on several threads (decoding and copying leave Python's lock). The first learns who
traded, the second turns the prices of a few sessions at a time into the panel. The trap is memory: the panel is all
there may be, so nothing of a file outlives its copying, rows with holes are moved together in place, and the dates are
made last, in the memory that the reading has given back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, DailyPanel, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.tape.grouped import DaysMissing, TornFile
from qmterm.tape.quality import BAR_COLUMNS
from qmterm.tape.sessions import ChangedFile, Sessions
from qmterm.tape.symbols import at, plain

TOGETHER = 8  # sessions turned at a time: their values of one row are a line of the processor's cache
ROWS = 256  # rows whose holes are closed at a time; whole bytes of marks
THREADS = 4  # at most: each holds TOGETHER sessions, some 12 MB
PIECE = 8_192  # rows checked at a time: what is computed in between stays in the processor's cache
NO_DAY = np.datetime64("NaT", "D")

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


def read_grouped(directory: Path, days: Iterable[date], allow_missing: bool = False) -> DailyPanel:
    """The cached sessions as one panel; `days` are sessions, the latest one is what `stale` counts from.

    Days without a readable file raise DaysMissing (unreadable files are deleted first); with `allow_missing` the
    panel is made of the rest.
    """
    wanted = sorted(set(days))
    if not wanted:
        raise BadInput(f"no session asked of the history in {directory}")
    while True:
        source = Sessions(directory)
        with _threads() as spread:
            held = source.look_at(wanted, spread)
        absent = sorted(set(wanted) - set(held))
        if absent and (not allow_missing or not held):
            raise DaysMissing(directory, absent)
        filling = _Filling(source, held)
        try:
            with _threads() as spread:
                filling.fill(spread)
        except TornFile as torn:  # its prices, when its numbers could be read
            torn.path.unlink(missing_ok=True)
        except (ChangedFile, FileNotFoundError):  # a pull wrote or deleted it meanwhile: once more from the start
            continue
        else:
            with _threads() as spread:
                return filling.panel(wanted, spread)


@contextmanager
def _threads() -> Iterator[Mapper]:
    """A `map` over threads that end with it, and what Arrow's pool kept for them is given back."""
    import pyarrow as pa

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1), thread_name_prefix="panel") as pool:
        yield pool.map
    pa.default_memory_pool().release_unused()


class _Filling:
    """The arrays while they are filled: by calendar first, holes closed afterwards."""

    def __init__(self, source: Sessions, held: Sequence[date]) -> None:
        import pyarrow.compute as pc

        self._source = source
        self._held = held
        used = np.flatnonzero(source.traded)
        spelled = at(source.table.names, used)
        order = plain(pc.array_sort_indices(spelled), np.uint64).astype(np.int64)
        self._used = used[order]  # the number of each row's symbol
        self.symbols: list[str] = at(spelled, order).to_pylist()
        self._row_of = np.full(len(source.table) + 1, -1, dtype=np.int64)  # the last place answers for number −1
        self._row_of[self._used] = np.arange(len(used))
        shape = (len(used), len(held))
        # By session, as the files come: a bit for each row that traded.
        self._there = np.zeros((len(held), (len(used) + 7) // 8), dtype=np.uint8)
        self.blocks = {name: np.empty(shape) for name in BAR_COLUMNS}
        self._own = threading.local()

    def fill(self, spread: Mapper) -> None:
        """Read every session into its place in the calendar."""
        for _ in spread(self._turn, range(0, len(self._held), TOGETHER)):
            pass

    def panel(self, sessions: Sequence[date], spread: Mapper) -> DailyPanel:
        """What was filled, its holes closed."""
        self._own = threading.local()  # the scratch goes before the dates come
        size, lines = len(self.symbols), len(self._held)
        days: NDArray[np.datetime64] = np.empty((size, lines), dtype="datetime64[D]")
        count, last = np.zeros(size, dtype=np.int64), np.full(size, -1, dtype=np.int64)

        def close(start: int) -> None:
            part = slice(start, min(start + ROWS, size))
            count[part], last[part] = self._close(part, days)

        for _ in spread(close, range(0, size, ROWS)):
            pass
        width, known = int(count.max(initial=0)), count > 0
        # The usual panel is full width and every name has a bar: then nothing is copied.
        if width < lines or not known.all():
            for name in BAR_COLUMNS:
                self.blocks[name] = np.ascontiguousarray(self.blocks[name][known, lines - width :])
            days = np.ascontiguousarray(days[known, lines - width :])
        number_of = {day: number for number, day in enumerate(sessions)}
        place = np.array([number_of[day] for day in self._held], dtype=np.int64)
        return DailyPanel(
            symbols=tuple(name for name, kept in zip(self.symbols, known.tolist(), strict=True) if kept),
            last_session=sessions[-1],
            **self.blocks,
            bars=count[known],
            stale=(len(sessions) - 1 - place[last])[known],
            days=days,
        )

    def _turn(self, begin: int) -> None:
        """Read the sessions from `begin` on and write them, one column after the other, into the panel."""
        held = self._held[begin : begin + TOGETHER]
        sources, buffer = self._scratch()
        read = []
        for line, day in enumerate(held):
            there, columns = self._day(day, sources[line])
            self._there[begin + line] = np.packbits(there)
            read.append((np.flatnonzero(~there), columns))
        for number, block in enumerate(self.blocks.values()):
            for (absent, columns), source, into in zip(read, sources, buffer, strict=False):
                if len(columns[number]):
                    columns[number].take(source, out=into, mode="clip")  # the mode that writes in place
                into[absent] = np.nan
            block[:, begin : begin + len(held)] = buffer[: len(held)].T

    def _scratch(self) -> tuple[IntArray, FloatArray]:
        """This thread's own arrays, kept: memory that is new to the process costs more than filling it."""
        if not hasattr(self._own, "arrays"):
            shape = (TOGETHER, len(self.symbols))
            self._own.arrays = np.empty(shape, dtype=np.int64), np.empty(shape)
        arrays: tuple[IntArray, FloatArray] = self._own.arrays
        return arrays

    def _day(self, day: date, source: IntArray) -> tuple[BoolArray, list[FloatArray]]:
        """Which rows traded, and the bars; `source` is told the place of each row's bar among them."""
        present = self._source.present(day)
        if present is not None:
            columns = self._source.bars(day)
            there: BoolArray = present[self._used]
            if _all_usable(columns):
                np.cumsum(there, out=source)
                source -= 1
                return there, columns
        # Files written by other tools can hold bad rows and repeated symbols: the first good one counts.
        numbers, columns = self._source.numbered_bars(day)
        rows = self._row_of[numbers]
        kept = np.flatnonzero(_usable(columns) & (rows >= 0))
        own, first = np.unique(rows[kept], return_index=True)
        there = np.zeros(len(source), dtype=np.bool_)
        there[own] = True
        source[:] = 0
        source[own] = kept[first]
        return there, columns

    def _close(self, part: slice, days: NDArray[np.datetime64]) -> tuple[IntArray, IntArray]:
        """Date the rows and move bars of those with holes to the right; (bars, place of the newest before) of each."""
        marks = self._there[:, part.start // 8 : (part.stop + 7) // 8]
        there = np.ascontiguousarray(np.unpackbits(marks, axis=1, count=part.stop - part.start).view(np.bool_).T)
        lines = len(self._held)
        count = there.sum(axis=1, dtype=np.int64)
        newest = lines - 1 - np.argmax(there[:, ::-1], axis=1)
        newest[count == 0] = -1
        days[part] = np.array(self._held, dtype="datetime64[D]")
        young = np.flatnonzero(count < lines)
        rows = days[part]
        rows[young] = np.where(there[young], rows[young], NO_DAY)
        holes = np.flatnonzero((count < lines - np.argmax(there, axis=1)) & (count > 0))
        if len(holes):
            # Places in the part read as one line; absent ones first.
            order = np.argsort(there[holes], axis=1, kind="stable") + (holes * lines)[:, None]
            block: Any
            for block in (*self.blocks.values(), days):
                rows = block[part]
                rows[holes] = rows.reshape(-1).take(order)
        return count, newest.astype(np.int64)


def _all_usable(columns: list[FloatArray]) -> bool:
    pieces = range(0, len(columns[0]), PIECE)
    return all(_usable([column[start : start + PIECE] for column in columns]).all() for start in pieces)


def _usable(columns: list[FloatArray]) -> BoolArray:
    """What tape.quality calls usable, without counting why not."""
    open_, high, low, close, volume = columns
    inside = (low <= np.minimum(open_, close)) & (np.maximum(open_, close) <= high)  # NaN is never inside
    good = inside & (low > 0) & (high < np.inf) & (volume >= 0) & (volume < np.inf)
    return np.asarray(good, dtype=np.bool_)

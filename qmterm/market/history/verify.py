"""Is the store what it says: gaps, repeats, impossible bars, jumps that no split explains, torn files.

It walks from the oldest session to the newest with one row of memory a symbol, so fifteen years cost no more than one.
The trap: sessions are adjusted as of different days; two closes are compared on one share count or every split since
would look like a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.market.history.findings import Code, Finding
from qmterm.market.history.manifest import Manifest
from qmterm.tape.checks import check_session
from qmterm.tape.grouped import TornFile, day_path, floats, read_columns, trusted_numbers
from qmterm.tape.layout import DAILY, MINUTES, OPTION_QUOTES, session_path, stored_sessions
from qmterm.tape.quality import BAR_COLUMNS
from qmterm.tape.symbols import Numbers, SymbolTable

JUMP = 0.40  # close to open
PENNY = 1.0  # $: below it such jumps are daily bread
RATIOS = np.array([1.5, *range(2, 21), 25, 30, 40, 50, 100])  # splits that happen, either way
NEAR = 0.015  # relative: an open this close to a ratio looks like a split
STEADY = 20  # sessions in a row after which a hole is news
SHRUNK = 0.5  # of the rows of the session before


def verify(directory: Path, calendar: SessionCalendar, symbols: Sequence[str] | None = None) -> Iterator[Finding]:
    """Findings from the oldest session on, daily bars first; `symbols` keeps those about them and whole sessions."""
    wanted = None if symbols is None else {"", *symbols}
    walk = _Walk(directory, Manifest.read(directory))
    for found in chain(walk.findings(calendar), _by_minute(directory, calendar)):
        if wanted is None or found.symbol in wanted:
            yield found


def _by_minute(directory: Path, calendar: SessionCalendar) -> Iterator[Finding]:
    """Sessions of minute bars and option quotes that a replay would refuse."""
    for layout in (MINUTES, OPTION_QUOTES):
        for day in stored_sessions(directory, layout):
            if not calendar.is_session(day):
                yield Finding(Code.NOT_A_SESSION, day, "", f"{layout.name}: the exchange was closed")
                continue
            try:
                check_session(session_path(directory, layout, day), layout, day)
            except BadInput as refused:
                yield Finding(Code.REFUSED, day, "", str(refused))


@dataclass(slots=True)
class _Walk:
    directory: Path
    manifest: Manifest
    table: SymbolTable = field(init=False)
    close: FloatArray = field(init=False)  # the latest close of each symbol, on the newest share count known
    last: IntArray = field(init=False)  # number of the session of that close
    seen: IntArray = field(init=False)  # whole markets up to that close: where one is missing, nobody has vanished
    run: IntArray = field(init=False)  # whole markets in a row up to it
    rows: int = 0  # of the whole market before
    markets: int = 0  # so far

    def __post_init__(self) -> None:
        self.table = SymbolTable.load(self.directory)
        self.close = np.full(len(self.table), np.nan)
        self.last = np.full(len(self.table), -1, dtype=np.int64)
        self.seen = np.full(len(self.table), -1, dtype=np.int64)
        self.run = np.zeros(len(self.table), dtype=np.int64)

    def findings(self, calendar: SessionCalendar) -> Iterator[Finding]:
        held = stored_sessions(self.directory, DAILY)
        if not held:
            return
        there = set(held)
        number = -1  # of the session: a day that was none stands between no two of them
        for day in sorted({*held, *calendar.sessions(held[0], held[-1])}):
            if not calendar.is_session(day):
                yield Finding(Code.NOT_A_SESSION, day, "", "the exchange was closed")
                continue
            number += 1
            if day not in there:
                yield Finding(Code.GAP, day, "", "no file")
                continue
            try:
                numbers, columns = self._read(day)
            except TornFile as torn:
                yield Finding(Code.TORN, day, "", str(torn))
                continue
            if day not in self.manifest.pulled:
                yield Finding(Code.NO_PULL_DATE, day, "", "neither manifest nor file says when it was pulled")
            if day in self.manifest.imported:
                yield Finding(Code.IMPORTS_ONLY, day, "", f"{len(numbers):,} rows, all of imported files")
            else:
                if len(numbers) < SHRUNK * self.rows:
                    yield Finding(Code.SHRUNK, day, "", f"{len(numbers):,} rows, {self.rows:,} the session before")
                self.rows = len(numbers)
                self.markets += 1
            yield from self._session(number, day, numbers, columns)

    def _read(self, day: date) -> tuple[Numbers, dict[str, FloatArray]]:
        path = day_path(self.directory, day)
        columns = read_columns(path, ("symbol", *BAR_COLUMNS))
        trusted = trusted_numbers(path, self.table)
        if trusted is not None:
            numbers = trusted[0]
        else:
            names = columns["symbol"].combine_chunks()
            self.table = self.table.with_names(names.drop_null())
            numbers = self.table.numbers(names)
            more = len(self.table) - len(self.close)
            self.close = np.pad(self.close, (0, more), constant_values=np.nan)
            self.last = np.pad(self.last, (0, more), constant_values=-1)
            self.seen = np.pad(self.seen, (0, more), constant_values=-1)
            self.run = np.pad(self.run, (0, more))
        return numbers, {name: floats(columns[name]) for name in BAR_COLUMNS}

    def _session(self, number: int, day: date, numbers: Numbers, bars: dict[str, FloatArray]) -> Iterator[Finding]:
        bad = _impossible(bars) | (numbers < 0)
        for row in np.flatnonzero(bad).tolist():
            values = ", ".join(f"{name} {float(bars[name][row]):g}" for name in BAR_COLUMNS)
            yield Finding(Code.BAD_BAR, day, self._name(int(numbers[row])), values)
        kept = np.flatnonzero(~bad)
        _, first = np.unique(numbers[kept], return_index=True)
        if len(first) < len(kept):
            again = np.setdiff1d(np.arange(len(kept)), first)
            for name in sorted({self._name(int(numbers[kept[row]])) for row in again.tolist()}):
                yield Finding(Code.DUPLICATE, day, name, "more than one row")
        kept = kept[first]
        who = numbers[kept]
        factor = self._factor(day)[who]
        opened, closed = bars["open"][kept] / factor, bars["close"][kept] / factor
        with np.errstate(invalid="ignore"):
            ratio = opened / self.close[who]
        dear = np.minimum(bars["open"][kept], self.close[who] * factor) >= PENNY
        next_to = number - self.last[who] == 1
        for place in np.flatnonzero(_split_like(ratio) & dear & next_to).tolist():
            yield self._jumped(Code.SPLIT_LIKE, day, int(who[place]), float(ratio[place]))
        far = (np.abs(ratio - 1) > JUMP) & ~_split_like(ratio) & dear & next_to
        for place in np.flatnonzero(far).tolist():
            yield self._jumped(Code.JUMP, day, int(who[place]), float(ratio[place]))
        self.close[who] = closed
        self.last[who] = number
        if day not in self.manifest.imported:
            yield from self._vanished(day, who)
            self.seen[who] = self.markets

    def _vanished(self, day: date, who: Numbers) -> Iterator[Finding]:
        """Symbols that are back after whole markets without them; who is here counts one session more."""
        gone = self.markets - self.seen[who] - 1
        for place in np.flatnonzero((gone > 0) & (self.seen[who] >= 0) & (self.run[who] >= STEADY)).tolist():
            sessions = int(gone[place])
            yield Finding(Code.VANISHED, day, self._name(int(who[place])), f"no bar in {sessions} sessions before")
        self.run[who] = np.where(gone == 0, self.run[who] + 1, 1)

    def _factor(self, day: date) -> FloatArray:
        """New shares for one share of this session's prices, over the splits that they do not have yet."""
        factor = np.ones(len(self.table))
        limit = max(day, self.manifest.pulled.get(day, day))
        later = [row for row in self.manifest.splits if row.day > limit and row.split_from > 0 and row.split_to > 0]
        if later:
            import pyarrow as pa

            numbers = self.table.numbers(pa.array([row.symbol for row in later], pa.string()))
            ratios = np.array([row.split_to / row.split_from for row in later])
            np.multiply.at(factor, numbers[numbers >= 0], ratios[numbers >= 0])
        return factor

    def _jumped(self, code: Code, day: date, number: int, ratio: float) -> Finding:
        return Finding(code, day, self._name(number), f"open {ratio:.4g} times the close before")

    def _name(self, number: int) -> str:
        return "(no name)" if number < 0 else str(self.table.names[number].as_py())


def _impossible(bars: dict[str, FloatArray]) -> BoolArray:
    open_, high, low, close, volume = (bars[name] for name in BAR_COLUMNS)
    good = (np.minimum(open_, close) >= low) & (np.maximum(open_, close) <= high) & (low > 0) & (high < np.inf)
    return np.asarray(~(good & (volume >= 0) & (volume < np.inf)), dtype=np.bool_)


def _split_like(ratio: FloatArray) -> BoolArray:
    """An open near 1:n or n:1 of the close before; small ratios count only where a jump would."""
    with np.errstate(invalid="ignore", divide="ignore"):
        way = np.maximum(ratio, 1.0 / ratio)
        near = RATIOS[np.clip(np.searchsorted(RATIOS, way), 1, len(RATIOS) - 1)]
        below = RATIOS[np.clip(np.searchsorted(RATIOS, way) - 1, 0, len(RATIOS) - 1)]
        off = np.minimum(np.abs(way / near - 1), np.abs(way / below - 1))
    return np.asarray(off <= NEAR, dtype=np.bool_)

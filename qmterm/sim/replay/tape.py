"""What happens in one session of a replay, in the order of time: bars and quotes by minute, told at each minute's end.

The trap: a bar or quote of a minute is not known before the minute is over. A row that starts at 09:30 is told, and
stamped, at 09:31.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import BadInput, BadSymbol
from qmterm.sim.market import Progress
from qmterm.sim.replay.day import ReplayDay
from qmterm.sim.replay.options import ReplayOptions
from qmterm.sim.replay.source import session_tables
from qmterm.sim.session import MINUTE_NS, MinuteBars
from qmterm.tape.checks import Place, check_by_minute, check_once
from qmterm.tape.layout import MINUTES, OPTION_QUOTES


class Tape(Protocol):
    """One session's happenings. `next_ns` is when the next one falls due, None at the end."""

    @property
    def next_ns(self) -> int | None: ...

    def take(self, day: ReplayDay, options: ReplayOptions, progress: Progress) -> None:
        """Let the next happening happen."""
        ...


@dataclass(frozen=True, slots=True)
class QuoteMinute:
    """Option quotes that stood at the end of one minute."""

    end_ns: int
    row: IntArray
    columns: dict[str, FloatArray]


class MinuteTape:
    """Minute bars and option quotes of one session, both by the end of their minute; bars go first."""

    def __init__(self, bars: list[MinuteBars], quotes: list[QuoteMinute]) -> None:
        self._bars, self._quotes = deque(bars), deque(quotes)
        ends = [part[-1].end_ns for part in (bars, quotes) if part]
        self.ends_ns = max(ends) if ends else None

    @property
    def next_ns(self) -> int | None:
        due = [queue[0].end_ns for queue in (self._bars, self._quotes) if queue]
        return min(due) if due else None

    def take(self, day: ReplayDay, options: ReplayOptions, progress: Progress) -> None:
        due = self.next_ns
        if self._bars and self._bars[0].end_ns == due:
            progress.minutes.append(day.take_minute(self._bars.popleft()))
        if self._quotes and self._quotes[0].end_ns == due:
            take_quotes(options, self._quotes.popleft())


def take_quotes(options: ReplayOptions, minute: QuoteMinute) -> None:
    """Quotes of one minute become the latest ones; what a row does not say stays as it was."""
    row = minute.row
    for name in ("bid", "ask", "bid_size", "ask_size"):
        getattr(options, name)[row] = minute.columns[name]
    options.quote_ns[row] = minute.end_ns
    for name, column in (("open_interest", options.interest), ("last", options.last)):
        known = ~np.isnan(minute.columns[name])
        column[row[known]] = minute.columns[name][known]
    traded = ~np.isnan(minute.columns["volume"])
    options.volume[row[traded]] = np.nan_to_num(options.volume[row[traded]]) + minute.columns["volume"][traded]


def read_minutes(files: tuple[Path, ...], day: date, number: dict[str, int]) -> list[MinuteBars]:
    """The minute bars of one session, oldest first; BadInput names file, row and column of what cannot be played."""
    names = ("open", "high", "low", "close", "volume", "vwap")
    starts: list[IntArray] = []
    codes: list[IntArray] = []
    parts: list[dict[str, FloatArray]] = []
    places: list[Place] = []
    for place, table in session_tables(files, MINUTES, day):
        columns = {name: table[name].to_numpy() for name in names}
        start = table["start_ns"].to_numpy()
        check_by_minute(table, MINUTES, place)
        symbols = table["symbol"].combine_chunks().dictionary_encode()
        of = np.array([number[name] for name in symbols.dictionary.to_pylist()], dtype=np.int64)
        starts.append(start)
        codes.append(of[symbols.indices.to_numpy()])
        parts.append(columns)
        places.append(place)
    if not places:
        return []
    start, code = np.concatenate(starts), np.concatenate(codes)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = check_once(code, start, list(number), places, "symbol and start_ns")
    start, code = start[order], code[order]
    columns = {name: column[order] for name, column in columns.items()}
    edges = np.flatnonzero(np.diff(start, prepend=-1))
    out = []
    for low, high in zip(edges, np.append(edges[1:], len(start)), strict=True):
        part = slice(int(low), int(high))
        o, h, l, c, v, vw = (columns[name][part] for name in names)  # noqa: E741
        who = code[part].astype(np.int32)
        out.append(MinuteBars(int(start[low]) + MINUTE_NS, who, o, h, l, c, v, np.zeros(len(who), dtype=np.int64), vw))
    return out


def read_option_quotes(files: tuple[Path, ...], day: date, options: ReplayOptions) -> list[QuoteMinute]:
    """The option quotes of one session, oldest first; contracts that are new become listed."""
    names = ("bid", "ask", "bid_size", "ask_size", "open_interest", "volume", "last")
    starts: list[IntArray] = []
    codes: list[IntArray] = []
    parts: list[dict[str, FloatArray]] = []
    places: list[Place] = []
    for place, table in session_tables(files, OPTION_QUOTES, day):
        columns = {name: table[name].to_numpy() for name in names}
        start = table["start_ns"].to_numpy()
        check_by_minute(table, OPTION_QUOTES, place)
        symbols = table["occ"].combine_chunks().dictionary_encode()
        spelled = symbols.dictionary.to_pylist()
        try:
            rows = options.add(spelled)
        except BadSymbol as error:
            raise BadInput(f"{place.file}: column occ: {error}") from None
        of = np.array([rows[name] for name in spelled], dtype=np.int64)
        starts.append(start)
        codes.append(of[symbols.indices.to_numpy()])
        parts.append(columns)
        places.append(place)
    if not places:
        return []
    start, code = np.concatenate(starts), np.concatenate(codes)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = check_once(code, start, list(options.row_of), places, "occ and start_ns")
    start, code = start[order], code[order]
    columns = {name: column[order] for name, column in columns.items()}
    edges = np.flatnonzero(np.diff(start, prepend=-1))
    return [
        QuoteMinute(
            int(start[low]) + MINUTE_NS,
            code[low:high],
            {name: column[low:high] for name, column in columns.items()},
        )
        for low, high in zip(edges.tolist(), [*edges[1:].tolist(), len(start)], strict=True)
    ]

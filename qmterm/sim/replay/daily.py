"""Daily bars of a replay: read once, then told session by session, split-adjusted as of the day the replay stands in.

The trap: a split of the future must not be seen. Each morning the sessions before are put on the scale of that day,
as the real service does it with its adjusted answers. A store's sessions have some splits already, each up to the day
it was pulled: the ones it lacks are applied, the ones of the future are taken out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.sim.corporate import Dividend, Earnings, Split
from qmterm.sim.past import DailyHistory, DayBars
from qmterm.sim.replay.source import dated
from qmterm.tape import layout
from qmterm.tape.checks import Place, check_bars, check_names, check_once, refuse
from qmterm.tape.manifest import NAME, StoredManifest
from qmterm.tape.quality import BAR_COLUMNS

KEPT = 600  # before the running one: two years and a half


@dataclass(frozen=True, slots=True)
class DailyBars:
    """All rows of the daily files, sorted by day; `code` is a place in `names`."""

    names: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    edge: IntArray = field(default_factory=lambda: np.zeros(1, dtype=np.int64))  # rows of days[i]: edge[i]:edge[i+1]
    code: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    columns: Mapping[str, FloatArray] = field(default_factory=dict)  # as the files have them
    splits: tuple[tuple[int, date, float], ...] = ()  # (code, first session at the new count, new shares for one old)
    basis: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, dtype="datetime64[D]"))
    """Of each row the day up to which a store adjusted it; NaT for a row as traded, of another file."""
    stored_splits: tuple[tuple[int, date, float], ...] = ()  # that the store knows, for its own rows
    dividends: tuple[tuple[int, date, float], ...] = ()  # (code, ex-date, $ per share)


def read_daily_bars(files: Sequence[Path]) -> DailyBars:
    """BadInput names file, row and column of what cannot be played."""
    numbers: dict[str, int] = {}
    parts = [_one_file(file, numbers) for file in files]
    if not parts:
        return DailyBars()
    stores = {folder: StoredManifest.read(folder, whole=True) for folder in {file.parent for file in files}}
    ratios = {
        (numbers[row.symbol], row.day): row.split_to / row.split_from
        for manifest in stores.values()
        for row in manifest.splits
        if row.symbol in numbers and row.split_from > 0 and row.split_to > 0
    }
    basis = np.concatenate(
        [np.full(len(part[0]), _basis(file, stores[file.parent])) for file, part in zip(files, parts, strict=True)]
    )
    names = list(numbers)
    code = np.concatenate([part[0] for part in parts])
    days = np.concatenate([part[1] for part in parts])
    columns = {name: np.concatenate([part[2][name] for part in parts]) for name in parts[0][2]}
    places = [Place.after(file, 0, len(part[0])) for file, part in zip(files, parts, strict=True)]
    order = check_once(code, days, names, places, "symbol and date")
    code, days = code[order], days[order]
    columns = {name: column[order] for name, column in columns.items()}
    known, edge = np.unique(days, return_index=True)
    ratio, paid = columns.pop("split_ratio"), columns.pop("ex_dividend")
    return DailyBars(
        names=tuple(names),
        days=tuple(known.astype(object).tolist()),
        edge=np.append(edge, len(code)).astype(np.int64),
        code=code,
        columns=columns,
        splits=_told(code, days, np.where((ratio > 0) & (ratio != 1), ratio, np.nan)),
        dividends=_told(code, days, np.where(paid > 0, paid, np.nan)),
        basis=basis[order],
        stored_splits=tuple((code, day, ratio) for (code, day), ratio in sorted(ratios.items())),
    )


def _basis(file: Path, manifest: StoredManifest) -> np.datetime64:
    """Up to which day a file's prices are adjusted; NaT where it is not a store's."""
    day = dated(file)
    if day is None or not (file.parent / NAME).exists():
        return np.datetime64("NaT", "D")
    return np.datetime64(manifest.pulled.get(day, day), "D")


def _one_file(file: Path, numbers: dict[str, int]) -> tuple[IntArray, NDArray[np.datetime64], dict[str, FloatArray]]:
    codes, days, parts = [], [], []
    first = 0
    for table in layout.batches(file, layout.DAILY):
        columns = {name: table[name].to_numpy() for name in (*BAR_COLUMNS, "split_ratio", "ex_dividend")}
        place = Place.after(file, first, table.num_rows)
        check_names(table["symbol"], place, "symbol")
        when = np.asarray(table["date"].to_numpy(), dtype="datetime64[D]")
        refuse(np.isnat(when), place, "date", "there is no date")
        check_bars(columns, place)
        names = table["symbol"].combine_chunks().dictionary_encode()
        of = np.array([numbers.setdefault(name, len(numbers)) for name in names.dictionary.to_pylist()], dtype=np.int64)
        codes.append(of[names.indices.to_numpy()])
        days.append(when)
        parts.append(columns)
        first += table.num_rows
    if not parts:
        return (
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype="datetime64[D]"),
            dict.fromkeys((*BAR_COLUMNS, "split_ratio", "ex_dividend"), np.zeros(0)),
        )
    return (
        np.concatenate(codes),
        np.concatenate(days),
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
    )


def _told(code: IntArray, days: NDArray[np.datetime64], value: FloatArray) -> tuple[tuple[int, date, float], ...]:
    rows = np.flatnonzero(np.isfinite(value))
    return tuple(zip(code[rows].tolist(), days[rows].astype(object).tolist(), value[rows].tolist(), strict=True))


class ReplayPast:
    """The sessions before a day as the world's history; `number_of` turns a code of the files into a symbol number."""

    def __init__(self, bars: DailyBars, number_of: IntArray, symbols: int) -> None:
        self._bars = bars
        self._number_of = number_of
        self._symbols = symbols
        self._place = {day: place for place, day in enumerate(bars.days)}

    @property
    def last_day(self) -> date | None:
        return self._bars.days[-1] if self._bars.days else None

    def before(self, day: date, others: Sequence[DayBars] = ()) -> DailyHistory:
        """The latest sessions before a day, on the scale of that day; `others` are sessions the files do not have."""
        known = {past: self.on(past, day) for past in self._bars.days[: bisect_left(self._bars.days, day)][-KEPT:]}
        known |= {bars.day: bars for bars in others if bars.day not in known}
        history = DailyHistory()
        for _, bars in sorted(known.items()):
            if bars is not None:
                history.append(bars)
        return history

    def on(self, session: date, as_of: date) -> DayBars | None:
        """One session's bars (dollars, 0 without a bar), split-adjusted as of a day."""
        place = self._place.get(session)
        if place is None:
            return None
        rows = slice(int(self._bars.edge[place]), int(self._bars.edge[place + 1]))
        who = self._number_of[self._bars.code[rows]]
        factor = self._factor(session, as_of, rows)
        prices = []
        for name in ("open", "high", "low", "close"):
            column = np.zeros(self._symbols)
            column[who] = self._bars.columns[name][rows] / factor
            prices.append(column)
        volume = np.zeros(self._symbols)
        volume[who] = self._bars.columns["volume"][rows] * factor
        opened, high, low, close = prices
        return DayBars(session, opened, high, low, close, volume, np.zeros(self._symbols))

    def _factor(self, session: date, as_of: date, rows: slice) -> FloatArray:
        """What each price of a session is divided by to read on the scale of another day."""
        bars = self._bars
        code, basis = bars.code[rows], bars.basis[rows]
        factor = np.ones(len(code))
        row_of = np.full(len(bars.names), -1, dtype=np.int64)
        row_of[code] = np.arange(len(code))
        for number, day, ratio in bars.splits:
            row = row_of[number]
            if session < day <= as_of and row >= 0 and np.isnat(basis[row]):
                factor[row] *= ratio
        for number, day, ratio in bars.stored_splits:
            row = row_of[number]
            if day <= session or row < 0 or np.isnat(basis[row]):
                continue
            known, due = basis[row] >= np.datetime64(day, "D"), day <= as_of
            if due and not known:
                factor[row] *= ratio
            elif known and not due:
                factor[row] /= ratio
        return factor


class ReplayCorporate:
    """Splits and dividends that files and stores tell, each from its own day on; there are no reports in them."""

    def __init__(self, bars: DailyBars, number_of: IntArray, day: date) -> None:
        self.day = day
        told = {(code, on): ratio for code, on, ratio in (*bars.splits, *bars.stored_splits) if on <= day}
        self.splits = [Split(int(number_of[code]), on, 1.0, ratio) for (code, on), ratio in told.items()]
        self.dividends = [
            Dividend(int(number_of[code]), on, amount) for code, on, amount in bars.dividends if on <= day
        ]

    def split_factor(self, symbol: int, day: date) -> float:
        """What an adjusted price of `day` is multiplied by to read as it traded then."""
        factor = 1.0
        for split in self.splits:
            if split.symbol == symbol and day < split.day:
                factor *= split.new / split.old
        return factor

    def earnings_of(self, symbol: int, now: date) -> list[Earnings]:
        return []

    def reporting_between(self, low: str, high: str) -> list[int]:
        return []

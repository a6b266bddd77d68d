"""Daily history of the whole market: one call a session, kept as one file a session, adjusted for splits since.

The trap: a cached session is split-adjusted as of the day it was pulled. Every split after that day is applied when
the panel is made (from the date kept with each file), because some symbol splits on most days and pulling 300
sessions again each morning would be the only other right answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import DataAuthError, DataError, NotEntitled
from qmterm.market.bars.corporate import Rename, adjust, renamed, under_new_names
from qmterm.market.history.manifest import Manifest
from qmterm.market.history.scale import rescaled
from qmterm.market.records import GroupedColumns, Split
from qmterm.market.rest.client import PolygonRest
from qmterm.tape.grouped import (
    IMPORTED,
    DayRows,
    DaysMissing,
    TornFile,
    missing_days,
    origin_of,
    read_day,
    write_grouped,
)
from qmterm.tape.panel import read_grouped
from qmterm.tape.quality import BAR_COLUMNS
from qmterm.tape.storing import NotWritten

IN_FLIGHT = 3
ROUNDS = 2  # a failed day is tried again once, after all the others
_KEEP_EVERY = 10  # sessions between two writes of the manifest: what a crash loses is pulled again


@dataclass(frozen=True, slots=True)
class PullReport:
    pulled: tuple[date, ...]
    failed: dict[date, str] = field(default_factory=dict)  # session: why it could not be had
    refused: frozenset[date] = frozenset()  # of those: by the plan

    @property
    def complete(self) -> bool:
        return not self.failed


class History:
    """One folder per data source: a simulated world and the real market must not share one."""

    def __init__(self, rest: PolygonRest, directory: Path, calendar: SessionCalendar, clock: Clock) -> None:
        self._rest = rest
        self._directory = directory
        self._calendar = calendar
        self._clock = clock
        self._keeping = asyncio.Lock()
        self.unsaved = ""  # why what is known of splits and renames is not on disk
        self._asking = asyncio.Lock()
        self._asked: tuple[date, date, tuple[Split, ...]] | None = None  # (after, asked on, splits)
        self._manifest = Manifest.read(directory)

    @property
    def directory(self) -> Path:
        return self._directory

    def missing(self, days: Iterable[date]) -> tuple[date, ...]:
        """Sessions that are not cached, of which only files brought in rows, or whose pull date is not known.

        Without that date their splits are not known either.
        """
        wanted = tuple(days)
        absent = set(missing_days(self._directory, wanted))
        today = et_date(self._clock.now())
        return tuple(day for day in wanted if day in absent or not self._final(day, today))

    def _final(self, day: date, today: date) -> bool:
        """A bar pulled on its own day may lack the last minutes (delayed plans): it is pulled once more afterwards."""
        pulled = self._manifest.pulled.get(day)
        return pulled is not None and day not in self._manifest.imported and (pulled > day or today == day)

    async def pull(self, days: Iterable[date], progress: Callable[[int, int], None] | None = None) -> PullReport:
        """Fetch what is missing, newest first, each session kept as soon as it is here; progress gets (done, of)."""
        wanted = sorted(self.missing(days), reverse=True)
        total, done = len(wanted), 0
        pulled: list[date] = []
        failed: dict[date, str] = {}
        refused: set[date] = set()
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(day: date) -> None:
            nonlocal done
            async with gate:
                if day in hopeless:
                    return
                try:
                    await self._pull_day(day)
                except NotEntitled as refusal:
                    failed[day] = str(refusal)
                    refused.add(day)
                    hopeless.add(day)
                except (DataAuthError, NotWritten) as refusal:  # the key is wrong, the disk is full: for every day
                    failed.update(dict.fromkeys(set(wanted) - set(pulled), str(refusal)))
                    hopeless.update(wanted)
                except DataError as failure:
                    failed[day] = str(failure)
                else:
                    failed.pop(day, None)
                    pulled.append(day)
                    done += 1
                    if progress is not None:
                        progress(done, total)
                    if done % _KEEP_EVERY == 0:
                        await self._keep()

        hopeless: set[date] = set()
        for _ in range(ROUNDS):
            again = [day for day in wanted if day not in pulled and day not in hopeless]
            await asyncio.gather(*(one(day) for day in again))
            await self._keep()
        return PullReport(tuple(sorted(pulled)), dict(sorted(failed.items())), frozenset(refused))

    async def refresh_splits(self) -> tuple[Split, ...]:
        """Ask for splits since the oldest pull, once a market day; the ones not known before come back.

        A file brought in since may be adjusted up to an earlier day than any pull: then they are asked for from there.
        """
        today = et_date(self._clock.now())
        manifest = self._manifest
        if not manifest.pulled:
            return ()
        first = min(manifest.pulled.values()) + timedelta(days=1)
        if manifest.splits_since is None or manifest.splits_since > first:
            since = first
        elif manifest.splits_until != today:
            since = manifest.splits_until or first
        else:
            return ()
        fresh = manifest.learn(await self._rest.splits(since), today)
        manifest.splits_until = today
        manifest.splits_since = min(since, manifest.splits_since or since)
        await self._keep()
        return fresh

    async def know_splits_since(self, first: date) -> int:
        """Learn all splits from a day on, so that a panel can be made as of any later date; says how many are new."""
        manifest = self._manifest
        if manifest.splits_since is not None and manifest.splits_since <= first:
            return 0
        fresh = manifest.learn(await self._rest.splits(first), et_date(self._clock.now()))
        manifest.splits_since = first
        await self._keep()
        return len(fresh)

    @property
    def splits(self) -> tuple[Split, ...]:
        """All that are known."""
        return tuple(self._manifest.known_splits())

    def split_ratio(self, symbol: str, after: date, until: date) -> float:
        """New shares for one old share over all known splits with after < ex-date ≤ until; 1.0 when there is none."""
        ratio = 1.0
        for row in self._manifest.splits:
            if row.symbol == symbol and after < row.day <= until:
                ratio *= row.split_to / row.split_from
        return ratio

    async def panel(
        self, last_session: date, sessions: int = 300, allow_missing: bool = False, as_of: date | None = None
    ) -> DailyPanel:
        """The cached sessions up to one, as arrays on the share counts of `as_of` (default: today).

        A file that cannot be read is pulled again first.
        """
        days = self._calendar.last_n(last_session, sessions)
        try:
            panel = await asyncio.to_thread(read_grouped, self._directory, days, False)
        except DaysMissing as absent:
            for day in absent.days:
                self._manifest.pulled.pop(day, None)
            await self.pull(absent.days)
            panel = await asyncio.to_thread(read_grouped, self._directory, days, allow_missing)
        day = et_date(self._clock.now()) if as_of is None else as_of
        return await asyncio.to_thread(self._as_known_on, panel, day)

    # --- names ---

    @property
    def renames(self) -> tuple[Rename, ...]:
        return self._manifest.known_renames()

    @property
    def names_asked(self) -> frozenset[str]:
        """New symbols whose former names were asked for already."""
        return frozenset(self._manifest.names_asked)

    async def learn_renames(self, renames: Iterable[Rename], asked: Iterable[str]) -> tuple[Rename, ...]:
        """Keep changes of symbols, and which symbols were asked about; the changes not known before come back."""
        fresh = self._manifest.learn_renames(renames, asked)
        await self._keep()
        return fresh

    # --- inside ---

    def _as_known_on(self, panel: DailyPanel, day: date) -> DailyPanel:
        """On the symbols and share counts of a day. Names first: a later split is told under the new one."""
        splits = self._manifest.known_splits()
        panel = renamed(panel, self.renames, day)
        adjust(panel, under_new_names(splits, self.renames, day), day, self._manifest.pulled)
        return panel

    async def _pull_day(self, day: date) -> None:
        bars = await self._rest.grouped_daily(day)
        if not len(bars):
            raise DataError(f"daily bars of {day}: the server has none yet although it was a session")
        as_of = et_date(self._clock.now())
        brought = await asyncio.to_thread(self._brought_in, day)
        splits = await self._splits_after(brought[1], as_of) if brought is not None else ()
        await asyncio.to_thread(self._write, bars, as_of, brought, splits)
        self._manifest.pulled[day] = as_of
        self._manifest.imported.discard(day)

    def _brought_in(self, day: date) -> tuple[DayRows, date] | None:
        """What the store has of a session, and up to which day it is adjusted, where files brought in some of it."""
        try:
            rows, origin = read_day(self._directory, day), origin_of(self._directory, day)
        except (FileNotFoundError, TornFile):
            return None
        if origin is None or not rows.imported.any():
            return None
        return rows, origin.adjusted or day

    async def _splits_after(self, basis: date, today: date) -> tuple[Split, ...]:
        """Splits between two days, asked for once for all the sessions that have imported rows.

        They are not learnt here: whoever refreshes the splits wants to hear of the new ones.
        """
        async with self._asking:
            if self._asked is None or self._asked[0] > basis or self._asked[1] != today:
                self._asked = basis, today, await self._rest.splits(basis + timedelta(days=1))
            return self._asked[2]

    def _write(
        self, bars: GroupedColumns, as_of: date, brought: tuple[DayRows, date] | None, splits: tuple[Split, ...]
    ) -> None:
        """Keep the vendor's answer, and of what files brought in the rows that the vendor does not have."""
        symbols = np.array(bars.symbols, dtype=np.str_)
        columns = {name: getattr(bars, name) for name in BAR_COLUMNS}
        imported = np.zeros(len(symbols), dtype=np.bool_)
        if brought is not None:
            rows, basis = brought
            extra = rows.imported & ~np.isin(rows.symbols, symbols)
            kept = {name: column[extra] for name, column in rows.columns.items()}
            told = [*self._manifest.known_splits(), *splits]
            kept = rescaled(rows.symbols[extra], kept, told, bars.day, basis, as_of)
            symbols = np.concatenate([symbols, rows.symbols[extra]])
            columns = {name: np.concatenate([columns[name], kept[name]]) for name in BAR_COLUMNS}
            imported = np.arange(len(symbols)) >= len(imported)
        write_grouped(self._directory, bars.day, {"symbol": symbols, **columns, IMPORTED: imported}, pulled=as_of)

    async def _keep(self) -> None:
        """What cannot be written holds for this run all the same; the next one asks again."""
        async with self._keeping:
            try:
                await asyncio.to_thread(self._manifest.write, self._directory)
            except NotWritten as failure:
                self.unsaved = str(failure)
            else:
                self.unsaved = ""

"""Daily history of the whole market: one call a session, kept as one file a session, adjusted for splits since.

The trap: a cached session is split-adjusted as of the day it was pulled. Every split after that day is applied when
the panel is made (from the date kept with each file), because some symbol splits on most days and pulling 300
sessions again each morning would be the only other right answer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import DataAuthError, DataError, NotEntitled
from qmterm.market.records import GroupedColumns, Split
from qmterm.market.rest.client import PolygonRest
from qmterm.tape.grouped import DaysMissing, missing_days, write_grouped
from qmterm.tape.panel import read_grouped

IN_FLIGHT = 3
ROUNDS = 2  # a failed day is tried again once, after all the others
_KEEP_EVERY = 10  # sessions between two writes of the manifest: what a crash loses is pulled again
_MANIFEST = "manifest.json"


class _SplitRow(msgspec.Struct, frozen=True):
    symbol: str
    day: date
    split_from: float
    split_to: float


class _Manifest(msgspec.Struct):
    """When each session was pulled, and the splits known since the oldest pull."""

    pulled: dict[date, date] = {}
    splits: list[_SplitRow] = []
    splits_until: date | None = None


@dataclass(frozen=True, slots=True)
class PullReport:
    pulled: tuple[date, ...]
    failed: dict[date, str] = field(default_factory=dict)  # session: why it could not be had

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
        self._manifest = _read_manifest(directory / _MANIFEST)

    def missing(self, days: Iterable[date]) -> tuple[date, ...]:
        """Sessions that are not cached, or whose pull date is not known (then their splits are not either)."""
        wanted = tuple(days)
        absent = set(missing_days(self._directory, wanted))
        today = et_date(self._clock.now())
        return tuple(day for day in wanted if day in absent or not self._final(day, today))

    def _final(self, day: date, today: date) -> bool:
        """A bar pulled on its own day may lack the last minutes (delayed plans): it is pulled once more afterwards."""
        pulled = self._manifest.pulled.get(day)
        return pulled is not None and (pulled > day or today == day)

    async def pull(self, days: Iterable[date], progress: Callable[[int, int], None] | None = None) -> PullReport:
        """Fetch what is missing, newest first, each session kept as soon as it is here; progress gets (done, of)."""
        wanted = sorted(self.missing(days), reverse=True)
        total, done = len(wanted), 0
        pulled: list[date] = []
        failed: dict[date, str] = {}
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
                    hopeless.add(day)
                except DataAuthError as refusal:  # the key is wrong for every day
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
        return PullReport(tuple(sorted(pulled)), dict(sorted(failed.items())))

    async def refresh_splits(self) -> tuple[Split, ...]:
        """Ask for splits since the oldest pull, once a market day; the ones not known before come back."""
        today = et_date(self._clock.now())
        manifest = self._manifest
        if not manifest.pulled or manifest.splits_until == today:
            return ()
        since = manifest.splits_until or min(manifest.pulled.values())
        found = await self._rest.splits(since + timedelta(days=0 if manifest.splits_until else 1))
        known = set(manifest.splits)
        fresh: list[Split] = []
        for split in found:
            row = _SplitRow(split.symbol, split.day, split.split_from, split.split_to)
            if split.day <= today and row not in known:
                manifest.splits.append(row)
                fresh.append(split)
        manifest.splits_until = today
        await self._keep()
        return tuple(fresh)

    def split_ratio(self, symbol: str, after: date, until: date) -> float:
        """New shares for one old share over all known splits with after < ex-date ≤ until; 1.0 when there is none."""
        ratio = 1.0
        for row in self._manifest.splits:
            if row.symbol == symbol and after < row.day <= until:
                ratio *= row.split_to / row.split_from
        return ratio

    async def panel(self, last_session: date, sessions: int = 300, allow_missing: bool = False) -> DailyPanel:
        """The cached sessions up to one, as arrays; a file that cannot be read is pulled again first."""
        days = self._calendar.last_n(last_session, sessions)
        try:
            panel = await asyncio.to_thread(read_grouped, self._directory, days, False)
        except DaysMissing as absent:
            for day in absent.days:
                self._manifest.pulled.pop(day, None)
            await self.pull(absent.days)
            panel = await asyncio.to_thread(read_grouped, self._directory, days, allow_missing)
        await asyncio.to_thread(self._adjust, panel)
        return panel

    # --- inside ---

    async def _pull_day(self, day: date) -> None:
        bars = await self._rest.grouped_daily(day)
        if not len(bars):
            raise DataError(f"daily bars of {day}: the server has none yet although it was a session")
        as_of = et_date(self._clock.now())
        await asyncio.to_thread(self._write, bars)
        self._manifest.pulled[day] = as_of

    def _write(self, bars: GroupedColumns) -> None:
        write_grouped(
            self._directory,
            bars.day,
            {
                "symbol": np.array(bars.symbols, dtype=np.str_),
                "open": bars.open,
                "high": bars.high,
                "low": bars.low,
                "close": bars.close,
                "volume": bars.volume,
            },
        )

    async def _keep(self) -> None:
        async with self._keeping:
            await asyncio.to_thread(_replace_file, self._directory / _MANIFEST, msgspec.json.encode(self._manifest))

    def _adjust(self, panel: DailyPanel) -> None:
        """Apply splits that came after a session was pulled, in place; files pulled later have them already."""
        if not self._manifest.splits:
            return
        rows = {symbol: row for row, symbol in enumerate(panel.symbols)}
        for split in self._manifest.splits:
            row = rows.get(split.symbol)
            if row is None:
                continue
            days = panel.days[row]
            pulled = [self._manifest.pulled.get(day) for day in days.tolist()]
            before = np.array([p is not None and p < split.day for p in pulled]) & (days < np.datetime64(split.day))
            ratio = split.split_to / split.split_from
            for prices in (panel.open, panel.high, panel.low, panel.close):
                prices[row, before] /= ratio
            panel.volume[row, before] *= ratio


def _replace_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def _read_manifest(path: Path) -> _Manifest:
    """The manifest; an absent or unreadable one is empty, which makes every file count as missing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (FileNotFoundError, msgspec.DecodeError):
        return _Manifest()

"""Who is listed today: the vendor's reference of active symbols, read once a trading day, for the coverage ledger.

The trap: the reference is some thirty pages, which a small plan's budget stretches over minutes. The snapshot's symbols
stand in until it is there, and for the whole day where a plan has no reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from qmterm.core.errors import DataError
from qmterm.engine.runlog import RunLog
from qmterm.market.quality.coverage import Coverage, Listed

NAMED = 5  # symbols named in one line of the log


class ListedSource(Protocol):
    snapshot_symbols: tuple[str, ...]

    async def active_symbols(self) -> Listed | None: ...


FindRenames = Callable[[tuple[str, ...], tuple[str, ...]], Awaitable[Mapping[str, str]]]


async def _none(_listed: tuple[str, ...], _came: tuple[str, ...]) -> Mapping[str, str]:
    return {}


class Listing:
    """`renames`: which symbols that are gone trade under which new ones, given all that are listed and who came."""

    def __init__(
        self,
        source: ListedSource,
        coverage: Coverage,
        log: RunLog,
        held: Callable[[], frozenset[str]],
        renames: FindRenames = _none,
    ) -> None:
        self._source = source
        self._coverage = coverage
        self._log = log
        self._held = held
        self._renames = renames
        self._alarmed: set[str] = set()
        self._wanted = asyncio.Event()

    def new_day(self) -> None:
        """The snapshot was read: take its symbols, and ask for the reference."""
        if self._source.snapshot_symbols and self._coverage.listed.source != "reference":
            self._take(Listed(self._source.snapshot_symbols, source="snapshot"))
        self._wanted.set()

    async def follow(self) -> None:
        """Read the reference whenever a day began; without one the list that is held stays."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.read()

    async def read(self) -> None:
        try:
            found = await self._source.active_symbols()
        except DataError as error:
            self._log.warn("FEED", f"the list of active symbols could not be read, the last one stays: {error}")
            return
        if found is not None:
            self._take(found)
            self._coverage.renamed.update(await self._renames(found.symbols, self._coverage.came))
            self._alarm(frozenset(found.symbols))

    def _take(self, listed: Listed) -> None:
        before = len(self._coverage.listed.symbols)
        same_source = self._coverage.listed.source == listed.source
        self._coverage.list(listed)
        came, gone = self._coverage.came, self._coverage.gone
        if before and same_source and (came or gone):
            news = f"new {_named(came)}; delisted or renamed {_named(gone)}"
            self._log.info("FEED", f"listed now: {len(listed.symbols):,} symbols; {news}")

    def _alarm(self, listed: frozenset[str]) -> None:
        """Once for each symbol that is held and no longer listed."""
        known = self._coverage.renamed.keys() | set(self._coverage.gone)
        missing = (self._held() & known) - listed
        for symbol in sorted(missing - self._alarmed):
            new = self._coverage.renamed.get(symbol)
            what = f"trades as {new} now" if new else "is no longer listed: delisted or renamed"
            self._log.alarm("FEED", f"{symbol}, which you hold, {what}", symbol)
        self._alarmed = set(missing)


def _named(symbols: tuple[str, ...]) -> str:
    more = f" and {len(symbols) - NAMED} more" if len(symbols) > NAMED else ""
    return ", ".join(symbols[:NAMED]) + more if symbols else "none"

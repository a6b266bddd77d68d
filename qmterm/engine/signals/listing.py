"""Who is listed today: the vendor's reference of active symbols, read once a trading day, for the coverage ledger.

The trap: the reference is some thirty pages, which a small plan's budget stretches over minutes. The snapshot's symbols
stand in until it is there, and for the whole day where a plan has no reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from qmterm.core.errors import DataError
from qmterm.engine.runlog import RunLog
from qmterm.market.quality.coverage import Coverage, Listed

NAMED = 5  # symbols named in one line of the log


class ListedSource(Protocol):
    snapshot_symbols: tuple[str, ...]

    async def active_symbols(self) -> Listed | None: ...


class Listing:
    def __init__(
        self, source: ListedSource, coverage: Coverage, log: RunLog, held: Callable[[], frozenset[str]]
    ) -> None:
        self._source = source
        self._coverage = coverage
        self._log = log
        self._held = held
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
            try:
                found = await self._source.active_symbols()
            except DataError as error:
                self._log.warn("FEED", f"the list of active symbols could not be read, the last one stays: {error}")
                continue
            if found is not None:
                self._take(found)

    def _take(self, listed: Listed) -> None:
        before = len(self._coverage.listed.symbols)
        same_source = self._coverage.listed.source == listed.source
        self._coverage.list(listed)
        came, gone = self._coverage.came, self._coverage.gone
        if before and same_source and (came or gone):
            news = f"new {_named(came)}; delisted or renamed {_named(gone)}"
            self._log.info("FEED", f"listed now: {len(listed.symbols):,} symbols; {news}")
        for symbol in sorted(self._held() & set(gone)):
            self._log.alarm("FEED", f"{symbol}, which you hold, is no longer listed: delisted or renamed", symbol)


def _named(symbols: tuple[str, ...]) -> str:
    more = f" and {len(symbols) - NAMED} more" if len(symbols) > NAMED else ""
    return ", ".join(symbols[:NAMED]) + more if symbols else "none"

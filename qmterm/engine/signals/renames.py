"""Companies that changed their symbol: found by those that left the vendor's list and those that came to it.

The trap: the vendor's events of a symbol are those of the company that has it *now*, so the new symbols are asked,
never the old one. A real market lists some new ones every day: only while something that we know is gone are they
asked, each once, and not more than a day's worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Protocol

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import DataError, NotEntitled
from qmterm.engine.runlog import RunLog
from qmterm.market.bars.corporate import Rename
from qmterm.market.company import TickerChange
from qmterm.market.rest.budget import Priority, asking_for
from qmterm.market.rest.caller import NotFound

MOST_ASKED = 40  # new symbols a day
REACH = timedelta(days=450)  # changes before that are older than the history


class ChangeSource(Protocol):
    async def ticker_changes(self, symbol: str) -> tuple[TickerChange, ...]: ...


class RenameBook(Protocol):
    @property
    def renames(self) -> tuple[Rename, ...]: ...

    @property
    def names_asked(self) -> frozenset[str]: ...

    async def learn_renames(self, renames: Iterable[Rename], asked: Iterable[str]) -> tuple[Rename, ...]: ...


class Renames:
    """`known`: symbols with a recent history, and what is held."""

    def __init__(
        self,
        source: ChangeSource,
        book: RenameBook,
        known: Callable[[], frozenset[str]],
        clock: Clock,
        log: RunLog,
        on_found: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._book = book
        self._known = known
        self._clock = clock
        self._log = log
        self._on_found = on_found
        self._asked_on: tuple[date | None, int] = (None, 0)  # a day, and how many were asked

    async def find(self, listed: Iterable[str], came: Iterable[str]) -> Mapping[str, str]:
        """Old symbol to new one, of all that are known to have changed and are gone; `came` are asked first."""
        names = dict.fromkeys(listed)
        known = self._known()
        gone = known - names.keys()
        new = self._wanted(dict.fromkeys((*came, *names)), known) if gone else []
        today = et_date(self._clock.now())
        found: list[Rename] = []
        asked: list[str] = []
        for symbol in new:
            try:
                with asking_for(Priority.HISTORY):
                    changes = await self._source.ticker_changes(symbol)
            except NotFound:  # nothing ever befell it
                changes = ()
            except NotEntitled as refusal:
                self._log.info("FEED", f"former names of new symbols are not in your data plan: {refusal}")
                break
            except DataError as error:
                self._log.info("FEED", f"what {symbol} was called before is not known: {error}", symbol)
                continue
            asked.append(symbol)
            pairs = [Rename(after.day, before.symbol, after.symbol) for before, after in pairwise(changes)]
            pairs = [pair for pair in pairs if today - REACH <= pair.day <= today and pair.old != pair.new]
            if any(pair.old in gone for pair in pairs):
                found += pairs
        fresh = await self._book.learn_renames(found, asked) if asked else ()
        for change in fresh:
            self._log.info("FEED", f"{change.old} trades as {change.new} since {change.day}", change.new)
        if fresh:
            self._on_found()
        return {change.old: change.new for change in self._book.renames if change.old not in names}

    def _wanted(self, names: Iterable[str], known: frozenset[str]) -> list[str]:
        today = et_date(self._clock.now())
        used = self._asked_on[1] if self._asked_on[0] == today else 0
        past = known | self._book.names_asked
        fresh = [name for name in names if name not in past][: MOST_ASKED - used]
        self._asked_on = today, used + len(fresh)
        return fresh

"""Chains, profiles, news, dividends, earnings and filings by symbol: nothing is fetched twice while it is fresh.

The trap: two askers at once are one call, and the first of them may give up; the call is nobody's own. When the budget
makes everybody wait, what is older is better than nothing, as long as it says how old it is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.errors import DataError
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.market.company import CompanyProfile, FinancialReport
from qmterm.market.records import Dividend, EarningsDate, NewsItem
from qmterm.market.rest.budget import asking
from qmterm.market.rest.client import PolygonRest

T = TypeVar("T")

OLDEST = 20.0  # times its freshness: an answer older than this is not shown in place of a new one
NEWS_BACK_NS = 3 * 86_400 * NS
DIVIDENDS_BACK = timedelta(days=400)  # two regular dates of a company that pays once a year
EARNINGS_AHEAD = timedelta(days=120)  # the next report of whoever reports each quarter


class Kind(StrEnum):
    CHAIN = "chain"
    COMPANY = "company"
    NEWS = "news"
    DIVIDENDS = "dividends"
    EARNINGS = "earnings"
    FINANCIALS = "financials"
    RELATED = "related"


# A chain is megabytes, everything else a few lines of text.
_MOST = {Kind.CHAIN: 48, Kind.NEWS: 500}
_MOST_OTHERS = 2_000


@dataclass(frozen=True, slots=True)
class Aged(Generic[T]):
    value: T
    read_ns: int  # market time
    age_s: float
    fresh: bool  # False: older than wanted, because a new answer has to wait (`Counts.older`)


@dataclass(slots=True)
class Counts:
    asked: int = 0  # questions that went to the service
    hits: int = 0
    shared: int = 0  # joined a question that was under way
    older: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Entry:
    value: Any
    read_ns: int


class AnalysisCache:
    """Use from one event loop. `patient`: always wait for a fresh answer (lockstep must not depend on real time)."""

    def __init__(self, rest: PolygonRest, clock: Clock, settings: AnalysisSettings, *, patient: bool = False) -> None:
        self._rest = rest
        self._clock = clock
        self._settings = settings
        self._patient = patient
        self._known: dict[Kind, OrderedDict[Hashable, _Entry]] = {kind: OrderedDict() for kind in Kind}
        self._flights: dict[tuple[Kind, Hashable], asyncio.Task[_Entry]] = {}
        self.counts: dict[Kind, Counts] = {kind: Counts() for kind in Kind}
        self.last_failure = ""

    async def close(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    # --- what is asked ---

    async def company(self, symbol: str) -> Aged[CompanyProfile]:
        return await self.get(Kind.COMPANY, symbol, lambda: self._rest.company(symbol))

    async def news(self, symbol: str) -> Aged[tuple[NewsItem, ...]]:
        """The newest articles of the latest days."""
        since = self._clock.now() - NEWS_BACK_NS
        return await self.get(Kind.NEWS, symbol, lambda: self._rest.news(symbol, since))

    async def dividends(self, symbol: str) -> Aged[tuple[Dividend, ...]]:
        """Of the latest year and declared."""
        since = self._today() - DIVIDENDS_BACK
        return await self.get(Kind.DIVIDENDS, symbol, lambda: self._rest.dividends(symbol, since))

    async def earnings(self, symbol: str, until: date | None = None) -> Aged[tuple[EarningsDate, ...]]:
        """From today to EARNINGS_AHEAD, or to a later day."""
        today = self._today()
        last = max(until or today, today + EARNINGS_AHEAD)
        key = symbol if last == today + EARNINGS_AHEAD else (symbol, last)
        return await self.get(Kind.EARNINGS, key, lambda: self._rest.earnings([symbol], today, last))

    async def financials(self, symbol: str) -> Aged[tuple[FinancialReport, ...]]:
        return await self.get(Kind.FINANCIALS, symbol, lambda: self._rest.financials(symbol))

    async def related(self, symbol: str) -> Aged[tuple[str, ...]]:
        return await self.get(Kind.RELATED, symbol, lambda: self._rest.related(symbol))

    async def get(self, kind: Kind, key: Hashable, ask: Callable[[], Awaitable[T]]) -> Aged[T]:
        """The answer, fresh unless the budget makes it wait too long; the question's DataError when there is none."""
        counts, known = self.counts[kind], self._known[kind].get(key)
        if known is not None:
            self._known[kind].move_to_end(key)
            age_s = self._age_s(known)
            if self._of_today(kind, known) and age_s <= self.fresh_s(kind):
                counts.hits += 1
                return Aged(known.value, known.read_ns, age_s, fresh=True)
        must_wait = self._must_wait()
        flight = self._flights.get((kind, key))
        if flight is None:
            flight = self._start(kind, key, ask)
        else:
            counts.shared += 1
        if known is not None and must_wait and self._age_s(known) <= OLDEST * self.fresh_s(kind):
            counts.older += 1  # the new answer comes by itself
            return Aged(known.value, known.read_ns, self._age_s(known), fresh=False)
        entry = await asyncio.shield(flight)
        return Aged(entry.value, entry.read_ns, self._age_s(entry), fresh=True)

    def peek(self, kind: Kind, key: Hashable) -> Aged[Any] | None:
        """What is known without asking, however old."""
        known = self._known[kind].get(key)
        if known is None:
            return None
        age_s = self._age_s(known)
        return Aged(known.value, known.read_ns, age_s, fresh=age_s <= self.fresh_s(kind))

    def forget(self, kind: Kind, key: Hashable) -> None:
        self._known[kind].pop(key, None)

    def fresh_s(self, kind: Kind) -> float:
        if kind is Kind.CHAIN:
            return self._settings.chain_fresh_s
        return self._settings.news_fresh_s if kind is Kind.NEWS else self._settings.facts_fresh_h * 3600.0

    # --- inside ---

    def _start(self, kind: Kind, key: Hashable, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[_Entry]:
        self.counts[kind].asked += 1

        async def fly() -> _Entry:
            began = self._clock.now()  # what happens while the answer is on its way may be missing in it
            try:
                entry = _Entry(await ask(), began)
            except DataError as failure:
                self.counts[kind].failed += 1
                self.last_failure = str(failure)
                raise
            known = self._known[kind]
            known[key] = entry
            known.move_to_end(key)
            while len(known) > _MOST.get(kind, _MOST_OTHERS):
                known.popitem(last=False)
            return entry

        flight = asyncio.get_running_loop().create_task(fly(), name=f"{kind} {key}")
        self._flights[kind, key] = flight
        flight.add_done_callback(lambda done: self._landed(kind, key, done))
        return flight

    def _landed(self, kind: Kind, key: Hashable, flight: asyncio.Task[_Entry]) -> None:
        self._flights.pop((kind, key), None)
        if not flight.cancelled():
            flight.exception()  # when nobody waits for it any more, `last_failure` has said it

    def _must_wait(self) -> bool:
        return not self._patient and self._rest.budget.eta_s(1, asking.get()) > self._settings.patience_s

    def _of_today(self, kind: Kind, entry: _Entry) -> bool:
        """Facts turn with the market's day: declared yesterday evening, in the list this morning."""
        return kind in (Kind.CHAIN, Kind.NEWS) or et_date(entry.read_ns) == self._today()

    def _age_s(self, entry: _Entry) -> float:
        return max(0, self._clock.now() - entry.read_ns) / NS

    def _today(self) -> date:
        return et_date(self._clock.now())

"""Slow facts about companies: earnings dates for the option choice, and where they come from.

The vendor's are kept by the analysis cache, which others ask, too; only the broker's are kept here, for the day.
The trap: the data plan often lacks earnings. The broker's own metrics stand in then, and everything that came from
them says so: an estimated date of the broker is not the vendor's confirmed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import BrokerError, NotEntitled
from qmterm.engine.runlog import RunLog
from qmterm.market.analysis.cache import Aged
from qmterm.market.records import EarningsDate

POLYGON, TASTYTRADE = "polygon", "tastytrade"


class EarningsSource(Protocol):
    async def earnings(self, symbol: str, until: date | None = None) -> Aged[tuple[EarningsDate, ...]]: ...


class Metrics(Protocol):
    @property
    def symbol(self) -> str: ...

    @property
    def earnings(self) -> date | None: ...

    @property
    def iv_rank(self) -> float | None: ...

    @property
    def iv_percentile(self) -> float | None: ...


@runtime_checkable
class MetricsSource(Protocol):
    """A broker that knows such things (the paper account does not)."""

    async def market_metrics(self, symbols: list[str]) -> tuple[Metrics, ...]: ...


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """`source` labels the earnings date; rank and percentile (decimals) are always the broker's, a substitute."""

    earnings: date | None
    source: str  # polygon | tastytrade; '' when nobody could be asked
    iv_rank: float | None = None
    iv_percentile: float | None = None


class Reference:
    """An earnings date that is not known is None, and the option choice says that it was not checked."""

    def __init__(self, source: EarningsSource, clock: Clock, log: RunLog, second: MetricsSource | None = None) -> None:
        self._source = source
        self._second = second
        self._clock = clock
        self._log = log
        self._of_brokers: dict[str, tuple[date, CompanyFacts]] = {}  # the day they were asked
        self._told = False

    async def earnings_date(self, symbol: str, until: date) -> date | None:
        """The next earnings date, known up to `until` at least; DataError when the question failed."""
        return (await self.facts(symbol, until)).earnings

    async def facts(self, symbol: str, until: date | None = None) -> CompanyFacts:
        today = et_date(self._clock.now())
        try:
            rows = await self._source.earnings(symbol, until)
        except NotEntitled as refusal:
            self._tell(refusal)
            return await self._of_broker(symbol, today)
        days = sorted(row.day for row in rows.value if row.symbol == symbol and row.day >= today)
        return CompanyFacts(days[0] if days else None, POLYGON)

    async def _of_broker(self, symbol: str, today: date) -> CompanyFacts:
        """Asked once a day; a broker that was away is asked again with the next question."""
        known = self._of_brokers.get(symbol)
        if known is not None and known[0] == today:
            return known[1]
        if self._second is None:
            return CompanyFacts(None, "")
        try:
            rows = await self._second.market_metrics([symbol])
        except BrokerError as error:
            self._log.warn("FEED", f"{symbol}: no earnings date from the broker either: {error}", symbol)
            return CompanyFacts(None, "")
        facts = CompanyFacts(None, TASTYTRADE)
        for row in rows:
            if row.symbol == symbol:
                day = row.earnings if row.earnings is not None and row.earnings >= today else None
                facts = CompanyFacts(day, TASTYTRADE, row.iv_rank, row.iv_percentile)
        self._of_brokers[symbol] = (today, facts)
        return facts

    def _tell(self, refusal: NotEntitled) -> None:
        if self._told:
            return
        self._told = True
        instead = "are not checked" if self._second is None else "come from tastytrade's metrics instead"
        self._log.warn("FEED", f"earnings dates are not in your data plan and {instead}: {refusal}")

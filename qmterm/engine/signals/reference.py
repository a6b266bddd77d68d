"""Slow facts about companies, asked once a day: earnings dates for the option choice."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Protocol

from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import NotEntitled
from qmterm.engine.runlog import RunLog


class EarningsRow(Protocol):
    @property
    def symbol(self) -> str: ...

    @property
    def day(self) -> date: ...


class EarningsSource(Protocol):
    async def earnings(self, symbols: list[str], since: date, until: date) -> tuple[EarningsRow, ...]: ...


class Reference:
    """An earnings date that is not known is None, and the option choice says that it was not checked."""

    def __init__(self, source: EarningsSource, clock: Clock, log: RunLog) -> None:
        self._source = source
        self._clock = clock
        self._log = log
        self._known: dict[tuple[str, date], date | None] = {}
        self._refused = ""

    async def earnings_date(self, symbol: str, until: date) -> date | None:
        """The next earnings date up to `until`, asked once a day a symbol; DataError when the question failed."""
        today = et_date(self._clock.now())
        key = (symbol, today)
        if key in self._known:
            return self._known[key]
        if self._refused:
            return None
        try:
            rows = await self._source.earnings([symbol], today, max(until, today + timedelta(days=90)))
        except NotEntitled as refusal:
            self._refused = str(refusal)
            self._log.warn("FEED", f"earnings dates are not in your plan and are not checked: {refusal}")
            return None
        days = sorted(row.day for row in rows if row.symbol == symbol and row.day >= today)
        self._known[key] = days[0] if days else None
        return self._known[key]

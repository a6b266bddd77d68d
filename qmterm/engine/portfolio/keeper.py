"""Keeps the portfolio: its lots from every fill, its measures from the compute thread, both in step with the book.

Refreshed by the clock about once a second, in lockstep once a market minute: a volatility that a stop reads must not
depend on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray
from qmterm.core.clock import NS, Clock, et_date, from_et
from qmterm.core.compute import ComputeThread
from qmterm.core.orders import Fill
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.marks import Marks
from qmterm.engine.portfolio.measure import Closes, Measured, Wanted, measure
from qmterm.engine.show.greeks import HeldGreeks, PositionGreeks
from qmterm.journal.state import StoredFill
from qmterm.risk.lots import Lots
from qmterm.risk.profit import Accounts, Earlier, accounts

MARKET = "SPY"
REFRESH_S = 1.0  # real seconds between two looks
STEP_NS = 60 * NS  # market time between two looks in lockstep


class Stocks(Protocol):
    """What is known of underlyings (engine/signals/scanning.py)."""

    def last(self, symbol: str) -> float | None: ...

    def hv20(self, symbol: str) -> float | None: ...

    def daily_closes(self, symbol: str) -> tuple[NDArray[np.datetime64], FloatArray] | None: ...


class PortfolioKeeper:
    def __init__(
        self, book: Book, marks: Marks, stocks: Stocks, greeks: HeldGreeks, compute: ComputeThread, clock: Clock
    ) -> None:
        self._book = book
        self._marks = marks
        self._stocks = stocks
        self._greeks = greeks
        self._compute = compute
        self._clock = clock
        self._earlier = Earlier()
        self._fees_today: tuple[date | None, Decimal] = (None, Decimal(0))
        self._folded: date | None = None
        self._stepped: tuple[int, frozenset[str]] = (-1, frozenset())
        self.lots = Lots()
        self.latest = Measured(0)

    # --- what others read ---

    @property
    def greeks(self) -> Mapping[str, PositionGreeks]:
        """Of whole positions, as of the latest look."""
        return self.latest.greeks

    def iv(self, symbol: str) -> float | None:
        """The volatility in a position's mark, decimal; None when it has none of its own."""
        found = self.latest.greeks.get(symbol)
        return None if found is None or found.assumed else found.iv

    def accounts(self) -> Accounts:
        """Profit by trade, strategy and day, at the marks of now."""
        self.align()
        today = et_date(self._clock.now())
        if today != self._folded:  # what was closed before today is kept as sums
            self._folded = today
            self._earlier.fold(self.lots, from_et(today, 0, 0))
        return accounts(self.lots, self._mark, today, self.fees_today, self._earlier)

    def held_by(self, trade: str) -> dict[str, int]:
        """Signed contracts or shares that a trade's lots hold, by symbol."""
        self.align()
        counts: dict[str, int] = {}
        for lot in self.lots.all:
            if lot.trade == trade:
                counts[lot.symbol] = counts.get(lot.symbol, 0) + lot.quantity
        return counts

    @property
    def fees_today(self) -> Decimal:
        day, fees = self._fees_today
        return fees if day == et_date(self._clock.now()) else Decimal(0)

    # --- fills ---

    def restore(self, fills: Iterable[StoredFill]) -> None:
        """Replay the journal's fills."""
        for stored in fills:
            self.on_fill(stored.fill, stored.strategy, stored.plan_id)

    def on_fill(self, fill: Fill, strategy: str, trade: str) -> None:
        """Each execution once, whoever reports it twice."""
        if not self.lots.apply(fill, strategy, trade):
            return
        day = et_date(fill.time_ns)
        known_day, fees = self._fees_today
        self._fees_today = (day, fees + fill.fees if known_day == day else fill.fees)

    def align(self) -> None:
        """Take the book's word where no fill explains it: adopted, expired, assigned, split."""
        now = self._clock.now()
        for position in self._book.positions:
            symbol, quantity = position.symbol, position.quantity
            self.lots.align(symbol, quantity, position.average, now, position.strategy, position.plan_id)
        for symbol in self.lots.symbols():
            if self._book.position(symbol) is None:
                self.lots.align(symbol, 0, Decimal(0), now, "", "")

    # --- measures ---

    async def follow(self) -> None:
        """For ever, beside the turn."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    async def step(self) -> None:
        """In lockstep: once a market minute, and when something else is held."""
        now = self._clock.now()
        held = frozenset(position.symbol for position in self._book.positions)
        if held != self._stepped[1] or now // STEP_NS != self._stepped[0]:
            self._stepped = (now // STEP_NS, held)
            await self.refresh()

    async def refresh(self) -> None:
        wanted = self._wanted()
        self.latest = await self._compute.arun(measure, wanted)

    def _wanted(self) -> Wanted:
        now, positions = self._clock.now(), self._book.positions
        if not positions:
            return Wanted(now, self._greeks.gather((), self._marks, {}, now))
        underlyings = dict.fromkeys(position.underlying for position in positions)
        spots = {underlying: self._stocks.last(underlying) for underlying in underlyings}
        closes = {name: found for name in underlyings if (found := self._closes(name)) is not None}
        return Wanted(
            now,
            self._greeks.gather(positions, self._marks, spots, now, self._stocks.hv20),
            spots,
            closes,
            self._closes(MARKET),
            self._stocks.last(MARKET),
        )

    def _closes(self, symbol: str) -> Closes | None:
        found = self._stocks.daily_closes(symbol)
        return None if found is None else Closes(*found)

    def _mark(self, symbol: str) -> Decimal | None:
        mark = self._marks.of(symbol)
        # "no quote": its cost stands in for a mark; a profit of exactly nothing would be made up.
        return None if mark is None or mark.flag == "no quote" else mark.price

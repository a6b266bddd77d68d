"""The day's implied volatilities of what is in use, kept at 15:45; their rank for the choice of options.

The trap: reading chains costs calls, so the symbols are few, each is read once a day, and a refused one waits for the
next scan. What is held comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Protocol

from qmterm.core.chain import Chain
from qmterm.core.clock import Clock, et_date
from qmterm.core.errors import DataError
from qmterm.engine.runlog import RunLog
from qmterm.market.history.volatility import Standing, VolatilityHistory, measured
from qmterm.quant.surface.iv_history import MIN_IV_OBSERVATIONS
from qmterm.tape.storing import NotWritten

MOST_SYMBOLS = 60  # a day
EXPIRIES = (5, 100)  # calendar days: enough for IV30 and IV90


class ChainReader(Protocol):
    async def read(self, underlying: str, now_ns: int, expiry_from: date, expiry_to: date) -> Chain: ...


class VolatilityKeeper:
    def __init__(self, history: VolatilityHistory, chains: ChainReader, clock: Clock, log: RunLog) -> None:
        self._history = history
        self._chains = chains
        self._clock = clock
        self._log = log
        self._day: date | None = None
        self._tried: set[str] = set()
        self._failed: set[str] = set()
        self.known: dict[str, Standing] = {}  # the latest of each symbol whose chain somebody read

    async def load(self) -> None:
        """The sessions before today, read once a day."""
        await asyncio.to_thread(self._history.load, et_date(self._clock.now()))

    async def keep_if_due(self, held: Iterable[str], others: Iterable[str]) -> int:
        """Read and keep the chains of symbols not kept today; says how many were kept now."""
        await self.load()
        now = self._clock.now()
        if not self._history.due(now):
            return 0
        day = et_date(now)
        if day != self._day:
            self._day, self._tried, self._failed = day, set(), set()
        wanted = [s for s in dict.fromkeys((*sorted(held), *sorted(others))) if s not in self._tried]
        kept = 0
        for symbol in wanted[: max(0, MOST_SYMBOLS - len(self._tried))]:
            try:
                chain = await self._chains.read(
                    symbol, now, day + timedelta(days=EXPIRIES[0]), day + timedelta(days=EXPIRIES[1])
                )
                ranked = len(chain) > 0 and await asyncio.to_thread(self._history.keep, chain) is not None
            except DataError as error:
                if symbol not in self._failed:  # it is tried again at the next scan, and said once
                    self._log.warn("SCAN", f"{symbol}: its volatility of today is not kept yet ({error})", symbol)
                self._failed.add(symbol)
                if isinstance(error, NotWritten):
                    break  # the next chain would be read for nothing
                continue
            self._tried.add(symbol)
            kept += ranked
        if kept:
            self._log.info("SCAN", f"implied volatility of {kept} symbols kept", symbols=kept)
        return kept

    def standing(self, chain: Chain) -> Standing:
        """Rank of a chain's IV30; the surface is only made where there are observations enough to rank it."""
        symbol = chain.underlying
        found = self._history.standing(symbol, None)
        if found.observations >= MIN_IV_OBSERVATIONS:
            row = measured(chain)
            found = self._history.standing(symbol, None if row is None else row.iv30)
        self.known[symbol] = found
        return found

    def rank(self, chain: Chain) -> float | None:
        return self.standing(chain).rank

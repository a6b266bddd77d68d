"""Whether a stock has listed options: learned for candidates as they come up, and remembered for the day.

The trap: there is no bulk answer (a million contracts, a thousand a page), so nobody may ask for the whole market.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date

from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.rest.client import PolygonRest

_AT_ONCE = 4
MOST = 500  # candidates in one question: a scan passes tens, so more is a mistake of the caller


class OptionsListed:
    def __init__(self, rest: PolygonRest) -> None:
        self._rest = rest
        self._day: date | None = None
        self._known: dict[str, bool] = {}
        self.not_entitled = False

    async def check(self, symbols: Iterable[str], day: date) -> dict[str, bool | None]:
        """True or False for each symbol, None when it could not be learned (then the gate counts as not checked)."""
        if day != self._day:
            self._day, self._known, self.not_entitled = day, {}, False
        wanted = list(dict.fromkeys(symbols))
        unknown = [symbol for symbol in wanted if symbol not in self._known][:MOST]
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._learn(symbol, gate) for symbol in unknown))
        return {symbol: self._known.get(symbol) for symbol in wanted}

    def known(self, symbol: str) -> bool | None:
        """What is known now, without asking."""
        return self._known.get(symbol)

    def note(self, symbol: str, listed: bool) -> None:
        """Learned elsewhere (a chain was read)."""
        self._known[symbol] = listed

    async def _learn(self, symbol: str, gate: asyncio.Semaphore) -> None:
        async with gate:
            if self.not_entitled:
                return
            try:
                self._known[symbol] = await self._rest.has_options(symbol)
            except NotEntitled:
                self.not_entitled = True
            except DataError:
                return  # stays unknown; the next question asks again

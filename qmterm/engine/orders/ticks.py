"""The price grid of each underlying's options: the broker's own table once it is known, the usual one before.

A class that trades in nickels would refuse a penny price, and a refused protective exit protects nothing.
"""

from __future__ import annotations

from typing import Protocol

from qmterm.core.errors import BrokerError
from qmterm.core.instruments import is_option, option_root, underlying_of
from qmterm.core.ticks import SHARES, TickProgram, TickTable, program_for


class TickSource(Protocol):
    async def tick_table(self, underlying: str) -> TickTable | None:
        """The broker's tick sizes for options on a stock; None when it says nothing."""
        ...


class TickBook:
    def __init__(self, source: TickSource | None = None) -> None:
        self._source = source
        self._tables: dict[str, TickTable] = {}
        self._asked: set[str] = set()

    def of(self, symbol: str) -> TickTable | TickProgram:
        """The grid of an option, or of shares: cents, below a dollar hundredths of one, whatever their options do."""
        if not is_option(symbol):
            return SHARES
        root = option_root(underlying_of(symbol))
        return self._tables.get(root) or program_for(root)

    async def learn(self, underlying: str) -> None:
        """Ask the broker once; a failed question is asked again the next time."""
        root = option_root(underlying)
        if self._source is None or root in self._asked:
            return
        self._asked.add(root)
        try:
            table = await self._source.tick_table(underlying)
        except BrokerError:
            self._asked.discard(root)
            return
        if table is not None:
            self._tables[root] = table

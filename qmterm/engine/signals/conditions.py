"""What the vendor's condition numbers mean, read once a day: for our bars from trades, and for options flow.

The trap: it may never delay the start, nor take a call that something else waits for; until it is there our own lists
hold. In lockstep it is read before the next step, because bars made before and after it could differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from qmterm.core.conditions import ConditionBook
from qmterm.core.errors import DataError, NotEntitled
from qmterm.engine.runlog import RunLog
from qmterm.market.company import SaleCondition
from qmterm.market.rest.budget import Priority, asking_for

RETRY_S = 600.0  # real seconds after which a list that could not be read is asked for again


class ConditionSource(Protocol):
    async def conditions(self, asset_class: str = "stocks") -> tuple[SaleCondition, ...]: ...


class ConditionTables:
    """`for_flow` is given the options' rows."""

    def __init__(
        self,
        source: ConditionSource,
        stocks: ConditionBook,
        for_flow: Callable[[Iterable[SaleCondition]], None],
        log: RunLog,
    ) -> None:
        self._source = source
        self._stocks = stocks
        self._for_flow = for_flow
        self._log = log
        self._wanted = asyncio.Event()
        self._told = False

    def new_day(self) -> None:
        self._wanted.set()

    async def follow(self) -> None:
        """Read them whenever a day began; a list that cannot be read is asked for again after a while."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not await self.read():
                await asyncio.sleep(RETRY_S)
                self._wanted.set()

    async def read(self) -> bool:
        """False when it is worth asking again."""
        try:
            with asking_for(Priority.HISTORY):
                stocks = await self._source.conditions("stocks")
                options = await self._source.conditions("options")
        except DataError as error:
            if not self._told:
                self._told = True
                self._log.info("FEED", f"the vendor's trade conditions could not be read, our own list holds: {error}")
            return isinstance(error, NotEntitled)
        changed = self._stocks.learn(rule for row in stocks if (rule := row.rule) is not None)
        if changed:
            self._log.info("FEED", f"the vendor treats {changed} trade conditions unlike our list; its word holds")
        self._for_flow(options)
        return True

"""States of which the disk keeps only the newest (a guard, the day, the arming): a row that failed is written again.

The trap is the order: an older state must never be written after a newer one. So only the newest row of a name counts,
what is written again is the state of then, and nothing is while a row of that name is still on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from qmterm.core.errors import JournalError
from qmterm.engine.patience import DiskPatience


class KeptRows:
    def __init__(self, patience: DiskPatience, queue: Callable[[str], Awaitable[object]]) -> None:
        """`queue` gives the journal what is now to be kept under a name."""
        self._patience = patience
        self._queue = queue
        self._newest: dict[str, asyncio.Future[Any]] = {}  # by name, on their way
        self._lost: dict[str, None] = {}  # names that the disk does not have as they are, the oldest loss first

    def write(self, name: str) -> asyncio.Future[Any]:
        """Queue it as it is now; to be awaited, or not: what becomes of it is seen here all the same."""
        return self.follow(name, self._queue(name))

    def follow(self, name: str, row: Awaitable[object]) -> asyncio.Future[Any]:
        """A row of another content than `queue` gives: what is not so yet."""
        written = asyncio.ensure_future(row)  # rows begin in the order in which they are asked for, whoever waits
        self._newest[name] = written
        self._lost.pop(name, None)
        written.add_done_callback(partial(self._ended, name))
        return written

    async def keep(self, name: str) -> None:
        """Queue it as it is now and wait as long as a turn may."""
        await self._patience.wait(self.write(name))

    async def again(self) -> None:
        """Once a turn: what failed, as it is now. If it fails again that is told, not raised: stops stand behind it."""
        if not self._lost:
            return
        try:
            await self._patience.wait(asyncio.gather(*map(self.write, tuple(self._lost))))
        except JournalError as error:
            self._patience.failed(error)

    def _ended(self, name: str, row: asyncio.Future[Any]) -> None:
        failed = row.cancelled() or row.exception() is not None  # given up by who waited: it may be written or not
        if self._newest.get(name) is row:
            del self._newest[name]
            if failed:
                self._lost[name] = None

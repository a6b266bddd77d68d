"""How long a turn waits for its rows: not for ever, because a disk may hang and never fail.

The trap: stops, alarms and cancels stand behind those rows. An order's intent is another matter: that is waited for
without an end, in its lane (placing.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

DISK_PATIENCE_S = 0.25


def _untold(_error: Exception) -> None:
    return None


class DiskPatience:
    """One for all rooms of an engine: while one row has no answer, nobody waits for the next."""

    def __init__(self, seconds: float | None = DISK_PATIENCE_S) -> None:
        """None waits for every row: in lockstep nothing may depend on how fast a disk is."""
        self._seconds = seconds
        self._left: set[asyncio.Future[Any]] = set()  # without an answer, and nobody waits any more
        self.failed: Callable[[Exception], None] = _untold  # set by oversight.py: how one of those ended

    @property
    def over(self) -> bool:
        """Something that nobody waits for any more has no answer yet."""
        return bool(self._left)

    async def wait(self, written: Awaitable[object], failed: Callable[[Exception], None] | None = None) -> None:
        """Returns when it is written, or when patience is over: then it goes on alone, in its place of the queue.

        Raises what it ended with meanwhile. What it ends with later is told to `failed`: that of the engine is for a
        row; who waits for more than a row gives his own, which does what he does with an error that is raised.
        """
        if self._seconds is None:
            await written
            return
        row = asyncio.ensure_future(written)
        try:
            if self._left:
                await asyncio.sleep(0)  # a coroutine has queued its row then
            else:
                await asyncio.wait({row}, timeout=self._seconds)
        finally:
            if not row.done():
                self._left.add(row)
                row.add_done_callback(partial(self._late, failed))
        if row.done():
            row.result()

    def _late(self, failed: Callable[[Exception], None] | None, row: asyncio.Future[Any]) -> None:
        self._left.discard(row)
        error = None if row.cancelled() else row.exception()
        if isinstance(error, Exception):
            (failed or self.failed)(error)

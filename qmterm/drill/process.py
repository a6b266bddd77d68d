"""One life of the engine, as the machine sees a process: it can be killed between any two of its outward acts.

A killed process runs no cleanup that reaches the outside: every write, send and reading waits for ever from then on.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

from qmterm.engine.ending import ended


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """Die at the `nth` act of a kind (1 = the first): before it, or when it is done and nobody has heard of it."""

    act: str  # "write": a commit of the journal; "send": an order or cancel leaving
    nth: int
    after: bool

    def __str__(self) -> str:
        return f"killed {'after' if self.after else 'before'} {self.act} {self.nth}"


class Process:
    def __init__(self, crash: CrashPoint | None = None) -> None:
        self.alive = True
        self.died = asyncio.Event()
        self.crash = crash
        self._counts = {"write": 0, "send": 0}
        self._tasks: list[asyncio.Task[Any]] = []

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task of this process; one that a dead process still starts ends at once."""
        if self.alive:
            self._tasks.append(task)
        else:
            task.cancel()

    async def before(self, act: str) -> None:
        """Called before each act that reaches the outside."""
        if not self.alive:
            await self.gone()
        self._counts[act] += 1
        await self._perhaps(act, after=False)

    async def after(self, act: str) -> None:
        await self._perhaps(act, after=True)
        if not self.alive:
            await self.gone()

    async def _perhaps(self, act: str, *, after: bool) -> None:
        point = self.crash
        if point is not None and self.alive and point == CrashPoint(act, self._counts[act], after):
            self.alive = False
            self.died.set()
            await self.gone()

    async def gone(self) -> NoReturn:
        """Where a dead process's acts end."""
        while True:
            await asyncio.get_running_loop().create_future()

    async def kill(self) -> None:
        """End every task; whatever their cleanup wants from the outside never happens."""
        self.alive = False
        self.died.set()
        await ended([task for task in self._tasks if task is not asyncio.current_task()])


OWNER: ContextVar[Process | None] = ContextVar("qmterm_drill_process", default=None)

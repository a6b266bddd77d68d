"""Two lanes to the broker: what reduces risk never waits behind an entry whose answer is slow.

In lockstep there is one lane, so that orders arrive in the order in which they were decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from qmterm.engine.ending import ended

Job = Callable[[], Awaitable[None]]


class Lanes:
    def __init__(self, on_error: Callable[[Exception], Awaitable[None]], *, single: bool = False) -> None:
        self._on_error = on_error
        self._entries: asyncio.Queue[Job] = asyncio.Queue()
        self._exits = self._entries if single else asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        queues = {id(q): q for q in (self._entries, self._exits)}
        self._tasks = [asyncio.create_task(self._work(queue), name="lane") for queue in queues.values()]

    def entry(self, job: Job) -> None:
        self._entries.put_nowait(job)

    def exit(self, job: Job) -> None:
        self._exits.put_nowait(job)

    async def idle(self) -> None:
        """Wait until everything queued so far has been sent and answered."""
        await self._exits.join()
        await self._entries.join()

    @property
    def depth(self) -> int:
        return self._entries.qsize() + (self._exits.qsize() if self._exits is not self._entries else 0)

    async def close(self) -> None:
        await ended(self._tasks)

    async def _work(self, queue: asyncio.Queue[Job]) -> None:
        while True:
            job = await queue.get()
            try:
                await job()
            except Exception as error:  # one order's trouble must not stop the lane; the engine decides what it means
                await self._on_error(error)
            finally:
                queue.task_done()

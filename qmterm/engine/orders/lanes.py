"""Lanes to the broker: what reduces risk waits behind no entry, and behind no exit of another underlying.

Within one underlying exits leave in the order in which they were decided. In lockstep there is one lane for all, so
that orders arrive in that order whatever they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from qmterm.engine.ending import ended

Job = Callable[[], Awaitable[None]]


class Lanes:
    def __init__(self, on_error: Callable[[Exception], Awaitable[None]], *, single: bool = False) -> None:
        self.single = single
        self._on_error = on_error
        self._entries: asyncio.Queue[Job] = asyncio.Queue()
        self._exits: dict[str, deque[Job]] = {}  # by underlying; one that is empty is taken away
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False  # before the start and after the end nothing leaves

    def start(self) -> None:
        self._open = True
        self._tasks = [asyncio.create_task(self._work(), name="lane")]
        for underlying in self._exits:
            self._begin(underlying)

    def entry(self, job: Job) -> None:
        self._entries.put_nowait(job)

    def exit(self, job: Job, underlying: str) -> None:
        if self.single:
            self.entry(job)
            return
        self._exits.setdefault(underlying, deque()).append(job)
        if self._open and underlying not in self._at_work:
            self._begin(underlying)

    async def idle(self) -> None:
        """Wait until everything queued so far has been sent and answered."""
        while self._at_work:
            await asyncio.wait(self._at_work.values())
        await self._entries.join()

    @property
    def depth(self) -> int:
        return self._entries.qsize() + sum(len(lane) for lane in self._exits.values())

    async def close(self) -> None:
        self._open = False
        await ended([*self._tasks, *self._at_work.values()])

    def _begin(self, underlying: str) -> None:
        self._at_work[underlying] = asyncio.create_task(self._work_off(underlying), name=f"lane {underlying}")

    async def _work(self) -> None:
        while True:
            job = await self._entries.get()
            try:
                await self._done(job)
            finally:
                self._entries.task_done()

    async def _work_off(self, underlying: str) -> None:
        """One underlying's exits, until none is left."""
        lane = self._exits[underlying]
        try:
            while lane:
                await self._done(lane.popleft())
        finally:
            del self._at_work[underlying]
            if not lane:
                del self._exits[underlying]

    async def _done(self, job: Job) -> None:
        try:
            await job()
        except Exception as error:  # one order's trouble must not stop the lane; the engine decides what it means
            await self._on_error(error)

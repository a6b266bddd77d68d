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
ENTRIES = ""  # the name of their lane; an exit's is its underlying


class Lanes:
    def __init__(self, on_error: Callable[[Exception], Awaitable[None]], *, single: bool = False) -> None:
        self.single = single
        self._on_error = on_error
        self._waiting: dict[str, deque[Job]] = {}  # by lane; one that is empty is taken away
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._open = False  # before the start and after the end nothing leaves

    def start(self) -> None:
        self._open = True
        for lane in self._waiting:
            if lane not in self._at_work:
                self._begin(lane)

    def entry(self, job: Job) -> None:
        self._put(job, ENTRIES)

    def exit(self, job: Job, underlying: str) -> None:
        self._put(job, ENTRIES if self.single else underlying)

    async def idle(self) -> None:
        """Wait until everything that was queued has been sent and answered; of closed lanes, until they have ended."""
        while self._at_work:
            await asyncio.wait(self._at_work.values())

    @property
    def depth(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    async def close(self) -> None:
        self._open = False
        await ended(self._at_work.values())

    def _put(self, job: Job, lane: str) -> None:
        self._waiting.setdefault(lane, deque()).append(job)
        if self._open and lane not in self._at_work:
            self._begin(lane)

    def _begin(self, lane: str) -> None:
        task = self._at_work[lane] = asyncio.create_task(self._work_off(lane), name=f"lane {lane}")
        task.add_done_callback(lambda task: self._ended(lane, task))  # also when it was cancelled before its first step

    async def _work_off(self, lane: str) -> None:
        """One lane's orders, until none is left."""
        jobs = self._waiting[lane]
        while jobs:
            await self._done(jobs.popleft())

    def _ended(self, lane: str, task: asyncio.Task[None]) -> None:
        """What was queued in its last moment goes on. Behind one that was cancelled nothing leaves by itself: so ends
        a loop, and no order may leave of an engine that is ending.
        """
        del self._at_work[lane]
        if not self._waiting[lane]:
            del self._waiting[lane]
        elif self._open and not task.cancelled():
            self._begin(lane)

    async def _done(self, job: Job) -> None:
        try:
            await job()
        except Exception as error:  # one order's trouble must not stop the lane; the engine decides what it means
            await self._on_error(error)

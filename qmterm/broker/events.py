"""The account's events in one order, bounded, for whoever keeps the book."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from qmterm.core.orders import BrokerEvent

CAPACITY = 10_000


class EventQueue:
    """Everything the account says, in one order. Full objects: when it overflows, a re-read replaces what was lost."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._events: deque[BrokerEvent] = deque()
        self._capacity = capacity
        self._some = asyncio.Event()
        self._closed = False
        self.overruns = 0

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: BrokerEvent) -> bool:
        """False when there was no room: the caller must read REST back."""
        if len(self._events) >= self._capacity:
            self.overruns += 1
            return False
        self._events.append(event)
        self._some.set()
        return True

    def take(self) -> list[BrokerEvent]:
        """All that waits, oldest first, without waiting."""
        taken = list(self._events)
        self._events.clear()
        self._some.clear()
        return taken

    def close(self) -> None:
        self._closed = True
        self._some.set()

    async def __aiter__(self) -> AsyncIterator[BrokerEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            if self._closed:
                return
            self._some.clear()
            await self._some.wait()

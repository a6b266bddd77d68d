"""An order made ready while its intent is being written: built by the SDK, its request held at the client's own door.

The trap: nothing may leave before `leave`. The door is a hook that the HTTP client awaits before it takes a connection;
a task that ends without having been let out has found another way, and that is a broken invariant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from qmterm.core.errors import InvariantBroken
from qmterm.core.orders import BrokerOrder

Door = Callable[[], Awaitable[None]]


class HeldOrders:
    """One order, or a bracket's, as one call. Begun when it is made; ends with exactly one of `leave` and `drop`."""

    def __init__(
        self,
        place: Callable[[Door], Coroutine[Any, Any, tuple[BrokerOrder, ...]]],
        check: Callable[[], None],
        name: str,
    ) -> None:
        """`place` sends once `door` opens; `check` is asked in that moment and raises what forbids it."""
        self._name = name
        self._check = check
        self._go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(place(self._door), name=f"ready {name}")

    async def leave(self) -> tuple[BrokerOrder, ...]:
        """Let it go; answers and raises as Broker.place does. InvariantBroken when it has left before."""
        if self._task.done() and not self._task.cancelled() and self._task.exception() is None:
            raise self._leaked()
        self._go.set_result(None)
        return await self._task

    async def drop(self) -> None:
        """It will not leave. InvariantBroken when it has."""
        self._task.cancel()
        (ended,) = await asyncio.gather(self._task, return_exceptions=True)
        if not isinstance(ended, BaseException):
            raise self._leaked()

    def _leaked(self) -> InvariantBroken:
        return InvariantBroken(f"order {self._name} left before its intent was on the disk")

    async def _door(self) -> None:
        await self._go
        self._check()

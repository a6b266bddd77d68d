"""A gentle limit on REST calls: a token bucket in which orders go before questions, and cancels never wait.

A kill of fifty orders at the vendor's eight calls a second would last six seconds; so a cancel leaves at once and
is paid for by the calls after it, up to a debt that no exit has to wait for long.
"""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum
from itertools import count


class Urgency(IntEnum):
    CANCEL = 0
    ORDER = 1
    QUESTION = 2


DEBT = 4.0  # calls that cancels may borrow; beyond it they are free: an exit behind them must leave within a second

# Questions may never take the last tokens: an order finds one at once.
_KEPT = {Urgency.ORDER: 1.0, Urgency.QUESTION: 4.0}


class Pacer:
    """`await turn(urgency)` before each call."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._rate = per_second
        self._burst = float(max(burst, 6))
        self._tokens = self._burst
        self._refilled: float | None = None
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, urgency: Urgency) -> None:
        self._refill()
        if urgency is Urgency.CANCEL:
            self._tokens = max(-DEBT, self._tokens - 1.0)
            return
        if not (self._waiting and self._someone_before(urgency)) and self._take(urgency):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), future))
        if self._timer is not None:
            self._timer.cancel()  # it was set for whoever was first until now
            self._timer = None
        self._arm()
        await future

    def _someone_before(self, urgency: Urgency) -> bool:
        return any(other <= urgency and not future.done() for other, _, future in self._waiting)

    def _take(self, urgency: Urgency) -> bool:
        if self._tokens - 1.0 < _KEPT[urgency]:
            return False
        self._tokens -= 1.0
        return True

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._refilled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._refilled) * self._rate)
        self._refilled = now

    def _arm(self) -> None:
        if self._timer is None and self._waiting:
            missing = max(0.0, 1.0 + _KEPT[self._waiting[0][0]] - self._tokens)
            self._timer = asyncio.get_running_loop().call_later(missing / self._rate + 0.001, self._serve)

    def _serve(self) -> None:
        self._timer = None
        self._refill()
        while self._waiting:
            urgency, _, future = self._waiting[0]
            if not future.done():
                if not self._take(urgency):
                    break
                future.set_result(None)
            heapq.heappop(self._waiting)
        self._arm()

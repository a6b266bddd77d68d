"""A token bucket in front of REST: the plan's calls a minute, shared by everything that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LONGEST_HOLD_S = 60.0


class RequestBudget:
    """First come, first served. A second of the budget, or all of a small plan's minute, may go in a burst."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float]) -> None:
        self._rate = per_minute / 60.0
        self._burst = float(per_minute if per_minute < 60 else max(20, per_minute // 60))
        self._tokens = self._burst
        self._monotonic = monotonic
        self._at = monotonic()
        self._blocked_until = 0.0
        self._turn = asyncio.Lock()
        self.spent = 0

    @property
    def wait_s(self) -> float:
        """Seconds until the next call could go, 0 when at once."""
        now = self._monotonic()
        tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        return max(0.0, self._blocked_until - now, (1.0 - tokens) / self._rate)

    async def take(self) -> None:
        """Wait for one call's worth of budget."""
        async with self._turn:
            while True:
                wait = self.wait_s
                if wait <= 0:
                    break
                await asyncio.sleep(wait)
            now = self._monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1.0
            self._at = now
            self.spent += 1

    def hold(self, seconds: float) -> None:
        """The server said too many: nobody calls for this long, a minute at most.

        Plans count by the minute, and whoever waits here waits without a deadline: an hour would look like a hang.
        """
        self._blocked_until = max(self._blocked_until, self._monotonic() + min(seconds, LONGEST_HOLD_S))

"""The plan's REST calls shared by importance: an order's question goes before a position's, history goes last.

The trap: the service counts calls in a sliding minute, so a bucket that bursts and then refills spends double the plan
in its first minute. The latest calls are remembered instead. When the service asks for a long pause, callers are told
how long it is; nobody is kept waiting for it.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from qmterm.core.errors import RateLimited

LONGEST_WAIT_S = 15.0  # a pause longer than this is said to the caller instead of waited for
LONGEST_HOLD_S = 3600.0  # a Retry-After beyond an hour is a fault of the server, not a plan
MINUTE_S = 60.0
_MARGIN_S = 0.5  # the server counts arrivals, we count departures
_COUNTED_BY_MINUTE = 600  # plans of fewer calls a minute are counted by the minute, others by the second


class Priority(IntEnum):
    """Smaller goes first."""

    ORDERS = 0  # an order waits for the answer
    POSITIONS = 1  # what is held
    WATCH = 2  # what somebody looks at
    SCAN = 3
    HISTORY = 4  # evenly paced on small plans, so that a free call comes up soon for everything above


asking: ContextVar[Priority] = ContextVar("what the REST calls of this task are for", default=Priority.SCAN)


@contextmanager
def asking_for(priority: Priority) -> Iterator[None]:
    """All REST calls inside, and in the tasks started inside, are for this."""
    token = asking.set(priority)
    try:
        yield
    finally:
        asking.reset(token)


@dataclass(frozen=True, slots=True)
class BudgetView:
    spent_this_minute: int
    per_minute: int
    waiting: Mapping[Priority, int]  # classes without a waiting call are left out
    next_in_s: float  # until the next call may go; 0 = at once
    scan_in_s: float  # until a new question of the scan may go, behind all that waits before it
    held_s: float  # how much of the server's own pause is left
    pull_eta_s: float | None  # until the running history pull is through; None when there is none


class RequestBudget:
    """Use from one event loop; only `take_now` may be called from other threads."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float]) -> None:
        by_minute = per_minute < _COUNTED_BY_MINUTE
        self._per_minute = per_minute
        self._most = per_minute if by_minute else per_minute // 60
        self._window_s = MINUTE_S + _MARGIN_S if by_minute else 1.0
        self._even_s = self._window_s / self._most if by_minute else 0.0
        self._monotonic = monotonic
        self._calls: deque[float] = deque()  # departures, at least those of the latest minute
        self._last_history = float("-inf")
        self._held_until = float("-inf")
        self._spending = threading.Lock()
        self._queue: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None
        self.pull_left = 0  # calls that the running history pull still needs
        self.spent = 0

    # --- taking ---

    async def take(self, priority: Priority | None = None) -> None:
        """Wait for one call's worth of budget; RateLimited while the server's own pause is a long one."""
        of = asking.get() if priority is None else priority
        if self.held_s > LONGEST_WAIT_S:
            raise self._told_to_wait()
        if self.take_now(of):
            return
        waiting = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._queue, (of, self._arrivals, waiting))
        self._serve()
        try:
            await waiting
        finally:
            if waiting.cancelled():
                self._serve()  # whoever stood behind it

    def take_now(self, priority: Priority) -> bool:
        """One call's worth without waiting, from any thread; False while others wait or the plan has none left."""
        return not self._queue and self._try_spend(priority)

    async def open_again(self) -> None:
        """Wait until the server's own pause is over; what can wait for ever (a history pull) calls this."""
        rest = self.held_s
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self.held_s

    def hold(self, seconds: float) -> None:
        """The server said too many: nobody calls for this long, an hour at most."""
        self._held_until = max(self._held_until, self._monotonic() + min(seconds, LONGEST_HOLD_S))
        if self.held_s > LONGEST_WAIT_S:
            queue, self._queue = self._queue, []
            for _, _, waiting in queue:
                if not waiting.done():
                    waiting.set_exception(self._told_to_wait())
        self._serve()

    # --- telling ---

    @property
    def spacing_s(self) -> float:
        """Seconds between two calls at the plan's even pace."""
        return self._window_s / self._most

    @property
    def held_s(self) -> float:
        return max(0.0, self._held_until - self._monotonic())

    @property
    def wait_s(self) -> float:
        """Seconds until the next important call could go, 0 when at once."""
        return self.next_in_s(Priority.ORDERS)

    def next_in_s(self, priority: Priority) -> float:
        """Seconds until one call of this class could go if nothing else waited."""
        now = self._monotonic()
        wait = self.held_s
        if len(self._calls) >= self._most:
            wait = max(wait, self._calls[-self._most] + self._window_s - now)
        if priority is Priority.HISTORY:
            wait = max(wait, self._last_history + self._even_s - now)
        return max(0.0, wait)

    def eta_s(self, calls: int, priority: Priority) -> float:
        """Seconds until `calls` more calls of a class have gone, with all that waits before them now."""
        if calls <= 0:
            return 0.0
        now = self._monotonic()
        ahead = sum(1 for of, _, waiting in self._queue if of <= priority and not waiting.done())
        needed = ahead + calls
        window = self._departures_since(now - self._window_s)[-self._most :]
        free = self._most - len(window)
        if needed <= free:
            wait = 0.0
        else:
            freed = (window + [now] * free)[: self._most]  # when each slot was, or will be, taken last
            turn, slot = divmod(needed - free - 1, self._most)
            wait = freed[slot] + self._window_s * (turn + 1) - now
        if priority is Priority.HISTORY:
            wait = max(wait, self.next_in_s(priority) + (calls - 1) * self._even_s)
        return max(wait, self.held_s)

    def view(self) -> BudgetView:
        now = self._monotonic()
        waiting = Counter(of for of, _, future in self._queue if not future.done())
        return BudgetView(
            spent_this_minute=len(self._departures_since(now - MINUTE_S)),
            per_minute=self._per_minute,
            waiting=dict(sorted(waiting.items())),
            next_in_s=self.wait_s,
            scan_in_s=self.eta_s(1, Priority.SCAN),
            held_s=self.held_s,
            pull_eta_s=self.eta_s(self.pull_left, Priority.HISTORY) if self.pull_left else None,
        )

    # --- inside ---

    def _departures_since(self, then: float) -> list[float]:
        with self._spending:  # a deque that grows cannot be gone through
            return [at for at in self._calls if at > then]

    def _try_spend(self, priority: Priority) -> bool:
        with self._spending:
            if self.next_in_s(priority) > 0:
                return False
            now = self._monotonic()
            self._calls.append(now)
            while len(self._calls) > self._most and self._calls[0] < now - MINUTE_S:
                self._calls.popleft()
            if priority is Priority.HISTORY:
                self._last_history = now
            self.spent += 1
            return True

    def _serve(self) -> None:
        """Let those go that may, most important first, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            priority, _, waiting = self._queue[0]
            if waiting.done():  # given up
                heapq.heappop(self._queue)
                continue
            if not self._try_spend(priority):
                self._timer = waiting.get_loop().call_later(self.next_in_s(priority), self._serve)
                return
            heapq.heappop(self._queue)
            waiting.set_result(None)

    def _told_to_wait(self) -> RateLimited:
        return RateLimited(
            f"the data server wants no calls for another {self.held_s:.0f} s; they go on by themselves after that "
            "(lower [polygon] calls_per_minute if it happens again)"
        )

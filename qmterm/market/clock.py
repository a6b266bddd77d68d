"""Market clocks: this machine's, the data server's, and the one that only steps (DESIGN.md 4).

The trap: market time must never run backwards, whatever NTP, a busy server or a noisy sample does; it waits instead.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from qmterm.core.clock import NS
from qmterm.core.errors import DataError
from qmterm.market.rest.client import PolygonRest

_KEPT = 64
_SAME_RATE = 0.02  # a rate this near to 1 is a clock that runs in real time


class SystemClock:
    """This machine's clock, held when it is set back."""

    rate = 1.0

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last, time.time_ns())
        return self._last

    def monotonic(self) -> float:
        return time.monotonic()


class StepClock:
    """Lockstep: stands at the step's market time and reads no clock."""

    rate: float | None = None  # market time has no speed

    def __init__(self, now_ns: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = now_ns
        self._monotonic = monotonic

    def set(self, now_ns: int) -> None:
        """Move to a step's time; an earlier one is ignored."""
        self._now = max(self._now, now_ns)

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic()


class ServerClock:
    """Market time as the data server tells it: offset and rate from samples of its clock against ours."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._samples: deque[tuple[float, int, float]] = deque(maxlen=_KEPT)  # our middle, theirs, round trip
        self._last = 0
        self._anchor_s = 0.0
        self._anchor_ns = 0
        self.rate: float = 1.0
        self.round_trip_s: float | None = None

    @property
    def ready(self) -> bool:
        return bool(self._samples)

    def add_sample(self, server_ns: int, sent_s: float, received_s: float) -> None:
        """One reading of the server's clock, asked at `sent_s` and answered at `received_s` (our monotonic seconds)."""
        middle = (sent_s + received_s) / 2
        if self._samples and server_ns < self._samples[-1][1]:
            self._samples.clear()  # the server was restarted or set back: what we knew is another clock
        self._samples.append((middle, server_ns, received_s - sent_s))
        self.round_trip_s = received_s - sent_s
        self._fit()

    def now(self) -> int:
        if self._samples:
            estimate = self._anchor_ns + int((self._monotonic() - self._anchor_s) * self.rate * NS)
            self._last = max(self._last, estimate)
        return self._last

    def monotonic(self) -> float:
        return self._monotonic()

    async def sample(self, rest: PolygonRest) -> None:
        """Ask the server for its time once."""
        sent = self._monotonic()
        status = await rest.market_status()
        self.add_sample(status.server_ns, sent, self._monotonic())

    async def start(self, rest: PolygonRest, spacing_s: float = 0.25, samples: int = 5) -> None:
        """Enough samples to know offset and rate before the first decision."""
        for number in range(samples):
            if number:
                await asyncio.sleep(spacing_s)
            await self.sample(rest)

    async def follow(self, rest: PolygonRest, every_s: float = 5.0) -> None:
        """Keep sampling until cancelled, quickly at first: a rate needs a long base to be known well.

        A failed sample is left out, the clock runs on at the rate it knows.
        """
        wait_s = min(0.5, every_s)
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, every_s)
            try:
                await self.sample(rest)
            except DataError:
                continue

    def _fit(self) -> None:
        """A line through the samples: rate and where market time stands at the newest one."""
        last_s, last_ns, _ = self._samples[-1]
        if all(ns % NS == 0 for _, ns, _ in self._samples):
            self._fit_whole_seconds(last_s)
            return
        # A slow answer knows less: it weighs by the inverse square of its round trip.
        weights = [1.0 / max(trip, 1e-4) ** 2 for _, _, trip in self._samples]
        total = sum(weights)
        middle_s = sum(w * (at - last_s) for w, (at, _, _) in zip(weights, self._samples, strict=True)) / total
        middle = sum(w * (ns - last_ns) for w, (_, ns, _) in zip(weights, self._samples, strict=True)) / total
        spread = below = 0.0
        for weight, (at, ns, _) in zip(weights, self._samples, strict=True):
            ahead = at - last_s - middle_s
            below += weight * ahead * ahead
            spread += weight * ahead * (ns - last_ns - middle)
        if below > 0:
            rate = max(0.0, spread / below / NS)
            self.rate = 1.0 if abs(rate - 1.0) <= _SAME_RATE else rate
        self._anchor_s = last_s
        self._anchor_ns = last_ns + int(middle - middle_s * self.rate * NS)

    def _fit_whole_seconds(self, last_s: float) -> None:
        """Whole seconds hide up to one at either end: within that, a clock in real time stays at rate 1."""
        first_s, first_ns, _ = self._samples[0]
        span = last_s - first_s
        if span > 0:
            rate = (self._samples[-1][1] - first_ns) / NS / span
            self.rate = 1.0 if abs(rate - 1.0) <= _SAME_RATE + 1.0 / span else max(0.0, rate)
        # The true time lies in [reading, reading + 1 s): the sample that is furthest ahead binds.
        ahead = max((ns - first_ns) / NS - (at - last_s) * self.rate for at, ns, _ in self._samples)
        self._anchor_s = last_s
        self._anchor_ns = first_ns + int(ahead * NS)

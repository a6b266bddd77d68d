"""Has this machine's clock jumped: set by hand, by a time service, by a sleep? Market time against real seconds."""

from __future__ import annotations

from collections import deque

from qmterm.core.clock import NS, Clock

JUMP_S = 5.0
LOOKED_BACK_S = 60.0  # real seconds; a slewed clock moves by 30 ms in them
SAMPLE_EVERY_S = 1.0


class ClockWatch:
    """For a market clock that runs at the rate of real time; never ask it of one that steps or runs faster.

    Trap: a clock that was set back stands still until it has caught up, so one look alone shows little: an older
    sample is compared with.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[int, float]] = deque()

    def look(self) -> float | None:
        """Seconds of a jump that is news (+ ahead, − back), else None."""
        now, real = self._clock.now(), self._clock.monotonic()
        while len(self._samples) > 1 and real - self._samples[0][1] > LOOKED_BACK_S:
            self._samples.popleft()
        if self._samples:
            then, at = self._samples[0]
            jumped = (now - then) / NS - (real - at)
            if abs(jumped) > JUMP_S:
                self._samples.clear()
                self._samples.append((now, real))
                return jumped
        if not self._samples or real - self._samples[-1][1] >= SAMPLE_EVERY_S:
            self._samples.append((now, real))
        return None

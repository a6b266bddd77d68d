"""How long a start waited for its broker: the time in which some call took longer than a working broker needs."""

from __future__ import annotations

LONG_S = 0.5  # a call that takes longer is the broker's slowness, not ours


class Waits:
    def __init__(self) -> None:
        self._long: list[tuple[float, float]] = []

    def add(self, began: float, ended: float) -> None:
        """A call to the broker, from when it left until it was answered or given up (the loop's seconds)."""
        if ended - began > LONG_S:
            self._long.append((began, ended))

    def within(self, began: float, ended: float) -> float:
        """Seconds of that time in which at least one long call was out."""
        total, reached = 0.0, began
        for first, last in sorted(self._long):
            first, last = max(first, reached), min(last, ended)
            if last > first:
                total += last - first
                reached = last
        return total

"""How many events a second come in, for a screen that looks now and then."""

from __future__ import annotations

WINDOW_S = 5.0


class EventRate:
    """Over a window of some real seconds; the first look after it closes moves it on."""

    def __init__(self, monotonic: float) -> None:
        self._since, self._before = monotonic, 0
        self._rate = 0.0

    def look(self, events: int, monotonic: float) -> float:
        """Events a real second, given how many there were so far."""
        passed = monotonic - self._since
        if passed >= WINDOW_S:
            self._rate = (events - self._before) / passed
            self._since, self._before = monotonic, events
        elif not self._rate and passed > 0:
            return (events - self._before) / passed
        return self._rate

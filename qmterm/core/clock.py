"""Two clocks (DESIGN.md 4): market time decides, real time measures.

`now()` is market time in UTC nanoseconds; `monotonic()` is real seconds. Nothing else reads time. Real
implementations live in `market/clock.py` (system, server) so that this floor stays pure.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

ET = ZoneInfo("America/New_York")
NS = 1_000_000_000
NS_PER_MS = 1_000_000
_HOUR_NS = 3_600 * NS


class Clock(Protocol):
    def now(self) -> int:
        """Market time, UTC nanoseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Real seconds, for time-outs, polls, lag and the screen."""
        ...


class ManualClock:
    """A clock that stands still until told: tests and lockstep drive it."""

    def __init__(self, now_ns: int, monotonic_s: float = 0.0) -> None:
        self.now_ns = now_ns
        self.monotonic_s = monotonic_s

    def now(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by the same number of seconds."""
        self.now_ns += int(seconds * NS)
        self.monotonic_s += seconds


def to_et(ns: int) -> datetime:
    """UTC nanoseconds as New York wall time (microsecond precision)."""
    return datetime.fromtimestamp(ns // 1000 / 1_000_000, UTC).astimezone(ET)


def et_date(ns: int) -> date:
    """The New York calendar date of an instant."""
    return _date_of_hour(ns // _HOUR_NS)


@lru_cache(maxsize=4096)
def _date_of_hour(hour: int) -> date:
    """New York's midnight is a whole hour of UTC, all year: an order asks several times on its way."""
    return to_et(hour * _HOUR_NS).date()


def from_et(day: date, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """New York wall time of a day as UTC nanoseconds."""
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=ET)
    return int(local.timestamp()) * NS

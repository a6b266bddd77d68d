"""What each Polygon plan may see (PROTOCOLS.md 7): configuration, because the vendor changes it."""

from __future__ import annotations

from dataclasses import dataclass

from qmterm.core.clock import NS

DELAY_NS = 15 * 60 * NS


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    calls_per_minute: int | None
    delayed: bool
    snapshots: bool
    trades: bool
    quotes: bool
    options: bool
    earnings: bool
    channels: frozenset[str]  # event types a stream may carry
    years: int  # of history
    end_of_day: bool = False  # the running session only once it is over

    @property
    def status(self) -> str:
        return "DELAYED" if self.delayed else "OK"

    @property
    def timeframe(self) -> str:
        return "DELAYED" if self.delayed else "REAL-TIME"


_BARS = frozenset({"A", "AM"})
_TRADES = _BARS | {"T"}
_ALL = _TRADES | {"Q", "LULD"}

PLANS = {
    "basic": Plan("basic", 5, True, False, False, False, False, False, frozenset(), 2, end_of_day=True),
    "starter": Plan("starter", None, True, True, False, False, True, False, _BARS, 5),
    "developer": Plan("developer", None, True, True, True, False, True, False, _TRADES, 10),
    "advanced": Plan("advanced", None, False, True, True, True, True, True, _ALL, 20),
}

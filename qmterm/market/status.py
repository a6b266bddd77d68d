"""What a feed needs from a clock, and what it says of itself.

The trap: ages and rates are real seconds here, while everything else in the market room is the market's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from qmterm.market.rest.budget import BudgetView


class PacedClock(Protocol):
    """A market clock that knows its speed (market/clock.py)."""

    @property
    def rate(self) -> float | None: ...

    def now(self) -> int: ...

    def monotonic(self) -> float: ...


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """What the header shows. `state` is the stocks stream's, or "delayed" when it lives on 15 minutes old data."""

    state: str
    why: str
    age_s: float | None  # real seconds since the last frame
    events_per_s: float
    delayed: bool  # stocks are
    latency_ms: tuple[float, float] | None  # p50, p99
    options_state: str | None  # as `state`, of options; None while no contract is watched
    refused: tuple[str, ...]  # channels and REST families the plan does not include
    events: int
    drops: int
    malformed: int
    unknown: int
    late: int
    budget: BudgetView
    mutes: int = 0
    lost_minutes: int = 0  # of this session, not known of every symbol (yet)
    repaired_minutes: int = 0
    lost_bars: int = 0  # symbols times minutes: not known whether there was a bar
    repaired_by_bars: int = 0  # the same, read one symbol a call
    repaired_by_snapshot: int = 0  # the same, told by the whole market's snapshot
    repair_trouble: str = ""  # why the latest repair did not get all; "" when nothing is lost
    contracts_wanted: int = 0  # option contracts that want quotes; more than the limit take turns
    recording: str = ""  # "" = not recorded, "on", or why it stopped
    bars_checked: int = 0  # minute bars of ours that were compared with the vendor's
    bars_differ: int = 0
    bars_own: int = 0  # that stood in because the vendor's were late or lost

"""How a stream is doing: its state, what it counted, what the server said last. For the header and the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class StreamState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    MUTE = "mute"
    BACKOFF = "backoff"
    REFUSED = "refused"
    CLOSED = "closed"


@dataclass(slots=True)
class StreamCounters:
    frames: int = 0
    events: int = 0
    late: int = 0
    unknown: int = 0
    malformed: int = 0
    connects: int = 0
    drops: int = 0
    mutes: int = 0
    slow: int = 0  # times the server cut us off for reading too slowly


@dataclass(slots=True)
class StreamNotes:
    """What the server said last, for header and log."""

    last_drop: str = ""
    refusal: str = ""
    last_word: str = ""  # any other status
    refused: dict[str, str] = field(default_factory=dict)  # channel: why

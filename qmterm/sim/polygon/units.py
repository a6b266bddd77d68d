"""Time stamps told in another unit: what a service does that changes from milliseconds to microseconds one day.

Only fields that are times are touched, by their names; dates, sizes and prices stay.
"""

from __future__ import annotations

from typing import Any

import msgspec

TIMES = frozenset(
    {
        *("t", "s", "e", "y", "f", "updated", "last_updated", "timestamp", "queryTimestamp"),
        *("sip_timestamp", "participant_timestamp", "trf_timestamp"),
    }
)
_EARLIEST = 10**9  # seconds: smaller numbers are sizes (`s` is a size in trades, a start in bars)


def in_digits(body: bytes, digits: int) -> bytes:
    """The same JSON with every time of 10, 13, 16 or 19 digits told with `digits`."""
    return msgspec.json.encode(_walked(msgspec.json.decode(body), digits))


def shifted(body: bytes, milliseconds: int) -> bytes:
    """The same JSON with every time later by some milliseconds, each in its own unit."""
    return msgspec.json.encode(_walked(msgspec.json.decode(body), 0, milliseconds))


def _walked(value: Any, digits: int, milliseconds: int = 0) -> Any:
    if isinstance(value, list):
        return [_walked(one, digits, milliseconds) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _told(one, digits, milliseconds)
        if name in TIMES and isinstance(one, int) and one > _EARLIEST
        else _walked(one, digits, milliseconds)
        for name, one in value.items()
    }


def _told(stamp: int, digits: int, milliseconds: int) -> int:
    told = len(str(stamp))
    if milliseconds:
        return stamp + (milliseconds * 10 ** (told - 13) if told >= 13 else milliseconds // 1000)
    factor: int = 10 ** abs(digits - told)
    return stamp * factor if digits >= told else stamp // factor

"""Vendor times to UTC nanoseconds; the trap: Polygon mixes s, ms, µs and ns, so the magnitude decides."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import IntArray
from qmterm.core.errors import DataError

# A stamp further ahead of its arrival than this is taken at its arrival: as it is, it would stay fresh and keep later
# values out for as long. Clocks that are three seconds apart still do.
AHEAD_NS = 5_000_000_000
# A bar whose minute lies further ahead is not one of now, whatever clock is off.
BAR_AHEAD_NS = 300_000_000_000
NEVER_NS = 2**62  # the year 2116: later times are not times

# 1e11 s is the year 5138, 1e11 ms is 1973: no market datum lies between two readings of one number.
_SECONDS_BELOW = 100_000_000_000
_MS_BELOW = 100_000_000_000_000
_US_BELOW = 100_000_000_000_000_000


def to_ns(value: int | float) -> int:
    """A Unix time in s, ms, µs or ns as nanoseconds; 0 stays 0 (no time)."""
    number = int(value)
    if number < _SECONDS_BELOW:
        return number * 1_000_000_000
    if number < _MS_BELOW:
        return number * 1_000_000
    if number < _US_BELOW:
        return number * 1_000
    return number


def to_ns_array(values: NDArray[np.int64]) -> IntArray:
    """`to_ns` for a whole column; 0 (no time) for what cannot be one."""
    factor = np.where(
        values < _SECONDS_BELOW,
        1_000_000_000,
        np.where(values < _MS_BELOW, 1_000_000, np.where(values < _US_BELOW, 1_000, 1)),
    )
    sane = (values >= 0) & (values < NEVER_NS // factor)  # a product past 64 bits would come back as some other time
    return np.asarray(np.where(sane, values, 0) * factor, dtype=np.int64)


def held_back(times: IntArray, arrival_ns: int) -> IntArray:
    """Stamps from the future at their arrival: held as they are, they would keep every later value out as "older"."""
    return np.where(times > arrival_ns + AHEAD_NS, arrival_ns, times) if arrival_ns else times


def rfc3339_ns(text: str) -> int:
    """'2026-03-02T09:30:00-05:00' or '…Z' as UTC nanoseconds; DataError when it is not such a time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{text!r} is not a time the data server should send (RFC 3339)") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + moment.microsecond * 1_000


def utc_text(ns: int) -> str:
    """UTC nanoseconds as the vendor's filters want them: '2026-03-02T14:30:00Z'."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_date(text: str | None) -> date | None:
    """'2026-03-02' (or a time that starts so) as a date, None when there is none."""
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None

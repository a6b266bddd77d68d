"""Times, prices and sizes told in another unit: microseconds for milliseconds, cents for dollars, lots for shares.

Only fields that are times (or prices, or sizes) are touched, by their names; dates and strikes stay.
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
# `c` is a price in bars and a list of conditions in trades: only numbers are told anew.
PRICES = frozenset(
    {
        *("o", "h", "l", "c", "vw", "p", "P", "bid", "ask", "midpoint", "price"),
        *("open", "high", "low", "close", "vwap", "previous_close", "change", "todaysChange"),
        *("break_even_price", "change_to_break_even"),
        *("bp", "ap", "op", "a"),  # of the streams
    }
)
SIZES = frozenset({*("s", "S", "bs", "as", "v", "av", "bid_size", "ask_size", "volume", "open_interest", "size")})
_EARLIEST = 10**9  # seconds: smaller numbers are sizes (`s` is a size in trades, a start in bars)


def in_digits(body: bytes, digits: int) -> bytes:
    """The same JSON with every time of 10, 13, 16 or 19 digits told with `digits`."""
    return msgspec.json.encode(_walked(msgspec.json.decode(body), digits))


def shifted(body: bytes, milliseconds: int) -> bytes:
    """The same JSON with every time later by some milliseconds, each in its own unit."""
    return msgspec.json.encode(_walked(msgspec.json.decode(body), 0, milliseconds))


def repriced(body: bytes, factor: float) -> bytes:
    """The same JSON with every price `factor` times as high."""
    return msgspec.json.encode(_scaled(msgspec.json.decode(body), PRICES, factor))


def resized(body: bytes, factor: float) -> bytes:
    """The same JSON with every size and volume `factor` times as large; whole numbers stay whole."""
    return msgspec.json.encode(_scaled(msgspec.json.decode(body), SIZES, factor))


def _scaled(value: Any, names: frozenset[str], factor: float) -> Any:
    if isinstance(value, list):
        return [_scaled(one, names, factor) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _times(one, factor, whole=names is SIZES and isinstance(one, int))
        if name in names and isinstance(one, int | float) and not (name == "s" and one > _EARLIEST)
        else _scaled(one, names, factor)
        for name, one in value.items()
    }


def _times(number: float, factor: float, *, whole: bool) -> float:
    return int(number * factor) if whole else round(number * factor, 6)


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

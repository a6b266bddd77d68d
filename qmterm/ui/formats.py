"""Numbers, times and foreign text as the screen writes them.

Unknown is always "–", never 0; every string is one terminal cell per character, so text from outside
(news, broker messages) passes through `plain` first: a wide glyph or an escape sequence would break the frame.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

from qmterm.core.clock import to_et

UNKNOWN = "–"

Number = float | int | Decimal | None


def known(value: Number) -> bool:
    """False for None and for a NaN or infinity that slipped through an edge."""
    return value is not None and math.isfinite(value)


def fixed(value: Number, decimals: int = 2, *, sign: bool = False, grouped: bool = False) -> str:
    """A number with so many decimals; the sign always shown when asked for (0 has none)."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:{'+' if sign else ''}{',' if grouped else ''}.{decimals}f}"
    return text if any(digit in text for digit in "123456789") else text.lstrip("+-")


def percent(value: float | None, decimals: int = 1, *, sign: bool = False) -> str:
    """A number that is already in percent."""
    text = fixed(value, decimals, sign=sign)
    return text if text == UNKNOWN else f"{text}%"


def arrow(value: Number) -> str:
    """Direction for eyes that do not tell the colours apart."""
    if value is None or not math.isfinite(value) or value == 0:
        return " "
    return "▲" if value > 0 else "▼"


def count(value: float | int | None) -> str:
    """Contracts and volumes in at most five characters: 987, 14.3k, 1.2M."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    if size < 1000:
        return f"{value:.0f}"
    for limit, divisor, unit in ((1e6, 1e3, "k"), (1e9, 1e6, "M"), (math.inf, 1e9, "G")):
        if size < limit * 0.9995:
            scaled = value / divisor
            return f"{scaled:.1f}{unit}" if abs(scaled) < 99.95 else f"{scaled:.0f}{unit}"
    return UNKNOWN


def money(value: Number, *, sign: bool = False, cents: bool = False) -> str:
    """Dollars, grouped; cents only where they matter."""
    return fixed(value, 2 if cents else 0, sign=sign, grouped=True)


def signed_money(value: Number) -> str:
    """Dollars with sign, short enough for a column: +402, −1,250."""
    return fixed(value, 0, sign=True, grouped=True)


def dropped_zero(value: Number, decimals: int = 2) -> str:
    """Greeks: −.14 instead of −0.14, to save a column of zeros."""
    text = fixed(value, decimals)
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def age(seconds: float | None) -> str:
    """Age in at most four characters: 0s, 45s, 12m, 3h."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 100:
        return f"{max(0, int(seconds))}s"
    if seconds < 6000:
        return f"{int(seconds // 60)}m"
    return f"{min(99, int(seconds // 3600))}h"


def countdown(seconds: float) -> str:
    """Minutes and seconds left."""
    left = max(0, int(seconds))
    return f"{left // 60:02d}:{left % 60:02d}"


@lru_cache(maxsize=2048)
def _clock(second: int) -> str:
    return f"{to_et(second * 1_000_000_000):%H:%M:%S}"


def clock(ns: int) -> str:
    """Market time in New York; blank before there is one."""
    return _clock(ns // 1_000_000_000) if ns > 0 else "--:--:--"


def expiry(day: date) -> str:
    """As the trade writes it: 17APR26."""
    return f"{day:%d%b%y}".upper()


def strike(value: float) -> str:
    """172.5 and 1200.0, but 32.125 where a contract was adjusted."""
    return f"{value:.1f}" if round(value * 10) == value * 10 else f"{value:.3f}".rstrip("0")


def plain(text: str) -> str:
    """Text from outside with every character exactly one cell wide and harmless to a terminal."""
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    for character in text:
        if character in "\n\t\r":
            out.append(" ")
        elif unicodedata.category(character).startswith("M"):
            continue
        elif not character.isprintable() or unicodedata.east_asian_width(character) in "WF":
            out.append("?")
        else:
            out.append(character)
    return "".join(out)


def clip(text: str, width: int) -> str:
    """At most `width` characters, the cut marked."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…" if width > 0 else ""


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken at spaces where there are any; an empty text is one empty line."""
    lines: list[str] = []
    rest = text
    while len(rest) > width > 0:
        cut = rest.rfind(" ", 1, width + 1)
        cut = cut if cut > 0 else width
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    lines.append(rest)
    return lines

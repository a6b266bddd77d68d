"""What an option print is, by its OPRA condition: Polygon's numbers to the kinds of QUANT.md 3.8.

The trap: the vendor can add numbers. One that nobody knows is a regular print and is counted, never a reason to drop
it; a cancel, though, must never count as a trade. A print with several conditions is the least informative of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import IntArray


class Kind(IntEnum):
    """In order of precedence: of several conditions on one print the highest counts."""

    REGULAR = 0
    REOPENING = 1
    ISO = 2  # intermarket sweep order
    AUCTION = 3
    CROSS = 4
    FLOOR = 5
    MULTILEG = 6
    TIED = 7  # to stock
    COMPRESSION = 8
    LATE = 9  # late, out of sequence, extended hours
    CANCEL = 10  # removes an earlier print


DIRECTED = (Kind.REGULAR, Kind.ISO)  # the only prints whose side says who was in a hurry

# Used until the service has told its own list, and where that says nothing (QUANT.md 3.8).
FALLBACK: Mapping[int, Kind] = {
    **dict.fromkeys((201, 203, 205, 207), Kind.CANCEL),
    **dict.fromkeys((202, 204, 206, 208, 248), Kind.LATE),
    209: Kind.REGULAR,
    210: Kind.REOPENING,
    **dict.fromkeys((219, 228, 230), Kind.ISO),
    227: Kind.AUCTION,
    229: Kind.CROSS,
    231: Kind.FLOOR,
    **dict.fromkeys((232, 233, 234, 235, 236, 238, 239, 246), Kind.MULTILEG),
    **dict.fromkeys((237, 240, 241, 242, 243, 244, 245), Kind.TIED),
    247: Kind.COMPRESSION,
}

# The first that fits a name decides. "Single Leg Auction Non ISO" names what it is not.
_BY_NAME: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"\bcancel", Kind.CANCEL),
        (r"\blate\b|out of sequence|extended hours", Kind.LATE),
        (r"compression", Kind.COMPRESSION),
        (r"stock[ -]options?", Kind.TIED),
        (r"multi[ -]?leg", Kind.MULTILEG),
        (r"(?<!non )(?<!non-)\biso\b|intermarket sweep", Kind.ISO),
        (r"reopening", Kind.REOPENING),
        (r"auction", Kind.AUCTION),
        (r"cross", Kind.CROSS),
        (r"floor", Kind.FLOOR),
        (r"automatic execution", Kind.REGULAR),
    )
)


def kind_of_name(name: str) -> Kind | None:
    """The kind that a condition's name in the vendor's list means; None when it says nothing we know."""
    words = name.casefold()
    return next((kind for pattern, kind in _BY_NAME if pattern.search(words)), None)


class Conditions:
    """The kinds by number, from the fallback and what the service said; counts the numbers nobody knows."""

    def __init__(self, named: Mapping[int, str] | None = None) -> None:
        self._kinds = dict(FALLBACK)
        self.unknown: Counter[int] = Counter()
        self.differs: tuple[int, ...] = ()  # the service's name means another kind than our list: worth a log line
        for number, name in sorted((named or {}).items()):
            kind = kind_of_name(name)
            if kind is None:
                self._kinds.setdefault(number, Kind.REGULAR)
                continue
            if FALLBACK.get(number, kind) is not kind:
                self.differs += (number,)
            self._kinds[number] = kind

    def kind(self, conditions: Iterable[int], prints: int = 1) -> Kind:
        """The kind of a print with these conditions (of so many alike); none at all is a regular one."""
        found = Kind.REGULAR
        for number in conditions:
            if number <= 0:
                continue  # the padding of a column
            kind = self._kinds.get(number)
            if kind is None:
                self.unknown[number] += prints
            else:
                found = max(found, kind)
        return found

    def kinds(self, conditions: IntArray) -> NDArray[np.int8]:
        """The kinds of many prints, (prints × conditions each), padded with 0 or −1."""
        rows, back, counts = np.unique(conditions, axis=0, return_inverse=True, return_counts=True)
        each = [self.kind(row, count) for row, count in zip(rows.tolist(), counts.tolist(), strict=True)]
        return np.array(each, dtype=np.int8)[back.ravel()]

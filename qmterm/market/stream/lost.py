"""Which symbols' bars of the missed minutes are not known, and how those of the others came to be known.

The trap: most symbols do not trade in every minute, so a bar that is not there is no loss; not knowing whether there
was one is. A snapshot tells each symbol's newest minute: it settles the missed minutes from that one on (nothing was
traded since), and none before it. Minutes are numbered since the epoch, symbols are rows of the stocks table.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, IntArray


class LostBars:
    """The three counts are of symbols times minutes; a minute is over with when `unknown` of it is 0."""

    def __init__(self) -> None:
        self._unknown: dict[int, BoolArray] = {}
        self._counts: dict[int, int] = {}
        self.by_bars = 0
        self.by_snapshot = 0

    @property
    def unknown(self) -> int:
        return sum(self._counts.values())

    def unknown_of(self, row: int) -> int:
        """Minutes of one symbol."""
        return sum(1 for unknown in self._unknown.values() if row < len(unknown) and unknown[row])

    @property
    def rows(self) -> IntArray:
        """Every symbol that lacks a minute."""
        found: BoolArray = np.zeros(max(map(len, self._unknown.values()), default=0), dtype=np.bool_)
        for unknown in self._unknown.values():
            found[: len(unknown)] |= unknown
        return np.flatnonzero(found)

    # --- what happens to a minute ---

    def lose(self, minute: int, unknown: BoolArray) -> None:
        """A minute was missed; of these symbols nobody knows what they did in it."""
        self._unknown[minute] = unknown
        self._counts[minute] = int(np.count_nonzero(unknown))

    def came_late(self, minute: int, here: BoolArray) -> bool:
        """The stream brought bars of a missed minute after all; True when the last one is known by that."""
        return self._settle(minute, np.flatnonzero(here)) and not self._counts[minute]

    def told_by_snapshot(self, rows: IntArray, newest: IntArray, known_until: int) -> list[int]:
        """Each symbol's newest minute, in a snapshot that knows the minutes up to `known_until`; minutes now over with.

        A symbol that the snapshot does not have stays unknown.
        """
        over = []
        for minute in [minute for minute in self._unknown if minute <= known_until]:
            before = self._counts[minute]
            self._settle(minute, rows[newest <= minute])
            self.by_snapshot += before - self._counts[minute]
            if not self._counts[minute]:
                over.append(minute)
        return over

    def told_by_bars(self, row: int, first: int, last: int) -> list[int]:
        """All of a symbol's bars of these minutes were read; the minutes that are over with by that."""
        over = []
        for minute, unknown in self._unknown.items():
            if first <= minute <= last and row < len(unknown) and unknown[row]:
                unknown[row] = False
                self._counts[minute] -= 1
                self.by_bars += 1
                if not self._counts[minute]:
                    over.append(minute)
        return over

    def close(self, minute: int) -> None:
        del self._unknown[minute], self._counts[minute]

    def _settle(self, minute: int, rows: IntArray) -> bool:
        """These rows are known; True when one of them was not before."""
        unknown = self._unknown[minute]
        found = np.unique(rows[rows < len(unknown)])
        settled = int(np.count_nonzero(unknown[found]))
        unknown[found] = False
        self._counts[minute] -= settled
        return settled > 0

"""Symbols to rows for machine code: an open hash of 24-byte names, a copy of the table's dictionary.

The trap: it is no second truth. Rows never change, so what is in it stays right; a name that is not in it (longer
than 24 letters, beyond ASCII, or newer) is asked of the table.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qmterm.core.bars import IntArray

LONGEST = 24
_WIDTH = 4  # three words of the name, then the row plus one; 0: free
_LEAST_BITS = 10
# As in frame_reader.name_hash.
_FACTORS = np.array([0x1E3779B97F4A7C15, 0x2545F4914F6CDD1D, 0x27220A95FE0B2B05], dtype=np.int64)


class SymbolIndex:
    """At least half of the slots are free. `slots` and `mask` are replaced when it grows: ask for them after `add`."""

    def __init__(self) -> None:
        self._count = 0
        self._size(1 << _LEAST_BITS)

    def add(self, names: Iterable[tuple[str, int]]) -> None:
        """Remember the rows of new names, those of at most 24 ASCII letters."""
        some = [(name, row) for name, row in names if name and len(name) <= LONGEST and name.isascii()]
        if not some:
            return
        words = np.array([name for name, _ in some], dtype=f"S{LONGEST}").view(np.int64).reshape(-1, 3)
        entries = np.column_stack([words, np.array([row for _, row in some], dtype=np.int64) + 1])
        self._count += len(entries)
        if 2 * self._count > self.mask:
            held = self.slots.reshape(-1, _WIDTH)
            entries = np.concatenate([held[held[:, 3] > 0], entries])
            self._size(1 << (4 * self._count - 1).bit_length())
        self._put(entries)

    def _size(self, slots: int) -> None:
        self.mask = slots - 1
        self.slots: IntArray = np.zeros(slots * _WIDTH, dtype=np.int64)

    def _put(self, entries: IntArray) -> None:
        """Each entry into the first free slot from its own on; of those that want the same one, one gets it."""
        slots = self.slots.reshape(-1, _WIDTH)
        mixed = (entries[:, :3] * _FACTORS).sum(axis=1)  # past 64 bits it wraps, as in machine code
        place = ((mixed ^ (mixed >> 29)) >> 20) & self.mask
        while len(entries):
            free = slots[place, 3] == 0
            slots[place[free]] = entries[free]
            lost = (slots[place] != entries).any(axis=1)
            entries, place = entries[lost], (place[lost] + 1) & self.mask

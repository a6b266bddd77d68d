"""Symbols to rows for machine code: an open hash of 24-byte names, filled as names are first met.

The trap: it is a memory of the table's dictionary, not a second truth. Rows never change, so what is in it stays
right; a name that is not in it is asked of the table.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import IntArray

LONGEST = 24
_WIDTH = 4  # three words of the name, then the row plus one; 0: free
_ALL = 2**64 - 1
_SIGN = 2**63


class SymbolIndex:
    """`slots` and `mask` are replaced when it grows: ask for them again after `add`."""

    def __init__(self, capacity: int) -> None:
        self._count = 0
        size = 1 << max(10, (4 * capacity - 1).bit_length())
        self.mask = size - 1
        self.slots: IntArray = np.zeros(size * _WIDTH, dtype=np.int64)

    def add(self, name: bytes, row: int) -> None:
        """Remember a symbol of at most 24 ASCII letters."""
        words = tuple(int.from_bytes(name[begin : begin + 8], "little") for begin in (0, 8, 16))
        if 2 * (self._count + 1) > self.mask:
            self._grow()
        self._count += self._put(words, row)

    def _put(self, words: tuple[int, ...], row: int) -> bool:
        """Whether it was new. The hash is frame_code.name_hash."""
        first, second, third = words
        mixed = (first * 0x1E3779B97F4A7C15 + second * 0x2545F4914F6CDD1D + third * 0x27220A95FE0B2B05) & _ALL
        signed = mixed - 2**64 if mixed & _SIGN else mixed
        place = ((signed ^ (signed >> 29)) >> 20) & self.mask
        slots = self.slots
        while slots[place * _WIDTH + 3]:
            if tuple(slots[place * _WIDTH : place * _WIDTH + 3]) == words:
                return False
            place = (place + 1) & self.mask
        slots[place * _WIDTH : place * _WIDTH + _WIDTH] = (*words, row + 1)
        return True

    def _grow(self) -> None:
        held = self.slots.reshape(-1, _WIDTH)
        self.mask = 2 * self.mask + 1
        self.slots = np.zeros(2 * len(self.slots), dtype=np.int64)
        for first, second, third, row in held[held[:, 3] > 0].tolist():
            self._put((first, second, third), row - 1)

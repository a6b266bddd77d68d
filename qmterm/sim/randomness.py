"""Where chance comes from: named generators and hashes, so that nobody's questions move anybody's prices.

The trap: a generator consumed by a query would make the world depend on who asked. Generators belong to the
world's own steps; everything answered on demand (sizes, quote noise, open interest) is a hash of what it is about.
"""

from __future__ import annotations

import zlib
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def generator(seed: int, label: str, day: date | None = None) -> np.random.Generator:
    """A generator of its own for one purpose (and one day)."""
    key = [seed, zlib.crc32(label.encode()), 0 if day is None else day.toordinal()]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


def mix(*parts: ArrayLike) -> NDArray[np.uint64]:
    """Hash whole numbers (broadcast together) to 64 bits (splitmix64 rounds)."""
    state: NDArray[np.uint64] = np.zeros(1, np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            whole = np.atleast_1d(np.asarray(part))
            value = whole if whole.dtype == np.uint64 else whole.astype(np.int64).view(np.uint64)
            state = (state ^ value) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * _MIX1
            state = (state ^ (state >> np.uint64(27))) * _MIX2
            state = state ^ (state >> np.uint64(31))
    return state


def chance(*parts: ArrayLike) -> NDArray[np.float64]:
    """A number in [0, 1) for each hashed combination."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53))

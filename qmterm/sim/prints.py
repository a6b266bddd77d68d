"""Trades behind a step's one price a symbol: most are one print, some carry sale conditions.

The trap: the path of prices, the bars and the volumes must stay what the seed made them. A conditioned print is
therefore cut out of the step's own shares, by hash and not by a generator, and its price moves no high, low or close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, IntArray
from qmterm.sim.past import CentsArray
from qmterm.sim.randomness import mix

AVERAGE_PRICE, EXTENDED_HOURS, SOLD_OUT_OF_SEQUENCE, ODD_LOT = 2, 12, 33, 37
EVERY = 8  # one symbol of eight has such a print in a step
ENOUGH = 300  # shares: smaller trades stay whole


@dataclass(frozen=True, slots=True)
class ConditionedPrints:
    """`of` is the place of the trade, in its step, whose shares these are part of."""

    of: IntArray
    price: CentsArray
    size: NDArray[np.int32]
    condition: NDArray[np.int32]


def conditioned(
    seed: int,
    time_ns: int,
    symbol: IntArray,
    price: CentsArray,
    shares: NDArray[np.int32],
    earlier: CentsArray,
    begun: BoolArray,
) -> ConditionedPrints:
    """Prints of one step; `earlier` is a price of the same minute where it had `begun` before this step."""
    second = time_ns // 1_000_000_000
    chosen = np.flatnonzero(((symbol + second) % EVERY == 0) & (shares >= ENOUGH))
    luck = mix(seed, second, symbol[chosen])
    kind = (luck % np.uint64(3)).astype(np.int64)
    kind[(kind == 2) & ~begun[chosen]] = 0
    odd = 1 + (luck >> np.uint64(8)).astype(np.int64) % 99
    now = price[chosen].astype(np.int64)
    away = np.maximum(1, now * (1 + (luck >> np.uint64(20)).astype(np.int64) % 20) // 1000)  # up to 2 % off
    average = np.where(luck >> np.uint64(40) & np.uint64(1), now + away, np.maximum(1, now - away))
    return ConditionedPrints(
        chosen,
        np.choose(kind, (now + 1, average, earlier[chosen])).astype(np.int32),
        np.where(kind == 0, odd, 100).astype(np.int32),
        np.array([ODD_LOT, AVERAGE_PRICE, SOLD_OUT_OF_SEQUENCE], dtype=np.int32)[kind],
    )

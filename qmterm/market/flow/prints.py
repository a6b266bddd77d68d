"""Option prints as columns with the quote that was in force, and what follows from the two alone (QUANT.md 3.8).

The trap: the quote must be the one at the trade's own time. One that is older than a second, or that came after the
trade, says nothing about who was in a hurry, and the side is then unknown rather than guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.clock import NS
from qmterm.market.flow.conditions import DIRECTED, Conditions, Kind

QUOTE_MAX_AGE_NS = NS
_SAME = 1e-9


class Side(IntEnum):
    """Where a price stands against bid and ask."""

    NA = 0
    BELOW_BID = 1
    BID = 2
    BIDISH = 3
    MID = 4
    ASKISH = 5
    ASK = 6
    ABOVE_ASK = 7


@dataclass(frozen=True, slots=True)
class Prints:
    """One entry a trade, in the order they came; `row` numbers the contract in whatever table the reader keeps."""

    row: IntArray
    price: FloatArray  # dollars per share
    size: IntArray  # contracts
    exchange: IntArray
    conditions: IntArray  # (prints × up to four), 0 or −1 where there are fewer
    time_ns: IntArray  # SIP time
    bid: FloatArray  # of the quote in force, NaN when there is none
    ask: FloatArray
    quote_ns: IntArray  # its SIP time, 0 when there is none

    def __len__(self) -> int:
        return len(self.row)


def sides(prints: Prints, kinds: NDArray[np.int8]) -> NDArray[np.int8]:
    """The side of each print; NA without a bid, for a cancel, or when the quote is not of that second."""
    price, bid, ask = prints.price, prints.bid, prints.ask
    age = prints.time_ns - prints.quote_ns
    with np.errstate(invalid="ignore"):
        known = (bid > 0) & (ask >= bid) & (prints.quote_ns > 0) & (age >= 0) & (age <= QUOTE_MAX_AGE_NS)
        known &= kinds != Kind.CANCEL
        middle = (bid + ask) / 2
        found = np.select(
            [
                price > ask + _SAME,
                price < bid - _SAME,
                np.abs(price - middle) <= _SAME,  # also a locked market: nobody crossed a spread
                price >= ask - _SAME,
                price <= bid + _SAME,
                price > middle,
            ],
            [Side.ABOVE_ASK, Side.BELOW_BID, Side.MID, Side.ASK, Side.BID, Side.ASKISH],
            Side.BIDISH,
        )
    return np.asarray(np.where(known, found, Side.NA), dtype=np.int8)


def directions(sides_: NDArray[np.int8], kinds: NDArray[np.int8]) -> NDArray[np.int8]:
    """+1 bought, −1 sold, 0 when the print says nothing: only regular and ISO prints at or through a side count."""
    told = np.isin(kinds, DIRECTED)
    bought = told & (sides_ >= Side.ASK)
    sold = told & ((sides_ == Side.BID) | (sides_ == Side.BELOW_BID))
    return np.asarray(bought.astype(np.int8) - sold.astype(np.int8), dtype=np.int8)


def premiums(prints: Prints, multiplier: float = 100.0) -> FloatArray:
    """Dollars of each print."""
    return np.asarray(prints.price * prints.size * multiplier)


def classify(prints: Prints, conditions: Conditions) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]:
    """(kinds, sides, directions) of some prints."""
    kinds = conditions.kinds(prints.conditions)
    found = sides(prints, kinds)
    return kinds, found, directions(found, kinds)

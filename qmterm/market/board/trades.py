"""A tape of trades as columns, each with the quote that stood when it printed: what options flow and bars read.

The trap: nobody may be slow enough to stop the stream. The tape is bounded; what comes while it is full is counted
in `dropped` and not kept, so whoever reads it can say that something is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import FloatArray, IntArray

CONDITIONS = 4  # kept of each trade; no venue sends more
NO_CONDITION = -1
MOST_CONDITION = 0xFFFF  # numbers from here on are no conditions
MOST_EXCHANGE = 2**31


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in the order they came, one entry each; `bid`, `ask` as the board held them at that moment."""

    row: IntArray  # of the board's table
    exchange: IntArray  # Polygon's number, 0 = not said
    time_ns: IntArray
    quote_ns: IntArray  # exchange time of the quote, 0 = there was none
    price: FloatArray
    size: FloatArray  # shares, or contracts
    bid: FloatArray  # NaN = there was none
    ask: FloatArray
    conditions: IntArray  # (trades, 4), −1 where there are fewer
    dropped: int  # trades since the last take that found the tape full

    def __len__(self) -> int:
        return len(self.row)


class TradeTape:
    """Written by one FrameDecoder, emptied by `take`, both on the engine's thread."""

    def __init__(self, capacity: int = 65_536) -> None:
        self.capacity = capacity
        # Rows as `take` names them; the decoder's machine code writes them too.
        self.ints: IntArray = np.zeros((4 + CONDITIONS, capacity), dtype=np.int64)
        self.floats: FloatArray = np.zeros((4, capacity))
        self.filled: IntArray = np.zeros(2, dtype=np.int64)  # trades held, trades dropped

    def __len__(self) -> int:
        return int(self.filled[0])

    def push(
        self,
        whole: tuple[int, int, int, int],
        numbers: tuple[float, float, float, float],
        conditions: list[int] | None,
    ) -> None:
        """One trade: (row, exchange, time_ns, quote_ns), (price, size, bid, ask) and its conditions."""
        at = int(self.filled[0])
        if at == self.capacity:
            self.filled[1] += 1
            return
        kept = [code if 0 <= code < MOST_CONDITION else NO_CONDITION for code in (conditions or ())[:CONDITIONS]]
        self.ints[:, at] = (*whole, *kept, *[NO_CONDITION] * (CONDITIONS - len(kept)))
        self.floats[:, at] = numbers
        self.filled[0] = at + 1

    def take(self) -> Trades:
        """Everything since the last take; the tape is empty afterwards."""
        count, dropped = (int(number) for number in self.filled)
        ints, floats = self.ints[:, :count].copy(), self.floats[:, :count].copy()
        self.filled[:] = 0
        return Trades(
            row=ints[0],
            exchange=ints[1],
            time_ns=ints[2],
            quote_ns=ints[3],
            conditions=ints[4:].T,
            price=floats[0],
            size=floats[1],
            bid=floats[2],
            ask=floats[3],
            dropped=dropped,
        )

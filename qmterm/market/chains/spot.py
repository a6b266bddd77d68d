"""What the underlying of a chain is worth: the middle of its quote or its last trade, the newer one that is believed.

The trap: a stock's quote cannot be judged by an option's width. One whose sides lie 20 % apart would pass, and its
middle, 10 % off, bends every volatility and delta of the chain without a sign of it.
"""

from __future__ import annotations

from typing import NamedTuple

from qmterm.market.board.board import Board
from qmterm.market.quality.watch import QualityWatch

# Of the bid. Stocks with options are quoted 0.1 % apart or less; within 1 % the middle is at most 0.5 % off, about as
# far as a stock moves in the age that a last trade may have (0.4 % in 120 s, 1 sd at 80 % volatility).
WIDEST = 0.01


class Spot(NamedTuple):
    price: float
    time_ns: int  # when it was made; 0 for yesterday's close
    insane: bool = False  # outside its bands, and nothing better is known


def spot_of(board: Board, quality: QualityWatch, underlying: str) -> Spot | None:
    """None when nothing is known of it; whether it is too old, halted or delayed is for the gate to say."""
    table = board.stocks
    number = table.numbers.get(underlying)
    if number is None:
        return None
    bid, ask, quoted_ns = float(table.bid[number]), float(table.ask[number]), int(table.quote_ns[number])
    middle = (bid + ask) / 2
    quoted = 0 < bid < ask <= bid * (1 + WIDEST) and quality.within_bands(underlying, middle, quoted_ns)
    last = board.last_price(underlying)
    traded_ns = int(table.trade_ns[number]) if table.last[number] > 0 else 0
    traded = last is not None and quality.within_bands(underlying, last, traded_ns)
    if quoted and (quoted_ns >= traded_ns or not traded):
        return Spot(middle, quoted_ns)
    return None if last is None else Spot(last, traded_ns, insane=not traded)

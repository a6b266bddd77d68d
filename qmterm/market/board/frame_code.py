"""The stream's hot path as machine code: a frame's bytes into the board's columns without one Python object.

The trap: what the reader does not take at once it leaves, whole, to plain.py, whose rules these are.
"""

from __future__ import annotations

from typing import Any

from qmterm.market.board.frame_reader import read
from qmterm.market.board.frame_state import NEW_SYMBOLS, OUT, OUT_COUNT
from qmterm.market.board.frame_writer import write
from qmterm.market.json_bytes import bytes_of, ints_at


def decode(text: Any, length: int, arrival_ns: int, state_at: int) -> int:
    """Read `length` bytes and write their events; a negative length: write the events read before.

    The number of events, or one of the answers in frame_state.py.
    """
    state = ints_at(state_at)
    if length < 0:
        write(-length, arrival_ns, state)
        return -length
    for number in range(OUT_COUNT):
        state[OUT + number] = 0
    count, is_new = read(bytes_of(text), length, state)
    if count < 0:
        return count
    if is_new:
        return NEW_SYMBOLS + count
    write(count, arrival_ns, state)
    return count

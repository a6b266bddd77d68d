"""One stream frame (bytes) straight into the board's columns.

The trap: this runs on the engine's loop for every event of the market. The usual frame is read and written by machine
code (frame_code.py), which is given the addresses of the columns: they are told anew whenever an array was replaced.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.market.board.board import Board
from qmterm.market.board.plain import PlainDecoder
from qmterm.market.board.report import FrameReport
from qmterm.market.board.symbol_index import SymbolIndex
from qmterm.market.board.trades import TradeTape
from qmterm.market.native import MachineCode, Native

__all__ = ["FrameDecoder", "FrameReport", "warm_up"]

_FIRST_EVENTS = 256
_report: Callable[..., FrameReport] = FrameReport  # its numbers come in the order of its fields


# With the lock: a frame takes microseconds, and another thread's turn milliseconds.
_machine_code = Native("qmterm.market.board.frame_code", "decode", holds_gil=True)


def warm_up() -> None:
    """Load the decoder's machine code (seconds on a fresh machine); until then frames are read by plain.py."""
    _machine_code.load()


class FrameDecoder:
    """Writes the events of one cluster ("stocks" or "options") into its table of the board, and trades on a tape."""

    def __init__(self, board: Board, cluster: str, trades: TradeTape | None = None) -> None:
        self._board = board
        self._plain = PlainDecoder(board, cluster, trades)
        self._table = self._plain.table
        self._tape = trades
        self.slow_frames = 0  # read by plain.py: statuses, and whatever is not in the common form
        self._index = SymbolIndex(self._table.capacity)
        self._generation = 0
        self._run: MachineCode
        self._state: IntArray
        self._event_ints: IntArray
        self._event_floats: FloatArray

    def apply(self, frame: bytes, arrival_ns: int) -> FrameReport:
        """Decode and write one frame; never raises for what a server may send.

        A quote arrives at `arrival_ns`, or at its own time if that is later: 0 makes arrivals depend on the data only.
        A stamp from the future is taken at its arrival: held as it is, every later quote would be "late", and this
        one fresh for ever.
        """
        if self._generation != self._table.generation and not self._bind():
            return self._plain.apply(frame, arrival_ns)
        count = self._run(frame, len(frame), arrival_ns, self._address)
        if count < 0:
            return self._unusual(frame, arrival_ns, count)
        return _report(*self._counts.tolist())

    # --- inside ---

    def _unusual(self, frame: bytes, arrival_ns: int, answer: int) -> FrameReport:
        from qmterm.market.board import frame_state

        if answer == frame_state.MORE_ROOM:
            self._make_room(2 * self._event_capacity)
            return self.apply(frame, arrival_ns)
        if answer == frame_state.NOT_READ:
            self.slow_frames += 1
            return self._plain.apply(frame, arrival_ns)
        count = answer - frame_state.NEW_SYMBOLS
        self._name_rows(frame, count)
        self._bind()
        self._run(frame, -count, arrival_ns, self._address)
        return _report(*self._counts.tolist())

    def _name_rows(self, frame: bytes, count: int) -> None:
        """Find or make the rows of symbols the machine code has not met."""
        from qmterm.market.board import frame_state

        events = self._event_ints[:count]
        for number in np.flatnonzero(events[:, frame_state.ROW] < 0).tolist():
            place = int(events[number, frame_state.NAME_AT])
            name = frame[place >> 8 : (place >> 8) + (place & 0xFF)]
            row = self._plain.row_of(name.decode("ascii"))
            if row is not None:
                events[number, frame_state.ROW] = row
                self._index.add(name, row)

    def _bind(self) -> bool:
        """Tell the machine code where everything is now; False while it is not loaded."""
        if _machine_code.run is None:
            return False
        from qmterm.market.board import frame_state as code

        if not self._generation:  # the first frame
            self._run = _machine_code.run
            self._state = np.zeros(code.STATE_SIZE, dtype=np.int64)
            self._address = self._state.ctypes.data
            self._counts = self._state[code.OUT : code.OUT + code.OUT_COUNT].data
            self._make_room(_FIRST_EVENTS)
        table, minutes, state = self._table, self._board.minutes, self._state
        if minutes.capacity < self._board.stocks.capacity:  # it is only replaced when the table is
            minutes.resize(self._board.stocks.capacity)
        arrays = [table.float_block, table.time_block, self._index.slots, *minutes.arrays, self._board.session]
        places = [code.TABLE_FLOATS, code.TABLE_TIMES, code.NAMES]
        places += [code.STAMPS, code.PRICES, code.CARRY_MINUTE, code.CARRY_CLOSE, code.SESSION]
        if self._tape is not None:
            arrays += [self._tape.ints, self._tape.floats, self._tape.filled]
            places += [code.TAPE_INTS, code.TAPE_FLOATS, code.TAPE_FILLED]
            state[code.TAPE_CAPACITY] = self._tape.capacity
        for place, array in zip(places, arrays, strict=True):
            state[place] = array.ctypes.data
        state[code.CAPACITY], state[code.LOT] = table.capacity, self._plain.lot
        state[code.NAMES_MASK], state[code.RING_CAPACITY] = self._index.mask, minutes.capacity
        self._held = arrays  # an address is only good while its array lives
        self._generation = table.generation
        return True

    def _make_room(self, events: int) -> None:
        from qmterm.market.board import frame_state as code

        self._event_capacity = events
        self._event_ints = np.zeros((events, code.EVENT_WIDTH), dtype=np.int64)
        self._event_floats = np.zeros((events, code.EVENT_WIDTH))
        self._state[code.EVENT_INTS] = self._event_ints.ctypes.data
        self._state[code.EVENT_FLOATS] = self._event_floats.ctypes.data
        self._state[code.EVENT_CAPACITY] = events

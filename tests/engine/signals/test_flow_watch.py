"""The engine's flow: seeded by chains, fed by the tape, shown, logged from a score on, and never in money's way."""

from datetime import date

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import ManualClock, from_et
from qmterm.core.settings.signals import FlowSettings
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.flow import FlowWatch
from qmterm.market.board.board import Board
from qmterm.market.board.trades import TradeTape
from qmterm.market.flow.volumes import VolumeStore

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2027, 12, 31))
OPEN = from_et(date(2026, 3, 2), 10, 0)
CALL, PUT = "AAPL  260417C00260000", "AAPL  260417P00250000"


class Watch:
    def __init__(self, folder=None, **settings):
        self.clock = ManualClock(OPEN)
        self.board = Board()
        self.board.options.add([CALL, PUT])
        self.tape = TradeTape(8)
        self.log = RunLog(self.clock)
        self.store = VolumeStore(folder)
        self.watch = FlowWatch(
            self.board, self.tape, CALENDAR, self.clock, self.log, FlowSettings(**settings), self.store
        )

    def chain(self, volume=(900, 100), interest=(400, 2_000), previous=(120, -1)):
        self.watch.note_chain(Chain(self.clock.now(), volume, previous, interest))

    def trade(self, row=0, price=2.5, size=600, condition=219, after_ms=0):
        stamp = OPEN + after_ms * 1_000_000
        self.tape.push((row, 300, stamp, stamp), (price, float(size), 2.4, 2.5), [condition])

    @property
    def lines(self):
        return [line.text for line in self.log.lines if line.kind == "FLOW"]


class Chain:
    """The columns that flow reads of a chain."""

    underlying = "AAPL"
    occ = (CALL, PUT)
    adjusted = np.array([False, False])

    def __init__(self, now, volume, previous, interest):
        self.time_ns = now
        self.volume, self.previous_volume, self.open_interest = map(np.array, (volume, previous, interest))

    def __len__(self):
        return 2


def test_a_sweep_on_the_tape_is_a_row_and_a_line():
    room = Watch(log_score=50)
    room.chain()
    room.trade()
    room.watch.turn()
    assert room.watch.view().prints == (), "its half second is not over"
    room.clock.advance(1)
    room.watch.turn()
    (row,) = room.watch.view().prints
    assert (row.what, row.direction, row.size, row.premium) == ("SWEEP+BLOCK", "bought", 600, 150_000.0)
    assert (row.volume, row.vol_oi, row.opening) == (1_500, 3.75, "certain")
    (line,) = room.lines
    assert "sweep" in line
    assert "$150k" in line
    (contract,) = room.watch.view().contracts
    assert contract.missing == ("20-day volume",)


def test_a_low_score_is_a_row_and_no_line():
    room = Watch(log_score=99)
    room.chain()
    room.trade()
    room.clock.advance(1)
    room.watch.turn()
    assert len(room.watch.view().prints) == 1
    assert room.lines == []


def test_prints_that_a_chain_counted_already_are_not_added_twice():
    room = Watch()
    room.chain(volume=(0, 0))
    room.trade(size=50)
    room.chain(volume=(50, 0))
    (contract,) = room.watch.flow.contracts(unusual_only=False)
    assert contract.volume == 50


def test_the_busiest_contracts_are_wanted_first_and_no_more_than_the_setting():
    room = Watch(watch_contracts=1)
    room.chain()
    assert room.watch.wanted({"AAPL", "MSFT"}) == [CALL]
    assert Watch(watch_contracts=2).watch.wanted({"AAPL"}) == [], "no chain was read yet"


def test_what_is_streamed_is_chosen_anew_only_now_and_then():
    room = Watch(watch_contracts=1)
    room.chain()
    room.chain(volume=(0, 9_000))
    assert room.watch.wanted({"AAPL"}) == [PUT]
    room.chain()
    assert room.watch.wanted({"AAPL"}) == [PUT]
    assert room.watch.wanted({"MSFT"}) == [PUT], "a candidate that left for a scan"
    room.clock.advance(300)
    assert room.watch.wanted({"AAPL"}) == [CALL]


def test_switched_off_nothing_is_wanted():
    room = Watch(watch_contracts=0)
    room.chain()
    assert room.watch.wanted({"AAPL"}) == []


def test_a_tape_that_overflowed_is_told():
    room = Watch()
    for number in range(10):
        room.trade(after_ms=number)
    room.watch.turn()
    assert room.watch.view().dropped == 2


def test_the_view_of_one_stock():
    room = Watch()
    room.chain()
    room.trade()
    room.clock.advance(1)
    room.watch.turn()
    assert len(room.watch.view(["AAPL"]).prints) == 1
    assert room.watch.view(["MSFT"]).prints == ()


async def test_finished_sessions_make_the_mean_that_later_days_compare_with(tmp_path):
    room = Watch(tmp_path)
    days = CALENDAR.sessions(date(2026, 3, 2), date(2026, 3, 10))
    for day in days:
        room.clock.now_ns = from_et(day, 10, 0)
        room.chain(previous=(100, -1))
        await room.watch.start_day()
    assert room.watch.flow.contracts(unusual_only=False) == ()
    room.chain(previous=(100, -1))
    call, put = sorted(room.watch.flow.contracts(unusual_only=False), key=lambda row: row.occ)
    assert (call.mean20, put.mean20) == (pytest.approx(100.0), None)


async def test_a_damaged_file_is_a_warning(tmp_path):
    room = Watch(tmp_path)
    (tmp_path / "date=2026-02-27.parquet").write_bytes(b"nothing")
    await room.watch.load_means()
    assert "delete it" in room.lines[0]

"""A recording as a market: what is played when, and what REST says of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qmterm.core.clock import NS, from_et
from qmterm.core.errors import BadInput
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.snapshots import build_rows, take_columns
from qmterm.sim.replay.world import ReplayWorld
from qmterm.tape.frames import GAP, SUFFIX, FrameWriter, record_bytes
from tests.sim.replay import files
from tests.sim.replay.files import CALL, DAY, MINUTE_NS, OPEN_NS

MS = 1_000_000
CONTRACT = "O:AAA260417C00100000"


def bar(symbol, end_ns, close, volume=100.0, day_volume=1000.0):
    times = {"s": (end_ns - MINUTE_NS) // MS, "e": end_ns // MS}
    return {"ev": "AM", "sym": symbol, "v": volume, "av": day_volume, "vw": close, "a": close, "op": close} | {
        **times, "o": close, "h": close, "l": close, "c": close,
    }  # fmt: skip


def quote(symbol, time_ns, bid, ask):
    return {"ev": "Q", "sym": symbol, "bp": bid, "ap": ask, "bs": 3, "as": 4, "t": time_ns // MS}


def trade(symbol, time_ns, price, size):
    return {"ev": "T", "sym": symbol, "p": price, "s": size, "t": time_ns // MS, "x": 302, "c": [209]}


END = OPEN_NS + MINUTE_NS
FRAMES = (
    ("stocks", 0, [{"ev": "status", "status": "success", "message": "step 1"}]),
    ("stocks", OPEN_NS + 2 * NS, [quote("AAA", OPEN_NS + NS, 99.5, 99.75), trade("AAA", OPEN_NS + NS, 99.625, 30)]),
    ("options", OPEN_NS + 3 * NS, [quote(CONTRACT, OPEN_NS + 3 * NS, 1.5, 1.6)]),
    ("stocks", 0, [bar("AAA", END, 99.5), bar("NEW", END, 7.0)]),  # in lockstep nothing has an arrival
    ("options", END + NS, [trade(CONTRACT, END, 1.55, 12)]),
)


def record(folder, frames=FRAMES, name="one"):
    writer = FrameWriter(folder / f"{name}{SUFFIX}", ("stocks", "options"), OPEN_NS)
    for cluster, arrival_ns, events in frames:
        writer.add(cluster, arrival_ns, 0, json.dumps(events).encode())
    writer.close()
    return writer.path


def world(path, start=None):
    return ReplayWorld(SimOptions(replay=path, start=start))


def test_frames_come_byte_for_byte_when_they_came_and_control_messages_do_not(tmp_path):
    record(tmp_path)
    market = world(tmp_path)
    assert market.recorded
    assert market.now_ns == OPEN_NS - 3 * NS  # five seconds before the first frame with data
    wanted = [(cluster, json.dumps(events).encode()) for cluster, _, events in FRAMES[1:]]
    assert market.advance_to(OPEN_NS + 2 * NS).frames == wanted[:1]
    assert market.advance_to(END - 1).frames == wanted[1:2]
    assert market.advance_to(END).frames == wanted[2:3]  # by the time of its data
    assert market.advance_to(END + NS).frames == wanted[3:]
    assert market.ends_ns == END + NS


def test_rest_knows_what_the_frames_so_far_told_and_the_daily_bars_beside_them(tmp_path):
    record(tmp_path)
    files.daily(tmp_path)
    market = world(tmp_path)
    assert market.universe.tickers == ("AAA", "NEW", "BBB")
    market.advance_to(OPEN_NS + 30 * NS)
    rows = {row.ticker: row for row in build_rows(take_columns(market, None), True, True, 0)}
    assert (rows["AAA"].lastQuote.p, rows["AAA"].lastQuote.P) == (99.5, 99.75)
    assert rows["AAA"].lastQuote.t == OPEN_NS + NS
    assert (rows["AAA"].lastTrade.p, rows["AAA"].lastTrade.s) == (99.625, 30)
    assert rows["AAA"].prevDay.c == 101.0625
    assert rows["NEW"].lastQuote is rows["NEW"].lastTrade is None
    assert market.quote(CALL).bid == 1.5
    market.advance_to(END + NS)
    assert market.last("NEW") == 7.0
    assert market.today.all_volume.tolist() == [1000.0, 1000.0, 0.0]
    listing = market.listing("AAA")
    assert market.option_volume(listing.contracts, np.zeros(1))[0].tolist() == [12]
    last = market.last_option_prints(listing.contracts, np.zeros(1))
    assert (last.size.tolist(), last.time_ns.tolist(), last.exchange.tolist()) == ([12], [END], [302])


def test_a_torn_end_is_played_up_to_and_said(tmp_path):
    path = record(tmp_path)
    with path.open("ab") as file:
        file.write(b"QBLK\xff\xff")
    market = world(tmp_path)
    assert market.notice.endswith("played up to there")
    assert str(path) in market.notice
    assert len(market.advance_to(END + NS).frames) == 4


def test_frames_that_the_recorder_left_out_are_said(tmp_path):
    frames = [record_bytes(0, OPEN_NS + NS, 0, json.dumps(FRAMES[1][2]).encode())]
    for name, lost in (("a", b"50000"), ("b", b"7")):
        writer = FrameWriter(tmp_path / f"{name}{SUFFIX}", ("stocks", "options"), OPEN_NS)
        writer.write_block(b"".join([*frames, record_bytes(GAP, OPEN_NS + NS, 0, lost)]))
        writer.close()
    notice = world(tmp_path).notice
    assert notice.startswith("50,007 frames are not on the tape")
    assert f"{tmp_path / 'a.frames'}, {tmp_path / 'b.frames'}" in notice
    assert world(record(tmp_path, name="whole")).notice == ""


def test_a_tear_between_recordings_or_a_damaged_block_is_refused(tmp_path):
    path = record(tmp_path, name="a")
    record(tmp_path, name="b")
    with path.open("ab") as file:
        file.write(b"QBLK\xff\xff")
    with pytest.raises(BadInput, match=r"a\.frames is torn"):
        world(tmp_path)
    damaged = bytearray(path.read_bytes()[:-6])
    damaged[-1] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(BadInput, match=r"a\.frames has 1 damaged block"):
        world(tmp_path)


def test_a_recording_without_data_and_two_stories_of_one_day_are_refused(tmp_path):
    record(tmp_path, FRAMES[:1])
    with pytest.raises(BadInput, match="holds no data frame"):
        world(tmp_path)
    files.minutes(tmp_path)
    with pytest.raises(BadInput, match="two stories"):
        world(tmp_path)


def test_a_later_start_has_played_what_came_before(tmp_path):
    record(tmp_path)
    market = world(tmp_path, "2026-03-02T09:30:30")
    assert market.now_ns == from_et(DAY, 9, 30, 30)
    assert market.last("AAA") == 99.625
    assert len(market.advance_to(END + NS).frames) == 2

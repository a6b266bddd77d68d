"""A halt ends with its message, or with the first price that can only have been made after it."""

import json

import numpy as np
import pytest

from qmterm.market.board.board import Board
from qmterm.market.board.table import HALT_GRACE_NS
from qmterm.market.records import SnapshotColumns
from tests.market.board.test_decode import HOUR, MS0, NS0, Pair

S = 1_000_000_000
MINUTE = 60 * S
HALTED_AT = NS0 + MINUTE


class Halted(Pair):
    """SPY was halted a minute after ten, in both decoders' boards."""

    def __init__(self):
        super().__init__("stocks")
        self.row = self.boards[0].stocks.numbers["SPY"]
        self.say({"ev": "LULD", "T": "SPY", "h": 110, "l": 90, "i": [17], "t": HALTED_AT // 1_000_000})
        assert self.since == HALTED_AT

    @property
    def since(self):
        return self.boards[0].stocks.halted_ns[self.row]

    def say(self, *events):
        return self.apply(json.dumps(events).encode(), NS0 + HOUR)

    def trade(self, at_ns, **more):
        return self.say({"ev": "T", "sym": "SPY", "p": 100, "s": 1, "t": at_ns // 1_000_000, "c": [14]} | more)

    def bar(self, start_ns, ev="AM", **more):
        span = {"s": start_ns // 1_000_000, "e": (start_ns + MINUTE) // 1_000_000}
        return self.say({"ev": ev, "sym": "SPY", "o": 100, "h": 101, "l": 99, "c": 100, "v": 5} | span | more)


def test_a_trade_after_the_halt_ends_it_when_the_resumption_was_missed():
    pair = Halted()
    pair.trade(HALTED_AT + HALT_GRACE_NS)  # it may have been dealt before the halt and reported late
    assert pair.since == HALTED_AT
    pair.trade(HALTED_AT + HALT_GRACE_NS + S, c=[33])  # sold out of sequence: no last price
    assert pair.since == HALTED_AT
    pair.trade(HALTED_AT + HALT_GRACE_NS + 2 * S)
    assert pair.since == 0


@pytest.mark.parametrize("kind", ["A", "AM"])
def test_a_bar_that_began_after_the_halt_ends_it(kind):
    pair = Halted()
    pair.bar(HALTED_AT, kind)  # its trades may be those before the halt
    pair.bar(HALTED_AT + 2 * MINUTE, kind, v=0)
    assert pair.since == HALTED_AT
    pair.bar(HALTED_AT + 2 * MINUTE, kind)
    assert pair.since == 0


def test_a_bar_outside_the_session_ends_no_halt():
    pair = Halted()
    for board in pair.boards:
        board.start_session(NS0 - HOUR, HALTED_AT + MINUTE)
        board.stocks.halted_ns[pair.row] = HALTED_AT
    pair.bar(HALTED_AT + 2 * MINUTE)
    assert pair.since == HALTED_AT


def test_bands_alone_end_no_halt():
    pair = Halted()
    pair.say({"ev": "LULD", "T": "SPY", "h": 111, "l": 91, "t": (HALTED_AT + HOUR // 2) // 1_000_000})
    assert pair.since == HALTED_AT


@pytest.mark.parametrize("bands", [{}, {"h": None, "l": None}, {"h": 0, "l": 0}, {"h": 110}, {"h": 90, "l": 110}])
def test_a_halt_and_a_resumption_need_no_bands(bands):
    pair = Pair("stocks")
    table, row = pair.boards[0].stocks, pair.boards[0].stocks.numbers["SPY"]

    def say(second, *indicators, **more):
        body = {"ev": "LULD", "T": "SPY", "t": MS0 + 1_000 * second, "i": list(indicators)} | more
        return pair.apply(json.dumps([body]).encode(), NS0 + HOUR)

    say(1, h=110, l=90)
    assert say(2, 17, **bands).bands == 1
    assert table.halted_ns[row] == NS0 + 2 * S
    assert np.isnan([table.band_high[row], table.band_low[row]]).all()  # those of before do not hold any more
    assert say(3, 18, **bands).bands == 1
    assert table.halted_ns[row] == 0


@pytest.mark.parametrize("bands", [{}, {"h": None, "l": None}, {"h": 110}, {"h": 90, "l": 110}, {"h": 110, "l": -1}])
def test_a_message_with_neither_bands_nor_halt_is_malformed_and_the_bands_stay(bands):
    pair = Pair("stocks")
    table, row = pair.boards[0].stocks, pair.boards[0].stocks.numbers["SPY"]
    good = {"ev": "LULD", "T": "SPY", "h": 110, "l": 90, "t": MS0}
    bad = {"ev": "LULD", "T": "SPY", "i": [16], "t": MS0 + 1} | bands
    report = pair.apply(json.dumps([good, bad]).encode(), NS0 + HOUR)
    assert (report.bands, report.malformed) == (1, 1)
    assert (table.band_high[row], table.band_low[row]) == (110, 90)


def snapshot(minute_ns):
    columns = {name: np.array([100.0]) for name in SnapshotColumns.__slots__}
    times = {name: np.array([minute_ns]) for name in ("quote_ns", "trade_ns", "minute_ns", "updated_ns")}
    return SnapshotColumns(**columns | times | {"symbols": ("SPY",), "delayed": False, "malformed": 0})


def test_a_snapshots_minute_that_began_after_the_halt_ends_it():
    board = Board(["SPY"])
    board.start_session(NS0 - HOUR, NS0 + HOUR)
    board.stocks.halted_ns[0] = HALTED_AT
    for minute_ns in (HALTED_AT, HALTED_AT + 2 * HOUR):  # begun with the halt, and after the session
        board.load_snapshot(snapshot(minute_ns), HALTED_AT + 3 * HOUR)
        assert board.stocks.halted_ns[0] == HALTED_AT
    board.load_snapshot(snapshot(HALTED_AT + MINUTE), HALTED_AT + 3 * HOUR)
    assert board.stocks.halted_ns[0] == 0


def test_a_new_day_begins_without_halts_and_without_bands():
    board = Board(["SPY"])
    table = board.stocks
    table.halted_ns[0], table.band_ns[0], table.band_high[0], table.band_low[0] = HALTED_AT, HALTED_AT, 110, 90
    board.start_session(NS0 + 23 * HOUR, NS0 + 30 * HOUR)
    assert (table.halted_ns[0], table.band_ns[0]) == (0, 0)
    assert np.isnan([table.band_high[0], table.band_low[0]]).all()

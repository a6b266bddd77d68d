"""Every minute has a status, and what the stream missed is found by drops, by sudden lack, and against the vendor."""

from datetime import date

import numpy as np
import pytest

from qmterm.core.clock import from_et
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.board.board import Board
from qmterm.market.board.minutes import MINUTE_NS, MinuteRing
from qmterm.market.records import BarColumns, SnapshotColumns
from qmterm.market.rest.budget import Priority, asking
from qmterm.market.stream.gaps import MinuteLedger, MinuteStatus
from qmterm.market.stream.repair import MinuteRepair

OPEN, CLOSE = from_et(date(2026, 3, 2), 9, 30), from_et(date(2026, 3, 2), 16, 0)
S = 1_000_000_000
COUNT = 40


def snapshot(symbols, **columns):
    floats = ("bid", "ask", "bid_size", "ask_size", "last", "day_open", "day_high", "day_low", "day_close")
    floats += ("day_volume", "day_vwap", "minute_close", "prev_close", "prev_volume")
    made = {name: np.full(len(symbols), np.nan) for name in floats}
    made |= {name: np.zeros(len(symbols), np.int64) for name in ("quote_ns", "trade_ns", "minute_ns", "updated_ns")}
    return SnapshotColumns(symbols=tuple(symbols), **{**made, **columns}, delayed=False, malformed=0)


def ledger_from(minute=0):
    ledger = MinuteLedger()
    ledger.start_session(OPEN, CLOSE)
    ledger.listens(OPEN + minute * MINUTE_NS)
    return ledger, MinuteRing(64)


def bars(ring, minute, count=COUNT, price=10.0):
    for row in range(count):
        ring.write(row, OPEN + minute * MINUTE_NS, price, price, price, price, 100.0)


def run(ledger, ring, first, last, without=()):
    for minute in range(first, last):
        if minute not in without:
            bars(ring, minute)
        ledger.judge(OPEN + (minute + 1) * MINUTE_NS + 6 * S, ring, COUNT)


def statuses(ledger, count):
    return [MinuteStatus(int(value)).name for value in ledger.status[:count]]


def test_minutes_that_come_are_seen_and_counted_by_symbol():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 15)
    assert statuses(ledger, 16) == ["SEEN"] * 15 + ["UNWATCHED"]
    assert (ledger.lost, ledger.mended) == (0, 0)
    assert set(ledger.last_minute[:COUNT]) == {OPEN // MINUTE_NS + 14}
    assert ledger.bars[:15].tolist() == [COUNT] * 15


def test_what_was_before_the_program_came_is_nobodys_loss():
    ledger, ring = ledger_from(minute=30)
    run(ledger, ring, 30, 33)
    assert statuses(ledger, 33) == ["UNWATCHED"] * 30 + ["SEEN"] * 3


def test_a_minute_is_judged_when_its_bars_should_have_come_and_not_before():
    ledger, ring = ledger_from()
    bars(ring, 0)
    ledger.judge(OPEN + MINUTE_NS + 4 * S, ring, COUNT)
    assert statuses(ledger, 1) == ["UNWATCHED"]
    ledger.judge(OPEN + MINUTE_NS + 5 * S, ring, COUNT)
    assert statuses(ledger, 1) == ["SEEN"]


@pytest.mark.parametrize(
    ("down", "up", "lost"),
    [
        (5 * 60 + 10, 5 * 60 + 50, []),  # within a minute: its bars are made by the vendor, sent after it
        (5 * 60 + 50, 6 * 60 + 1, [5]),  # over the moment when they are sent
        (6 * 60 + 3, 6 * 60 + 20, [5]),  # while they are sent: a part may be here
        (5 * 60 + 50, 9 * 60 + 1, [5, 6, 7, 8]),
    ],
)
def test_a_drop_loses_the_minutes_whose_bars_were_sent_meanwhile(down, up, lost):
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 5)
    ledger.went_down(OPEN + down * S)
    ledger.listens(OPEN + up * S)
    run(ledger, ring, 5, 12)
    assert [at for at in range(12) if ledger.status[at] == MinuteStatus.MISSING] == lost


def test_a_stream_that_stays_down_loses_every_minute_until_it_is_back():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 5)
    ledger.went_down(OPEN + 5 * MINUTE_NS + 30 * S)
    run(ledger, ring, 5, 8, without=(5, 6, 7))
    assert ledger.lost == 3
    ledger.listens(OPEN + 8 * MINUTE_NS + 30 * S)
    run(ledger, ring, 8, 12)
    assert ledger.lost == 3


def test_a_sudden_lack_of_bars_is_not_believed():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 6)
    bars(ring, 6, count=5)
    run(ledger, ring, 6, 9, without=(6, 7))
    assert [at for at in range(9) if ledger.status[at] == MinuteStatus.MISSING] == [6, 7]


def test_a_small_market_may_have_minutes_without_bars():
    ledger, ring = ledger_from()
    for minute in range(10):
        bars(ring, minute, count=(0, 3)[minute % 2])
        ledger.judge(OPEN + (minute + 1) * MINUTE_NS + 6 * S, ring, COUNT)
    assert ledger.lost == 0


def test_the_session_ends_with_its_last_minute_and_a_new_one_starts_empty():
    ledger = MinuteLedger()
    half = from_et(date(2026, 11, 27), 9, 30), from_et(date(2026, 11, 27), 13, 0)
    ledger.start_session(*half)
    assert len(ledger.status) == 210
    ledger.listens(half[1] - 2 * MINUTE_NS)
    ledger.judge(half[1] + 3600 * S, MinuteRing(4), 4)
    assert ledger.status[-2:].tolist() == [MinuteStatus.SEEN] * 2  # an empty market of four names: nothing is usual
    ledger.start_session(OPEN, CLOSE)
    assert ledger.lost == ledger.mended == 0


def test_symbols_are_compared_with_the_vendors_newest_minute():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 5)
    now = OPEN + 5 * MINUTE_NS + 30 * S
    # the bar of minute 4 never came for one symbol
    ring._stamp[(OPEN // MINUTE_NS + 4) % 10, 2] = 0
    vendor = np.array([4, 4, 4, 5, -1]) * MINUTE_NS + OPEN  # the fourth's newest minute is not over, the fifth's old
    absent = ledger.check_symbols(np.arange(5), vendor, now, ring)
    assert absent.tolist() == [False, False, True, False, False]
    assert ledger.missing[:5].tolist() == [0, 0, 1, 0, 0]


class Rest:
    def __init__(self, failure=None):
        self.failure, self.asked, self.priorities = failure, [], set()

    async def aggs(self, symbol, multiplier, span, first, last):
        self.asked.append((symbol, multiplier, span, first, last))
        self.priorities.add(asking.get())
        if self.failure:
            raise self.failure
        start = np.arange(first * 1_000_000, last * 1_000_000, MINUTE_NS)
        column = np.full(len(start), 20.0)
        return BarColumns(symbol, start, column, column + 1, column - 1, column, column, column)


def repairing(rest, answer="whole", matters=("S01",)):
    names = [f"S{row:02d}" for row in range(COUNT)]
    board = Board(names)
    board.start_session(OPEN, CLOSE)
    now = [0.0]

    async def read():
        if answer == "whole":
            newest = np.full(COUNT, OPEN + 6 * MINUTE_NS)
            return snapshot(names, minute_ns=newest, minute_close=np.full(COUNT, 33.0))
        if answer is None:
            return None
        raise answer

    repair = MinuteRepair(board, rest, read, lambda: matters, lambda: now[0])
    repair.start_session(OPEN, CLOSE)
    repair.ledger.listens(OPEN)
    ring = board.minutes
    for minute in range(5):
        bars(ring, minute)
        assert not repair.look(OPEN + (minute + 1) * MINUTE_NS + 6 * S)
    repair.ledger.went_down(OPEN + 5 * MINUTE_NS + 30 * S)
    repair.ledger.listens(OPEN + 7 * MINUTE_NS + 10 * S)
    return repair, board, now


NOW = OPEN + 7 * MINUTE_NS + 10 * S


async def test_missing_minutes_are_read_for_the_symbols_that_matter_and_the_rest_by_snapshot():
    rest = Rest()
    repair, board, _ = repairing(rest, matters=("S01", "S02"))
    assert repair.look(NOW)
    assert repair.ledger.lost == 2
    assert await repair.repair(NOW)
    assert (repair.ledger.lost, repair.ledger.mended) == (0, 2)
    first, last = OPEN // 1_000_000 + 5 * 60_000, OPEN // 1_000_000 + 7 * 60_000 - 1
    assert rest.asked == [(symbol, 1, "minute", first, last) for symbol in ("S01", "S02")]
    assert rest.priorities == {Priority.WATCH}
    five = board.five_minute_bar("S01", NOW)
    assert (five.open, five.high, five.low, five.minutes) == (20.0, 21.0, 19.0, 2)
    other = board.five_minute_bar("S09", NOW)
    assert (other.close, other.minutes) == (33.0, 1)
    assert repair.ledger.missing[:COUNT].tolist() == [1] * COUNT
    assert not repair.look(NOW)


async def test_minutes_outside_the_session_are_not_taken_for_it():
    class Wide(Rest):
        async def aggs(self, symbol, multiplier, span, first, last):
            start = np.array([OPEN - MINUTE_NS, OPEN + 5 * MINUTE_NS, CLOSE])
            column = np.full(len(start), 20.0)
            return BarColumns(symbol, start, column, column + 1, column - 1, column, column, column)

    repair, board, _ = repairing(Wide())
    assert repair.look(NOW)
    assert await repair.repair(NOW)
    row = np.array([board.stocks.numbers["S01"]])
    closes = [board.minutes.told(start // MINUTE_NS, row)[3, 0] for start in (OPEN - MINUTE_NS, OPEN, CLOSE)]
    assert np.isnan(closes[0])  # before the open
    assert closes[1] == 10.0  # the first minute's place would be the last one's, too
    assert np.isnan(closes[2])
    assert board.minutes.told((OPEN + 5 * MINUTE_NS) // MINUTE_NS, row)[3, 0] == 20.0


async def test_a_failed_repair_is_tried_again_with_growing_waits_and_says_so():
    repair, _, now = repairing(Rest(DataError("bars of S01: no answer")))
    assert repair.look(NOW)
    assert not await repair.repair(NOW)
    assert repair.ledger.lost == 2
    assert repair.last_failure == "bars of S01: no answer"
    assert not repair.look(NOW)
    now[0] += 2.5
    assert repair.look(NOW)
    assert not await repair.repair(NOW)
    now[0] += 2.5
    assert not repair.look(NOW)
    repair._rest.failure = None
    now[0] += 2.5
    assert repair.look(NOW)
    assert await repair.repair(NOW)
    assert (repair.ledger.lost, repair.last_failure) == (0, "")


async def test_what_the_plan_refuses_is_not_asked_again():
    rest = Rest(NotEntitled("bars of today"))
    repair, _, _ = repairing(rest, matters=("S01", "S02"))
    assert repair.look(NOW)
    assert await repair.repair(NOW)
    assert len(rest.asked) == 1
    repair, _, now = repairing(Rest(), answer=None)
    assert repair.look(NOW)
    await repair.repair(NOW)
    now[0] += 1_000
    assert not repair.look(NOW)
    assert repair.ledger.lost == 2  # without a snapshot the others' minutes stay lost, and the figure says so


async def test_the_symbols_of_one_repair_are_bounded():
    rest = Rest()
    repair, _, _ = repairing(rest, matters=tuple(f"S{row % COUNT:02d}" for row in range(500)))
    repair.look(NOW)
    await repair.repair(NOW)
    assert len(rest.asked) == 50

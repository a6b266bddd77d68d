"""What the stream missed is had again: by snapshot for the market, by single calls for the rest, positions first."""

import asyncio
from datetime import date

import numpy as np
import pytest

from qmterm.core.clock import from_et
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.board.board import Board
from qmterm.market.board.minutes import MINUTE_NS
from qmterm.market.records import BarColumns, SnapshotColumns
from qmterm.market.rest.budget import Priority, asking
from qmterm.market.stream.order import Standing
from qmterm.market.stream.repair import MinuteRepair

OPEN, CLOSE = from_et(date(2026, 3, 2), 9, 30), from_et(date(2026, 3, 2), 16, 0)
S = 1_000_000_000
COUNT = 40
NAMES = tuple(f"S{row:02d}" for row in range(COUNT))
NOW = OPEN + 7 * MINUTE_NS + 10 * S  # minutes 5 and 6 are missing then


def snapshot(symbols, **columns):
    floats = ("bid", "ask", "bid_size", "ask_size", "last", "day_open", "day_high", "day_low", "day_close")
    floats += ("day_volume", "day_vwap", "prev_close", "prev_volume")
    floats += tuple(f"minute_{part}" for part in ("open", "high", "low", "close", "volume"))
    made = {name: np.full(len(symbols), np.nan) for name in floats}
    made |= {name: np.zeros(len(symbols), np.int64) for name in ("quote_ns", "trade_ns", "minute_ns", "updated_ns")}
    return SnapshotColumns(symbols=tuple(symbols), **{**made, **columns}, delayed=False, malformed=0)


def whole(newest=6, **changes):
    """A snapshot in which everybody's newest minute is the same."""
    parts = {"open": 32.0, "high": 34.0, "low": 31.0, "close": 33.0, "volume": 500.0}
    columns = {f"minute_{part}": np.full(COUNT, value) for part, value in parts.items()}
    columns["minute_ns"] = np.full(COUNT, OPEN + newest * MINUTE_NS)
    return snapshot(NAMES, **{**columns, **changes})


class Rest:
    def __init__(self, failure=None, bad=()):
        self.failure, self.bad, self.asked, self.priorities = failure, bad, [], []

    async def aggs(self, symbol, multiplier, span, first, last):
        self.asked.append(symbol)
        self.priorities.append(asking.get())
        self.span = (multiplier, span, first, last)
        await asyncio.sleep(0)
        if self.failure or symbol in self.bad:
            raise self.failure or DataError(f"bars of {symbol}: not readable")
        start = np.arange(first * 1_000_000, last * 1_000_000, MINUTE_NS)
        column = np.full(len(start), 20.0)
        return BarColumns(symbol, start, column, column + 1, column - 1, column, column, column)


class Case:
    """A market of which minutes 5 and 6 were missed; `answer` is what the snapshot says, or raises."""

    def __init__(self, rest=None, answer=None, standing=None, per_minute=4_800):
        self.rest, self.answer, self.now, self.snapshots, self.said = rest or Rest(), answer, 0.0, 0, []
        self.board = Board(NAMES)
        self.board.start_session(OPEN, CLOSE)
        chosen = standing or Standing()
        self.repair = MinuteRepair(
            *(self.board, self.rest, self.read, lambda: chosen, lambda: self.now, per_minute),
            tell=lambda symbol, text: self.said.append(text),
        )
        self.ledger = self.repair.ledger
        self.repair.start_session(OPEN, CLOSE)
        self.ledger.listens(OPEN, OPEN)
        for minute in range(5):
            for row in range(COUNT):
                self.board.minutes.write(row, OPEN + minute * MINUTE_NS, 10.0, 10.0, 10.0, 10.0, 100.0)
            assert not self.repair.look(OPEN + (minute + 1) * MINUTE_NS + 6 * S)
        self.ledger.went_down(OPEN + 5 * MINUTE_NS + 30 * S)
        self.ledger.listens(NOW, NOW)
        assert self.repair.look(NOW)
        assert (self.ledger.lost, self.ledger.lost_bars.unknown) == (2, 2 * COUNT)

    async def read(self):
        self.snapshots += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_snapshots_minute_is_taken_whole_for_the_whole_market():
    case = Case(answer=whole(5))
    # asked for while minute 5 is the newest that is over
    case.repair.check(whole(5), OPEN + 6 * MINUTE_NS + 10 * S)
    five = case.board.five_minute_bar("S09", NOW)
    assert (five.open, five.high, five.low, five.close, five.minutes) == (32.0, 34.0, 31.0, 33.0, 1)
    assert case.board.minutes.told(OPEN // MINUTE_NS + 5, np.array([9]))[4, 0] == 500.0
    assert (case.ledger.lost, case.ledger.lost_bars.by_snapshot) == (1, COUNT)


async def test_a_snapshot_a_minute_leaves_no_minute_lost_and_needs_no_call_for_a_symbol():
    case = Case()
    case.repair.check(whole(5), OPEN + 6 * MINUTE_NS + 10 * S)
    case.answer = whole(6)
    assert await case.repair.repair(NOW)
    assert (case.ledger.lost, case.ledger.mended) == (0, 2)
    assert case.ledger.lost_bars.by_snapshot == 2 * COUNT - len(case.rest.asked)
    assert len(case.rest.asked) == 1  # beside the snapshot: do single calls work?
    assert not case.repair.look(NOW)
    assert len(case.said) == 1
    assert "2 minutes repaired" in case.said[0]


async def test_what_the_snapshot_no_longer_tells_is_read_symbol_by_symbol_what_is_held_first():
    standing = Standing(held=("S30", "S20"), watched=("S10",), candidates=("S05",))
    case = Case(answer=whole(6), standing=standing)
    assert await case.repair.repair(NOW)
    assert (case.ledger.lost, case.ledger.mended) == (0, 2)
    assert case.rest.asked[:4] == ["S30", "S20", "S10", "S05"]
    assert sorted(case.rest.asked) == sorted(NAMES)
    assert case.rest.priorities[:4] == [Priority.POSITIONS, Priority.POSITIONS, Priority.WATCH, Priority.SCAN]
    assert set(case.rest.priorities[4:]) == {Priority.HISTORY}
    # the snapshot has told of minute 6: minute 5 was left
    assert case.rest.span == (1, "minute", OPEN // 1_000_000 + 5 * 60_000, OPEN // 1_000_000 + 6 * 60_000 - 1)
    bars = case.ledger.lost_bars
    assert (bars.unknown, bars.by_bars + bars.by_snapshot) == (0, 2 * COUNT)


async def test_the_calls_of_a_round_are_what_the_budget_gives_in_half_a_minute_and_the_rest_stays_lost():
    case = Case(answer=whole(6), per_minute=20, standing=Standing(held=("S30",)))
    assert await case.repair.repair(NOW)
    assert len(case.rest.asked) == 10
    assert case.rest.asked[0] == "S30"
    assert (case.ledger.lost, case.ledger.lost_bars.unknown) == (1, COUNT - 10)
    assert "1 minutes since 09:35 are lost for" in case.said[-1]
    assert case.repair.look(NOW)  # another round goes on with them
    for _ in range(3):
        await case.repair.repair(NOW)
    assert (case.ledger.lost, case.snapshots) == (0, 1)


async def test_single_calls_stand_back_when_the_next_minute_wants_its_snapshot():
    case = Case(answer=whole(6))
    asked = case.rest.aggs

    async def slowly(*words):
        if len(case.rest.asked) == 12:  # the next minute ends meanwhile, and the stream is down again
            case.ledger.went_down(NOW)
            case.repair.look(OPEN + 8 * MINUTE_NS + 6 * S)
        return await asked(*words)

    case.rest.aggs = slowly
    await case.repair.repair(NOW)
    assert len(case.rest.asked) < COUNT
    case.answer = whole(7)
    await case.repair.repair(OPEN + 8 * MINUTE_NS + 6 * S)
    assert (case.snapshots, case.ledger.lost, case.ledger.mended) == (2, 0, 3)


async def test_a_failed_repair_counts_as_none_is_tried_again_with_growing_waits_and_says_so():
    case = Case(Rest(DataError("no answer")), answer=DataError("whole-market snapshot: no answer"))
    tries = []
    for at in np.arange(0.0, 20.0, 0.25).tolist():
        case.now = at
        if case.repair.look(NOW):
            tries.append(at)
            assert not await case.repair.repair(NOW)
    assert tries == [0.0, 1.0, 3.0, 7.0, 11.0, 15.0, 19.0]
    assert len(case.rest.asked) == len(tries)  # one call tells that single calls fail, too
    assert (case.ledger.lost, case.ledger.lost_bars.unknown) == (2, 2 * COUNT)
    assert case.repair.last_failure
    assert len(case.said) == 1
    case.rest.failure, case.answer = None, whole(6)
    case.repair.service_is_back()
    assert case.repair.look(NOW)
    assert await case.repair.repair(NOW)
    assert (case.ledger.lost, case.repair.last_failure) == (0, "")


async def test_one_symbol_that_cannot_be_read_holds_up_no_other_and_stays_lost():
    case = Case(Rest(bad=("S30",)), answer=whole(6), standing=Standing(held=("S30",)))
    assert not await case.repair.repair(NOW)
    assert case.repair.lost_symbols(9) == ("S30",)
    assert (case.ledger.lost, case.ledger.lost_bars.unknown) == (1, 1)
    assert case.repair.last_failure == "bars of S30: not readable"


async def test_a_snapshot_that_fails_leaves_the_market_to_single_calls():
    case = Case(answer=DataError("whole-market snapshot: the server failed with 502"))
    assert not await case.repair.repair(NOW)
    assert (case.ledger.lost, case.ledger.lost_bars.by_bars) == (0, 2 * COUNT)


async def test_a_snapshot_that_does_not_know_the_minute_yet_is_not_asked_for_at_once_again():
    case = Case(Rest(NotEntitled("bars of today")), answer=whole(4))
    assert not await case.repair.repair(NOW)
    assert (case.ledger.lost, case.repair.last_failure) == (2, "the snapshot does not know the latest minute yet")
    case.now = 19.0
    assert not case.repair.look(NOW)
    case.now = 20.0
    assert case.repair.look(NOW)


async def test_what_the_plan_refuses_is_not_asked_again_and_what_it_hides_stays_lost():
    case = Case(Rest(NotEntitled("bars of today")), answer=whole(6))
    assert await case.repair.repair(NOW)
    assert len(case.rest.asked) == 1
    assert (case.ledger.lost, case.ledger.mended, case.ledger.lost_bars.unknown) == (1, 1, COUNT)
    case.now = 1_000.0
    assert not case.repair.look(NOW)
    case = Case(Rest(NotEntitled("bars of today")))
    await case.repair.repair(NOW)
    case.now = 1_000.0
    assert not case.repair.look(NOW)
    assert (case.ledger.lost, case.snapshots) == (2, 1)


@pytest.mark.parametrize("part", ["open", "volume"])
async def test_a_minute_that_the_plan_tells_in_part_stands_in_by_its_close_until_it_is_told_whole(part):
    case = Case()
    case.repair.check(whole(6, **{f"minute_{part}": np.full(COUNT, np.nan)}), NOW)
    five = case.board.five_minute_bar("S09", NOW)
    assert (five.open, five.high, five.low, five.close) == (33.0,) * 4
    assert not case.board.minutes.seen(OPEN // MINUTE_NS + 6, COUNT).any()
    case.repair.check(whole(6), NOW)
    assert case.board.minutes.seen(OPEN // MINUTE_NS + 6, COUNT).all()


async def test_an_impossible_minute_of_the_snapshot_is_none():
    case = Case()
    low = np.where(np.arange(COUNT) == 9, -5.0, 31.0)
    case.repair.check(whole(6, minute_low=low), NOW)
    assert case.board.five_minute_bar("S09", NOW) is None or case.board.five_minute_bar("S09", NOW).close == 10.0
    assert case.ledger.lost_bars.unknown_of(9) == 2
    assert case.board.minutes.seen(OPEN // MINUTE_NS + 6, COUNT).sum() == COUNT - 1


async def test_one_that_traded_today_but_does_not_say_when_last_has_told_nothing():
    case = Case()
    silent = np.where(np.arange(COUNT) < 2, 0, OPEN + 6 * MINUTE_NS)
    volume = np.where(np.arange(COUNT) == 0, 100.0, 0.0)
    case.repair.check(whole(6, minute_ns=silent, day_volume=volume), NOW)
    assert case.ledger.lost_bars.unknown_of(0) == 2
    assert case.ledger.lost_bars.unknown_of(1) == 0  # no trade today at all


async def test_a_new_session_has_lost_nothing():
    case = Case(answer=whole(6))
    case.repair.start_session(OPEN + 86_400 * S, CLOSE + 86_400 * S)
    assert (case.ledger.lost, case.ledger.mended, case.ledger.lost_bars.unknown) == (0, 0, 0)
    assert not case.repair.look(NOW)


async def test_minutes_outside_the_session_are_not_taken_for_it():
    class Wide(Rest):
        async def aggs(self, symbol, multiplier, span, first, last):
            self.asked.append(symbol)
            start = np.array([OPEN - MINUTE_NS, OPEN + 5 * MINUTE_NS, OPEN + 6 * MINUTE_NS, CLOSE])
            column = np.full(len(start), 20.0)
            return BarColumns(symbol, start, column, column + 1, column - 1, column, column, column)

    case = Case(Wide())
    await case.repair.repair(NOW)
    assert "S01" in case.rest.asked
    row = np.array([case.board.stocks.numbers["S01"]])
    closes = [case.board.minutes.told(start // MINUTE_NS, row)[3, 0] for start in (OPEN - MINUTE_NS, OPEN, CLOSE)]
    assert np.isnan(closes[0])  # before the open
    assert closes[1] == 10.0  # the first minute's place would be the last one's, too
    assert np.isnan(closes[2])
    assert case.board.minutes.told((OPEN + 5 * MINUTE_NS) // MINUTE_NS, row)[3, 0] == 20.0

"""Every minute has a status, and what the stream missed is found by drops, by sudden lack, and against the vendor."""

from datetime import date

import numpy as np
import pytest

from qmterm.core.clock import from_et
from qmterm.market.board.minutes import MINUTE_NS, MinuteRing
from qmterm.market.stream.gaps import MinuteLedger, MinuteStatus

OPEN, CLOSE = from_et(date(2026, 3, 2), 9, 30), from_et(date(2026, 3, 2), 16, 0)
S = 1_000_000_000
COUNT = 40


def ledger_from(minute=0):
    ledger = MinuteLedger()
    ledger.start_session(OPEN, CLOSE)
    ledger.listens(OPEN + minute * MINUTE_NS, OPEN + minute * MINUTE_NS)
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
    ledger.listens(OPEN + up * S, OPEN + up * S)
    run(ledger, ring, 5, 12)
    assert [at for at in range(12) if ledger.status[at] == MinuteStatus.MISSING] == lost


def test_a_stream_that_stays_down_loses_every_minute_until_it_is_back():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 5)
    ledger.went_down(OPEN + 5 * MINUTE_NS + 30 * S)
    run(ledger, ring, 5, 8, without=(5, 6, 7))
    assert ledger.lost == 3
    ledger.listens(OPEN + 8 * MINUTE_NS + 30 * S, OPEN + 8 * MINUTE_NS + 30 * S)
    run(ledger, ring, 8, 12)
    assert ledger.lost == 3


def test_a_server_that_grants_everything_and_sends_nothing_ends_no_hole():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 2)
    last_data = OPEN + 2 * MINUTE_NS + 30 * S
    ledger.went_down(last_data)
    ledger.listens(last_data + 10 * S, last_data)
    run(ledger, ring, 2, 5, without=(2, 3, 4))
    assert statuses(ledger, 5)[2:] == ["MISSING"] * 3


def test_minutes_taken_for_seen_before_the_silence_was_noticed_are_judged_again():
    ledger, ring = ledger_from()
    run(ledger, ring, 0, 3, without=(2,))  # too early in the day to know how many bars are usual
    assert statuses(ledger, 3) == ["SEEN"] * 3
    ledger.went_down(OPEN + 2 * MINUTE_NS + 30 * S)
    assert ledger.judge(OPEN + 4 * MINUTE_NS + 6 * S, ring, COUNT)
    assert statuses(ledger, 4) == ["SEEN"] * 2 + ["MISSING"] * 2
    told(ledger, [3] * COUNT, 4 * 60 + 10)
    ledger.listens(OPEN + 4 * MINUTE_NS + 40 * S, OPEN + 4 * MINUTE_NS + 40 * S)
    ledger.went_down(OPEN + 3 * MINUTE_NS)  # what was repaired is not judged again
    ledger.judge(OPEN + 4 * MINUTE_NS + 50 * S, ring, COUNT)
    assert statuses(ledger, 4) == ["SEEN", "SEEN", "MISSING", "REPAIRED"]


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
    ledger.listens(half[1] - 2 * MINUTE_NS, half[1] - 2 * MINUTE_NS)
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
    absent = ledger.check_symbols(np.arange(5), vendor, np.ones(5, dtype=bool), now, ring)
    assert absent.tolist() == [False, False, True, False, False]
    assert ledger.missing[:5].tolist() == [0, 0, 1, 0, 0]


def broken(first=5, last=8):
    """A ledger whose stream was down over some minutes, `last` not among them."""
    ledger, ring = ledger_from()
    run(ledger, ring, 0, first)
    ledger.went_down(OPEN + first * MINUTE_NS + 30 * S)
    run(ledger, ring, first, last, without=range(first, last))
    return ledger, ring


def told(ledger, newest, now_s, updated_ns=0):
    """A snapshot asked for at a second of the session, with each symbol's newest minute."""
    minute_ns = np.array([OPEN + minute * MINUTE_NS for minute in newest])
    updated = np.full(len(newest), updated_ns)
    return ledger.told_by_snapshot(np.arange(len(newest)), minute_ns, updated, OPEN + now_s * S)


def test_a_missing_minute_is_lost_for_every_symbol_that_trades_and_did_not_come():
    ledger, ring = broken()
    assert (ledger.lost, ledger.lost_bars.unknown) == (3, 3 * COUNT)
    bars(ring, 7, count=10)  # late, but from the stream itself
    ledger.judge(OPEN + 8 * MINUTE_NS + 20 * S, ring, COUNT)
    assert (ledger.lost, ledger.lost_bars.unknown) == (3, 3 * COUNT - 10)


def test_a_snapshot_settles_the_minutes_from_each_symbols_newest_one_on_and_none_before():
    ledger, _ = broken()
    newest = [7] * 10 + [6] * 10 + [2] * (COUNT - 20)
    told(ledger, newest, 8 * 60 + 10)
    assert statuses(ledger, 8)[5:] == ["MISSING", "MISSING", "REPAIRED"]
    assert ledger.lost_bars.unknown == 20 + 10
    assert ledger.lost_bars.by_snapshot == COUNT + (COUNT - 10) + (COUNT - 20)
    assert (ledger.lost_bars.unknown_of(0), ledger.lost_bars.unknown_of(15), ledger.lost_bars.unknown_of(30)) == (
        2,
        1,
        0,
    )


def test_a_snapshot_that_has_nothing_new_settles_nothing():
    ledger, _ = broken()
    assert told(ledger, [4] * COUNT, 8 * 60 + 10) == OPEN + 4 * MINUTE_NS
    assert (ledger.lost, ledger.lost_bars.by_snapshot) == (3, 0)
    # Nobody trades, but it is alive: something in it was touched after the minutes' end.
    assert told(ledger, [4] * COUNT, 8 * 60 + 10, OPEN + 8 * MINUTE_NS + 9 * S) == OPEN + 7 * MINUTE_NS
    assert (ledger.lost, ledger.mended) == (0, 3)


def test_a_snapshot_asked_for_before_a_minutes_bars_are_due_does_not_settle_it():
    ledger, _ = broken()
    told(ledger, [7] * COUNT, 8 * 60 + 4)
    assert ledger.lost_bars.by_snapshot == 0
    told(ledger, [6] * COUNT, 8 * 60 + 4)
    assert statuses(ledger, 8)[5:] == ["MISSING", "REPAIRED", "MISSING"]


def test_a_symbol_that_the_snapshot_leaves_out_stays_lost_until_its_bars_are_read():
    ledger, _ = broken(5, 6)
    told(ledger, [5] * (COUNT - 1), 6 * 60 + 10)
    assert (ledger.lost, ledger.lost_bars.rows.tolist()) == (1, [COUNT - 1])
    ledger.told_by_bars(COUNT - 1, OPEN + 4 * MINUTE_NS, OPEN + 5 * MINUTE_NS)
    assert (ledger.lost, ledger.mended) == (0, 1)
    assert (ledger.lost_bars.by_bars, ledger.lost_bars.by_snapshot) == (1, COUNT - 1)


def test_a_minute_of_which_no_symbol_is_known_is_settled_by_a_snapshot_only():
    ledger = MinuteLedger()
    ledger.start_session(OPEN, CLOSE)
    ledger.listens(OPEN, OPEN)
    ledger.went_down(OPEN + S)
    ledger.judge(OPEN + MINUTE_NS + 6 * S, MinuteRing(64), COUNT)
    assert (ledger.lost, ledger.lost_bars.unknown) == (1, 0)
    ledger.told_by_bars(0, OPEN, OPEN)
    assert ledger.lost == 1
    told(ledger, [0] * COUNT, 70)
    assert ledger.lost == 0

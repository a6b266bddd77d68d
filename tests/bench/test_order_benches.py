"""`qmterm bench orders|kill|restart|journal`, tiny: real processes and sockets, and figures that can be true."""

import json

import pytest

from qmterm.bench import journal, kill, orders, restart

pytestmark = pytest.mark.timeout(300)  # real processes: a busy machine is slow, not wrong


def test_no_acknowledged_row_is_lost_by_a_sigkill_and_rows_share_commits():
    rate, lost, day = journal.run(2_000, quick=True).rows
    assert rate.ratio > 3  # a busy disk shows too little, none shows less than this
    assert (lost.ours, lost.met) == (0.0, True)
    assert int(lost.note.split()[0].replace(",", "")) > 100
    assert 0.5 < day.ours < 50


def test_an_orders_way_opens_no_connection_and_states_the_disk_apart():
    report = orders.run(12, quick=True)
    rows = {row.work: row for row in report.rows}
    assert rows["connections opened or tokens renewed on the way of an order"].ours == 0
    whole, waited = rows["all of it, with the disk, p50"], rows["what a finished order waits for the disk, p50"]
    assert 0 <= waited.ours < whole.ours
    assert rows["the disk's work (SQLite, fsync), mostly beside the building, p50"].ours > 0
    assert rows["signal to bytes on the wire without the wait for the disk, p50"].peer == whole.peer > 0
    json.dumps(report.document(), allow_nan=False)


def test_a_kill_sends_a_cancel_for_each_of_fifty_orders_while_quotes_come_in():
    p50, p99 = kill.run(1).rows
    assert 0 < p50.ours == p99.ours < 20_000
    assert float(p99.note.split("; ")[1].split()[0].replace(",", "")) > 5_000


def test_a_killed_engine_finds_fifty_positions_and_two_hundred_orders_again():
    prompt, slow = restart.run(1).rows
    assert "50 positions, 200 orders, 50 of them working" in prompt.note
    assert prompt.ours > 0
    assert slow.ours > 0

"""Anybody's files into the store: splits applied, nothing of the store lost, memory bounded."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.errors import BadInput
from qmterm.market.history.importing import import_file
from qmterm.market.history.manifest import Manifest
from qmterm.tape import layout
from qmterm.tape.grouped import read_day, write_grouped
from qmterm.tape.layout import MINUTES, OPTION_QUOTES, session_path, stored_sessions

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
DAYS = CALENDAR.last_n(date(2026, 2, 27), 30)


def daily_file(path, symbols=("A", "B"), split=None, days=DAYS):
    rows = [(symbol, day) for symbol in symbols for day in days]  # by symbol, as most files are
    close = np.array([7.0 * (7 if split and day < split else 1) for _, day in rows])
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": close * 0 + 700}
    ratio = np.array([7.0 if day == split else 1.0 for _, day in rows])
    table = pa.table({"symbol": [s for s, _ in rows], "date": [d for _, d in rows], **columns, "split_ratio": ratio})
    pq.write_table(table, path)
    return path


def test_daily_bars_come_by_session_with_their_splits_applied(tmp_path):
    path = daily_file(tmp_path / "bars.parquet", split=DAYS[10])
    report = import_file(path, tmp_path / "store", CALENDAR, rows_at_once=15)
    assert (report.rows, report.written, report.splits) == (60, 60, 2)
    assert stored_sessions(tmp_path / "store", layout.DAILY) == DAYS
    early, late = read_day(tmp_path / "store", DAYS[9]), read_day(tmp_path / "store", DAYS[10])
    assert early.columns["close"].tolist() == late.columns["close"].tolist() == [7.0, 7.0]
    assert early.columns["volume"].tolist() == [4900.0, 4900.0]
    assert Manifest.read(tmp_path / "store").pulled[DAYS[0]] == DAYS[-1]


def test_what_the_store_holds_stays_and_a_second_import_adds_nothing(tmp_path):
    store = tmp_path / "store"
    price = np.array([99.0])
    bars = {"open": price, "high": price, "low": price, "close": price, "volume": price}
    write_grouped(store, DAYS[4], {"symbol": ["A"], **bars}, pulled=DAYS[-1])
    path = daily_file(tmp_path / "bars.parquet")
    report = import_file(path, store, CALENDAR)
    assert (report.written, report.kept) == (59, 1)
    day = read_day(store, DAYS[4])
    assert dict(zip(day.symbols.tolist(), day.columns["close"].tolist(), strict=True)) == {"A": 99.0, "B": 7.0}
    again = import_file(path, store, CALENDAR)
    assert (again.written, again.kept) == (0, 60)


def test_a_file_without_a_usable_row_leaves_no_session(tmp_path):
    path = tmp_path / "nan.csv"
    path.write_text(f"symbol,date,open,high,low,close,volume\nA,{DAYS[3]},nan,11,9,10,100\n,{DAYS[3]},9,11,9,10,100\n")
    report = import_file(path, tmp_path / "store", CALENDAR)
    assert (report.rows, report.written, report.sessions) == (2, 0, [])
    assert report.dropped == {"without a number": 1, "without a symbol": 1}
    assert stored_sessions(tmp_path / "store", layout.DAILY) == ()


def test_rows_that_cannot_be_used_are_counted_by_their_fault_and_not_as_written(tmp_path):
    path = tmp_path / "bars.csv"
    rows = ("A,10,11,9,10,100", "A,20,21,19,20,100", "B,-10,11,-9,10,100", "C,10,11,9,1000,100", "D,nan,1,1,1,1")
    lines = [f"{row[0]},{DAYS[3]}{row[1:]}" for row in rows]
    path.write_text("symbol,date,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    report = import_file(path, tmp_path / "store", CALENDAR)
    assert (report.rows, report.written, report.kept) == (5, 1, 0)
    assert report.dropped == {
        "repeated (same symbol and date)": 1,
        "with a price of zero or less": 1,
        "with open or close outside high and low": 1,
        "without a number": 1,
    }
    assert read_day(tmp_path / "store", DAYS[3]).columns["close"].tolist() == [10.0]
    assert report.sentence().startswith("1 of 5 rows usable; dropped: ")
    again = import_file(path, tmp_path / "store", CALENDAR)
    assert (again.written, again.kept) == (0, 1)


def test_rows_without_a_date_are_counted(tmp_path):
    path = daily_file(tmp_path / "bars.parquet", symbols=["A"], days=DAYS[:2])
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "date", pa.array([DAYS[0], None])), path)
    report = import_file(path, tmp_path / "store", CALENDAR)
    assert (report.rows, report.written, report.dropped) == (2, 1, {"without a date": 1})


@pytest.mark.parametrize("day", ["1955-02-25", "2062-02-27"])
def test_a_day_far_from_any_session_is_refused_with_its_row(tmp_path, day):
    path = tmp_path / "bars.csv"
    path.write_text(f"symbol,date,open,high,low,close,volume\nA,{DAYS[3]},9,11,9,10,100\nA,{day},9,11,9,10,100\n")
    with pytest.raises(BadInput, match=f"bars.csv: row 2, column date: {day} is no day of 2025-01-01 to"):
        import_file(path, tmp_path / "store", CALENDAR)


def test_minutes_and_option_quotes_go_to_their_sessions(tmp_path):
    start = from_et(DAYS[-2], 15, 59), from_et(DAYS[-1], 9, 30)
    path = tmp_path / "minutes.csv"
    lines = [f"A,{at // 10**9},1,2,1,2,100" for at in (*start, start[1])] + ["A,1772289000,1,1,1,1,1"]  # a Saturday
    path.write_text("symbol,timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    report = import_file(path, tmp_path, CALENDAR)
    assert (report.rows, report.written, report.kept, report.closed_days) == (4, 2, 0, 1)
    assert report.dropped == {"repeated (same symbol and minute)": 1}
    again = import_file(path, tmp_path, CALENDAR)
    assert (again.written, again.kept, again.dropped, again.sessions) == (0, 3, {}, [])
    held = layout.read(session_path(tmp_path, MINUTES, DAYS[-1]), MINUTES)
    assert held["start_ns"].to_pylist() == [start[1]]
    quotes = tmp_path / "quotes.csv"
    quotes.write_text(
        f"occ,start_ns,bid,ask,bid_size,ask_size,open_interest\nNVDA  260417C00180000,{start[1]},1,1.1,5,7,\n"
    )
    assert import_file(quotes, tmp_path, CALENDAR).written == 1
    row = layout.read(session_path(tmp_path, OPTION_QUOTES, DAYS[-1]), OPTION_QUOTES).to_pylist()[0]
    assert (row["bid"], row["ask_size"]) == (1.0, 7.0)
    assert np.isnan(row["open_interest"])


BARS, QUOTES = "symbol,timestamp,open,high,low,close,volume", "occ,timestamp,bid,ask,bid_size,ask_size,open_interest"
AT = from_et(DAYS[-1], 10) // 10**9
CALL = "O:AAA260417C00180000"


@pytest.mark.parametrize(
    ("first_line", "row", "why"),
    [
        (BARS, f"A,{AT},-1,11,-9,10,100", "row 2, column open: a price is above 0"),
        (BARS, f"A,{AT},nan,11,9,10,100", "row 2, column open: there is no number"),
        (BARS, f"A,{AT},10,11,9,12,100", "row 2, column high: lower than open or close"),
        (BARS, f"A,{AT + 7},10,11,9,10,100", "row 2, column start_ns: it is not the start of a minute"),
        (BARS, f"A,{AT - 7 * 3600},10,11,9,10,100", "row 2, column start_ns: nothing trades before 04:00"),
        (BARS, f"A,{AT + 10 * 3600},10,11,9,10,100", "row 2, column start_ns: nothing trades before 04:00"),
        (BARS, f",{AT},10,11,9,10,100", "row 2, column symbol: there is no name"),
        (QUOTES, f"NOTANOPTION,{AT},1,1.1,1,1,5", "row 2, column occ: 'NOTANOPTION' is not an OCC option symbol"),
        (QUOTES, f"{CALL},{AT},-1,1.1,1,1,5", "row 2, column bid: it must not be negative"),
        (QUOTES, f"{CALL},{AT},0,0,1,1,5", "row 2, column ask: an ask is above 0"),
    ],
)
def test_rows_by_minute_that_a_replay_would_refuse_are_refused_before_anything_is_written(
    tmp_path, first_line, row, why
):
    good = f"A,{AT},10,11,9,10,100" if first_line is BARS else f"{CALL},{AT},1,1.1,1,1,5"
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join((first_line, good, row)) + "\n")
    with pytest.raises(BadInput, match=re.escape(why)):
        import_file(path, tmp_path / "store", CALENDAR)
    assert not (tmp_path / "store").exists()


def test_a_contract_is_one_however_it_is_spelled(tmp_path):
    path = tmp_path / "quotes.csv"
    names = (CALL, "AAA   260417C00180000", "AAA260417C00180000")
    path.write_text("\n".join((QUOTES, *(f"{name},{AT},{n},9,1,1,5" for n, name in enumerate(names)))) + "\n")
    report = import_file(path, tmp_path, CALENDAR)
    assert (report.written, report.dropped) == (1, {"repeated (same occ and minute)": 2})
    kept = layout.read(session_path(tmp_path, OPTION_QUOTES, DAYS[-1]), OPTION_QUOTES).to_pylist()
    assert [(row["occ"], row["bid"]) for row in kept] == [("AAA   260417C00180000", 0.0)]


def test_nothing_unfinished_stays_and_empty_files_are_refused(tmp_path):
    store = tmp_path / "store"
    import_file(daily_file(tmp_path / "bars.parquet"), store, CALENDAR)
    assert [path.name for path in store.iterdir() if path.name.startswith(".")] == []
    (tmp_path / "none.csv").write_text("symbol,date,open,high,low,close,volume\n")
    with pytest.raises(BadInput, match="no row"):
        import_file(tmp_path / "none.csv", store, CALENDAR)


PEAK = """
import sys
from datetime import date
from pathlib import Path
import pyarrow as pa
from qmterm.core.calendar import SessionCalendar
from qmterm.market.history.importing import import_file
from qmterm.tape import layout
layout.BATCH_ROWS = 8_000
calendar = SessionCalendar.load(date(2023, 1, 1), date(2026, 12, 31))
report = import_file(Path(sys.argv[1]), Path(sys.argv[2]), calendar, rows_at_once=10_000)
print(report.written, pa.default_memory_pool().max_memory())
"""


def test_a_big_file_is_imported_in_bounded_memory(tmp_path):
    days = SessionCalendar.load(date(2023, 1, 1), date(2026, 12, 31)).last_n(date(2026, 2, 27), 60)
    path = daily_file(tmp_path / "bars.parquet", symbols=[f"S{n:04d}" for n in range(2_000)], days=days)
    whole = pq.read_table(path).nbytes
    words = [sys.executable, "-c", PEAK, str(path), str(tmp_path / "store")]
    written, peak = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert int(written) == 120_000
    assert int(peak) < whole / 2
    assert len(read_day(tmp_path / "store", days[0])) == 2_000


def test_more_sessions_than_a_process_may_open_files_are_written_in_waves(tmp_path):
    calendar = SessionCalendar.load(date(2023, 1, 1), date(2026, 12, 31))
    days = calendar.last_n(date(2026, 2, 27), 600)
    path = daily_file(tmp_path / "bars.parquet", symbols=("A",), days=days)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 300, hard))
    try:
        report = import_file(path, tmp_path / "store", calendar, rows_at_once=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (report.written, len(report.sessions)) == (600, 600)
    assert stored_sessions(tmp_path / "store", layout.DAILY) == days

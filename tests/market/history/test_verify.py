"""What is wrong with a store has a code, a symbol, a day and a remedy; what is right is not mentioned."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.market.history.findings import Code
from qmterm.market.history.manifest import Manifest
from qmterm.market.history.status import duration, pull_seconds, status
from qmterm.market.history.verify import verify
from qmterm.market.records import Split
from qmterm.tape.grouped import day_path, write_grouped, write_whole
from qmterm.tape.layout import MINUTES, OPTION_QUOTES, session_path

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
DAYS = CALENDAR.last_n(date(2026, 2, 27), 40)


def write(folder, day, closes, pulled=DAYS[-1], whole=True):
    price = np.array(list(closes.values()), dtype=float)
    columns = {"open": price, "high": price * 1.01, "low": price * 0.99, "close": price, "volume": price * 0 + 1000}
    write_grouped(folder, day, {"symbol": list(closes), **columns}, pulled=pulled, whole=whole)


def store(folder, closes=lambda number: {"A": 10.0, "B": 20.0}):
    for number, day in enumerate(DAYS):
        write(folder, day, closes(number))


def found(folder):
    return [(item.code, item.day, item.symbol) for item in verify(folder, CALENDAR)]


def test_a_sound_store_has_no_findings(tmp_path):
    store(tmp_path)
    assert found(tmp_path) == []


def test_gaps_torn_files_and_days_that_were_no_session(tmp_path):
    store(tmp_path)
    day_path(tmp_path, DAYS[3]).unlink()
    day_path(tmp_path, DAYS[5]).write_bytes(b"PAR1")
    write(tmp_path, date(2026, 1, 1), {"A": 10.0})
    assert set(found(tmp_path)) == {
        (Code.GAP, DAYS[3], ""), (Code.TORN, DAYS[5], ""), (Code.NOT_A_SESSION, date(2026, 1, 1), ""),
    }  # fmt: skip
    assert day_path(tmp_path, DAYS[5]).exists()  # verify deletes nothing
    assert all(item.to_do for item in verify(tmp_path, CALENDAR))


def test_a_file_of_a_holiday_hides_no_split_and_makes_nobody_vanish(tmp_path):
    after = DAYS.index(date(2026, 2, 17))
    store(tmp_path, lambda number: {"A": 10.0, "B": 20.0 if number < after else 10.0})
    write(tmp_path, date(2026, 2, 16), {"C": 10.0})  # Presidents' Day
    assert found(tmp_path) == [
        (Code.NOT_A_SESSION, date(2026, 2, 16), ""), (Code.SPLIT_LIKE, date(2026, 2, 17), "B"),
    ]  # fmt: skip


def test_a_symbol_that_vanishes_and_comes_back_and_a_file_with_half_the_market(tmp_path):
    store(tmp_path, lambda n: {"A": 10.0} if 25 <= n < 28 else {"A": 10.0, "B": 20.0, "C": 1.0, "D": 2.0})
    gone = [item for item in found(tmp_path) if item[2] == "B"]
    assert gone == [(Code.VANISHED, DAYS[28], "B")]
    assert (Code.SHRUNK, DAYS[25], "") in found(tmp_path)
    assert {item.symbol for item in verify(tmp_path, CALENDAR, ["C"])} == {"C", ""}


def test_sessions_that_hold_imported_rows_only_are_named_and_counted_as_missing(tmp_path):
    store(tmp_path)
    for day in DAYS[30:33]:
        write(tmp_path, day, {"A": 10.0}, whole=False)
    assert found(tmp_path) == [(Code.IMPORTS_ONLY, day, "") for day in DAYS[30:33]]  # and nobody has vanished
    held = status(tmp_path, DAYS, calls_per_minute=5)
    assert held.imports_only == held.missing == DAYS[30:33]


def test_repeats_and_impossible_bars_of_other_tools(tmp_path):
    store(tmp_path)
    path = day_path(tmp_path, DAYS[7])
    table = pq.read_table(path).to_pandas().drop(columns=["number"])
    table = table.iloc[[0, 1, 1]].reset_index(drop=True)
    table.loc[0, "low"] = 10.5
    table.to_parquet(path)
    codes = found(tmp_path)
    assert (Code.BAD_BAR, DAYS[7], "A") in codes
    assert (Code.DUPLICATE, DAYS[7], "B") in codes


def test_minutes_and_quotes_that_a_replay_would_refuse_are_named(tmp_path):
    store(tmp_path)
    start = from_et(DAYS[5], 10)
    price = {name: [10.0, 10.0] for name in ("open", "high", "low", "close", "volume")}
    rows = {
        DAYS[5]: {"symbol": ["A", "B"], "start_ns": [start, start]},
        DAYS[6]: {"symbol": ["A", "B"], "start_ns": [start, start]},  # of the day before
        date(2026, 1, 1): {"symbol": ["A", "B"], "start_ns": [start, start]},
    }
    for day, names in rows.items():
        write_whole(session_path(tmp_path, MINUTES, day), pa.table({**names, **price}))
    quote = {name: [1.0, 1.0] for name in ("bid", "ask", "bid_size", "ask_size", "open_interest")}
    spelled = {"occ": ["O:AAA260417C00180000", "AAA   260417C00180000"], "start_ns": [start, start]}
    write_whole(session_path(tmp_path, OPTION_QUOTES, DAYS[5]), pa.table({**spelled, **quote}))
    session_path(tmp_path, OPTION_QUOTES, DAYS[7]).write_bytes(b"PAR1 torn")
    said = [(item.code, item.day, item.detail.split(": ", 1)[1]) for item in verify(tmp_path, CALENDAR)]
    assert [(code, day) for code, day, _ in said] == [
        (Code.NOT_A_SESSION, date(2026, 1, 1)),
        *((Code.REFUSED, DAYS[number]) for number in (6, 5, 7)),
    ]
    assert f"it is not of {DAYS[6]}" in said[1][2]
    assert "the same occ and start_ns" in said[2][2]


def test_jumps_are_named_unless_a_split_explains_them(tmp_path):
    def closes(number):
        return {
            "JUMP": 10.0 if number < 10 else 16.3,
            "SPLIT": 700.0 if number < 20 else 100.0,
            "REVERSE": 2.0 if number < 30 else 20.0,
            "PENNY": 0.1 if number % 2 else 0.3,
        }

    for number, day in enumerate(DAYS):
        write(tmp_path, day, closes(number), pulled=day)  # each as traded
    assert found(tmp_path) == [
        (Code.JUMP, DAYS[10], "JUMP"), (Code.SPLIT_LIKE, DAYS[20], "SPLIT"), (Code.SPLIT_LIKE, DAYS[30], "REVERSE"),
    ]  # fmt: skip
    manifest = Manifest.read(tmp_path)
    manifest.learn([Split("SPLIT", DAYS[20], 1, 7), Split("REVERSE", DAYS[30], 10, 1)], DAYS[-1])
    manifest.write(tmp_path)
    assert found(tmp_path) == [(Code.JUMP, DAYS[10], "JUMP")]


def test_a_split_that_was_applied_twice_is_found(tmp_path):
    for number, day in enumerate(DAYS):  # pulled after the split, but told to be pulled before it
        write(tmp_path, day, {"A": 100.0}, pulled=DAYS[10] if number < 20 else DAYS[-1])
    manifest = Manifest.read(tmp_path)
    manifest.learn([Split("A", DAYS[20], 1, 7)], DAYS[-1])
    manifest.write(tmp_path)
    assert found(tmp_path) == [(Code.SPLIT_LIKE, DAYS[20], "A")]


PEAK = """
import sys
from datetime import date
from pathlib import Path
import pyarrow as pa
from qmterm.core.calendar import SessionCalendar
from qmterm.market.history.verify import verify
pa.set_memory_pool(pa.system_memory_pool())
calendar = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
assert list(verify(Path(sys.argv[1]), calendar)) == []
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process from /proc")
def test_memory_does_not_grow_with_the_years(tmp_path):
    names = [f"S{number:05d}" for number in range(4_000)]
    price = np.random.default_rng(3).uniform(5, 500, len(names))
    bars = {"open": price, "high": price * 1.01, "low": price * 0.99, "close": price, "volume": price}
    peaks = []
    for sessions in (5, 60):  # the long one is 12 MB on disk
        folder = tmp_path / str(sessions)
        for day in CALENDAR.last_n(date(2026, 2, 27), sessions):
            write_grouped(folder, day, {"symbol": names, **bars}, pulled=DAYS[-1])
        said = subprocess.run([sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True)
        peaks.append(int(said.stdout))
    assert peaks[1] - peaks[0] < 4_000  # kB


def test_status_says_what_is_there_and_how_long_the_rest_takes(tmp_path):
    store(tmp_path)
    day_path(tmp_path, DAYS[0]).unlink()
    found = status(tmp_path, DAYS, calls_per_minute=5)
    assert (found.held[0].sessions, found.held[0].first, found.held[0].last) == (39, DAYS[1], DAYS[-1])
    assert found.missing == (DAYS[0],)
    assert found.symbols == 2
    assert found.size_bytes > 39 * 500
    assert found.eta_s == 12.0
    assert duration(pull_seconds(300, 5)) == "60 min"
    assert duration(pull_seconds(3_000, 5)) == "10 h 00 min"

"""The history cache: whole files or none, corrupt ones deleted and named, every bar in its place."""

from datetime import date

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.tape.bars import DaysMissing, missing_days, read_grouped, write_grouped
from qmterm.tape.grouped import day_path
from qmterm.tape.storing import NotWritten

DAYS = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)]


def columns(symbols, close, **changes):
    price = np.asarray(close, dtype=float)
    return {
        "symbol": symbols,
        "open": price,
        "high": price + 1,
        "low": price - 1,
        "close": price,
        "volume": np.full(len(price), 1000.0),
    } | changes


def test_days_come_back_as_a_right_aligned_panel(tmp_path):
    write_grouped(tmp_path, DAYS[0], columns(["MSFT", "AAPL"], [20.0, 10.0]))
    write_grouped(tmp_path, DAYS[1], columns(["AAPL", "ZEN"], [11.0, 30.0]))
    write_grouped(tmp_path, DAYS[2], columns(["AAPL", "MSFT"], [12.0, 22.0]))
    panel = read_grouped(tmp_path, DAYS)
    assert panel.symbols == ("AAPL", "MSFT", "ZEN")
    assert panel.last_session == DAYS[2]
    assert panel.bars.tolist() == [3, 2, 1]
    assert panel.stale.tolist() == [0, 0, 1]
    assert panel.close[0].tolist() == [10.0, 11.0, 12.0]
    assert panel.close[1, 1:].tolist() == [20.0, 22.0]
    assert np.isnan(panel.close[1, 0])
    assert panel.days[2, -1] == np.datetime64(DAYS[1])
    assert panel.high[2, -1] == 31.0


def test_the_order_of_days_asked_for_does_not_matter(tmp_path):
    for number, day in enumerate(DAYS):
        write_grouped(tmp_path, day, columns(["AAPL"], [10.0 + number]))
    assert read_grouped(tmp_path, reversed(DAYS)).close.tolist() == [[10.0, 11.0, 12.0]]


def test_a_missing_day_is_named_unless_it_is_allowed(tmp_path):
    write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [10.0]))
    assert missing_days(tmp_path, DAYS) == (DAYS[1], DAYS[2])
    with pytest.raises(DaysMissing, match=r"lacks 2 sessions \(2026-03-03, 2026-03-04\)") as caught:
        read_grouped(tmp_path, DAYS)
    assert caught.value.days == (DAYS[1], DAYS[2])
    panel = read_grouped(tmp_path, DAYS, allow_missing=True)
    assert panel.stale.tolist() == [2]


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_corrupt_file_is_deleted_and_counts_as_missing(tmp_path, damage):
    for day in DAYS:
        write_grouped(tmp_path, day, columns(["AAPL"], [10.0]))
    path = day_path(tmp_path, DAYS[1])
    body = path.read_bytes()
    path.write_bytes({"truncated": body[: len(body) // 2], "text": b"not parquet", "empty": b""}[damage])
    with pytest.raises(DaysMissing) as caught:
        read_grouped(tmp_path, DAYS)
    assert caught.value.days == (DAYS[1],)
    assert not path.exists()
    assert missing_days(tmp_path, DAYS) == (DAYS[1],)


def test_a_flipped_byte_is_found_or_changes_nothing(tmp_path):
    close = np.random.default_rng(5).uniform(10, 60, 200)
    path = write_grouped(tmp_path, DAYS[0], columns([f"S{i:03d}" for i in range(200)], close))
    body = path.read_bytes()
    found = 0
    for place in range(4, len(body), 97):
        damaged = bytearray(body)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            panel = read_grouped(tmp_path, DAYS[:1])
        except DaysMissing:
            found += 1
            continue
        assert panel.close[:, 0].tolist() == close.tolist()
    assert found > 20


def test_nothing_unfinished_is_left_behind(tmp_path):
    write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [10.0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-02.parquet", "symbols.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [10.0]))
    before = path.read_bytes()

    def fails(*args):
        raise OSError("disk full")

    monkeypatch.setattr("qmterm.tape.grouped.os.replace", fails)
    with pytest.raises(NotWritten, match="disk full"):
        write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [11.0]))
    assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-02.parquet", "symbols.txt"]


def test_bad_rows_and_repeated_symbols_are_left_out(tmp_path):
    bad = columns(["AAPL", "MSFT", "AAPL", "ZEN"], [10.0, float("nan"), 11.0, 30.0])
    write_grouped(tmp_path, DAYS[0], bad | {"low": np.array([9.0, 1.0, 9.0, 40.0])})
    panel = read_grouped(tmp_path, DAYS[:1])
    assert panel.symbols == ("AAPL",)
    assert panel.close.tolist() == [[10.0]]


def test_files_of_other_tools_are_checked_on_reading_too(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table(columns(["BB", "AA", "BB"], [20.0, -1.0, 21.0])), day_path(tmp_path, DAYS[0]), compression="zstd"
    )
    panel = read_grouped(tmp_path, DAYS[:1])
    assert panel.symbols == ("BB",)
    assert panel.close.tolist() == [[20.0]]


@pytest.mark.parametrize(("column", "value"), [("close", 1000.0), ("close", 1.0), ("open", 1000.0), ("open", 1.0)])
def test_a_bar_whose_open_or_close_lies_outside_its_range_is_in_no_panel(tmp_path, column, value):
    import pyarrow as pa
    import pyarrow.parquet as pq

    bars = columns(["AA", "BB"], [10.0, 20.0])
    bars[column] = np.array([10.0, value])
    write_grouped(tmp_path, DAYS[0], bars)
    pq.write_table(pa.table(bars), day_path(tmp_path, DAYS[1]))  # by another tool
    assert read_grouped(tmp_path, DAYS[:2]).symbols == ("AA",)


def test_missing_columns_and_unequal_lengths_are_refused(tmp_path):
    with pytest.raises(BadInput, match="lack the columns volume"):
        write_grouped(tmp_path, DAYS[0], {k: v for k, v in columns(["A"], [1.0]).items() if k != "volume"})
    with pytest.raises(BadInput, match="differ in length"):
        write_grouped(tmp_path, DAYS[0], columns(["A", "B"], [1.0]))
    with pytest.raises(BadInput, match="no session asked"):
        read_grouped(tmp_path, [])


def test_pandas_and_duckdb_would_see_the_date(tmp_path):
    import pyarrow.parquet as pq

    path = write_grouped(tmp_path, DAYS[0], columns(["AAPL"], [10.0]))
    assert pq.read_table(path)["date"].to_pylist() == [DAYS[0]]

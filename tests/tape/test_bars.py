"""Daily bars from a file: adjusted for known splits only, checked, right-aligned; faults told in one sentence."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qmterm.core.errors import BadInput
from qmterm.tape.bars import load_daily, read_daily

REAL = Path(__file__).parents[1] / "data" / "wiki_equity_2014.parquet"
DAYS = [date(2026, 3, day) for day in (2, 3, 4, 5, 6)]


def write(path, **changes):
    columns = {
        "symbol": ["AA"] * 5,
        "date": DAYS,
        "open": [10.0, 11.0, 12.0, 13.0, 14.0],
        "high": [11.0, 12.0, 13.0, 14.0, 15.0],
        "low": [9.0, 10.0, 11.0, 12.0, 13.0],
        "close": [10.5, 11.5, 12.5, 13.5, 14.5],
        "volume": [100, 200, 300, 400, 500],
    } | changes
    pq.write_table(pa.table({name: values for name, values in columns.items() if values is not None}), path)
    return path


def test_a_split_is_applied_backwards_to_prices_and_volume():
    panel = read_daily(REAL)
    row = panel.symbols.index("AAPL")
    before = int(np.flatnonzero(panel.days[row] == np.datetime64("2014-06-06"))[0])
    assert panel.close[row, before] == pytest.approx(645.57 / 7, abs=1e-9)
    assert panel.close[row, before + 1] == 93.70
    raw = pq.read_table(REAL, filters=[("symbol", "=", "AAPL"), ("date", "=", np.datetime64("2014-06-06", "us"))])
    assert panel.volume[row, before] == pytest.approx(raw["volume"][0].as_py() * 7, rel=1e-12)


def test_a_split_after_as_of_is_not_known_yet():
    panel = read_daily(REAL, as_of=date(2014, 6, 6))
    row = panel.symbols.index("AAPL")
    assert panel.close[row, -1] == 645.57
    assert panel.last_session == date(2014, 6, 6)


def test_two_splits_multiply(tmp_path):
    path = write(tmp_path / "two.parquet", split_ratio=[None, 2.0, 1.0, 0.5, None])
    assert read_daily(path).close[0].tolist() == pytest.approx([10.5, 11.5 / 0.5, 12.5 / 0.5, 13.5, 14.5])


def test_a_split_of_one_symbol_leaves_its_neighbours_alone(tmp_path):
    path = write(
        tmp_path / "two.parquet", symbol=["AA", "AA", "BB", "BB", "BB"], split_ratio=[None, None, None, 4.0, None]
    )
    panel = read_daily(path)
    assert panel.symbols == ("AA", "BB")
    assert panel.close[0, 1:].tolist() == [10.5, 11.5]
    assert panel.close[1].tolist() == [12.5 / 4, 13.5, 14.5]


def test_dividends_leave_prices_alone():
    panel = read_daily(REAL)
    raw = pq.read_table(REAL, filters=[("symbol", "=", "MSFT")])
    assert max(value or 0 for value in raw["ex_dividend"].to_pylist()) > 0
    assert panel.close[panel.symbols.index("MSFT")].tolist() == raw["close"].to_pylist()


def test_rows_are_right_aligned_and_short_histories_lead_with_nan():
    panel = read_daily(REAL)
    row = panel.symbols.index("ZEN")
    assert panel.bars.tolist() == [252, 252, 160]
    assert np.isnan(panel.close[row, : 252 - 160]).all()
    assert np.isfinite(panel.close[row, 252 - 160 :]).all()
    assert np.isnat(panel.days[row, 0])
    assert panel.days[row, -1] == np.datetime64("2014-12-31")


def test_stale_counts_sessions_not_days(tmp_path):
    path = write(tmp_path / "gap.parquet", symbol=["AA", "AA", "AA", "AA", "BB"])
    panel = read_daily(path, as_of=date(2026, 3, 9))  # a Monday: AA ended on Thursday, BB on Friday
    assert panel.last_session == date(2026, 3, 9)
    assert panel.stale.tolist() == [2, 1]


def test_as_of_on_a_weekend_means_the_session_before(tmp_path):
    panel = read_daily(write(tmp_path / "bars.parquet"), as_of=date(2026, 3, 8))
    assert panel.last_session == date(2026, 3, 6)
    assert panel.stale.tolist() == [0]


def test_max_bars_keeps_the_latest_ones(tmp_path):
    panel = read_daily(write(tmp_path / "bars.parquet"), max_bars=2)
    assert panel.close.tolist() == [[13.5, 14.5]]
    assert panel.bars.tolist() == [2]


def test_unsorted_rows_come_out_in_order_of_time(tmp_path):
    order = [3, 0, 4, 2, 1]
    path = write(
        tmp_path / "mixed.parquet",
        date=[DAYS[i] for i in order],
        close=[[10.5, 11.5, 12.5, 13.5, 14.5][i] for i in order],
        open=[[10.0, 11.0, 12.0, 13.0, 14.0][i] for i in order],
        high=[[11.0, 12.0, 13.0, 14.0, 15.0][i] for i in order],
        low=[[9.0, 10.0, 11.0, 12.0, 13.0][i] for i in order],
    )
    assert read_daily(path).close[0].tolist() == [10.5, 11.5, 12.5, 13.5, 14.5]


def test_only_the_symbols_asked_for_are_read():
    assert read_daily(REAL, symbols=["ZEN", "NOT THERE"]).symbols == ("ZEN",)


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("close", [10.5, float("nan"), 12.5, 13.5, 14.5], "without a number"),
        ("close", [10.5, None, 12.5, 13.5, 14.5], "without a number"),
        ("low", [9.0, 0.0, 11.0, 12.0, 13.0], "with a price of zero or less"),
        ("high", [11.0, 9.5, 13.0, 14.0, 15.0], "with the high below the low"),
        ("close", [10.5, 1150.0, 12.5, 13.5, 14.5], "with open or close outside high and low"),
        ("open", [10.0, 9.5, 12.0, 13.0, 14.0], "with open or close outside high and low"),
        ("volume", [100.0, -1.0, 300.0, 400.0, 500.0], "with a negative volume"),
        ("symbol", ["AA", None, "AA", "AA", "AA"], "without a symbol or date"),
        ("date", [DAYS[0], DAYS[0], *DAYS[2:]], "repeated (same symbol and date)"),
    ],
)
def test_a_bad_row_is_dropped_and_counted_by_its_fault(tmp_path, column, values, fault):
    file = load_daily(write(tmp_path / "bad.parquet", **{column: values}))
    assert dict(file.report.dropped) == {fault: 1}
    assert (file.report.rows, file.report.kept) == (5, 4)
    assert file.panel.close[0].tolist() == [10.5, 12.5, 13.5, 14.5]
    assert fault in file.report.sentence()


@pytest.mark.parametrize(
    "dates",
    [
        pa.array(DAYS).cast(pa.timestamp("ns")),
        pa.array([f"2026-03-0{day}" for day in (2, 3, 4, 5, 6)]),
        pa.array([1772485200000 + 86_400_000 * day for day in range(5)], pa.timestamp("ms", "UTC")),  # 21:00 UTC
    ],
)
def test_dates_may_be_timestamps_or_text(tmp_path, dates):
    panel = read_daily(write(tmp_path / "dates.parquet", date=dates))
    assert panel.days[0].tolist() == DAYS


@pytest.mark.parametrize("column", ["symbol", "date", "close", "volume"])
def test_a_missing_column_is_named(tmp_path, column):
    with pytest.raises(BadInput, match=f"lacks the column {column}: daily bars need symbol, date"):
        read_daily(write(tmp_path / "less.parquet", **{column: None}))


def test_a_missing_file_a_wrong_format_and_an_empty_span_are_told_apart(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.parquet does not exist"):
        read_daily(tmp_path / "nowhere.parquet")
    (tmp_path / "text.parquet").write_text("not parquet at all")
    with pytest.raises(BadInput, match="cannot be read as a Parquet file"):
        read_daily(tmp_path / "text.parquet")
    with pytest.raises(BadInput, match="no usable daily bar up to 2013-12-31"):
        read_daily(REAL, as_of=date(2013, 12, 31))
    with pytest.raises(BadInput, match="column close does not hold numbers"):
        read_daily(write(tmp_path / "words.parquet", close=["a", "b", "c", "d", "e"]))


def test_a_split_counts_although_the_bar_of_its_day_cannot_be_used(tmp_path):
    """Losing it left the old prices four times too high beside the new ones: an SMA50 of nothing."""
    faulty = {"open": [10.0, 11.0, float("nan"), 13.0, 14.0], "split_ratio": [None, None, 4.0, None, None]}
    file = load_daily(write(tmp_path / "faulty.parquet", **faulty))
    assert file.report.dropped == {"without a number": 1}
    assert file.panel.close[0].tolist() == pytest.approx([10.5 / 4, 11.5 / 4, 13.5, 14.5])
    assert file.panel.volume[0].tolist() == pytest.approx([400.0, 800.0, 400.0, 500.0])
    before = load_daily(tmp_path / "faulty.parquet", as_of=DAYS[1])
    assert before.panel.close[0].tolist() == [10.5, 11.5]


def test_a_split_told_twice_on_one_day_is_one_split(tmp_path):
    twice = write(
        tmp_path / "twice.parquet",
        date=[DAYS[0], DAYS[1], DAYS[2], DAYS[2], DAYS[3]],
        split_ratio=[None, None, 2.0, 2.0, None],
    )
    assert read_daily(twice).close[0].tolist() == pytest.approx([10.5 / 2, 11.5 / 2, 12.5, 14.5])


def test_a_day_that_no_calendar_has_is_named_by_its_row(tmp_path):
    path = write(tmp_path / "odd.parquet", date=[*DAYS[:3], date(9999, 12, 31), date(1, 1, 3)])
    with pytest.raises(
        BadInput, match=r"odd\.parquet: row 4 \(and 1 more\), column date: 9999-12-31 is no day of 1900"
    ):
        load_daily(path)
    with pytest.raises(BadInput, match="9999-12-31 is no day of 1900-01-01 to 2100-12-31"):
        load_daily(write(tmp_path / "bars.parquet"), as_of=date(9999, 12, 31))

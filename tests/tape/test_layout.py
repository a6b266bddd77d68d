"""Files in the documented layout, and files that are not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qmterm.core.errors import BadInput
from qmterm.tape import layout
from qmterm.tape.bars import read_daily
from qmterm.tape.layout import DAILY, MINUTES, OPTION_QUOTES

NINE_THIRTY_NS = 1_772_461_800_000_000_000  # 2026-03-02 09:30 New York
DOCS = Path(__file__).parents[2] / "docs" / "data.md"


def csv(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_ticker_that_looks_like_nothing_stays_a_word(tmp_path: Path) -> None:
    path = csv(
        tmp_path, "symbol,date,open,high,low,close,volume\nNA,2026-03-02,1,2,1,2,100\nTRUE,2026-03-02,1,2,1,2,9\n"
    )

    table = layout.read(path, layout.layout_of(path))

    assert table["symbol"].to_pylist() == ["NA", "TRUE"]
    assert table["date"].to_pylist() == [date(2026, 3, 2)] * 2
    assert table["split_ratio"].to_pylist() != [0.0, 0.0]  # unknown, not nothing
    assert table.schema == layout.arrow_schema(DAILY)


@pytest.mark.parametrize(
    "spelled",
    [
        str(NINE_THIRTY_NS),
        str(NINE_THIRTY_NS // 10**3),
        str(NINE_THIRTY_NS // 10**6),
        str(NINE_THIRTY_NS // 10**9),
        "2026-03-02T14:30:00Z",
        "2026-03-02 14:30:00",
        "2026-03-02T09:30:00-05:00",
    ],
)
def test_every_spelling_of_an_instant_is_the_same_nanosecond(tmp_path: Path, spelled: str) -> None:
    path = csv(tmp_path, f"ticker,timestamp,open,high,low,close,volume\nA,{spelled},1,2,1,2,100\n")

    table = layout.read(path, layout.layout_of(path))

    assert table["start_ns"].to_pylist() == [NINE_THIRTY_NS]


def test_a_day_at_midnight_utc_is_that_day_and_not_the_one_before(tmp_path: Path) -> None:
    columns = {name: pa.array([1.0]) for name in ("open", "high", "low", "close", "volume")}
    stamps = pa.array([date(2026, 2, 27)]).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"symbol": ["A"], "date": stamps, **columns}), tmp_path / "d.parquet")
    assert layout.read(tmp_path / "d.parquet", DAILY)["date"].to_pylist() == [date(2026, 2, 27)]
    assert read_daily(tmp_path / "d.parquet").days.tolist() == [[date(2026, 2, 27)]]


def test_timestamp_columns_of_any_unit_and_zone(tmp_path: Path) -> None:
    moment = pa.scalar(NINE_THIRTY_NS // 10**3, pa.timestamp("us"))
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("us", "America/New_York")):
        columns = {name: pa.array([1.0]) for name in ("open", "high", "low", "close", "volume")}
        table = pa.table({"symbol": ["A"], "timestamp": pa.array([moment.value], kind), **columns})
        pq.write_table(table, tmp_path / "m.parquet")
        assert layout.read(tmp_path / "m.parquet", MINUTES)["start_ns"].to_pylist() == [NINE_THIRTY_NS], kind


def test_option_quotes_are_told_from_bars(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "occ,start_ns,bid,ask,bid_size,ask_size,open_interest\n"
        f"NVDA  260417C00180000,{NINE_THIRTY_NS},1.10,1.20,5,7,1200\n",
    )
    found = layout.layout_of(path)
    row = layout.read(path, found).to_pylist()[0]
    assert found is OPTION_QUOTES
    assert (row["occ"], row["bid"], row["ask_size"]) == ("NVDA  260417C00180000", 1.10, 7.0)


@pytest.mark.parametrize("spelled", ["1772168400000000000", "2026-02-27T05:00:00Z", "2026-02-27T00:00:00Z"])
def test_the_vendors_file_of_day_bars_is_told_from_its_file_of_minutes(tmp_path: Path, spelled: str) -> None:
    first_line = "ticker,volume,open,close,high,low,window_start,transactions\n"
    days = csv(tmp_path, f"{first_line}A,1000,10,10.5,11,9,{spelled},55\nB,1000,10,10.5,11,9,{spelled},55\n", "d.csv")
    assert layout.layout_of(days) is DAILY
    assert layout.read(days, DAILY)["date"].to_pylist() == [date(2026, 2, 27)] * 2
    minutes = csv(tmp_path, f"{first_line}A,1000,10,10.5,11,9,{NINE_THIRTY_NS},55\n", "m.csv")
    assert layout.layout_of(minutes) is MINUTES
    columns = {name: [10.0] for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(
        pa.table({"ticker": ["A"], "window_start": [1772168400000000000], **columns}), tmp_path / "d.parquet"
    )
    assert layout.layout_of(tmp_path / "d.parquet") is DAILY


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"does not exist"):
        layout.layout_of(tmp_path / "none.parquet")
    with pytest.raises(BadInput, match="daily bars would need date"):
        layout.layout_of(csv(tmp_path, "symbol,open,high,low,close,volume\nA,1,1,1,1,1\n"))
    with pytest.raises(BadInput, match="no Parquet"):
        layout.layout_of(csv(tmp_path, "torn", "torn.parquet"))
    with pytest.raises(BadInput, match=r"cannot be read|is no"):
        layout.read(csv(tmp_path, "symbol,date,open,high,low,close,volume\nA,2026-03-02,x,1,1,1,1\n"), DAILY)
    with pytest.raises(BadInput, match="column date is no day"):
        layout.read(csv(tmp_path, "symbol,date,open,high,low,close,volume\nA,yesterday,1,1,1,1,1\n"), DAILY)


def test_a_big_file_comes_in_pieces(tmp_path: Path) -> None:
    count = 10_000
    columns = {name: pa.array([1.0] * count) for name in ("open", "high", "low", "close", "volume")}
    starts = pa.array([NINE_THIRTY_NS + 60_000_000_000 * n for n in range(count)])
    pq.write_table(pa.table({"symbol": ["A"] * count, "start_ns": starts, **columns}), tmp_path / "m.parquet")

    pieces = [len(piece) for piece in layout.batches(tmp_path / "m.parquet", MINUTES, rows=3000)]

    assert max(pieces) <= 3000
    assert sum(pieces) == count


def test_sessions_of_a_store_are_its_file_names(tmp_path: Path) -> None:
    day = date(2026, 3, 2)
    path = layout.session_path(tmp_path, MINUTES, day)
    path.parent.mkdir()
    path.touch()
    (path.parent / "2026-13-40.parquet").touch()
    assert path == tmp_path / "minutes" / "2026-03-02.parquet"
    assert layout.stored_sessions(tmp_path, MINUTES) == (day,)
    assert layout.stored_sessions(tmp_path, DAILY) == ()


def test_the_page_tells_every_column() -> None:
    page = DOCS.read_text()
    for one in layout.LAYOUTS:
        for column in one.columns:
            assert f"`{column.name}`" in page, column.name

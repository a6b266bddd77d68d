"""The panel filled in place: every bar where a slow, plain reading puts it, whatever the symbol table says."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmterm.core.bars import DailyPanel
from qmterm.tape.grouped import day_path, numbered, read_day, write_grouped
from qmterm.tape.panel import read_grouped
from qmterm.tape.symbols import FILE, SymbolTable

FIRST = date(2026, 3, 2)
NAMES = ("A", "AA", "BRK.B", "LONGNAME", "LONGNAMEW", "NA", "Z")
presence = st.lists(st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)), min_size=1, max_size=11)


def price(name: int, day: int) -> float:
    return 10.0 + name + day / 16


def store(folder: Path, there: list[list[bool]]) -> list[date]:
    days = [FIRST + timedelta(days=number) for number in range(len(there))]
    for number, (day, row) in enumerate(zip(days, there, strict=True)):
        names = [name for name, kept in enumerate(row) if kept]
        close = np.array([price(name, number) for name in names])
        prices = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": close * 100}
        write_grouped(
            folder,
            day,
            {"symbol": [NAMES[name] for name in reversed(names)], **{k: v[::-1] for k, v in prices.items()}},
        )
    return days


def assert_right(panel: DailyPanel, there: list[list[bool]], days: list[date]) -> None:
    known = [name for name in range(len(NAMES)) if any(row[name] for row in there)]
    assert panel.symbols == tuple(NAMES[name] for name in known)
    width = max((sum(row[name] for row in there) for name in known), default=0)
    assert panel.close.shape == (len(known), width)
    for row, name in enumerate(known):
        own = [number for number, present in enumerate(there) if present[name]]
        lead = width - len(own)
        assert panel.bars[row] == len(own)
        assert panel.stale[row] == len(there) - 1 - own[-1]
        assert np.isnan(panel.close[row, :lead]).all()
        assert np.isnat(panel.days[row, :lead]).all()
        assert panel.close[row, lead:].tolist() == [price(name, number) for number in own]
        assert panel.volume[row, lead:].tolist() == [100 * price(name, number) for number in own]
        assert panel.days[row, lead:].tolist() == [days[number] for number in own]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=presence)
def test_holes_late_listings_and_vanished_names(
    tmp_path_factory: pytest.TempPathFactory, there: list[list[bool]]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    days = store(folder, there)
    assert_right(read_grouped(folder, days), there, days)


ALL = [[True] * len(NAMES), [False] + [True] * 6, [True] * len(NAMES)]


@pytest.mark.parametrize("table", ["gone", "of another store", "torn"])
def test_a_symbol_table_that_is_not_this_stores_changes_nothing(tmp_path: Path, table: str) -> None:
    days = store(tmp_path, ALL)
    path = tmp_path / FILE
    lines = path.read_text().splitlines()
    if table == "gone":
        path.unlink()
    else:
        path.write_text("\n".join(lines[::-1] if table == "of another store" else lines[:3]))
    assert_right(read_grouped(tmp_path, days), ALL, days)


def test_files_from_before_the_table_are_read_by_name_and_numbered_once(tmp_path: Path) -> None:
    days = store(tmp_path, ALL)
    for day in days:
        old = pq.read_table(day_path(tmp_path, day)).drop_columns("number").replace_schema_metadata(None)
        pq.write_table(old, day_path(tmp_path, day))
    (tmp_path / FILE).unlink()
    assert_right(read_grouped(tmp_path, days), ALL, days)
    assert numbered(tmp_path, days) == tuple(days)
    assert numbered(tmp_path, days) == ()
    assert_right(read_grouped(tmp_path, days), ALL, days)
    assert read_day(tmp_path, days[1]).symbols.tolist() == list(NAMES[1:])


def test_two_names_never_share_a_checksum_by_their_order(tmp_path: Path) -> None:
    store(tmp_path, ALL)
    table = SymbolTable.load(tmp_path)
    forward, back = np.arange(7, dtype=np.int32), np.arange(7, dtype=np.int32)[::-1]
    assert table.checksum(forward) != table.checksum(back)
    assert table.checksum(np.array([7], dtype=np.int32)) is None


def test_a_disk_that_fails_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = store(tmp_path, ALL)

    def fails(*args: object, **kwargs: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("pyarrow.parquet.ParquetFile", fails)
    with pytest.raises(OSError, match="Too many open files"):
        read_grouped(tmp_path, days)
    assert day_path(tmp_path, days[0]).exists()

"""The two passes over the files: what the first has learnt never gives a bar to another name in the second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qmterm.core.bars import DailyPanel
from qmterm.tape.grouped import DaysMissing, day_path, write_grouped
from qmterm.tape.panel import read_grouped
from qmterm.tape.sessions import Sessions
from qmterm.tape.symbols import SymbolTable

FIRST = date(2026, 3, 2)


def write(folder: Path, number: int, bars: dict[str, float]) -> date:
    day = FIRST + timedelta(days=number)
    close = np.array(list(bars.values()))
    prices = {"open": close, "high": close + 1, "low": close / 2, "close": close, "volume": close * 100}
    write_grouped(folder, day, {"symbol": list(bars), **prices})
    return day


def closes(panel: DailyPanel) -> dict[str, list[float]]:
    return {
        name: row[len(row) - bars :].tolist()
        for name, row, bars in zip(panel.symbols, panel.close, panel.bars.tolist(), strict=True)
    }


def test_many_rows_and_sessions_are_where_a_plain_reading_puts_them(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    names = [f"N{number:03d}" for number in range(603)]  # more than two parts, and no whole byte of marks
    days, expected = [], {name: [] for name in names}
    for number in range(19):  # two whole turns and a part of one
        bars = {
            name: float(random.integers(100, 10_000)) / 100
            for place, name in enumerate(names)
            if place % 3 or random.random() < 0.7
        }
        days.append(write(tmp_path, number, bars))
        for name, value in bars.items():
            expected[name].append(value)
    panel = read_grouped(tmp_path, days)
    assert closes(panel) == expected
    assert np.array_equal(np.isnan(panel.close), np.isnat(panel.days))
    assert np.array_equal(panel.volume, panel.close * 100, equal_nan=True)
    assert panel.days[1].tolist() == days


@pytest.mark.parametrize("what", ["written again", "deleted"])
def test_a_file_that_changes_between_the_passes_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    days = [write(tmp_path, 0, {"A": 1.0, "B": 2.0}), write(tmp_path, 1, {"A": 3.0, "C": 4.0})]
    looked: list[int] = []
    usual: Callable[..., list[date]] = Sessions.look_at

    def look_at(self: Sessions, *arguments: object) -> list[date]:
        held = usual(self, *arguments)
        if not looked:  # now the pull comes in between, with as many rows as before
            if what == "deleted":
                day_path(tmp_path, days[1]).unlink()
            else:
                write(tmp_path, 1, {"B": 5.0, "D": 6.0})
        looked.append(len(held))
        return held

    monkeypatch.setattr(Sessions, "look_at", look_at)
    if what == "deleted":
        with pytest.raises(DaysMissing):
            read_grouped(tmp_path, days)
    else:
        assert closes(read_grouped(tmp_path, days)) == {"A": [1.0], "B": [2.0, 5.0], "D": [6.0]}
    assert looked == ([2, 1] if what == "deleted" else [2, 2])


def test_rows_out_of_order_or_repeated_are_read_one_by_one(tmp_path: Path) -> None:
    days = [write(tmp_path, 0, {"A": 1.0, "B": 2.0, "C": 3.0}), write(tmp_path, 1, {"A": 4.0, "B": 5.0, "C": 6.0})]
    path = day_path(tmp_path, days[1])
    table = pq.read_table(path).take(pa.array([2, 0, 0, 1]))
    checksum = SymbolTable.load(tmp_path).checksum(np.array([2, 0, 0, 1], dtype=np.int32))
    assert checksum is not None
    pq.write_table(table.replace_schema_metadata({b"qmterm.names": checksum}), path)
    source = Sessions(tmp_path)
    assert source.look_at(days, map) == days
    assert source.present(days[0]) is not None
    assert source.present(days[1]) is None
    assert closes(read_grouped(tmp_path, days)) == {"A": [1.0, 4.0], "B": [2.0, 5.0], "C": [3.0, 6.0]}


def test_a_bad_price_in_an_ordered_file_leaves_only_that_bar_out(tmp_path: Path) -> None:
    days = [write(tmp_path, 0, {"A": 1.0, "B": 2.0}), write(tmp_path, 1, {"A": 4.0, "B": 5.0, "C": 6.0})]
    path = day_path(tmp_path, days[1])
    table = pq.read_table(path)
    place = table.column_names.index("low")
    pq.write_table(table.set_column(place, "low", pa.array([2.0, float("nan"), 3.0])), path)
    panel = read_grouped(tmp_path, days)
    assert closes(panel) == {"A": [1.0, 4.0], "B": [2.0], "C": [6.0]}
    assert panel.stale.tolist() == [0, 1, 0]


def test_a_checksum_counts_every_place_beyond_its_pieces() -> None:
    table = SymbolTable.of(pa.array([f"N{number}" for number in range(20_000)]))
    numbers = np.arange(20_000, dtype=np.int32)
    swapped = numbers.copy()
    swapped[[9_000, 17_500]] = swapped[[17_500, 9_000]]
    plain = sum(int(value) * (2 * place + 1) for place, value in enumerate(table.hashes.tolist())) % 2**64
    assert table.checksum(numbers) == str(plain).encode()
    assert table.checksum(swapped) != table.checksum(numbers)

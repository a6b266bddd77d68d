"""Daily bars of a store in a replay: on the share count of the day the replay stands in, whenever they were pulled."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.errors import BadInput
from qmterm.sim.replay.daily import DailyBars, ReplayCorporate, ReplayPast, read_daily_bars
from qmterm.sim.replay.source import find
from qmterm.tape.grouped import write_grouped
from qmterm.tape.manifest import NAME, SplitRow, StoredManifest

DAYS = SessionCalendar.load(date(2025, 1, 1), date(2026, 3, 10)).last_n(date(2026, 2, 27), 10)
SPLIT = DAYS[6]


def store(folder: Path, pulled_after: int, splits: list[SplitRow]) -> Path:
    """A stock of 700 that splits 7 for 1; sessions up to number `pulled_after` are pulled on its day, each later one
    on its own."""
    for number, day in enumerate(DAYS):
        pulled = max(day, DAYS[pulled_after])
        price = np.array([100.0 if pulled >= SPLIT else 700.0, 50.0])
        bars = {name: price for name in ("open", "high", "low", "close")}
        write_grouped(folder, day, {"symbol": ["AAA", "BBB"], **bars, "volume": price * (number + 1)}, pulled=pulled)
    manifest = StoredManifest.read(folder)
    manifest.splits += splits
    manifest.write(folder)
    return folder


def closes(bars: DailyBars, on: date) -> list[list[float]]:
    past = ReplayPast(bars, np.arange(len(bars.names)), len(bars.names))
    return [row.close.tolist() for row in past.before(on).rows]


@pytest.mark.parametrize("pulled_after", [0, 3, 6, 9])
def test_a_stores_splits_are_applied_to_sessions_that_lack_them_and_taken_out_before_their_day(
    tmp_path: Path, pulled_after: int
) -> None:
    told_twice = [SplitRow("AAA", SPLIT, 1.0, 7.0), SplitRow("AAA", SPLIT, 2.0, 14.0), SplitRow("ZZZ", SPLIT, 1.0, 2.0)]
    bars = read_daily_bars(find(store(tmp_path, pulled_after, told_twice)).daily)
    assert closes(bars, date(2026, 3, 2)) == [[100.0, 50.0]] * 10
    assert closes(bars, SPLIT) == [[100.0, 50.0]] * 6
    assert closes(bars, DAYS[5]) == [[pytest.approx(700.0), 50.0]] * 5
    assert ReplayCorporate(bars, np.arange(2), DAYS[5]).splits == []
    told = ReplayCorporate(bars, np.arange(2), SPLIT).splits
    assert [(split.symbol, split.day, split.new / split.old) for split in told] == [(0, SPLIT, 7.0)]


def test_a_file_of_ones_own_beside_a_store_is_as_it_says(tmp_path: Path) -> None:
    store(tmp_path, 0, [SplitRow("AAA", SPLIT, 1.0, 7.0)])
    own = ["symbol,date,open,high,low,close,volume,split_ratio", f"CCC,{DAYS[5]},70,70,70,70,1,"]
    (tmp_path / "own.csv").write_text("\n".join([*own, f"CCC,{SPLIT},10,10,10,10,1,7"]) + "\n")
    bars = read_daily_bars(find(tmp_path).daily)
    assert [row[2] for row in closes(bars, date(2026, 3, 2))] == [0, 0, 0, 0, 0, 10.0, 10.0, 0, 0, 0]
    assert [row[2] for row in closes(bars, SPLIT)] == [0, 0, 0, 0, 0, 10.0]


def test_a_store_whose_splits_cannot_be_read_is_not_played(tmp_path: Path) -> None:
    store(tmp_path, 0, [])
    (tmp_path / NAME).write_text("{torn")
    with pytest.raises(BadInput, match="splits of the sessions beside it are not known"):
        read_daily_bars(find(tmp_path).daily)

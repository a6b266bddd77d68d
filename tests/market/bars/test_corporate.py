"""Splits and renames as of a date."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from qmterm.core.bars import DailyPanel
from qmterm.core.errors import BadInput
from qmterm.market.bars.corporate import Rename, adjust, renamed
from qmterm.market.records import Split

FIRST = date(2026, 3, 2)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]


def panel(**closes: list[float]) -> DailyPanel:
    close = np.array(list(closes.values()), dtype=float)
    days = np.where(np.isnan(close), np.datetime64("NaT", "D"), np.array(DAYS, dtype="datetime64[D]"))
    return DailyPanel(
        tuple(closes), DAYS[-1], close.copy(), close + 1, close - 1, close, close * 100,
        np.count_nonzero(~np.isnan(close), axis=1), np.zeros(len(close), dtype=np.int64), days,
    )  # fmt: skip


SPLIT = Split("A", DAYS[2], 1, 7)


def test_a_split_is_applied_from_its_day_on_and_not_before() -> None:
    after = panel(A=[700, 707, 102, 103], B=[1, 2, 3, 4])
    adjust(after, [SPLIT, SPLIT], DAYS[2])
    assert after.close.tolist() == [[100, 101, 102, 103], [1, 2, 3, 4]]
    assert after.volume[0, 0] == 70_000 * 7
    before = panel(A=[700, 707, 102, 103])
    adjust(before, [SPLIT], DAYS[1])
    assert before.close[0, :2].tolist() == [700, 707]


def test_bars_adjusted_already_are_left_alone_or_put_back() -> None:
    held = panel(A=[100, 101, 102, 103])
    adjust(held, [SPLIT], DAYS[3], basis=DAYS[3])
    assert held.close[0].tolist() == [100, 101, 102, 103]
    adjust(held, [SPLIT], DAYS[1], basis=DAYS[3])
    assert held.close[0, :2] == pytest.approx([700, 707])
    mixed = panel(A=[700, 101, 102, 103])
    adjust(mixed, [SPLIT], DAYS[3], basis={DAYS[0]: DAYS[1], DAYS[1]: DAYS[3]})
    assert mixed.close[0].tolist() == [100, 101, 102, 103]


def test_a_reverse_split_raises_prices() -> None:
    held = panel(A=[1, 1.1, 10.5, 11])
    adjust(held, [Split("A", DAYS[2], 10, 1)], DAYS[3])
    assert held.close[0] == pytest.approx([10, 11, 10.5, 11])
    with pytest.raises(BadInput, match="is no ratio"):
        adjust(held, [Split("A", DAYS[2], 0, 1)], DAYS[3])


def test_a_renamed_companys_history_goes_on_under_the_new_name() -> None:
    nan = float("nan")
    held = panel(FB=[10, 11, nan, nan], META=[nan, nan, 12, 13], Z=[1, 2, 3, 4])
    found = renamed(held, [Rename(DAYS[2], "FB", "META")], DAYS[3])
    assert found.symbols == ("META", "Z")
    assert found.close.tolist() == [[10, 11, 12, 13], [1, 2, 3, 4]]
    assert found.bars.tolist() == [4, 4]
    assert renamed(held, [Rename(DAYS[2], "FB", "META")], DAYS[1]) is held


def test_an_old_symbol_that_another_company_takes_over_starts_anew() -> None:
    nan = float("nan")
    held = panel(FB=[10, 11, 80, 81], META=[nan, nan, 12, 13])
    found = renamed(held, [Rename(DAYS[2], "FB", "META")], DAYS[3])
    assert found.symbols == ("FB", "META")
    assert found.close[1].tolist() == [10, 11, 12, 13]
    assert np.isnan(found.close[0, :2]).all()
    assert found.close[0, 2:].tolist() == [80, 81]
    assert found.bars.tolist() == [2, 4]

"""History: one call a session, kept at once, resumed, repaired, and right after a split."""

import errno
import json
from datetime import date

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import ManualClock, from_et
from qmterm.core.errors import DataAuthError, DataError, NotEntitled
from qmterm.market.bars.corporate import Rename
from qmterm.market.history.history import History
from qmterm.market.history.importing import import_file
from qmterm.market.records import GroupedColumns, Split
from qmterm.tape.grouped import DaysMissing, day_path, read_day, write_grouped

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2026, 12, 31))
LAST = date(2026, 2, 27)
DAYS = CALENDAR.last_n(LAST, 12)
SYMBOLS = ("AAPL", "MSFT")


class FakeRest:
    """Closes are the day's number; failures are taken from a list, once each."""

    def __init__(self, fail=None, splits=()):
        self.calls = []
        self.split_calls = []
        self.fail = fail or {}
        self.known_splits = splits

    async def grouped_daily(self, day):
        self.calls.append(day)
        errors = self.fail.get(day)
        if errors:
            raise errors.pop(0)
        price = np.full(len(SYMBOLS), 100.0 + DAYS.index(day))
        return GroupedColumns(day, SYMBOLS, price, price + 1, price - 1, price, price * 10, price)

    async def splits(self, since):
        self.split_calls.append(since)
        return tuple(split for split in self.known_splits if split.day >= since)


def history(tmp_path, rest, day=date(2026, 3, 2)):
    return History(rest, tmp_path / "daily", CALENDAR, ManualClock(from_et(day, 9, 25)))


async def test_each_missing_session_is_one_call_newest_first_and_never_again(tmp_path):
    rest = FakeRest()
    seen = []
    kept = history(tmp_path, rest)
    assert kept.missing(DAYS) == DAYS
    report = await kept.pull(DAYS, lambda done, of: seen.append((done, of)))
    assert report.complete
    assert report.pulled == DAYS
    assert rest.calls == sorted(DAYS, reverse=True)
    assert seen == [(n, 12) for n in range(1, 13)]
    again = FakeRest()
    assert history(tmp_path, again).missing(DAYS) == ()
    panel = await history(tmp_path, again).panel(LAST, 12)
    assert again.calls == []
    assert panel.symbols == SYMBOLS
    assert panel.close[0].tolist() == [100.0 + n for n in range(12)]


async def test_a_failed_day_is_tried_again_and_then_named(tmp_path):
    twice, once = DAYS[3], DAYS[5]
    rest = FakeRest({twice: [DataError("bad"), DataError("worse")], once: [DataError("bad")]})
    kept = history(tmp_path, rest)
    report = await kept.pull(DAYS)
    assert report.failed == {twice: "worse"}
    assert once in report.pulled
    assert kept.missing(DAYS) == (twice,)
    rest.fail[twice] = [DataError("still"), DataError("still")]
    with pytest.raises(DaysMissing):
        await kept.panel(LAST, 12)
    rest.fail[twice] = [DataError("still"), DataError("still")]
    panel = await kept.panel(LAST, 12, allow_missing=True)
    assert panel.bars.tolist() == [11, 11]
    assert (await kept.pull(DAYS)).pulled == (twice,)


async def test_history_beyond_the_plan_is_asked_once_and_a_wrong_key_stops_everything(tmp_path):
    old = DAYS[0]
    rest = FakeRest({old: [NotEntitled("plan")] * 3})
    report = await history(tmp_path, rest).pull(DAYS)
    assert report.failed == {old: "plan"}
    assert rest.calls.count(old) == 1
    rest = FakeRest({day: [DataAuthError("key")] * 3 for day in DAYS})
    report = await history(tmp_path / "other", rest).pull(DAYS)
    assert set(report.failed) == set(DAYS)
    assert len(rest.calls) <= 3


async def test_a_session_without_bars_is_not_kept(tmp_path):
    class Empty(FakeRest):
        async def grouped_daily(self, day):
            none = np.zeros(0)
            return GroupedColumns(day, (), none, none, none, none, none, none)

    report = await history(tmp_path, Empty()).pull(DAYS[-1:])
    assert "was a session" in report.failed[DAYS[-1]]


async def test_a_torn_file_is_pulled_again(tmp_path):
    rest = FakeRest()
    kept = history(tmp_path, rest)
    await kept.pull(DAYS)
    day_path(tmp_path / "daily", DAYS[4]).write_bytes(b"PAR1 torn")
    panel = await history(tmp_path, rest).panel(LAST, 12)
    assert rest.calls.count(DAYS[4]) == 2
    assert panel.bars.tolist() == [12, 12]


async def test_a_lost_manifest_is_made_again_from_the_files(tmp_path):
    kept = history(tmp_path, FakeRest())
    await kept.pull(DAYS)
    (tmp_path / "daily" / "manifest.json").write_text("{torn")
    assert history(tmp_path, FakeRest()).missing(DAYS) == ()


async def test_a_session_pulled_again_after_a_split_by_a_killed_program_is_not_split_twice(tmp_path):
    split = Split("MSFT", date(2026, 3, 3), 1, 4)
    await history(tmp_path, FakeRest(splits=(split,)), date(2026, 3, 2)).pull(DAYS)
    stale = (tmp_path / "daily" / "manifest.json").read_bytes()
    day_path(tmp_path / "daily", DAYS[-1]).unlink()
    later = history(tmp_path, FakeRest(splits=(split,)), date(2026, 3, 4))
    await later.pull(DAYS)
    (tmp_path / "daily" / "manifest.json").write_bytes(stale)  # killed before it was written
    again = history(tmp_path, FakeRest(splits=(split,)), date(2026, 3, 4))
    await again.refresh_splits()
    closes = (await again.panel(LAST, 12)).close[1]
    assert (closes[-2], closes[-1]) == (110.0 / 4, 111.0)


async def test_files_without_a_pull_date_count_as_missing(tmp_path):
    rest = FakeRest()
    await history(tmp_path, rest).pull(DAYS)
    for day in DAYS:
        rows = read_day(tmp_path / "daily", day)
        write_grouped(tmp_path / "daily", day, {"symbol": rows.symbols, **rows.columns})
    (tmp_path / "daily" / "manifest.json").unlink()
    assert history(tmp_path, FakeRest()).missing(DAYS) == DAYS


async def test_a_manifest_of_the_first_version_is_read_as_it_is(tmp_path):
    await history(tmp_path, FakeRest()).pull(DAYS)
    row = {"symbol": "MSFT", "day": "2026-03-03", "split_from": 1, "split_to": 4}
    pulled = {day.isoformat(): "2026-03-02" for day in DAYS}
    old = {"pulled": pulled, "splits": [row], "splits_until": "2026-03-03"}
    (tmp_path / "daily" / "manifest.json").write_text(json.dumps(old))
    later = history(tmp_path, FakeRest(), date(2026, 3, 3))
    assert later.missing(DAYS) == ()
    assert (await later.panel(LAST, 12)).close[1, 0] == 25.0


async def test_a_panel_as_of_an_earlier_day_does_not_know_the_split(tmp_path):
    split = Split("MSFT", DAYS[6], 1, 4)
    rest = FakeRest(splits=(split,))
    kept = history(tmp_path, rest)
    await kept.pull(DAYS)  # after the split: these bars have it already
    assert await kept.know_splits_since(DAYS[0]) == 1
    assert await kept.know_splits_since(DAYS[0]) == 0
    assert rest.split_calls == [DAYS[0]]
    assert (await kept.panel(LAST, 12)).close[1, 0] == 100.0
    assert (await kept.panel(DAYS[5], 6, as_of=DAYS[5])).close[1, 0] == 400.0


async def test_a_split_since_the_pull_adjusts_what_was_pulled_before_it(tmp_path):
    split = Split("MSFT", date(2026, 3, 3), 1, 4)
    rest = FakeRest(splits=(split,))
    await history(tmp_path, rest, date(2026, 3, 2)).pull(DAYS)

    later = history(tmp_path, rest, date(2026, 3, 4))
    assert await later.refresh_splits() == (split,)
    assert await later.refresh_splits() == ()
    panel = await later.panel(LAST, 12)
    assert panel.close[1].tolist() == [(100.0 + n) / 4 for n in range(12)]
    assert panel.volume[1, 0] == 4_000.0
    assert panel.close[0, 0] == 100.0

    # A file pulled after the split has it already.
    day_path(tmp_path / "daily", DAYS[-1]).unlink()
    again = history(tmp_path, rest, date(2026, 3, 4))
    panel = await again.panel(LAST, 12)
    assert panel.close[1, -1] == 111.0
    assert panel.close[1, -2] == 110.0 / 4


async def test_splits_are_asked_for_once_a_day_and_future_ones_wait(tmp_path):
    announced = Split("AAPL", date(2026, 3, 5), 1, 2)
    rest = FakeRest(splits=(announced,))
    await history(tmp_path, rest, date(2026, 3, 2)).pull(DAYS)
    early = history(tmp_path, rest, date(2026, 3, 4))
    assert await early.refresh_splits() == ()
    assert rest.split_calls == [date(2026, 3, 3)]
    late = history(tmp_path, rest, date(2026, 3, 5))
    assert await late.refresh_splits() == (announced,)
    assert (await late.panel(LAST, 12)).close[0, 0] == 50.0


async def test_the_ratio_of_splits_counts_those_after_one_day_up_to_another(tmp_path):
    rest = FakeRest(splits=(Split("MSFT", date(2026, 3, 3), 1, 4), Split("MSFT", date(2026, 3, 4), 2, 1)))
    await history(tmp_path, rest, date(2026, 3, 2)).pull(DAYS)
    later = history(tmp_path, rest, date(2026, 3, 4))
    await later.refresh_splits()
    assert later.split_ratio("MSFT", date(2026, 3, 2), date(2026, 3, 4)) == 2.0
    assert later.split_ratio("MSFT", date(2026, 3, 3), date(2026, 3, 4)) == 0.5
    assert later.split_ratio("MSFT", date(2026, 3, 4), date(2026, 3, 4)) == 1.0
    assert later.split_ratio("AAPL", date(2026, 3, 2), date(2026, 3, 4)) == 1.0


async def test_a_bar_pulled_on_its_own_day_is_pulled_once_more_when_the_day_is_over(tmp_path):
    rest = FakeRest()
    day = DAYS[-1]
    same_day = history(tmp_path, rest, day)
    await same_day.pull([day])
    assert same_day.missing([day]) == ()
    next_day = history(tmp_path, rest, date(2026, 3, 4))
    assert next_day.missing([day]) == (day,)
    await next_day.pull([day])
    assert next_day.missing([day]) == ()


class RenamedRest(FakeRest):
    """AAPL trades as FRESH from the seventh day on."""

    async def grouped_daily(self, day):
        bars = await super().grouped_daily(day)
        names = SYMBOLS if day < DAYS[6] else ("FRESH", "MSFT")
        columns = bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap
        return GroupedColumns(day, names, *columns)


async def test_a_renamed_companys_sessions_go_on_under_its_new_name_with_the_splits_of_both(tmp_path):
    kept = history(tmp_path, RenamedRest())
    await kept.pull(DAYS)
    assert (await kept.panel(LAST, 12)).symbols == ("AAPL", "FRESH", "MSFT")
    change = Rename(DAYS[6], "AAPL", "FRESH")
    assert await kept.learn_renames([change], ["FRESH"]) == (change,)
    assert await kept.learn_renames([change], []) == ()
    again = history(tmp_path, RenamedRest())
    assert (again.renames, again.names_asked) == ((change,), frozenset({"FRESH"}))
    kept._manifest.pulled = dict.fromkeys(DAYS, DAYS[0])
    kept._manifest.learn([Split("AAPL", DAYS[3], 1, 2), Split("FRESH", DAYS[9], 1, 5)], LAST)
    panel = await kept.panel(LAST, 12)
    assert (panel.symbols, panel.bars.tolist()) == (("FRESH", "MSFT"), [12, 12])
    ratios = [10, 10, 10, 5, 5, 5, 5, 5, 5, 1, 1, 1]
    assert panel.close[0].tolist() == [(100.0 + n) / ratio for n, ratio in enumerate(ratios)]
    assert panel.close[1].tolist() == [100.0 + n for n in range(12)]
    before = await kept.panel(DAYS[5], 6, as_of=DAYS[5])
    assert before.symbols == ("AAPL", "MSFT")
    assert before.close[0].tolist() == [(100.0 + n) / (2 if n < 3 else 1) for n in range(6)]


def stock_file(path, days, symbol="MYSTK", close=7.0):
    lines = [f"{symbol},{day},{close},{close},{close},{close},100" for day in days]
    path.write_text("symbol,date,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    return path


async def test_a_session_that_only_a_file_brought_in_is_pulled_and_keeps_the_files_rows(tmp_path):
    import_file(stock_file(tmp_path / "one.csv", DAYS), tmp_path / "daily", CALENDAR)
    rest = FakeRest()
    kept = history(tmp_path, rest)
    assert kept.missing(DAYS) == DAYS
    await kept.pull(DAYS)
    assert len(rest.calls) == 12
    assert history(tmp_path, rest).missing(DAYS) == ()
    panel = await kept.panel(LAST, 12)
    assert (panel.symbols, panel.bars.tolist()) == (("AAPL", "MSFT", "MYSTK"), [12, 12, 12])
    (tmp_path / "daily" / "manifest.json").unlink()
    assert history(tmp_path, rest).missing(DAYS) == ()


async def test_a_second_pull_keeps_imported_rows_and_lets_go_of_the_vendors_own_old_ones(tmp_path):
    day = DAYS[-1]
    await history(tmp_path, FakeRest(), day).pull([day])  # on its own day: it is pulled once more
    import_file(stock_file(tmp_path / "one.csv", [day]), tmp_path / "daily", CALENDAR)
    assert history(tmp_path, FakeRest(), day).missing([day]) == ()

    class Fewer(FakeRest):
        async def grouped_daily(self, day):
            one = np.array([50.0])
            return GroupedColumns(day, ("AAPL",), one, one, one, one, one, one)

    await history(tmp_path, Fewer()).pull([day])
    rows = read_day(tmp_path / "daily", day)
    assert dict(zip(rows.symbols.tolist(), rows.columns["close"].tolist(), strict=True)) == {"AAPL": 50.0, "MYSTK": 7.0}
    assert rows.imported.tolist() == [False, True]


async def test_imported_rows_that_a_pull_keeps_get_the_splits_since_the_file(tmp_path):
    import_file(stock_file(tmp_path / "one.csv", DAYS, close=70.0), tmp_path / "daily", CALENDAR)
    split = Split("MYSTK", date(2026, 3, 2), 1, 7)
    rest = FakeRest(splits=(split,))
    kept = history(tmp_path, rest)
    await kept.pull(DAYS)
    assert rest.split_calls == [date(2026, 2, 28)]
    assert await kept.refresh_splits() == ()  # all pulled today
    assert set((await kept.panel(LAST, 12)).close[2].tolist()) == {10.0}


async def test_an_older_file_brought_into_a_used_store_gets_the_splits_before_the_first_pull(tmp_path):
    split = Split("AAPL", DAYS[8], 1, 7)
    rest = FakeRest(splits=(split,))
    used = history(tmp_path, rest)
    await used.pull(DAYS[8:])  # after the split: nothing to adjust
    assert await used.refresh_splits() == ()
    import_file(stock_file(tmp_path / "old.csv", DAYS[:8], "AAPL", close=700.0), tmp_path / "daily", CALENDAR)
    later = history(tmp_path, rest)  # on the same market day
    assert await later.refresh_splits() == (split,)
    assert await later.refresh_splits() == ()
    assert (await later.panel(LAST, 12)).close[0].tolist() == [100.0] * 8 + [108.0, 109.0, 110.0, 111.0]


async def test_a_full_disk_stops_the_pull_at_once_and_what_is_held_is_used(tmp_path, monkeypatch):
    await history(tmp_path, FakeRest()).pull(DAYS[:-2])
    monkeypatch.setattr("os.replace", full)
    rest = FakeRest()
    kept = history(tmp_path, rest)
    report = await kept.pull(DAYS)
    assert report.pulled == ()
    assert set(report.failed) == set(DAYS[-2:])
    assert all("cannot be written (No space left on device)" in why for why in report.failed.values())
    assert len(rest.calls) <= 2, "every further call would be for nothing"
    assert "cannot be written" in kept.unsaved
    assert (await kept.panel(LAST, 12, allow_missing=True)).bars.tolist() == [10, 10]
    rest.known_splits = (Split("AAPL", LAST, 1, 2),)
    assert await kept.know_splits_since(DAYS[0]) == 1
    assert kept.split_ratio("AAPL", DAYS[0], LAST) == 2.0, "known in this run all the same"


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")

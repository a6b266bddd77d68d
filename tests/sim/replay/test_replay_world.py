"""The replay world by itself: what its files say, when they say it, and nothing else."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from qmterm.core.clock import NS, from_et
from qmterm.core.errors import BadInput
from qmterm.sim.options import SimOptions
from qmterm.sim.replay.world import ReplayWorld
from tests.sim.replay import files
from tests.sim.replay.files import BEFORE, CALL, DAY, MINUTE_NS, OPEN_NS, PUT

WIKI = Path(__file__).parents[2] / "data" / "wiki_equity_2014.parquet"


@pytest.fixture
def folder(tmp_path):
    files.daily(tmp_path)
    files.minutes(tmp_path / "minutes")
    files.option_quotes(tmp_path / "option_quotes")
    return tmp_path


def world(path, start=None):
    return ReplayWorld(SimOptions(replay=path, start=start))


def test_it_begins_five_minutes_before_the_first_session_by_the_minute_and_knows_the_day_before(folder):
    market = world(folder)
    assert market.now_ns == from_et(DAY, 9, 25)
    assert market.universe.tickers == ("AAA", "BBB")
    assert market.previous.day == BEFORE
    assert market.previous_close("AAA") == 101.0625  # not rounded to cents
    assert market.quote("AAA") is None
    assert not market.today.minutes


def test_a_minute_is_told_at_its_end_and_not_before(folder):
    market = world(folder)
    market.advance_to(OPEN_NS + MINUTE_NS - 1)
    assert not market.today.last_ns.any()
    progress = market.advance_to(OPEN_NS + MINUTE_NS)
    assert [bars.end_ns for bars in progress.minutes] == [OPEN_NS + MINUTE_NS]
    assert progress.minutes[0].symbol.tolist() == [0, 1]
    assert market.last("AAA") == 101.03125
    assert (market.today.open[0], market.today.high[0], market.today.volume[0]) == (101.0, 101.0625, 100.0)
    assert math.isnan(market.today.turnover[0])  # the file has no vwap: none is made up


def test_options_are_listed_from_the_morning_but_quoted_from_their_first_minute(folder):
    market = world(folder)
    assert market.is_optionable("AAA")
    assert not market.is_optionable("BBB")
    assert len(market.listing("AAA")) == 2
    assert market.quote(CALL) is None
    market.advance_to(OPEN_NS + 5 * MINUTE_NS)
    quote = market.quote(CALL)
    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (3.2, 3.4000000000000004, 10, 20)
    assert quote.time_ns == OPEN_NS + 5 * MINUTE_NS
    stale = market.quote(PUT)
    assert stale.time_ns == OPEN_NS + 3 * MINUTE_NS  # the last it said, at its own time
    rows = market.option_quotes(market.listing("AAA").contracts)
    assert np.isnan(rows.implied).all()
    assert market.open_interest(market.listing("AAA").contracts).tolist() == [500, 500]
    assert market.chain_symbols("AAA") == {date(2026, 4, 17): (100.0,)}


def test_the_same_files_give_the_same_market_however_time_is_cut(folder):
    whole, cut = world(folder), world(folder)
    end = OPEN_NS + 20 * MINUTE_NS
    whole.advance_to(end)
    for ns in range(cut.now_ns, end + 1, 7 * NS):
        cut.advance_to(ns)
    cut.advance_to(end)
    for name in ("last", "last_ns", "open", "high", "low", "close", "volume", "all_volume"):
        assert np.array_equal(getattr(whole.today, name), getattr(cut.today, name)), name


def test_the_session_becomes_history_at_its_close_and_the_next_day_begins(folder):
    market = world(folder)
    market.advance_to(market.calendar.close_ns(DAY))
    assert market.history.rows[-1].day == DAY
    assert market.history.rows[-1].close[0] == 101.0 + 11 / 8 + 0.03125
    market.advance_to(from_et(date(2026, 3, 3), 9, 25))
    assert market.today.day == date(2026, 3, 3)
    assert market.previous_close("AAA") == 101.0 + 11 / 8 + 0.03125
    assert market.quote(CALL).time_ns == OPEN_NS + 12 * MINUTE_NS  # still listed, with its old quote
    assert market.ends_ns == market.calendar.close_ns(DAY)


def test_real_splits_are_unknown_before_their_day_and_applied_from_it_on():
    before, after = world(WIKI, "2014-06-06T09:25"), world(WIKI, "2014-06-09T09:25")
    aapl = before.universe.number["AAPL"]
    assert before.previous.close[aapl] == 647.35
    assert not before.corporate.splits
    assert after.previous.close[aapl] == pytest.approx(645.57 / 7, abs=1e-9)
    assert [(split.symbol, split.day, split.new) for split in after.corporate.splits] == [(aapl, date(2014, 6, 9), 7.0)]
    assert after.corporate.split_factor(aapl, date(2014, 6, 6)) == 7.0
    before.advance_to(after.now_ns)  # lived through, the history is on the same scale
    for one, other in zip(before.history.rows, after.history.rows, strict=True):
        assert one.day == other.day
        assert np.array_equal(one.close, other.close)


def test_a_daily_bar_of_the_running_day_is_known_at_its_close_only():
    market = world(WIKI, "2014-03-03T09:25")
    close = market.calendar.close_ns(date(2014, 3, 3))
    market.advance_to(close - 1)
    assert not market.today.volume.any()
    assert market.history.on(date(2014, 3, 3)) is None
    market.advance_to(close)
    assert market.history.on(date(2014, 3, 3)).close[market.universe.number["AAPL"]] == 527.76
    assert market.last("AAPL") == 527.76


BAD = {
    "daily": (
        ({"close": [100.0, float("nan"), 101.0, 20.0]}, r"daily\.parquet: row 2, column close: there is no number"),
        ({"low": [98.0, 19.5, -1.0, 20.0]}, r"row 3, column low: a price is above 0"),
        ({"high": [99.0, 21.0, 102.0, 21.0]}, r"row 1, column high: lower than open or close"),
        (
            {"symbol": ["AAA", "BBB", "AAA", "AAA"]},
            r"row 4 has the same symbol and date as \S*daily\.parquet: row 3 \(AAA\)",
        ),
        ({"volume": None}, r"daily bars would need volume"),
        ({"open": ["x", "y", "z", "q"]}, r"daily\.parquet.*open"),
        ({"symbol": ["AAA", None, "AAA", "BBB"]}, r"row 2, column symbol: there is no name"),
    ),
    "minutes": (
        ({"volume": [-1.0] + [1.0] * 17}, r"minutes\.parquet: row 1, column volume: it must be a number from 0"),
        (
            {"start_ns": [OPEN_NS + 1] + [OPEN_NS + n * MINUTE_NS for n in range(17)]},
            r"row 1, column start_ns: it is not",
        ),
        ({"start_ns": [OPEN_NS] * 18}, r"row \d+ has the same symbol and start_ns as \S*: row \d+ \("),
    ),
    "option_quotes": (
        ({"ask": [0.0] * 11}, r"options\.parquet: row 1 \(and 10 more\), column ask: an ask is above 0"),
        ({"bid_size": [float("nan")] * 11}, r"column bid_size: there is no number"),
        ({"occ": ["AAA 2604C1"] * 11}, r"is not an OCC option symbol"),
    ),
}


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"), [(kind, *case) for kind, cases in BAD.items() for case in cases]
)
def test_a_bad_row_is_refused_with_its_file_row_and_column(tmp_path, kind, changes, sentence):
    files.minutes(tmp_path)
    getattr(files, kind)(tmp_path, **changes)
    with pytest.raises(BadInput, match=sentence) as refused:
        world(tmp_path)
    assert "\n" not in str(refused.value)


def test_nothing_to_play_is_said(tmp_path):
    with pytest.raises(BadInput, match="holds nothing to replay"):
        world(tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        world(tmp_path / "nowhere")
    (tmp_path / "notes.parquet").write_bytes(b"not parquet")
    with pytest.raises(BadInput, match=r"notes\.parquet"):
        world(tmp_path)


def test_a_row_in_the_file_of_another_day_is_refused(tmp_path):
    files.minutes(tmp_path).rename(tmp_path / "2026-03-03.parquet")
    with pytest.raises(BadInput, match="row 1 is of 2026-03-02, not of the session"):
        world(tmp_path)

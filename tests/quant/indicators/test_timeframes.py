"""Weeks end on their last session, votes are counted as golden mtf.csv counts them."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.indicators.features import last_features
from qmterm.quant.indicators.timeframes import mtf_score, timeframe_votes, weekly_bars
from tests import golden
from tests.quant.panels import CALENDAR, random_panel


@pytest.mark.parametrize("row", golden.rows("mtf"), ids=lambda row: row["mtf_score"])
def test_golden_scores(row):
    result = mtf_score(json.loads(row["votes"]))
    golden.assert_close("mtf", result.score, row["mtf_score"])
    golden.assert_close("mtf", result.agreement, row["agreement"])
    golden.assert_close("mtf", result.weight, row["weight_available"])
    assert int(result.usable) == int(row["usable"])


def test_many_symbols_score_as_each_alone():
    generator = np.random.default_rng(4)
    votes = {name: generator.integers(-1, 2, (50, 5)).astype(float) for name in ("1W", "1D", "60m", "5m")}
    votes["1W"][:10] = np.nan
    together = mtf_score(votes)
    for row in range(50):
        alone = mtf_score({name: block[row] for name, block in votes.items() if not np.isnan(block[row]).any()})
        assert together.score[row] == pytest.approx(alone.score)
        assert together.agreement[row] == pytest.approx(alone.agreement)
        assert together.usable[row] == alone.usable


def test_no_timeframe_at_all_is_nan_and_not_usable():
    result = mtf_score({"1D": np.full(5, np.nan)})
    assert np.isnan(result.score)
    assert np.isnan(result.agreement)
    assert not result.usable


def test_daily_and_weekly_alone_are_just_enough():
    assert mtf_score({"1D": np.ones(5), "1W": np.ones(5)}).usable


@pytest.mark.parametrize(
    "votes", [{"2h": np.ones(5)}, {"1D": np.ones(4)}, {"1D": np.ones((2, 5)), "1W": np.ones((3, 5))}]
)
def test_votes_that_cannot_be_counted_are_refused(votes):
    with pytest.raises(BadInput):
        mtf_score(votes)


def weeks_by_hand(panel, row, complete_until):
    """Groups one row's bars by ISO week in plain Python."""
    weeks = {}
    for t in range(panel.close.shape[1]):
        if np.isnat(panel.days[row, t]):
            continue
        day = panel.days[row, t].astype(object)
        if day <= complete_until:
            weeks.setdefault(day.isocalendar()[:2], []).append(t)
    return list(weeks.values())


@pytest.mark.parametrize(
    ("last", "complete_until"),
    [
        (date(2026, 3, 4), date(2026, 2, 27)),  # a Wednesday: the week still runs
        (date(2026, 3, 6), date(2026, 3, 6)),  # a Friday
        (date(2026, 4, 2), date(2026, 4, 2)),  # a Thursday before Good Friday ends its week
        (date(2025, 12, 31), date(2025, 12, 26)),  # the week goes on in the new year
    ],
)
def test_weekly_bars_are_whole_weeks_right_aligned(last, complete_until):
    panel = random_panel(symbols=12, bars=120, last=last, seed=8)
    weekly = weekly_bars(panel, CALENDAR)
    for row in range(len(panel)):
        expected = weeks_by_hand(panel, row, complete_until)
        count = len(expected)
        assert weekly.bars[row] == count
        assert np.isnan(weekly.close[row, : weekly.close.shape[1] - count]).all()
        for column, members in zip(range(weekly.close.shape[1] - count, weekly.close.shape[1]), expected, strict=True):
            assert weekly.open[row, column] == panel.open[row, members[0]]
            assert weekly.high[row, column] == panel.high[row, members].max()
            assert weekly.low[row, column] == panel.low[row, members].min()
            assert weekly.close[row, column] == panel.close[row, members[-1]]
            assert weekly.volume[row, column] == pytest.approx(panel.volume[row, members].sum())
            assert weekly.days[row, column] == panel.days[row, members[-1]]


def test_weeks_of_single_bars_fill_the_block_without_overrunning():
    panel = random_panel(symbols=1, bars=40, ragged=False)
    mondays = np.arange(np.datetime64("2025-05-26"), np.datetime64("2026-03-02"), 7)[-40:][None, :]
    weekly = weekly_bars(replace(panel, days=mondays), CALENDAR)
    width = weekly.close.shape[1]
    assert weekly.bars[0] == width < 40
    np.testing.assert_array_equal(weekly.close[0], panel.close[0, -width:])


def features_of(**values):
    """One symbol's features at will, on top of a neutral set at $100."""
    panel = random_panel(symbols=1, ragged=False)
    neutral = {"close": 100, "ema20": 100, "sma50": 100, "macd_hist": 0, "rsi14": 50, "sma20": 100, "sma20_5ago": 100}
    return replace(last_features(panel), **{k: np.array([float(v)]) for k, v in (neutral | values).items()})


@pytest.mark.parametrize(
    ("values", "votes"),
    [
        ({}, [0, 0, 0, 0, 0]),
        ({"close": 101}, [1, 0, 0, 0, 0]),
        ({"close": 100.04}, [0, 0, 0, 0, 0]),  # within 0.05 %
        ({"sma50": 101}, [0, -1, 0, 0, 0]),
        ({"macd_hist": 0.05}, [0, 0, 1, 0, 0]),  # |h| < 0.0005·C is the tie
        ({"macd_hist": -0.049}, [0, 0, 0, 0, 0]),
        ({"macd_hist": -0.06}, [0, 0, -1, 0, 0]),
        ({"rsi14": 55.1}, [0, 0, 0, 1, 0]),
        ({"rsi14": 55}, [0, 0, 0, 0, 0]),
        ({"rsi14": 44.9}, [0, 0, 0, -1, 0]),
        ({"rsi14": np.nan}, [0, 0, 0, 0, 0]),  # never moved
        ({"sma20_5ago": 99}, [0, 0, 0, 0, 1]),
    ],
)
def test_each_vote_has_its_own_tie(values, votes):
    assert timeframe_votes(features_of(**values))[0].tolist() == votes


def test_a_timeframe_with_too_few_bars_has_no_votes():
    votes = timeframe_votes(last_features(random_panel(symbols=2, bars=49, ragged=False)))
    assert np.isnan(votes).all()
    assert not np.isnan(timeframe_votes(last_features(random_panel(symbols=2, bars=50, ragged=False)))).any()

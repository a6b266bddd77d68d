"""Bars of a session begin at its open, end at its close, and count only when their time is over."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import from_et
from qmterm.core.errors import BadInput
from qmterm.quant.indicators.features import last_features
from qmterm.quant.indicators.intraday import MINUTE_NS, Minutes, intraday_bars
from qmterm.quant.indicators.timeframes import mtf_score, timeframe_votes
from tests.quant.panels import CALENDAR

OPENS, CLOSES = np.array(CALENDAR.opens), np.array(CALENDAR.closes)
LONG_AFTER = from_et(date(2027, 1, 4), 9, 0)


def minutes_of(*days, seed=0, symbol=0, first=0, last=None):
    """Rows, starts and a random walk over every regular minute of some sessions."""
    starts = np.concatenate(
        [np.arange(CALENDAR.open_ns(day), CALENDAR.close_ns(day), MINUTE_NS)[first:last] for day in days]
    )
    generator = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(generator.normal(0, 0.001, starts.size)))
    open_ = close * np.exp(generator.normal(0, 0.0005, starts.size))
    high, low = np.maximum(open_, close) * 1.0004, np.minimum(open_, close) * 0.9996
    volume = generator.integers(1, 5000, starts.size).astype(float)
    return np.full(starts.size, symbol), starts, open_, high, low, close, volume


def bars_of(columns, minutes, now_ns=LONG_AFTER, symbols=("AAA",), **more):
    return intraday_bars(Minutes.of(symbols, *columns), minutes, OPENS, CLOSES, now_ns, **more)


def et(day, hour, minute, second=0):
    return from_et(day, hour, minute) + second * 1_000_000_000


def kept(panel, name, row=0):
    return getattr(panel, name)[row, panel.close.shape[1] - panel.bars[row] :]


FULL_DAY = date(2026, 3, 4)
HALF_DAY = date(2026, 11, 27)


def test_an_hourly_day_has_seven_bars_the_last_of_half_an_hour():
    panel = bars_of(minutes_of(FULL_DAY), 60)
    assert panel.bars.tolist() == [7]
    assert kept(panel, "start_ns").tolist() == [et(FULL_DAY, hour, 30) for hour in range(9, 16)]
    assert kept(panel, "end_ns").tolist() == [et(FULL_DAY, hour, 30) for hour in range(10, 16)] + [et(FULL_DAY, 16, 0)]


def test_a_half_day_ends_at_one():
    panel = bars_of(minutes_of(HALF_DAY), 60)
    assert kept(panel, "end_ns").tolist() == [et(HALF_DAY, 10 + hour, 30) for hour in range(3)] + [et(HALF_DAY, 13, 0)]
    assert bars_of(minutes_of(HALF_DAY), 5).bars.tolist() == [42]


def test_bars_are_what_their_minutes_were():
    columns = minutes_of(FULL_DAY)
    panel = bars_of(columns, 5)
    _, _, open_, high, low, close, volume = columns
    assert panel.bars.tolist() == [78]
    np.testing.assert_array_equal(kept(panel, "open"), open_[::5])
    np.testing.assert_array_equal(kept(panel, "close"), close[4::5])
    np.testing.assert_array_equal(kept(panel, "high"), high.reshape(78, 5).max(axis=1))
    np.testing.assert_array_equal(kept(panel, "low"), low.reshape(78, 5).min(axis=1))
    np.testing.assert_allclose(kept(panel, "volume"), volume.reshape(78, 5).sum(axis=1))


def test_summer_time_moves_the_instants_not_the_bars():
    before, after = date(2026, 3, 6), date(2026, 3, 9)
    panel = bars_of(minutes_of(before, after), 60)
    starts = kept(panel, "start_ns")
    assert starts.tolist() == [et(day, hour, 30) for day in (before, after) for hour in range(9, 16)]
    assert starts[7] - starts[0] == (3 * 24 - 1) * 60 * MINUTE_NS


@pytest.mark.parametrize(
    ("now", "complete"),
    [
        ((9, 31), 0),
        ((9, 35), 0),  # over, but the last trades may still arrive
        ((9, 35, 1), 0),
        ((9, 35, 2), 1),
        ((9, 39, 59), 1),
        ((15, 59, 59), 77),
        ((16, 0, 1), 77),
        ((16, 0, 2), 78),
        ((20, 0), 78),
    ],
)
def test_a_bar_is_complete_two_seconds_after_its_end(now, complete):
    panel = bars_of(minutes_of(FULL_DAY), 5, et(FULL_DAY, *now))
    assert panel.bars.tolist() == [complete]
    assert panel.stale.tolist() == [0 if complete else -1]


def test_the_short_last_bar_waits_for_the_close():
    assert bars_of(minutes_of(FULL_DAY), 60, et(FULL_DAY, 16, 0, 1)).bars.tolist() == [6]
    assert bars_of(minutes_of(FULL_DAY), 60, et(FULL_DAY, 16, 0, 2)).bars.tolist() == [7]
    assert bars_of(minutes_of(FULL_DAY), 60, et(FULL_DAY, 16, 0, 2), grace_s=5).bars.tolist() == [6]


def test_only_regular_minutes_count():
    columns = minutes_of(FULL_DAY)
    early = et(FULL_DAY, 8, 0) + np.arange(90) * MINUTE_NS
    late = et(FULL_DAY, 16, 0) + np.arange(240) * MINUTE_NS
    outside = np.concatenate([early, late])
    wild = np.full(outside.size, 999.0)
    wider = tuple(
        np.concatenate(pair) for pair in zip(columns, (wild.astype(int) * 0, outside, *[wild] * 5), strict=True)
    )
    for minutes in (5, 60):
        a, b = bars_of(columns, minutes), bars_of(wider, minutes)
        for name in ("open", "high", "low", "close", "volume", "start_ns"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_gap_is_an_absent_bar_and_a_late_row_is_stale():
    rows, starts, *prices = minutes_of(FULL_DAY)
    halted = (starts >= et(FULL_DAY, 11, 0)) & (starts < et(FULL_DAY, 12, 2))
    gone = starts >= et(FULL_DAY, 15, 0)
    keep = ~halted & ~gone
    panel = bars_of((rows[keep], starts[keep], *(x[keep] for x in prices)), 5)
    assert panel.bars.tolist() == [78 - 12 - 12]
    ends = kept(panel, "end_ns").tolist()
    assert et(FULL_DAY, 11, 5) not in ends
    assert et(FULL_DAY, 12, 5) in ends  # from 12:02 on it traded again
    sessions = CALENDAR.days.index(date(2026, 12, 31)) - CALENDAR.days.index(FULL_DAY)
    half_days = 2  # 27 November and 24 December
    assert panel.stale.tolist() == [12 + 78 * (sessions - half_days) + 42 * half_days]


def test_order_does_not_matter_and_a_correction_replaces_its_minute():
    columns = minutes_of(FULL_DAY, seed=3)
    order = np.random.default_rng(0).permutation(columns[0].size)
    shuffled = tuple(column[order] for column in columns)
    np.testing.assert_array_equal(bars_of(columns, 5).close, bars_of(shuffled, 5).close)
    at = columns[1][-1]
    corrected = tuple(
        np.append(column, value) for column, value in zip(shuffled, (0, at, 1.0, 2.0, 0.5, 1.5, 7.0), strict=True)
    )
    panel = bars_of(corrected, 1)
    assert panel.close[0, -1] == 1.5
    assert panel.volume[0, -1] == 7.0


def test_minutes_without_four_good_prices_are_left_out():
    columns = [column.copy() for column in minutes_of(FULL_DAY)]
    columns[5][100] = np.nan
    columns[4][101] = 0.0
    columns[3][102] = np.inf
    columns[2][103] = -1.0
    panel = bars_of(columns, 1, count=400)
    assert panel.bars.tolist() == [386]


@given(
    seed=st.integers(0, 10_000),
    minutes=st.sampled_from([1, 5, 15, 60, 390]),
    now=st.integers(0, 24 * 60 * 6),
    share=st.floats(0.02, 1.0),
)
def test_many_symbols_are_each_what_plain_python_makes_of_them(seed, minutes, now, share):
    generator = np.random.default_rng(seed)
    days = (date(2026, 11, 25), HALF_DAY, date(2026, 11, 30))
    now_ns = et(days[0], 9, 0) + now * MINUTE_NS
    parts = []
    for symbol in range(3):
        part = minutes_of(*days, seed=seed + symbol, symbol=symbol)
        held = generator.random(part[0].size) < share
        parts.append(tuple(column[held] for column in part))
    columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    panel = bars_of(columns, minutes, now_ns, symbols=("A", "B", "C"), count=40)
    for symbol, (_, starts, open_, high, low, close, volume) in enumerate(parts):
        groups = {}
        for t, start in enumerate(starts.tolist()):
            number = np.searchsorted(OPENS, start, "right") - 1
            place = (start - OPENS[number]) // (minutes * MINUTE_NS)
            end = min(OPENS[number] + (place + 1) * minutes * MINUTE_NS, CLOSES[number])
            if end + 2_000_000_000 <= now_ns:
                groups.setdefault(end, []).append(t)
        expected = list(groups.items())[-40:]
        assert panel.bars[symbol] == len(expected)
        assert kept(panel, "end_ns", symbol).tolist() == [end for end, _ in expected]
        members = [list(indices) for _, indices in expected]
        np.testing.assert_array_equal(kept(panel, "open", symbol), [open_[m[0]] for m in members])
        np.testing.assert_array_equal(kept(panel, "high", symbol), [high[m].max() for m in members])
        np.testing.assert_array_equal(kept(panel, "low", symbol), [low[m].min() for m in members])
        np.testing.assert_array_equal(kept(panel, "close", symbol), [close[m[-1]] for m in members])
        np.testing.assert_allclose(kept(panel, "volume", symbol), [volume[m].sum() for m in members])


def test_votes_come_from_intraday_bars_as_from_daily_ones():
    days = CALENDAR.last_n(FULL_DAY, 20)
    columns = minutes_of(*days)
    hourly, fives = bars_of(columns, 60), bars_of(columns, 5)
    votes = {"60m": timeframe_votes(last_features(hourly)), "5m": timeframe_votes(last_features(fives))}
    assert hourly.bars.tolist() == [140]
    assert fives.bars.tolist() == [300]
    assert not any(np.isnan(block).any() for block in votes.values())
    score = mtf_score(votes)
    assert -1 <= score.score[0] <= 1
    assert not score.usable[0]  # 0.40 of the weight


def test_nothing_given_is_nothing_made():
    nobody = bars_of(([], [], [], [], [], [], []), 5, symbols=())
    assert len(nobody) == 0
    silent = bars_of(([], [], [], [], [], [], []), 5, symbols=("A", "B"))
    assert silent.bars.tolist() == [0, 0]
    assert silent.stale.tolist() == [-1, -1]
    assert np.isnan(silent.close).all()
    given_no_sessions = intraday_bars(Minutes.of(("AAA",), *minutes_of(FULL_DAY)), 5, [], [], LONG_AFTER)
    assert given_no_sessions.bars.tolist() == [0]


def test_arguments_that_make_no_sense_are_refused():
    columns = minutes_of(FULL_DAY)
    with pytest.raises(BadInput, match="rows from 0 to 0 do not all name one of 0"):
        Minutes.of((), *columns)
    with pytest.raises(BadInput, match="volume has shape"):
        Minutes.of(("A",), *columns[:-1], columns[-1][1:])
    with pytest.raises(BadInput, match="start_ns must be a list of whole numbers"):
        Minutes.of(("A",), columns[0], columns[1] / 2, *columns[2:])
    with pytest.raises(BadInput, match="bars of 0 minutes"):
        bars_of(columns, 0)
    with pytest.raises(BadInput, match="count must be"):
        bars_of(columns, 5, count=0)
    with pytest.raises(BadInput, match="2 session opens but 1 closes"):
        intraday_bars(Minutes.of(("A",), *columns), 5, [1, 2], [3], LONG_AFTER)
    with pytest.raises(BadInput, match="without overlapping"):
        intraday_bars(Minutes.of(("A",), *columns), 5, [1, 5], [6, 9], LONG_AFTER)

"""The running day's features equal a full pass over the panel with today's bar appended, whatever moved and how."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.indicators import columns
from qmterm.quant.indicators.bandwidth import last_bandwidth_percentile
from qmterm.quant.indicators.features import last_features
from qmterm.quant.indicators.live import LiveFeatures
from tests.quant.panels import random_panel

BLOCKS = ("open", "high", "low", "close", "volume")
NEXT_DAY = date(2026, 3, 5)


def bars_today(panel, seed, present=0.8):
    """A plausible next bar for every symbol, none for some: (5, symbols), and which have one."""
    generator = np.random.default_rng(seed)
    last = np.where(np.isnan(panel.close[:, -1]), 20.0, panel.close[:, -1])
    open_ = last * np.exp(generator.normal(0, 0.02, len(panel)))
    close = open_ * np.exp(generator.normal(0, 0.03, len(panel)))
    high, low = np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99
    volume = generator.integers(0, 1_000_000, len(panel)).astype(float)
    bars = np.stack([open_, high, low, close, volume])
    has = generator.random(len(panel)) < present
    bars[:, ~has] = np.nan
    return bars, has


def appended(panel, bars, has):
    """The panel one column wider, rows without a bar shifted so that they stay right-aligned."""
    wider = {}
    for name, today in zip(BLOCKS, bars, strict=True):
        block = getattr(panel, name)
        with_bar = np.concatenate([block, today[:, None]], axis=1)
        without = np.concatenate([np.full((len(panel), 1), np.nan), block], axis=1)
        wider[name] = np.where(has[:, None], with_bar, without)
    return replace(panel, **wider, bars=panel.bars + has)


def assert_same(ours, full):
    for name in columns.NAMES:
        np.testing.assert_allclose(
            getattr(ours, name), getattr(full, name), rtol=1e-9, atol=1e-12, equal_nan=True, err_msg=name
        )
    np.testing.assert_array_equal(ours.bars, full.bars)


@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([1, 5, 20, 33, 34, 35, 60, 140, 205, 260]),
    present=st.sampled_from([0.0, 0.5, 0.97, 1.0]),
    scale=st.sampled_from([1e-3, 1.0, 700.0, 1e6]),
)
def test_equals_the_full_form_for_ragged_histories_and_absent_bars(seed, width, present, scale):
    panel = random_panel(symbols=40, bars=width, seed=seed)
    panel = replace(panel, **{name: getattr(panel, name) * scale for name in BLOCKS[:4]})
    bars, has = bars_today(panel, seed + 1, present)
    live = LiveFeatures(panel)
    assert_same(live.features, last_features(panel))
    live.update(*bars_today(panel, seed + 2)[0])  # an earlier state of the day leaves nothing behind
    assert_same(live.update(*bars), last_features(appended(panel, bars, has)))
    np.testing.assert_array_equal(live.present, has)


@given(seed=st.integers(0, 10_000))
def test_moving_a_few_symbols_changes_these_and_no_others(seed):
    panel = random_panel(symbols=60, bars=90, seed=seed)
    bars, _ = bars_today(panel, seed)
    live = LiveFeatures(panel)
    live.update(*bars)
    rows = np.random.default_rng(seed).permutation(60)[:17]
    later, _ = bars_today(panel, seed + 1)
    live.update_some(rows, *later[:, rows])
    bars[:, rows] = later[:, rows]
    has = ~np.isnan(bars[3])
    assert_same(live.features, last_features(appended(panel, bars, has)))
    np.testing.assert_array_equal(live.features.stale, np.where(has, 0, panel.stale))


@pytest.mark.parametrize("width", [20, 40, 250])
def test_closing_days_keeps_a_panel_whose_features_are_the_live_ones(width):
    panel = random_panel(symbols=50, bars=width, seed=width)
    live = LiveFeatures(panel)
    for day in (5, 6, 9):
        bars, has = bars_today(live.panel, day)
        live.update(*bars)
        before = live.panel
        after = live.roll(date(2026, 3, day))
        assert after.close.shape == before.close.shape
        assert after.last_session == date(2026, 3, day)
        np.testing.assert_array_equal(after.close[has, -1], bars[3, has])
        np.testing.assert_array_equal(after.close[has, :-1], before.close[has, 1:])
        np.testing.assert_array_equal(after.close[~has], before.close[~has])
        np.testing.assert_array_equal(after.open[has, -1], bars[0, has])
        assert (after.days[has, -1] == np.datetime64(date(2026, 3, day))).all()
        np.testing.assert_array_equal(after.days[~has], before.days[~has])
        np.testing.assert_array_equal(after.stale, np.where(has, 0, before.stale + 1))
        np.testing.assert_array_equal(after.bars, (~np.isnan(after.close)).sum(axis=1))
        assert not live.present.any()
        assert_same(live.features, last_features(after))
    np.testing.assert_array_equal(panel.close, random_panel(symbols=50, bars=width, seed=width).close)


def test_a_flat_price_keeps_bands_of_no_width_whatever_it_is():
    panel = random_panel(symbols=3, ragged=False)
    price = np.array([25.1, 0.0007, 612345.67])
    flat = np.repeat(price[:, None], 260, axis=1)
    live = LiveFeatures(replace(panel, open=flat, high=flat, low=flat, close=flat))
    features = live.update(price, price, price, price, price)
    np.testing.assert_array_equal(features.bb_upper, price)
    np.testing.assert_array_equal(features.bb_lower, price)
    np.testing.assert_array_equal([features.bandwidth, features.hv20, features.macd_hist, features.atr14], 0.0)
    assert np.isnan([features.percent_b, features.rsi14, features.pos20]).all()


def test_a_calm_stock_at_a_high_price_keeps_nine_digits_of_its_deviation():
    panel = random_panel(symbols=1, ragged=False)
    generator = np.random.default_rng(0)
    close = 750_000.0 + generator.normal(0, 0.5, (1, 260))
    live = LiveFeatures(replace(panel, open=close, high=close + 1, low=close - 1, close=close))
    today = np.array([750_000.25])
    features = live.update(today, today + 1, today - 1, today, today)
    window = np.append(close[0, -19:], today)
    assert features.bb_upper[0] - features.sma20[0] == pytest.approx(2 * (window - 750_000).std(), rel=1e-9)


def test_bars_that_are_no_bars_leave_the_last_one_standing():
    panel = random_panel(symbols=5, ragged=False)
    live = LiveFeatures(panel)
    good = np.full(5, 50.0)
    high, low, close = good + 1, good - 1, good.copy()
    high[0], low[1], close[2], close[3] = np.nan, 0.0, -1.0, np.inf
    live.update(good, high, low, close, good)
    assert live.present.tolist() == [False, False, False, False, True]
    assert live.features.close[:4].tolist() == panel.close[:4, -1].tolist()


def test_unknown_volume_is_unknown_only_where_volume_counts():
    panel = random_panel(symbols=1, ragged=False)
    price = panel.close[:, -1]
    features = LiveFeatures(panel).update(price, price, price, price, [np.nan])
    assert np.isnan([features.volume[0], features.rvol20[0], features.dollar_volume20[0]]).all()
    assert np.isfinite([features.sma200[0], features.rsi14[0], features.hv20[0]]).all()


def test_columns_are_rewritten_in_place():
    panel = random_panel(symbols=4, ragged=False)
    live = LiveFeatures(panel)
    held = live.features.close
    bars, _ = bars_today(panel, 1, present=1.0)
    live.update(*bars)
    assert held is live.features.close
    np.testing.assert_array_equal(held, bars[3])


def test_bandwidth_percentile_moves_with_the_day():
    panel = random_panel(symbols=60, bars=200, seed=3)
    live = LiveFeatures(panel)
    np.testing.assert_array_equal(live.bandwidth_percentile(), last_bandwidth_percentile(panel.close))
    bars, has = bars_today(panel, 4)
    live.update(*bars)
    longer = appended(panel, bars, has)
    expected = last_bandwidth_percentile(longer.close)
    np.testing.assert_array_equal(live.bandwidth_percentile(), expected)
    assert np.isnan(expected[longer.bars < 140]).all()
    assert not np.isnan(expected[longer.bars >= 140]).any()


def test_arguments_that_do_not_fit_are_named():
    live = LiveFeatures(random_panel(symbols=4, ragged=False))
    column = np.full(4, 10.0)
    with pytest.raises(BadInput, match=r"low has shape \(3,\)"):
        live.update(column, column, column[:3], column, column)
    with pytest.raises(BadInput, match="close is not a number"):
        live.update(column, column, column, ["a"] * 4, column)
    with pytest.raises(BadInput, match="do not all lie in a panel of 4"):
        live.update_some([4], [1.0], [1.0], [1.0], [1.0], [1.0])
    with pytest.raises(BadInput, match="indices must be"):
        live.update_some([0.5], [1.0], [1.0], [1.0], [1.0], [1.0])
    with pytest.raises(BadInput, match="already ends at 2026-03-04"):
        live.roll(date(2026, 3, 4))
    assert live.update_some([], [], [], [], [], []) is live.features


def test_an_empty_market_and_a_market_without_history():
    nobody = LiveFeatures(random_panel(symbols=0))
    assert len(nobody.update([], [], [], [], [])) == 0
    panel = random_panel(symbols=2, bars=1)
    empty = replace(panel, **{name: np.empty((2, 0)) for name in BLOCKS}, days=np.empty((2, 0), "datetime64[D]"))
    new = LiveFeatures(replace(empty, bars=np.zeros(2, dtype=np.int64)))
    assert np.isnan(new.features.close).all()
    new.update([5.0, np.nan], [6.0, np.nan], [4.0, np.nan], [5.5, np.nan], [100.0, np.nan])
    np.testing.assert_array_equal(new.features.close, [5.5, np.nan])
    assert new.features.bars.tolist() == [1, 0]

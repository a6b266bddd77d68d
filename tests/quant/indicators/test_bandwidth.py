"""The bandwidth percentile is the share of the 120 widths before that lie below, from the 140th bar on."""

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.indicators import series
from qmterm.quant.indicators.bandwidth import bandwidth_percentile, last_bandwidth_percentile
from tests.quant.panels import random_panel

PANEL = random_panel(symbols=45, bars=260, seed=6)


def test_equals_a_plain_count():
    widths = series.bollinger(PANEL.close).bandwidth
    ours = bandwidth_percentile(PANEL.close)
    for row in range(len(PANEL)):
        first = 260 - PANEL.bars[row] + 139
        assert np.isnan(ours[row, :first]).all()
        for t in range(first, 260):
            assert ours[row, t] == pytest.approx(100 * np.mean(widths[row, t - 120 : t] < widths[row, t]))


def test_the_latest_value_needs_no_series():
    np.testing.assert_array_equal(last_bandwidth_percentile(PANEL.close), bandwidth_percentile(PANEL.close)[:, -1])


@pytest.mark.parametrize("bars", [1, 19, 139, 140])
def test_begins_at_the_140th_bar(bars):
    close = PANEL.close[-2:, -bars:]
    assert np.isnan(last_bandwidth_percentile(close)).all() == (bars < 140)
    assert np.isnan(bandwidth_percentile(close)).all() == (bars < 140)


def test_a_band_that_only_narrows_is_at_0_and_one_that_only_widens_at_100():
    swing = np.where(np.arange(200) % 2, 1.0, -1.0)
    narrowing, widening = 100 + swing * np.linspace(9, 1, 200), 100 + swing * np.linspace(1, 9, 200)
    assert bandwidth_percentile(np.stack([narrowing, widening]))[:, -1].tolist() == [0.0, 100.0]


def test_equal_widths_are_not_below():
    steady = 100 + np.where(np.arange(200) % 2, 1.0, -1.0)
    assert bandwidth_percentile(steady)[-1] == 0.0
    assert bandwidth_percentile(np.full(200, 33.3))[-1] == 0.0


def test_other_lengths_are_possible_and_senseless_ones_refused():
    assert np.flatnonzero(~np.isnan(bandwidth_percentile(PANEL.close[-1], n=10, over=30)))[0] == 39
    with pytest.raises(BadInput, match="over must be a whole number, at least 1"):
        bandwidth_percentile(PANEL.close, over=0)

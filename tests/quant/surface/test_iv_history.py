"""IV rank and percentile equal the golden rows and need a past to compare with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.surface.iv_history import iv_percentile, iv_rank, observations
from tests import golden

IV_HISTORY = 0.3 + 0.1 * np.sin(np.arange(252) / 23.0)


@pytest.mark.parametrize("row", golden.rows("volatility", measure="IV_RANK"), ids=lambda row: row["current"])
def test_golden_iv_rank_and_percentile(row):
    current = float(row["current"])
    golden.assert_close("volatility", iv_rank(current, IV_HISTORY), row["iv_rank"])
    golden.assert_close("volatility", iv_percentile(current, IV_HISTORY), row["iv_percentile"])


def test_rank_needs_observations_and_a_range():
    assert iv_rank(0.3, IV_HISTORY[:59]) is None
    assert iv_percentile(0.3, IV_HISTORY[:59]) is None
    assert iv_rank(0.3, IV_HISTORY[:60]) is not None
    assert iv_rank(0.3, np.full(100, 0.3)) is None
    assert iv_percentile(0.3, np.full(100, 0.3)) == 0.0
    assert iv_rank(np.nan, IV_HISTORY) is None
    gaps = IV_HISTORY.copy()
    gaps[:200] = np.nan
    assert iv_rank(0.3, gaps) is None
    assert iv_rank(0.3, []) is None
    assert iv_percentile(0.3, [], minimum=0) is None


def test_rank_looks_back_252_closes_only():
    assert iv_rank(0.35, np.r_[5.0, IV_HISTORY]) == iv_rank(0.35, IV_HISTORY)


def test_observations_count_known_closes_of_the_last_year():
    assert observations(IV_HISTORY) == 252
    assert observations(np.r_[IV_HISTORY, IV_HISTORY]) == 252
    assert observations([0.3, np.nan, 0.4]) == 2
    assert observations([]) == 0


@given(st.lists(st.floats(0.01, 3), min_size=60, max_size=300), st.floats(0.01, 3))
def test_rank_and_percentile_stay_between_0_and_100(history, current):
    rank, percentile = iv_rank(current, history), iv_percentile(current, history)
    assert rank is None or 0 <= rank <= 100
    assert 0 <= percentile <= 100
    assert (percentile == 0) == (current <= min(history[-252:]))

"""The Treasury curve: bond-equivalent percents become continuous rates."""

import json
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.options.rates import NODES, curve_rate, rates_for
from tests import golden

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize("row", golden.rows("rates"), ids=lambda row: row["T"])
def test_golden_rows(row):
    golden.assert_close("rates", curve_rate(json.loads(row["curve_percent"]), float(row["T"])), row["r_continuous"])


def test_missing_nodes_are_skipped_and_ends_are_flat():
    full = {"yield_1_month": 4.0, "yield_6_month": 5.0, "yield_1_year": None, "yield_2_year": 4.5}
    rates = curve_rate(full, [0.0, 1 / 12, 0.5, 2.0, 30.0])
    assert rates[0] == rates[1] == pytest.approx(2 * np.log(1.02))
    assert rates[3] == rates[4] == pytest.approx(2 * np.log(1.0225))
    assert curve_rate(full, 1.25) == pytest.approx((rates[2] + rates[3]) / 2)
    assert curve_rate(full | {"yield_1_year": float("nan")}, 1.25) == curve_rate(full, 1.25)


def test_no_curve_is_unknown_not_zero():
    assert np.isnan(curve_rate({}, [0.1, 0.2])).all()
    assert np.isnan(curve_rate({"yield_1_month": None}, 0.1))


@pytest.mark.parametrize("age", [0, 3, 7])
def test_a_curve_is_believed_for_a_week(age):
    answer = rates_for({"yield_1_month": 4.0}, TODAY - timedelta(days=age), TODAY, [0.1, 1.0])
    assert not answer.is_fallback
    assert answer.mark == ""
    assert answer.rate.tolist() == pytest.approx([2 * np.log(1.02)] * 2)


@pytest.mark.parametrize(
    ("yields", "day", "why"),
    [
        ({"yield_1_month": 4.5}, date(2026, 3, 2), "the Treasury curve of 2026-03-02 is 8 days old"),
        ({"yield_1_month": 4.5}, date(2026, 3, 11), "the Treasury curve of 2026-03-11 lies after 2026-03-10"),
        ({"yield_1_month": None}, TODAY, "the Treasury curve of 2026-03-10 has no yield"),
        ({"yield_1_month": 4.5}, None, "no Treasury curve"),
        (None, TODAY, "no Treasury curve"),
    ],
)
def test_the_fallback_rate_carries_a_mark_that_says_why(yields, day, why):
    answer = rates_for(yields, day, TODAY, [[0.1, 1.0], [np.nan, 2.0]])
    assert answer.is_fallback
    assert answer.mark == f"fallback 4.00%: {why}"
    np.testing.assert_array_equal(answer.rate, [[0.04, 0.04], [np.nan, 0.04]])
    assert rates_for(yields, day, TODAY, 0.5, fallback_rate=0.031).rate == 0.031


def test_a_nan_maturity_has_no_rate():
    answer = rates_for({"yield_1_month": 4.5}, TODAY, TODAY, [np.nan, 0.1])
    assert np.isnan(answer.rate[0])
    assert not np.isnan(answer.rate[1])
    assert not answer.is_fallback


@given(
    percents=st.dictionaries(st.sampled_from(list(NODES)), st.floats(-5, 20), min_size=1),
    years=st.floats(0, 50),
)
def test_a_rate_lies_between_the_lowest_and_the_highest_node(percents, years):
    ends = 2 * np.log1p(np.array([min(percents.values()), max(percents.values())]) / 200)
    assert ends[0] - 1e-12 <= curve_rate(percents, years) <= ends[1] + 1e-12

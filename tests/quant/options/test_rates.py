"""The Treasury curve: bond-equivalent percents become continuous rates."""

import json

import numpy as np
import pytest

from qmterm.quant.options.rates import curve_rate
from tests import golden


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

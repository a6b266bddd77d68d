"""Risk reversal and butterfly equal their definitions, and exist only where 25 delta is bracketed."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.options.black_scholes import greeks
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.skew import butterfly, risk_reversal, skew
from qmterm.quant.surface.status import SurfaceStatus
from tests import golden
from tests.quant.surface.chains import RATE, SPOT, YEARS, YIELD, chain, forward_of


@pytest.mark.parametrize("row", golden.rows("surface", what="rr25"), ids=lambda row: row["value"])
def test_golden_risk_reversal(row):
    given_ = json.loads(row["inputs"])
    golden.assert_close("surface", risk_reversal(given_["c25"], given_["p25"]), row["value"])


@pytest.mark.parametrize("row", golden.rows("surface", what="bf25"), ids=lambda row: row["value"])
def test_golden_butterfly(row):
    given_ = json.loads(row["inputs"])
    golden.assert_close("surface", butterfly(given_["atm"], given_["c25"], given_["p25"]), row["value"])


def hand_made(**changes):
    """Puts 80, 85, 90 and calls 110, 115, 120 with round deltas, around a forward of 100."""
    columns = {
        "strike": [80.0, 85.0, 90.0, 110.0, 115.0, 120.0],
        "is_call": [False, False, False, True, True, True],
        "iv": [0.40, 0.36, 0.33, 0.28, 0.27, 0.26],
        "delta": [-0.10, -0.20, -0.30, 0.35, 0.15, 0.05],
        **changes,
    }
    ladder = Ladder.arrange(0.2, columns["strike"], columns["is_call"])
    return skew(ladder, columns["iv"], columns["delta"], 100.0, 0.30)


def test_vols_are_linear_in_the_absolute_delta():
    found = hand_made()
    assert found.put25.tolist() == [pytest.approx(0.345)]
    assert found.call25.tolist() == [pytest.approx(0.275)]
    assert found.rr25.tolist() == [pytest.approx(-0.07)]
    assert found.bf25.tolist() == [pytest.approx(0.01)]
    assert found.status.tolist() == [SurfaceStatus.OK]


def test_an_exact_25_delta_needs_no_neighbour():
    found = hand_made(delta=[-0.10, -0.20, -0.25, 0.25, 0.15, 0.05])
    assert found.put25.tolist() == [pytest.approx(0.33)]
    assert found.call25.tolist() == [pytest.approx(0.28)]


def test_an_unknown_neighbour_is_skipped():
    found = hand_made(iv=[0.40, np.nan, 0.33, 0.28, 0.27, 0.26])
    assert found.put25.tolist() == [pytest.approx(0.33 + 0.07 * 0.05 / 0.2)]
    same = hand_made(delta=[-0.10, np.nan, -0.30, 0.35, 0.15, 0.05])
    assert same.put25.tolist() == found.put25.tolist()


@pytest.mark.parametrize(
    ("delta", "iv", "status"),
    [
        ([-0.01, -0.05, -0.24, 0.35, 0.15, 0.05], None, SurfaceStatus.NOT_BRACKETED),
        ([-0.26, -0.30, -0.40, 0.35, 0.15, 0.05], None, SurfaceStatus.NOT_BRACKETED),
        ([-0.10, -0.20, -0.30, 0.20, 0.15, 0.05], None, SurfaceStatus.NOT_BRACKETED),
        (None, [np.nan] * 3 + [0.28, 0.27, 0.26], SurfaceStatus.NO_QUOTE),
        (None, [0.40, 0.36, 0.33] + [np.nan] * 3, SurfaceStatus.NO_QUOTE),
        ([np.nan] * 6, None, SurfaceStatus.NO_QUOTE),
    ],
)
def test_no_skew_is_made_up(delta, iv, status):
    changes = {name: value for name, value in (("delta", delta), ("iv", iv)) if value is not None}
    found = hand_made(**changes)
    assert found.status.tolist() == [status]
    assert np.isnan(found.rr25).all()
    assert np.isnan(found.bf25).all()


def test_options_in_the_money_take_no_part():
    # Their deltas are above a half; a wrong one of 0.25 must not be found either.
    found = hand_made(
        strike=[80.0, 85.0, 90.0, 110.0, 115.0, 120.0, 90.0, 110.0],
        is_call=[False, False, False, True, True, True, True, False],
        iv=[0.40, 0.36, 0.33, 0.28, 0.27, 0.26, 0.99, 0.99],
        delta=[-0.10, -0.20, -0.30, 0.35, 0.15, 0.05, 0.25, -0.25],
    )
    assert found.rr25.tolist() == [pytest.approx(-0.07)]


def test_without_a_forward_nobody_is_out_of_the_money():
    columns = chain()
    forward = forward_of(YEARS)
    forward[1] = np.nan
    found = skew(columns.ladder(), columns.iv, columns.delta, forward, 0.3)
    assert found.status.tolist() == [0, SurfaceStatus.BAD_INPUT, 0, 0, 0]
    assert np.isnan(found.rr25).tolist() == [False, True, False, False, False]


def test_without_an_at_the_money_vol_the_risk_reversal_still_exists():
    columns = chain()
    found = skew(columns.ladder(), columns.iv, columns.delta, forward_of(YEARS), [0.3, np.nan, 0.3, 0.3, 0.3])
    assert not np.isnan(found.rr25).any()
    assert np.isnan(found.bf25).tolist() == [False, True, False, False, False]


@given(vol=st.floats(0.15, 0.45))
def test_a_flat_chain_has_neither_skew_nor_butterfly(vol):
    columns = chain(vol)
    found = skew(columns.ladder(), columns.iv, columns.delta, forward_of(YEARS), vol)
    known = found.status == SurfaceStatus.OK
    assert known[2:].all()
    np.testing.assert_allclose(found.rr25[known], 0, atol=1e-12)
    np.testing.assert_allclose(found.bf25[known], 0, atol=1e-12)


def test_a_tilted_smile_is_found_near_its_true_value():
    columns = chain(lambda k, t: 0.3 - 0.15 * k + 0 * t, strikes=np.arange(60, 150, 0.5))
    found = skew(columns.ladder(), columns.iv, columns.delta, forward_of(YEARS), 0.3)
    for number, years in enumerate(YEARS):
        k = np.linspace(60, 150, 40001)
        vols = 0.3 - 0.15 * np.log(k / forward_of(years))
        calls, puts = (np.abs(greeks(SPOT, k, years, RATE, YIELD, vols, right).delta) for right in (True, False))
        expected = np.interp(0.25, calls[::-1], vols[::-1]) - np.interp(0.25, puts, vols)
        assert found.rr25[number] == pytest.approx(expected, abs=2e-5)


def test_an_empty_chain_has_no_skew():
    found = skew(Ladder.arrange([], [], np.zeros(0, bool)), [], [], 100.0, 0.3)
    assert found.rr25.size == found.status.size == 0

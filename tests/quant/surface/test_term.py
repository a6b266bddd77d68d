"""At-the-money volatilities by expiry, and what the term structure says, equal their definitions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.status import SurfaceStatus
from qmterm.quant.surface.term import atm_vols, event_flag, forward_vol, iv30, iv_at, term_structure
from tests import golden
from tests.quant.surface.chains import SPOT, YEARS, chain, forward_of

DTE = np.array([10, 24, 45, 80, 200])


@pytest.mark.parametrize("row", golden.rows("surface", what="iv30"), ids=lambda row: row["value"])
def test_golden_iv30(row):
    given_ = json.loads(row["inputs"])
    answer = iv30([given_["T2"], given_["T1"]], [given_["iv2"], given_["iv1"]])  # any order
    assert answer.interpolated
    golden.assert_close("surface", answer.value, row["value"])


def test_iv30_of_one_side_is_taken_as_it_is_and_marked():
    assert iv30([0.2, 0.5], [0.3, 0.4]) == (0.3, False)
    assert iv30([0.02, 0.05], [0.3, 0.4]) == (0.4, False)
    assert iv30([30 / 365], [0.31]) == (0.31, True)
    assert iv30([0.05, 0.2], [np.nan, 0.3]) == (0.3, False)
    assert iv30([], []) is None
    assert iv30([0.1], [np.nan]) is None
    assert iv30([np.inf, 0.1], [0.3, np.inf]) is None
    with pytest.raises(BadInput, match="2 expiries but 1"):
        iv30([0.1, 0.2], [0.3])


def test_the_at_the_money_vol_is_linear_in_strike_at_the_forward():
    columns = chain(lambda k, t: 0.3 - 0.2 * k + 0 * t, years=[0.25], strikes=[90.0, 100.0, 110.0])
    forward = forward_of(0.25)
    found = atm_vols(columns.ladder(), columns.iv, forward)
    at = dict(zip(columns.strike.tolist(), columns.iv.tolist(), strict=True))
    share = (forward - 100) / 10
    assert found.vol[0] == pytest.approx(at[100.0] * (1 - share) + at[110.0] * share, rel=1e-14)
    assert found.status.tolist() == [0]


def test_a_forward_on_a_strike_takes_its_call():
    ladder = Ladder.arrange(0.1, [100.0, 100.0], [True, False])
    assert atm_vols(ladder, [0.31, 0.29], 100.0).vol.tolist() == [0.31]
    assert atm_vols(ladder, [np.nan, 0.29], 100.0).vol.tolist() == [0.29]


def test_an_unknown_neighbour_is_skipped():
    ladder = Ladder.arrange(0.1, [90.0, 95.0, 105.0, 110.0], [False, False, True, True])
    assert atm_vols(ladder, [0.30, np.nan, np.nan, 0.20], 100.0).vol.tolist() == [pytest.approx(0.25)]


@pytest.mark.parametrize(
    ("iv", "forward", "status"),
    [
        ([0.3, 0.3], 100.0, SurfaceStatus.OK),
        ([0.3, 0.3], 90.0, SurfaceStatus.OK),
        ([0.3, 0.3], 89.0, SurfaceStatus.NOT_BRACKETED),
        ([0.3, 0.3], 111.0, SurfaceStatus.NOT_BRACKETED),
        ([0.3, np.nan], 100.0, SurfaceStatus.NOT_BRACKETED),
        ([np.nan, np.nan], 100.0, SurfaceStatus.NO_QUOTE),
        ([0.3, 0.3], np.nan, SurfaceStatus.BAD_INPUT),
        ([0.3, 0.3], 0.0, SurfaceStatus.BAD_INPUT),
        ([0.3, 0.3], np.inf, SurfaceStatus.BAD_INPUT),
    ],
)
def test_no_vol_is_made_up_beyond_the_strikes(iv, forward, status):
    found = atm_vols(Ladder.arrange(0.1, [90.0, 110.0], [False, True]), iv, forward)
    assert found.status.tolist() == [status]
    assert np.isnan(found.vol[0]) == (status != SurfaceStatus.OK)


def test_every_status_has_a_reason_but_ok():
    assert SurfaceStatus.OK.reason is None
    assert {status.reason for status in SurfaceStatus if status} == {Reason[s.name] for s in SurfaceStatus if s}


def test_one_strike_and_one_expiry_are_a_chain():
    columns = chain(years=[0.1], strikes=[100.0])
    found = atm_vols(columns.ladder(), columns.iv, 100.0)
    assert found.vol.tolist() == [0.3]
    structure = term_structure([0.1], found.vol, [36])
    assert structure.iv30 == (0.3, False)
    assert structure.slope is None
    assert structure.event is None
    assert structure.forward.vol.tolist() == [pytest.approx(0.3)]


def test_an_empty_chain_has_no_term_structure():
    found = atm_vols(Ladder.arrange([], [], np.zeros(0, bool)), [], 100.0)
    assert found.vol.size == 0
    structure = term_structure([], [], [])
    assert structure.years.size == structure.forward.vol.size == 0
    assert (structure.iv30, structure.iv90, structure.slope, structure.event) == (None, None, None, None)


@given(vol=st.floats(0.05, 2), years=st.lists(st.integers(7, 900), min_size=2, max_size=12, unique=True))
def test_a_flat_surface_has_flat_forwards_no_slope_and_no_event(vol, years):
    structure = term_structure(np.array(years) / 365, np.full(len(years), vol), years)
    np.testing.assert_allclose(structure.forward.vol, vol, rtol=1e-9)
    assert (structure.forward.status == SurfaceStatus.OK).all()
    assert structure.slope is None or structure.slope == pytest.approx(0, abs=1e-12)
    assert structure.event is False
    assert structure.iv30.value == pytest.approx(vol)


def test_slope_and_forward_vols_follow_from_total_variance():
    vols = np.array([0.5, 0.4, 0.35, 0.3, 0.28])
    shuffled = [3, 0, 4, 2, 1]
    structure = term_structure(YEARS[shuffled], vols[shuffled], DTE[shuffled])
    np.testing.assert_array_equal(structure.vol, vols)
    variance = vols**2 * YEARS
    assert structure.slope == pytest.approx(
        np.sqrt(np.interp(90 / 365, YEARS, variance) / (90 / 365))
        - np.sqrt(np.interp(30 / 365, YEARS, variance) / (30 / 365)),
        rel=1e-12,
    )
    expected = np.sqrt(np.diff(np.r_[0, variance]) / np.diff(np.r_[0, YEARS]))
    np.testing.assert_allclose(structure.forward.vol, expected, rtol=1e-12)


def test_falling_total_variance_has_no_forward_vol_and_says_so():
    structure = term_structure([0.1, 0.2, 0.3], [0.6, 0.4, 0.4], [36, 73, 110])
    assert structure.forward.status.tolist() == [0, SurfaceStatus.NEGATIVE_VARIANCE, 0]
    assert np.isnan(structure.forward.vol).tolist() == [False, True, False]
    assert SurfaceStatus.NEGATIVE_VARIANCE.reason is Reason.NEGATIVE_VARIANCE
    assert structure.event is True


def test_forward_vol_needs_two_times_in_order():
    assert float(forward_vol(0.1, 0.3, 0.2, 0.3)) == pytest.approx(0.3)
    assert float(forward_vol(0.0, 0.0, 0.2, 0.3)) == pytest.approx(0.3)
    unknown = forward_vol([0.1, 0.2, 0.1, -0.1, 0.1], [0.3, 0.3, np.nan, 0.3, 0.3], [0.1, 0.1, 0.2, 0.2, np.inf], 0.3)
    assert np.isnan(unknown).all()
    assert float(forward_vol(0.1, 0.4, 0.4, 0.2)) == 0.0  # the same total variance


@pytest.mark.parametrize(("front", "event"), [(0.40, True), (0.34, False), (0.30, False), (0.20, False)])
def test_the_event_flag_compares_forward_variances(front, event):
    # The variance between the expiries is 0.3² a year; 1.5 times that is 0.367².
    years = [14 / 365, 42 / 365]
    second = np.sqrt((front**2 * years[0] + 0.3**2 * (years[1] - years[0])) / years[1])
    assert event_flag(years, [front, second]) is event


@pytest.mark.parametrize(
    ("years", "vols"),
    [([0.1, 0.1], [0.2, 0.3]), ([0.2, 0.1], [0.2, 0.3]), ([0.1, 0.2], [0.3, np.nan]), ([0.1, 0.2], [np.nan, 0.3])],
)
def test_no_event_is_told_from_expiries_out_of_order_or_unknown(years, vols):
    assert event_flag(years, vols) is None


@pytest.mark.parametrize("maturity", [0.0, -1.0, np.nan, np.inf])
def test_a_maturity_that_is_not_ahead_has_no_vol(maturity):
    assert iv_at([0.1, 0.2], [0.2, 0.3], maturity) is None


@pytest.mark.parametrize("bad", [0.0, -0.3, np.inf, np.nan])
def test_a_vol_that_cannot_be_is_as_good_as_none(bad):
    columns = chain()
    iv = columns.iv.copy()
    iv[np.abs(columns.strike - SPOT) < 4.0] = bad
    assert atm_vols(columns.ladder(), iv, forward_of(YEARS)).vol == pytest.approx(np.full(YEARS.size, 0.3))
    iv[:] = bad
    assert (atm_vols(columns.ladder(), iv, forward_of(YEARS)).status == SurfaceStatus.NO_QUOTE).all()


def test_expiries_under_a_week_decide_nothing():
    years, vols = np.array([1, 20, 60, 120]) / 365, [1.5, 0.3, 0.3, 0.3]
    structure = term_structure(years, vols, [1, 20, 60, 120])
    assert structure.event is False
    assert structure.iv30.value == pytest.approx(0.3)
    assert structure.years.size == 4  # but it is shown
    assert term_structure(years, vols, [7, 20, 60, 120]).event is True


def test_expiries_without_a_vol_are_left_out():
    structure = term_structure([0.1, 0.2, 0.3, np.nan, -1, 0.1], [0.3, np.nan, 0.3, 0.3, 0.3, 0.9], 40)
    assert structure.years.tolist() == [0.1, 0.3]
    assert structure.vol.tolist() == [0.3, 0.3]


def test_lengths_must_agree():
    with pytest.raises(BadInput, match="argument vols has shape"):
        term_structure([0.1, 0.2], [0.3, 0.3, 0.3], [30, 60])


@given(
    points=st.lists(st.tuples(st.floats(0.02, 3), st.floats(0.05, 2)), min_size=1, max_size=8),
    maturity=st.floats(0.02, 3),
)
def test_an_interpolated_maturity_has_a_variance_between_its_neighbours(points, maturity):
    years, vols = zip(*points, strict=True)
    found = iv_at(years, vols, maturity)
    if found.interpolated:
        variances = [v * v * t for t, v in points]
        assert min(variances) * (1 - 1e-12) <= found.value**2 * maturity <= max(variances) * (1 + 1e-12)
    else:
        assert found.value in vols
    assert found.interpolated == (min(years) <= maturity <= max(years))

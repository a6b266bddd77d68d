"""A contract without a volatility takes its neighbours', and is marked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.smile import smile_vols
from tests.quant.surface.chains import YEARS, chain, forward_of


def test_own_volatilities_stay_as_they_are():
    columns = chain(lambda k, t: 0.3 - 0.1 * k + 0.01 / t)
    found = smile_vols(columns.ladder(), columns.iv, forward_of(YEARS))
    np.testing.assert_array_equal(found.vol, columns.iv)
    assert not found.interpolated.any()


def test_unknown_ones_are_linear_in_strike_and_flat_beyond():
    ladder = Ladder.arrange(0.1, [80.0, 85.0, 90.0, 105.0, 120.0, 130.0], [False, False, False, True, True, True])
    found = smile_vols(ladder, [np.nan, 0.40, np.nan, 0.30, 0.28, np.nan], 100.0)
    np.testing.assert_allclose(found.vol, [0.40, 0.40, 0.375, 0.30, 0.28, 0.28])
    assert found.interpolated.tolist() == [True, False, True, False, False, True]


def test_the_out_of_the_money_side_carries_the_smile():
    strike, is_call = [90.0, 90.0, 110.0, 110.0, 100.0], [False, True, False, True, True]
    ladder = Ladder.arrange(0.1, strike, is_call)
    found = smile_vols(ladder, [0.4, 0.9, 0.9, 0.2, np.nan], 100.0)
    assert found.vol[4] == pytest.approx(0.3)
    inside_only = smile_vols(ladder, [np.nan, 0.5, 0.3, np.nan, np.nan], 100.0)
    np.testing.assert_allclose(inside_only.vol, [0.5, 0.5, 0.3, 0.3, 0.4])
    # An in-the-money volatility does not stand in for one wing when the other wing is known.
    half = smile_vols(ladder, [0.4, 0.9, 0.9, np.nan, np.nan], 100.0)
    assert half.vol[3] == pytest.approx(0.4)


def test_an_expiry_without_volatilities_takes_those_around_it_in_time():
    columns = chain(lambda k, t: np.sqrt(0.04 + 0.02 / t - 0.1 * k * 0))
    iv = np.where(columns.years == YEARS[2], np.nan, columns.iv)
    found = smile_vols(columns.ladder(), iv, forward_of(YEARS))
    np.testing.assert_allclose(found.vol, columns.iv, rtol=1e-12)  # total variance is linear in this surface
    np.testing.assert_array_equal(found.interpolated, columns.years == YEARS[2])


@pytest.mark.parametrize(("missing", "source"), [(0, 1), (4, 3)])
def test_the_first_and_last_expiry_take_their_only_neighbour(missing, source):
    columns = chain(lambda k, t: 0.25 + t)
    iv = np.where(columns.years == YEARS[missing], np.nan, columns.iv)
    found = smile_vols(columns.ladder(), iv, forward_of(YEARS))
    np.testing.assert_allclose(found.vol[columns.years == YEARS[missing]], 0.25 + YEARS[source])


def test_without_any_volatility_there_is_none():
    columns = chain()
    found = smile_vols(columns.ladder(), np.nan, forward_of(YEARS))
    assert np.isnan(found.vol).all()
    assert not found.interpolated.any()
    assert smile_vols(Ladder.arrange([], [], np.zeros(0, bool)), [], 100.0).vol.size == 0


def test_a_contract_without_a_row_keeps_what_it_has():
    found = smile_vols(Ladder.arrange([0.1, 0.0, 0.0], 100.0, [True, True, True]), [0.3, np.nan, 0.2], 100.0)
    np.testing.assert_array_equal(found.vol, [0.3, np.nan, 0.2])
    assert not found.interpolated.any()


@pytest.mark.parametrize("forward", [np.nan, 0.0, -1.0])
def test_without_a_forward_only_the_own_expiry_helps(forward):
    columns = chain(years=YEARS[:2])
    iv = columns.iv.copy()
    iv[columns.years == YEARS[0]] = np.nan
    iv[-1] = np.nan
    with np.errstate(all="raise"):
        found = smile_vols(columns.ladder(), iv, forward)
    assert np.isnan(found.vol[columns.years == YEARS[0]]).all()
    assert found.vol[-1] == pytest.approx(0.3)


@given(known=st.lists(st.booleans(), min_size=360, max_size=360), vol=st.floats(0.05, 2))
def test_a_flat_surface_stays_flat_whatever_is_missing(known, vol):
    columns = chain(vol)
    iv = np.where(known, columns.iv, np.nan)
    found = smile_vols(columns.ladder(), iv, forward_of(YEARS))
    if any(known):
        np.testing.assert_allclose(found.vol, vol, rtol=1e-12)
        np.testing.assert_array_equal(found.interpolated, ~np.array(known))

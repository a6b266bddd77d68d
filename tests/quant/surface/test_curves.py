"""Many curves read at once equal numpy's interpolation of each alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.surface.curves import Curves

POINT = st.tuples(st.integers(0, 3), st.floats(-1000, 1000), st.floats(-5, 5))


@given(points=st.lists(POINT, max_size=30), at=st.lists(st.floats(-1200, 1200), min_size=1, max_size=5))
def test_all_curves_at_once_equal_each_alone(points, at):
    # Distinct x, in steps that survive the arithmetic.
    unique = {(curve, round(x, 3)): y for curve, x, y in points}
    rows = sorted((curve, x, y) for (curve, x), y in unique.items())
    curve = np.array([row[0] for row in rows], dtype=int)
    x, y = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    curves = Curves.through(4, curve, x, y)
    for number in range(4):
        value, inside = curves.at(np.full(len(at), number), np.array(at))
        own = curve == number
        if not own.any():
            assert np.isnan(value).all()
            assert not inside.any()
            continue
        np.testing.assert_allclose(value, np.interp(at, x[own], y[own]), atol=1e-5)
        np.testing.assert_array_equal(inside, (np.array(at) >= x[own].min()) & (np.array(at) <= x[own].max()))


def test_unsorted_points_of_a_curve_are_put_in_order():
    curves = Curves.through(2, np.array([0, 0, 0, 1]), np.array([3.0, 1.0, 2.0, 5.0]), np.array([30.0, 10, 20, 50]))
    value, inside = curves.at(np.array([0, 0, 0, 1, 1]), np.array([1.5, 2.0, 9.0, 5.0, 4.0]))
    assert value.tolist() == [15, 20, 30, 50, 50]
    assert inside.tolist() == [True, True, False, True, False]


def test_points_that_are_not_numbers_are_left_out():
    x = np.array([1.0, np.nan, 3.0, 4.0, np.inf])
    y = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    curves = Curves.through(1, np.zeros(5, dtype=int), x, y)
    assert curves.sizes.tolist() == [2]
    assert curves.at(np.zeros(1, dtype=int), np.array([2.0]))[0].tolist() == [2.0]


def test_a_point_that_is_no_number_has_no_value():
    curves = Curves.through(1, np.zeros(2, dtype=int), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    value, inside = curves.at(np.zeros(3, dtype=int), np.array([np.nan, np.inf, -np.inf]))
    np.testing.assert_array_equal(value, [np.nan, 2, 1])
    assert not inside.any()
    single = Curves.through(1, np.zeros(1, dtype=int), np.array([1.0]), np.array([7.0]))
    np.testing.assert_array_equal(single.at(np.zeros(2, dtype=int), np.array([np.nan, 3.0]))[0], [np.nan, 7])


def test_no_points_at_all_are_no_values():
    curves = Curves.through(3, np.empty(0, dtype=int), np.empty(0), np.empty(0))
    value, inside = curves.at(np.arange(3), np.ones(3))
    assert np.isnan(value).all()
    assert not inside.any()
    assert curves.sizes.tolist() == [0, 0, 0]

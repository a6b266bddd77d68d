"""Stress matrix: golden rows, nothing moves at no shift, stock and expiry, and positions without a value are named."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.quant.book.positions import positions
from qmterm.quant.book.stress import SPOT_SHIFTS, VOL_SHIFTS, SpotMode, stress
from qmterm.quant.options import black_scholes
from tests import golden


def of_golden(given):
    return positions(
        quantity=given["qty"],
        spot=given["S"],
        strike=given["K"],
        years=given["T"],
        rate=given["r"],
        vol=given["sigma"],
        is_call=given["cp"] == "C",
    )


@pytest.mark.parametrize("row", golden.rows("risk", what="stress_pnl"), ids=lambda row: row["inputs"][-32:])
def test_golden_rows(row):
    given = json.loads(row["inputs"])
    answer = stress(of_golden(given), [given["dspot"]], [given["dvol_rel"]])
    golden.assert_close("risk", answer.total[0, 0], row["value"], "stress_pnl")


def test_golden_rows_as_one_matrix():
    rows = golden.rows("risk", what="stress_pnl")
    inputs = [json.loads(row["inputs"]) for row in rows]
    answer = stress(of_golden(inputs[0]), [-0.2, -0.1, 0.0, 0.1, 0.2], VOL_SHIFTS)
    expected = np.array([float(row["value"]) for row in rows]).reshape(5, 4)
    assert answer.total == pytest.approx(expected, abs=1e-6)


def some_book(seed, size=40):
    g = np.random.default_rng(seed)
    return positions(
        quantity=g.integers(-9, 10, size),
        spot=g.uniform(20, 300, size),
        strike=g.uniform(20, 300, size),
        years=g.uniform(0.01, 1.5, size),
        vol=g.uniform(0.05, 1.0, size),
        is_call=g.random(size) < 0.5,
        is_stock=g.random(size) < 0.2,
        rate=0.04,
        dividend_yield=0.01,
        beta=g.uniform(0.5, 2.0, size),
    )


@pytest.mark.parametrize("mode", list(SpotMode))
def test_no_shift_is_no_profit(mode):
    answer = stress(some_book(1), mode=mode)
    none = answer.per_position[:, SPOT_SHIFTS.index(0.0), VOL_SHIFTS.index(0.0)]
    assert np.abs(none).max() < 1e-9
    assert answer.unknown == ()


@given(seed=st.integers(0, 50), spot=st.floats(-0.9, 2.0), vol=st.floats(-0.5, 2.0), days=st.sampled_from([0.0, 1.0]))
def test_every_cell_is_a_full_revaluation(seed, spot, vol, days):
    book = some_book(seed, 12)
    answer = stress(book, [spot], [vol], days=days)
    fixed = (book.strike, book.years - days / 365, book.rate, book.dividend_yield)
    then = black_scholes.price(book.spot * (1 + spot), *fixed, np.maximum(0.01, book.vol * (1 + vol)), book.is_call)
    now = black_scholes.price(
        book.spot, book.strike, book.years, book.rate, book.dividend_yield, book.vol, book.is_call
    )
    expected = np.where(book.is_stock, book.spot * spot, then - now) * book.size
    assert answer.per_position[:, 0, 0] == pytest.approx(expected, abs=1e-6)
    assert answer.total[0, 0] == pytest.approx(expected.sum(), abs=1e-5)


def test_in_market_mode_the_shift_is_scaled_by_beta_and_no_stock_falls_below_zero():
    book = positions(quantity=1, spot=100.0, is_stock=True, beta=[0.5, 2.0, 8.0])
    answer = stress(book, [-0.2, 0.1], [0.0], mode=SpotMode.MARKET)
    assert answer.per_position[:, :, 0] == pytest.approx(np.array([[-10, 5], [-40, 20], [-99, 80]]))


def test_an_option_that_expires_within_the_day_is_worth_its_intrinsic_value_then():
    book = positions(quantity=-1, spot=100.0, strike=95.0, years=0.5 / 365, vol=0.3, is_call=False)
    answer = stress(book, [-0.1, 0.1], [0.0], days=1)
    now = float(black_scholes.price(100.0, 95.0, 0.5 / 365, 0.0, 0.0, 0.3, False))
    assert answer.total[:, 0] == pytest.approx([100 * (now - 5.0), 100 * now])


def test_in_its_last_minute_an_option_is_worth_its_intrinsic_value():
    book = positions(quantity=1, spot=100.0, strike=95.0, years=[0.0, 50 / 31_536_000], vol=0.3)
    assert stress(book, [0.1], [0.0]).per_position[:, 0, 0].tolist() == pytest.approx([1000.0, 1000.0])


def test_volatility_never_falls_below_one_percent():
    book = positions(quantity=1, spot=100.0, strike=100.0, years=0.5, vol=0.011)
    low, lower = stress(book, [0.0], [-0.5, -0.9]).total[0]
    assert low == lower


UNKNOWN = [
    ({"spot": np.nan}, Reason.NO_QUOTE),
    ({"spot": -5.0}, Reason.BAD_INPUT),
    ({"vol": np.nan}, Reason.NO_DATA),
    ({"vol": 0.0}, Reason.NO_DATA),
    ({"years": -0.01}, Reason.EXPIRED),
    ({"years": np.nan}, Reason.BAD_INPUT),
    ({"strike": 0.0}, Reason.BAD_INPUT),
    ({"quantity": np.nan}, Reason.BAD_INPUT),
]


@pytest.mark.parametrize(("wrong", "reason"), UNKNOWN)
def test_a_position_without_a_value_is_named_and_makes_the_total_unknown(wrong, reason):
    right = {"quantity": 1.0, "spot": 100.0, "strike": 95.0, "years": 0.1, "vol": 0.3}
    book = positions(**{name: [value, wrong.get(name, value)] for name, value in right.items()})
    answer = stress(book)
    assert answer.unknown == ((1, reason),)
    assert np.isnan(answer.per_position[1]).all()
    assert np.isnan(answer.total).all()
    assert answer.known_total == pytest.approx(answer.per_position[0])


def test_an_unknown_beta_matters_in_market_mode_only():
    book = positions(quantity=1, spot=100.0, is_stock=True, beta=np.nan)
    assert stress(book).unknown == ()
    assert stress(book, mode=SpotMode.MARKET).unknown == ((0, Reason.NO_HISTORY),)


def test_nothing_held_loses_nothing():
    answer = stress(positions(quantity=[], spot=[]))
    assert answer.total.shape == (len(SPOT_SHIFTS), len(VOL_SHIFTS))
    assert not answer.total.any()


def test_no_warning_is_printed(capfd, recwarn):
    stress(positions(quantity=1, spot=[np.nan, np.inf, 0.0], strike=[1.0, np.inf, np.nan], years=0.1, vol=np.inf))
    assert not recwarn.list
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"spot_shifts": [-1.0]}, "spot_shifts"), ({"vol_shifts": [np.nan]}, "vol_shifts"), ({"days": -1}, "days")],
)
def test_shifts_that_make_no_sense_are_refused(arguments, name):
    with pytest.raises(BadInput, match=name):
        stress(some_book(1), **arguments)


def test_columns_that_do_not_fit_are_named():
    with pytest.raises(BadInput, match="strike"):
        positions(quantity=[1, 2], spot=100.0, strike=[90, 95, 100])
    with pytest.raises(BadInput, match="is_call"):
        positions(quantity=1, spot=100.0, is_call="C")
    with pytest.raises(BadInput, match="dimension"):
        positions(quantity=[[1, 2]], spot=100.0)

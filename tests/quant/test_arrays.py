"""Wrong arguments are named."""

from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten, flatten_options, rows_of
from qmterm.quant.indicators.series import atr, bollinger, macd, sma
from qmterm.quant.options.black_scholes import price


def test_lengths_that_do_not_fit_name_the_argument():
    with pytest.raises(BadInput, match=r"argument vol has shape \(4,\), which does not fit the shape \(3,\) of spot"):
        price([100.0, 101.0, 102.0], 100.0, 0.5, 0.04, 0.0, [0.2] * 4, True)
    with pytest.raises(BadInput, match="argument is_call has shape"):
        price([100.0, 101.0, 102.0], 100.0, 0.5, 0.04, 0.0, 0.2, [True, False])


def test_values_that_are_not_numbers_name_the_argument():
    with pytest.raises(BadInput, match="argument strike is not a number"):
        price(100.0, "a hundred", 0.5, 0.04, 0.0, 0.2, True)
    with pytest.raises(BadInput, match="argument is_call must be True or False"):
        price(100.0, 100.0, 0.5, 0.04, 0.0, 0.2, 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "value",
    [
        "100",
        ["100", "101"],
        b"1",
        True,
        [True, False],
        1 + 2j,
        10**400,
        {100.0},
        {},
        [[1.0], [1.0, 2.0]],
        np.datetime64("2026-01-02"),
        np.timedelta64(1, "D"),
        np.zeros(2, dtype=[("a", float)]),
        pytest.param([object()], id="an object"),
    ],
    ids=repr,
)
def test_what_is_no_number_is_refused_by_the_name_of_its_argument(value):
    for place, name in enumerate(("spot", "strike", "years", "rate", "dividend_yield", "vol")):
        arguments = [100.0, 100.0, 0.5, 0.04, 0.0, 0.2]
        arguments[place] = value
        with pytest.raises(BadInput, match=f"argument {name} is not a number"):
            price(*arguments, True)


@pytest.mark.filterwarnings("error")
def test_numbers_of_any_type_and_layout_are_the_same_numbers():
    expected = price(np.full((2, 3), 96.0), 100.0, 0.5, 0.04, 0.0, 0.2, True)
    wide = np.full((4, 6), 96.0)
    frozen = wide[:2, :3].copy()
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"0" + np.full(6, 96.0).tobytes(), offset=1).reshape(2, 3)
    same = [
        96,
        np.float32(96.0),
        Decimal(96),
        np.full((2, 3), 96),
        np.full((2, 3), 96.0, dtype=">f4"),
        np.full((2, 3), 96, dtype=object),
        np.asfortranarray(wide[:2, :3]),
        wide[::-2, ::2],
        frozen,
        unaligned,
        [[96] * 3] * 2,
    ]
    for spot in same:
        assert np.array_equal(np.broadcast_to(price(spot, 100.0, 0.5, 0.04, 0.0, 0.2, True), (2, 3)), expected)


def test_nothing_and_masked_elements_have_no_price():
    masked = np.ma.masked_array([100.0, 100.0], mask=[False, True])
    for spot in (masked, [100.0, None]):
        assert np.isnan(price(spot, 100.0, 0.5, 0.04, 0.0, 0.2, True)).tolist() == [False, True]
    assert np.isnan(price(None, 100.0, 0.5, 0.04, 0.0, 0.2, True))


@pytest.mark.parametrize("rights", [1, 0.0, "C", None, [0, 1], [True, None], [[True], [True, False]]])
def test_a_right_is_true_or_false(rights):
    with pytest.raises(BadInput, match="is_call"):
        price(100.0, 100.0, 0.5, 0.04, 0.0, 0.2, rights)


def test_a_masked_right_is_refused_and_no_rights_are_none():
    with pytest.raises(BadInput, match="is_call"):
        price(100.0, 100.0, 0.5, 0.04, 0.0, 0.2, np.ma.masked_array([True, False], mask=[False, True]))
    assert price([], 100.0, 0.5, 0.04, 0.0, 0.2, []).shape == (0,)


def test_a_block_keeps_order_and_broadcasts():
    shape, block = flatten(a=[[1.0], [2.0]], b=[10.0, 20.0, 30.0], c=5.0)
    assert shape == (2, 3)
    assert block.tolist() == [[1, 1, 1, 2, 2, 2], [10, 20, 30, 10, 20, 30], [5] * 6]
    shape, calls, block = flatten_options([True, False], spot=1.0)
    assert (shape, calls.tolist(), block.tolist()) == ((2,), [True, False], [[1.0, 1.0]])


def test_empty_chains_give_empty_answers():
    assert price([], [], [], 0.04, 0.0, [], np.array([], dtype=bool)).shape == (0,)
    assert sma(np.empty((0, 30)), 10).shape == (0, 30)
    assert sma([], 10).shape == (0,)


def test_series_must_be_series_of_one_shape():
    with pytest.raises(BadInput, match="argument low has shape"):
        rows_of(high=[1.0, 2.0], low=[1.0])
    with pytest.raises(BadInput, match="argument x is a single number"):
        sma(5.0, 3)


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: sma(x, 0),
        lambda x: macd(x, 26, 12),
        lambda x: macd(x, 12, 26, 0),
        lambda x: bollinger(x, 1),
        lambda x: atr(x, x, x, method="median"),
    ],
)
def test_windows_that_make_no_sense_are_refused(ask):
    with pytest.raises(BadInput):
        ask(np.arange(50.0))

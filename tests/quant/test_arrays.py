"""Wrong arguments are named."""

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

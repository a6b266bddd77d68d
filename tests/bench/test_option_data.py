"""The drawn options are those of the baseline, the same on every machine, at prices that are not ours."""

import numpy as np
import pytest
from py_vollib.black_scholes_merton import black_scholes_merton

from qmterm.bench.option_data import american, black_scholes, chain, european


def test_european_options_are_drawn_as_the_baseline_was():
    options, prices = european(5000)
    assert options.size == len(prices) == 5000
    assert 0.5 <= (options.strike / options.spot).min() < 0.55
    assert 1.65 < (options.strike / options.spot).max() <= 1.7
    assert 0.08 <= options.vol.min() < 0.2
    assert options.years.min() >= 1 / 365
    assert options.years.max() <= 700 / 365
    cash = options.strike * np.exp(-0.04 * options.years)
    intrinsic = np.maximum(0, np.where(options.is_call, options.spot - cash, cash - options.spot))
    assert (prices - intrinsic).min() >= 0.005
    assert 0.4 < options.is_call.mean() < 0.6


def test_their_prices_are_py_vollibs():
    options, prices = european(200)
    options = options._replace(dividend_yield=np.full(200, 0.013))
    found = black_scholes(options)
    for row in range(200):
        flag = "c" if options.is_call[row] else "p"
        terms = (options.spot, options.strike, options.years, options.rate, options.vol, options.dividend_yield)
        expected = black_scholes_merton(flag, *(float(column[row]) for column in terms))
        assert found[row] == pytest.approx(expected, abs=1e-11)
    assert not np.array_equal(found, prices)


def test_a_seed_is_a_sample():
    assert np.array_equal(american(50).strike, american(50).strike)
    assert not np.array_equal(american(50).strike, american(50, seed=9).strike)
    assert european(10)[0].size == 10


def test_american_options_have_whole_days():
    options = american(1000)
    days = options.years * 365
    assert np.abs(days - np.rint(days)).max() < 1e-9
    assert (days.min() >= 7 - 1e-9, days.max() <= 700 + 1e-9) == (True, True)
    assert (options.strike.min() >= 70, options.strike.max() <= 140) == (True, True)


def test_a_chain_has_each_contract_once():
    options = chain(2000)
    contracts = set(zip(options.strike.tolist(), options.years.tolist(), options.is_call.tolist(), strict=True))
    assert len(contracts) == options.size == 2000
    assert len(set(options.years.tolist())) == 20


def test_some_options_keep_their_columns_together():
    options = american(100)
    some = options.take(options.is_call)
    assert some.is_call.all()
    assert np.array_equal(some.strike, options.strike[options.is_call])
    assert options.first(7).size == 7

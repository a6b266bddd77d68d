"""An option's numbers are its own: the same alone, in any order, in any part of any array, on any number of cores."""

import numpy as np
import pytest

from qmterm.quant.kernel import set_cores
from qmterm.quant.options import american, black_scholes, european
from tests.quant.options.test_american import random_market

SIZE = 3_000


def american_solve(market):
    *inputs, vol, call = market
    # Every other price belongs to another volatility, or to none: neighbours that need more rounds.
    off = np.where(np.sin(1e6 * market[0]) > 0.0, 1.05, 1.0)
    return american.solve(american.price(*inputs, vol, call) * off, *inputs, call)


def european_solve(market):
    *inputs, vol, call = market
    return european.solve(black_scholes.price(*inputs, vol, call), *inputs, call)


ANSWERS = {
    "american price": lambda market: (american.price(*market),),
    "american greeks": lambda market: american.greeks(*market),
    "american solve": american_solve,
    "european price": lambda market: (black_scholes.price(*market),),
    "european greeks": lambda market: black_scholes.greeks(*market),
    "european solve": european_solve,
    "probability": lambda market: (black_scholes.probability_in_the_money(*market),),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_bits_in_any_order_any_part_and_alone(name):
    answer, market = ANSWERS[name], random_market(SIZE, seed=77)
    whole = answer(market)
    orders = [np.random.default_rng(2).permutation(SIZE), np.arange(SIZE)[::-1]]
    parts = [np.arange(first, min(first + 17, SIZE)) for first in range(0, SIZE, 17)]
    alone = [np.array([row]) for row in range(0, SIZE, 31)]
    for rows in orders + parts + alone:
        found = answer(tuple(column[rows] for column in market))
        for ours, theirs in zip(found, whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[rows])


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_bits_on_one_core_and_on_many(name):
    answer, market = ANSWERS[name], random_market(9_000 if "american" in name else 45_000, seed=78)
    many = answer(market)
    try:
        set_cores(1)
        one = answer(market)
    finally:
        set_cores(None)
    for ours, theirs in zip(one, many, strict=True):
        np.testing.assert_array_equal(ours, theirs)

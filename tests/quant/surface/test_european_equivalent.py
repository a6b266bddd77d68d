"""American quotes without their early exercise premium obey parity again."""

import numpy as np
import pytest

from qmterm.quant.options import american, black_scholes
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.surface.chain_surface import chain_surface
from qmterm.quant.surface.european_equivalent import early_exercise_premium, european_price
from qmterm.quant.surface.forward import forwards
from tests.quant.surface.chains import SPOT, chain, forward_of

YEARS, STRIKES = np.array([0.1, 0.5]), np.arange(80.0, 125.0, 5.0)
RATE, YIELD = 0.06, 0.01


@pytest.fixture(scope="module")
def american_chain():
    columns = chain(0.3, years=YEARS, strikes=STRIKES, rate=RATE, dividend_yield=YIELD)
    prices = american.price(SPOT, columns.strike, columns.years, RATE, YIELD, 0.3, columns.is_call)
    premium = early_exercise_premium(SPOT, columns.strike, columns.years, RATE, YIELD, 0.3, columns.is_call)
    return columns, prices, premium


def test_the_premium_is_what_american_costs_more(american_chain):
    columns, prices, premium = american_chain
    np.testing.assert_allclose(prices - premium, columns.value, atol=1e-9)
    assert (premium >= 0).all()
    assert premium[~columns.is_call & (columns.strike == 120.0)].min() > 0.4


def test_parity_holds_after_and_not_before(american_chain):
    columns, prices, premium = american_chain
    ladder = columns.ladder()
    naive = forwards(ladder, SPOT, RATE, prices - 0.01, prices + 0.01)
    bid, ask = european_price(prices - 0.01, premium), european_price(prices + 0.01, premium)
    found = forwards(ladder, SPOT, RATE, bid, ask)
    expected = forward_of(YEARS, RATE, YIELD)
    np.testing.assert_allclose(found.forward, expected, atol=1e-8)
    np.testing.assert_allclose(found.dividend_yield, YIELD, atol=1e-8)
    assert naive.forward[1] < expected[1] - 0.2


def test_a_yield_known_only_roughly_is_good_enough(american_chain):
    columns, prices, _ = american_chain
    iv, _ = american.implied_vol(prices, SPOT, columns.strike, columns.years, RATE, 0.0, columns.is_call)
    premium = early_exercise_premium(SPOT, columns.strike, columns.years, RATE, 0.0, iv, columns.is_call)
    bid, ask = european_price(prices - 0.01, premium), european_price(prices + 0.01, premium)
    found = forwards(columns.ladder(), SPOT, RATE, bid, ask)
    np.testing.assert_allclose(found.dividend_yield, YIELD, atol=2e-3)


def test_cash_dividends_are_taken_off_the_spot():
    table = DividendTable.shared([(0.35, 2.0)])
    strikes = np.array([80.0, 100.0, 120.0])
    premium = early_exercise_premium(100.0, strikes, 0.4, 0.04, 0.0, 0.3, True, table)
    american_value = american.price(100.0, strikes, 0.4, 0.04, 0.0, 0.3, True, table)
    european_value = black_scholes.price(100.0 - 2.0 * np.exp(-0.014), strikes, 0.4, 0.04, 0.0, 0.3, True)
    np.testing.assert_allclose(american_value - premium, european_value, atol=1e-12)
    assert premium[0] > 1.0
    assert premium[0] > premium[1] > premium[2] >= 0


def test_unknown_volatilities_have_an_unknown_premium_and_price():
    premium = early_exercise_premium(100.0, [90.0, 110.0], 0.4, 0.04, 0.0, [np.nan, 0.3], False)
    assert np.isnan(premium).tolist() == [True, False]
    assert np.isnan(european_price([5.0, np.nan], premium)).tolist() == [True, True]
    assert european_price([0.02, 5.0], [0.05, 0.05]).tolist() == [0.0, 4.95]


def test_an_american_chain_without_contradictions_has_none(american_chain):
    columns, prices, premium = american_chain
    found = chain_surface(
        SPOT,
        columns.years,
        np.rint(columns.years * 365),
        columns.strike,
        columns.is_call,
        RATE,
        prices - 0.01,
        prices + 0.01,
        0.3,
        columns.delta,
        premium,
    )
    assert len(found.violations) == 0
    np.testing.assert_allclose(found.forwards.dividend_yield, YIELD, atol=1e-8)

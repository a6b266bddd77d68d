"""Books of American options: the same cells as pricing each alone, cash dividends by row, styles side by side."""

import numpy as np
import pytest

from qmterm.core.reasons import Reason
from qmterm.quant.book.legs import option_leg
from qmterm.quant.book.mixed_expiries import DatedLeg, front_payoff
from qmterm.quant.book.positions import positions, value_grid, value_now
from qmterm.quant.book.stress import stress
from qmterm.quant.book.value_at_risk import historical_pnl
from qmterm.quant.options import american, black_scholes
from qmterm.quant.options.dividends import DividendTable

# Two prices of one American option may differ by the boundary's tolerance: a share of the spot.
PRICE = 2e-5


def some_book(seed, size=24, style=True, dividends=None):
    g = np.random.default_rng(seed)
    return positions(
        quantity=g.integers(-9, 10, size),
        spot=100.0,
        strike=g.uniform(85, 115, size),
        years=g.uniform(0.05, 0.8, size),
        vol=g.uniform(0.15, 0.6, size),
        is_call=g.random(size) < 0.5,
        american=style,
        rate=0.04,
        dividend_yield=0.0 if dividends else 0.02,
        dividends=dividends,
    )


def test_every_cell_is_the_price_of_that_option_alone():
    book = some_book(1)
    answer = stress(book)
    k, t, r, q = (column[:, None, None] for column in (book.strike, book.years, book.rate, book.dividend_yield))
    spots = 100.0 * (1 + answer.spot_shifts[:, None])
    vols = np.maximum(0.01, book.vol[:, None, None] * (1 + answer.vol_shifts))
    then = american.price(spots, k, t, r, q, vols, book.is_call[:, None, None])
    now = american.price(100.0, *(column[:, 0, 0] for column in (k, t, r, q)), book.vol, book.is_call)
    expected = (then - now[:, None, None]) * book.size[:, None, None]
    assert np.abs(answer.per_position - expected).max() < PRICE * 100.0 * 900
    assert answer.unknown == ()
    assert answer.total == pytest.approx(answer.per_position.sum(axis=0))


def test_american_and_european_rows_keep_their_places():
    style = np.arange(24) % 2 == 0
    mixed, plain = some_book(2, style=style), some_book(2, style=False)
    expected = value_now(plain)
    values = value_now(mixed)
    assert (values[~style] == expected[~style]).all()
    assert (values[style] >= expected[style] - 1e-9).all()
    assert (values[style] > expected[style] + 1e-4).any()


def test_each_position_has_its_own_dividends_and_they_come_nearer_by_a_day():
    schedules = [[(0.02 + 0.01 * number, 0.8)] if number % 3 else [] for number in range(6)]
    table = DividendTable.by_option(schedules)
    book = some_book(3, size=6, dividends=table)
    spots, vols = np.tile([90.0, 100.0, 110.0], (6, 1)), np.stack([book.vol, book.vol * 1.5], axis=1)
    values = value_grid(book, spots, vols, days=1.0)
    for row in range(6):
        nearer = DividendTable.shared([(years - 1 / 365, amount) for years, amount in schedules[row]])
        alone = american.price(
            spots[row][:, None], book.strike[row], book.years[row] - 1 / 365, 0.04, 0.0, vols[row], book.is_call[row],
            dividends=nearer,
        )  # fmt: skip
        assert values[row] == pytest.approx(alone, abs=1e-6 if schedules[row] else PRICE * 100.0)


def test_a_position_that_cannot_be_valued_does_not_hurt_its_neighbours():
    whole = some_book(4, size=5)
    vol = whole.vol.copy()
    vol[2] = np.nan
    broken = positions(
        quantity=whole.quantity,
        spot=whole.spot,
        strike=whole.strike,
        years=whole.years,
        vol=vol,
        is_call=whole.is_call,
        american=True,
        rate=0.04,
        dividend_yield=0.02,
    )
    answer, expected = stress(broken), stress(whole)
    assert answer.unknown == ((2, Reason.NO_DATA),)
    others = [0, 1, 3, 4]
    assert answer.per_position[others] == pytest.approx(expected.per_position[others], abs=PRICE * 100.0 * 900)


def test_history_revalues_american_positions_on_one_boundary_each():
    book = some_book(5, size=4)
    returns = np.random.default_rng(6).normal(0.0, 0.02, (120, 1))
    answer = historical_pnl(book, returns, np.zeros(4, int))
    day = 100.0 * (1 + returns[17, 0])
    columns = (book.strike, book.years, book.rate, book.dividend_yield, book.vol, book.is_call)
    expected = (american.price(day, *columns) - american.price(100.0, *columns)) * book.size
    assert np.abs(answer.per_position[:, 17] - expected).max() < PRICE * 100.0 * 900


def test_a_put_calendar_values_its_back_month_by_the_american_pricer():
    front, back, vol, rate = 30 / 365, 120 / 365, 0.3, 0.05
    legs = [
        DatedLeg(option_leg(False, -1, 100, 3.0), front, vol),
        DatedLeg(option_leg(False, 1, 100, 5.5), back, vol),
    ]
    shape = front_payoff(legs, 100.0, rate).payoff
    left = float(american.price(100.0, 100.0, back - front, rate, 0.0, vol, False))
    assert left > float(black_scholes.price(100.0, 100.0, back - front, rate, 0.0, vol, False)) + 0.01
    assert shape.max_profit == pytest.approx(100 * (left - 2.5), abs=0.3)
    # Exercised at once when the stock is worth nothing: the debit is all that can be lost.
    assert shape.max_loss == pytest.approx(250.0, abs=0.3)

"""Greeks of positions come from the pricer, the rate and the expiry instant that their contract really has."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.clock import from_et
from qmterm.core.orders import BrokerPosition
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.marks import Marks
from qmterm.engine.show.greeks import HeldGreeks
from qmterm.engine.show.publish import _total
from qmterm.quant.options import american, black_scholes
from tests.engine.fakes import CASH, TableQuotes, clock_at

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
SPOT, RATE = 80.0, 0.05


def greeks_of(occ, underlying, price, quantity=-2, at=(date(2026, 3, 2), 10, 0), spot=SPOT):
    clock, quotes, book = clock_at(), TableQuotes(), Book(CASH)
    now = from_et(*at)
    clock.advance((now - clock.now()) / 1e9)
    book.adopt(BrokerPosition(occ, quantity, Decimal("1.00"), 100), "s", "P", 1)
    quotes.set(occ, price - 0.01, price + 0.01, clock.now())
    marks = Marks(book, quotes, clock)
    marks.update()
    asked = []

    def rates(years, now_ns):
        asked.append((years.tolist(), now_ns))
        return np.full(years.shape, RATE)

    found = HeldGreeks(CALENDAR, rates).of(book.positions, marks, {underlying: spot}, now)
    return found, asked, now


def test_a_put_on_a_share_is_american_and_uses_the_rate_of_its_own_expiry():
    occ = "AAPL  260417P00100000"
    expires = from_et(date(2026, 4, 17), 16)
    found, asked, now = greeks_of(occ, "AAPL", 20.35)
    years = years_to(now, expires)
    assert asked == [([years], now)]
    expected = american.solve(20.35, SPOT, 100.0, years, RATE, 0.0, False)
    assert found[occ].delta == pytest.approx(-200 * float(expected.delta), rel=1e-9)
    assert found[occ].theta == pytest.approx(-200 * float(expected.theta), rel=1e-9)


def test_an_index_option_is_european_and_ends_in_the_morning():
    occ = "SPX   260417P06000000"
    expires = from_et(date(2026, 4, 17), 9, 30)
    now = from_et(date(2026, 3, 2), 10, 0)
    years = years_to(now, expires)
    price = float(black_scholes.price(6000.0, 6000.0, years, RATE, 0.0, 0.2, False))
    found, _, _ = greeks_of(occ, "SPX", round(price, 2), spot=6000.0)
    formula = black_scholes.greeks(6000.0, 6000.0, years, RATE, 0.0, 0.2, False)
    assert found[occ].vega == pytest.approx(-200 * float(formula.vega), rel=1e-4)


def test_a_half_day_ends_at_one():
    occ = "AAPL  261127C00080000"
    _, asked, now = greeks_of(occ, "AAPL", 1.0, at=(date(2026, 11, 25), 10, 0))
    assert asked[0][0] == [years_to(now, from_et(date(2026, 11, 27), 13))]


def test_on_its_last_day_theta_is_unknown_and_so_is_the_sum_with_it():
    occ = "AAPL  260302P00081000"
    found, _, _ = greeks_of(occ, "AAPL", 1.4)
    assert found[occ].theta is None
    assert found[occ].delta > 0  # short puts
    assert _total([found[occ].theta, 3.0]) is None
    assert _total([1.0, 3.0]) == 4.0
    assert _total([]) == 0


def test_a_mark_below_exercise_value_has_no_greeks():
    found, _, _ = greeks_of("AAPL  260417P00100000", "AAPL", 19.0)
    assert found == {}

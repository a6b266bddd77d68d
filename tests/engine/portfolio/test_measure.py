"""The portfolio's measures: golden-tested maths fed with a real book, and what is missing is named, never left out."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.orders import BrokerPosition
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.marks import Marks
from qmterm.engine.portfolio.measure import Closes, Wanted, measure
from qmterm.engine.show.greeks import HeldGreeks
from qmterm.quant.options import american
from tests.engine.fakes import CASH, TableQuotes, clock_at

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
NOW = from_et(date(2026, 3, 2), 10)
CALL, PUT = "NVDA  260417C00175000", "NVDA  260417P00170000"
SPOT = 178.0


def closes(seed, days=260, beta=1.0, market=None):
    g = np.random.default_rng(seed)
    moves = g.normal(0, 0.01, days) if market is None else beta * market + g.normal(0, 1e-9, days)
    when = np.datetime64("2025-01-01") + np.arange(days)
    return Closes(when, 100 * np.exp(np.cumsum(moves))), moves


def wanted(held, spots=None, quotes=None, history=True, spare=None):
    book, table = Book(CASH), TableQuotes()
    clock = clock_at()
    for symbol, quantity in held.items():
        book.adopt(BrokerPosition(symbol, quantity, Decimal("4.00"), 100), "s", "P", 1)
    for symbol, (bid, ask) in (quotes if quotes is not None else {CALL: (9.9, 10.1), PUT: (5.9, 6.1)}).items():
        table.set(symbol, bid, ask, clock.now())
    marks = Marks(book, table, clock)
    marks.update()
    spots = {"NVDA": SPOT, "XYZ": 50.0} if spots is None else spots
    greeks = HeldGreeks(CALENDAR, lambda years, _now: np.full(years.shape, 0.04))
    market, moves = closes(1)
    own, _ = closes(2, beta=2.0, market=moves)
    gathered = greeks.gather(book.positions, marks, spots, NOW, lambda _name: spare)
    known = {"NVDA": own, "XYZ": own} if history else {}
    return Wanted(NOW, gathered, spots, known, market if history else None, 500.0 if history else None)


def test_an_empty_book_has_nothing_and_knows_it():
    found = measure(wanted({}))
    assert (found.exposure, found.market, found.tails, found.unknown) == (None, None, (), {})


def test_beta_weighted_delta_is_the_options_delta_in_market_shares():
    found = measure(wanted({CALL: 2}))
    greeks = american.solve(10.0, SPOT, 175.0, wanted({CALL: 2}).held.options[0].years, 0.04, 0.0, True)
    assert found.betas["NVDA"].beta == pytest.approx(2.0, abs=1e-4)
    assert not found.betas["NVDA"].assumed
    expected = 200 * float(greeks.delta) * found.betas["NVDA"].beta * SPOT / 500.0
    assert float(found.exposure.total.beta_weighted_delta) == pytest.approx(expected, rel=1e-9)
    assert float(found.exposure.total.gamma_1pct) == pytest.approx(200 * float(greeks.gamma) * SPOT**2 / 100, rel=1e-9)
    assert float(found.exposure.total.weighted_vega) == pytest.approx(
        200 * float(greeks.vega) * (30 / 46) ** 0.5, rel=1e-9
    )


def test_in_market_mode_the_stock_moves_by_its_beta():
    found = measure(wanted({"XYZ": 100}))
    spots = list(found.market.spot_shifts)
    five = spots.index(-0.05)
    assert found.market.total[five, 0] == pytest.approx(-0.05 * 2.0 * 50 * 100, rel=1e-3)
    assert found.each.total[five, 0] == pytest.approx(-0.05 * 50 * 100)


def test_all_four_tails_are_there_and_the_worse_level_loses_more():
    found = measure(wanted({CALL: 2, PUT: -1}))
    tails = {(tail.method, tail.level): tail for tail in found.tails}
    assert found.days == 259
    assert 0 < tails["historical", 0.95].var < tails["historical", 0.99].var <= tails["historical", 0.99].es
    parametric = tails["cornish-fisher", 0.99]
    assert parametric.reason is Reason.UNRELIABLE or parametric.var > tails["cornish-fisher", 0.95].var


def test_without_history_the_tails_say_so_and_beta_is_assumed():
    found = measure(wanted({CALL: 1}, history=False))
    assert {tail.reason for tail in found.tails} == {Reason.NO_HISTORY}
    assert found.betas["NVDA"] == (1.0, 0, True)
    assert np.isnan(found.exposure.total.beta_weighted_delta)  # no price of the market
    assert np.isfinite(found.exposure.total.dollar_delta)


def test_a_position_without_a_price_makes_totals_unknown_and_is_named():
    found = measure(wanted({CALL: 1, "OLD   260417C00010000": 1}))
    assert found.unknown == {"OLD   260417C00010000": Reason.NO_QUOTE}
    assert np.isnan(found.exposure.total.dollar_delta)
    assert np.isnan(found.market.total).all()
    assert np.isfinite(found.exposure.known.dollar_delta)
    assert {tail.var for tail in found.tails} == {None}


def test_a_mark_without_time_value_borrows_the_stocks_volatility_and_says_so():
    deep = "NVDA  260417C00100000"
    quotes = {deep: (77.9, 78.1)}
    assert deep not in measure(wanted({deep: 1}, quotes=quotes)).greeks
    found = measure(wanted({deep: 1}, quotes=quotes, spare=0.30))
    assert found.greeks[deep].assumed
    assert found.greeks[deep].delta == pytest.approx(100, abs=1.0)
    assert found.unknown == {}


def test_fifty_positions_are_measured_well_within_a_tenth_of_a_second():
    held, quotes = {}, {}
    for i in range(50):
        strike = 150 + i
        symbol = f"NVDA  260417{'CP'[i % 2]}{strike * 1000:08d}"
        years = 46.25 / 365
        price = float(american.price(SPOT, strike, years, 0.04, 0.0, 0.35, i % 2 == 0))
        held[symbol], quotes[symbol] = (i % 7 - 3) or 1, (price - 0.02, price + 0.02)
    want = wanted(held, quotes=quotes)
    measure(want)  # the kernels' first call loads them
    found = min((measure(want) for _ in range(5)), key=lambda m: m.took_ms)
    assert found.unknown == {}
    assert found.took_ms < 100

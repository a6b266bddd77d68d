"""Halts, splits and renames of the simulated world, and that a world nobody asked stays as it was."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.clock import NS, from_et
from qmterm.core.errors import BadInput
from qmterm.sim.bar_history import daily
from qmterm.sim.brokerage.adjustments import adjust_positions
from qmterm.sim.brokerage.book import Book, Position
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.limits import HALTED, RESUMED, bands, limit_events
from qmterm.sim.world import World
from tests.sim.conftest import day_before_the_close

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
TEN = from_et(DAY, 10)


@pytest.fixture(scope="module")
def morning() -> World:
    market = World(SimOptions(seed=5, symbols=50, start="2026-03-02T09:29"))
    market.advance_to(TEN)
    return market


@pytest.fixture
def world(morning) -> World:
    return deepcopy(morning)


@pytest.fixture(scope="module")
def evening() -> World:
    """After the close of the first day, with a split and a rename to come."""
    market = deepcopy(day_before_the_close())
    for event in ({"split": "NVDA", "to": 7}, {"rename": "META", "to": "FACE"}):
        market.happenings.add(event)
    market.advance_to(from_et(DAY, 20))
    return market


@pytest.fixture
def next_morning(evening) -> World:
    market = deepcopy(evening)
    market.advance_to(from_et(NEXT, 9, 40))
    return market


def number(world: World, ticker: str) -> int:
    return world.universe.number[ticker]


# --- halts ---


def test_a_halted_name_neither_trades_nor_quotes_and_the_others_do_not_notice(world):
    plain, n = deepcopy(world), number(world, "AAPL")
    world.happenings.add({"halt": "AAPL", "minutes": 5})
    before = world.quote("AAPL")
    world.advance_to(TEN + 120 * NS)
    plain.advance_to(TEN + 120 * NS)
    assert (world.quote("AAPL").bid, world.quote("AAPL").ask) == (before.bid, before.ask)
    assert world.quote("AAPL").time_ns == TEN
    assert world.today.last_ns[n] <= TEN
    others = np.arange(len(world.universe)) != n
    for name in ("last", "fair", "volume", "high"):
        assert np.array_equal(getattr(world.today, name)[others], getattr(plain.today, name)[others])


def test_after_a_halt_the_price_is_where_it_went_meanwhile(world):
    plain = deepcopy(world)
    world.happenings.add({"halt": "AAPL", "minutes": 2})
    for market in (world, plain):
        market.advance_to(TEN + 180 * NS)
    assert world.quote("AAPL") == plain.quote("AAPL")
    assert world.today.last_ns[number(world, "AAPL")] > TEN + 120 * NS


def test_options_of_a_halted_name_stand_still(world):
    world.advance_to(TEN + NS)
    occ = world.contracts("AAPL")[200].occ
    world.happenings.add({"halt": "AAPL", "minutes": 5})
    before = world.quote(occ)
    world.advance_to(TEN + 60 * NS)
    after = world.quote(occ)
    assert (after.bid, after.ask, after.time_ns) == (before.bid, before.ask, before.time_ns)


def test_halt_and_resume_are_told_for_nasdaq_names_only(world):
    nasdaq, nyse = world.universe.tickers[7], world.universe.tickers[6]  # TSLA and AMD
    for ticker in (nasdaq, nyse):
        world.happenings.add({"halt": ticker, "minutes": 1})
    told = limit_events(world, None, TEN - 1, TEN + 61 * NS)
    assert [(event.T, event.i) for event in told if event.i] == [(nasdaq, [HALTED]), (nasdaq, [RESUMED])]


def test_bands_come_every_half_minute_and_stand_still_in_a_halt(world):
    world.happenings.add({"halt": "TSLA", "minutes": 5})
    world.advance_to(TEN + 30 * NS)
    told = {event.T: event for event in limit_events(world, None, TEN + 1, world.now_ns)}
    assert "TSLA" not in told
    assert len(told) == len(world.universe) - 1
    event, last = told["AAPL"], world.last("AAPL")
    assert event.l < last < event.h
    assert (event.h - event.l) / (event.h + event.l) == pytest.approx(0.05, abs=0.001)
    assert limit_events(world, None, TEN + 31 * NS, TEN + 59 * NS) == []


def test_bands_double_before_the_close(evening):
    market = deepcopy(evening)
    market.step_ns = market.today.close_ns - 60 * NS
    high, low = bands(market)
    assert (high[3] - low[3]) / (high[3] + low[3]) == pytest.approx(0.10, abs=0.001)


def test_halts_by_seed_are_the_same_each_time(world):
    again = deepcopy(world)
    for market in (world, again):
        market.happenings.add({"halts": 6})
    assert world.happenings.halts == again.happenings.halts
    assert all(world.universe.optionable[halt.symbol] for halt in world.happenings.halts)


# --- splits ---


def test_a_seven_for_one_split_divides_prices_and_multiplies_volumes(evening, next_morning):
    n = number(evening, "NVDA")
    before, after = (daily(world, n, date(2025, 1, 1), DAY) for world in (evening, next_morning))
    assert after.close == pytest.approx(before.close / 7, abs=0.0051)
    assert after.volume == pytest.approx(before.volume * 7, rel=1e-3)
    assert next_morning.previous_close("NVDA") == pytest.approx(evening.history.rows[-1].close[n] / 700, abs=0.0051)
    assert abs(np.log(next_morning.last("NVDA") / next_morning.previous_close("NVDA"))) < 0.25


def test_a_split_is_listed_from_its_announcement_and_executed_on_its_day(evening, next_morning):
    n = number(evening, "NVDA")
    assert [split.day for split in evening.happenings.announced] == [NEXT]
    assert evening.corporate.split_factor(n, DAY) == 1.0
    assert next_morning.corporate.split_factor(n, DAY) == 7.0
    assert next_morning.happenings.announced == []


def test_contracts_live_on_at_a_seventh_of_their_strikes(evening, next_morning):
    old = [c for c in evening.contracts("NVDA") if c.expiry > NEXT]
    new = {(c.expiry, c.right, c.strike) for c in next_morning.contracts("NVDA")}
    for contract in old:
        strike = Decimal(str(round(float(contract.strike) / 7, 2)))
        assert (contract.expiry, contract.right, strike) in new
    tails = next_morning.listing("NVDA").tails
    assert len(tails) == len(set(tails))
    assert tails == sorted(tails)
    assert next_morning.quote(next_morning.contracts("NVDA")[50].occ) is not None


def test_positions_go_through_the_split_at_no_cash(evening, next_morning):
    contract = next(c for c in evening.contracts("NVDA") if c.expiry > NEXT)
    book = Book(Decimal(100_000))
    for symbol, quantity, price in (("NVDA", 100, "186.20"), (contract.occ, -3, "4.20"), ("AAPL", 5, "262")):
        book.positions[symbol] = Position(symbol, quantity, Decimal(price), 100, 0, 0)
    assert adjust_positions(book, next_morning, 0, next_morning.now_ns) == 1
    assert adjust_positions(book, next_morning, 1, next_morning.now_ns) == 1
    option = next(symbol for symbol in book.positions if len(symbol) > 6)
    assert book.positions["NVDA"].quantity == 700
    assert book.positions["NVDA"].average_open_price * 7 == pytest.approx(Decimal("186.20"))
    assert book.positions[option].quantity == -21
    assert next_morning.contract(option) is not None
    assert book.positions["AAPL"].quantity == 5
    assert book.cash == 100_000


# --- renames ---


def test_a_renamed_name_goes_on_under_its_new_ticker(evening, next_morning):
    assert evening.quote("META") is not None
    assert next_morning.quote("META") is None
    assert next_morning.quote("FACE") is not None
    assert next_morning.contracts("FACE")[0].root == "FACE"
    assert next_morning.happenings.ticker_on(number(next_morning, "FACE"), DAY) == "META"


def test_events_that_cannot_be_are_refused_in_a_sentence(world):
    for event, why in (
        ({"halt": "NOPE"}, "not listed"),
        ({"halt": "AAPL", "minutes": 0}, "minutes must be"),
        ({"split": "NVDA", "from": 2, "to": 3}, "non-standard"),
        ({"rename": "META", "to": "AAPL"}, "not a free ticker"),
        ({"split": "NVDA", "to": 7, "day": "2026-03-01"}, "not a session"),
        ({"storm": 1}, "an event is one of"),
        ({"halt": "AAPL", "hours": 1}, "unknown key"),
    ):
        with pytest.raises(BadInput, match=why):
            world.happenings.add(event)

"""Option contracts of the simulated world: listed sensibly, priced on the grid, settled at the close."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from qmterm.core.clock import NS, from_et
from qmterm.core.ticks import on_tick, program_for
from qmterm.quant.options.implied_vol import IvStatus, implied_vol
from qmterm.sim.listing import make_listing, years_left
from qmterm.sim.options import SimOptions
from qmterm.sim.rates import rate
from qmterm.sim.world import World


@pytest.fixture(scope="module")
def world() -> World:
    market = World(SimOptions(seed=5, symbols=80, start="2026-03-02T09:29"))
    market.advance_to(from_et(date(2026, 3, 2), 10))
    return market


def alive(world: World, ticker: str):
    listing = world.listing(ticker)
    return listing.contracts.take(np.flatnonzero(listing.contracts.expiry_ns > world.now_ns))


def test_big_names_have_weeklies_monthlies_and_two_januaries(world):
    days = list(world.chain_symbols("AAPL"))
    assert days[0] == date(2026, 3, 6)
    assert date(2026, 4, 2) in days  # Good Friday is closed: the weekly expires on Thursday
    assert date(2026, 6, 18) in days
    assert date(2027, 1, 15) in days
    assert date(2028, 1, 21) in days
    assert all(world.calendar.is_session(day) for day in days)


def test_index_funds_expire_every_day(world):
    assert list(world.chain_symbols("SPY"))[:3] == [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)]


def test_a_full_spy_chain_is_thousands_of_contracts(world):
    assert len(alive(world, "SPY")) > 3000


@pytest.mark.parametrize("ticker", ["SPY", "AAPL", "F"])
def test_every_quote_is_on_the_tick_grid_and_not_crossed(world, ticker):
    quotes = world.option_quotes(alive(world, ticker))
    assert (quotes.ask > quotes.bid).all()
    program = program_for(ticker)
    prices = {*quotes.bid[quotes.bid > 0].tolist(), *quotes.ask.tolist()}
    assert all(on_tick(program, Decimal(str(price))) for price in prices)


def test_spreads_widen_away_from_the_money(world):
    quotes = world.option_quotes(alive(world, "NVDA"))
    share = (quotes.ask - quotes.bid) / ((quotes.ask + quotes.bid) / 2)
    delta = np.abs(quotes.delta)
    near, far = share[(delta > 0.4) & (delta < 0.6)], share[(delta > 0.02) & (delta < 0.1)]
    assert np.median(near) < 0.05
    assert np.median(far) > 2 * np.median(near)


def test_our_own_implied_volatility_finds_the_surface(world):
    contracts = alive(world, "MSFT")
    quotes = world.option_quotes(contracts)
    near = contracts.is_call & (np.abs(quotes.delta - 0.5) < 0.2)  # a put may be lifted to its exercise value
    years = years_left(quotes.time_ns, contracts.expiry_ns)
    spot = quotes.spot - world._pricer.dividends_before(contracts, quotes.time_ns)
    found, status = implied_vol(quotes.value, spot, contracts.strike, years, rate(years), 0.0, contracts.is_call)
    usable = near & (status == IvStatus.OK)
    assert usable.sum() > 50
    assert np.allclose(found[usable], quotes.implied[usable], atol=2e-3)


def test_puts_cost_more_volatility_below_and_terms_join(world):
    contracts = alive(world, "QQQ")
    quotes = world.option_quotes(contracts)
    month = contracts.expiry == np.datetime64("2026-04-17")
    low = quotes.implied[month & (contracts.strike < 0.93 * quotes.spot)].mean()
    high = quotes.implied[month & (contracts.strike > 1.03 * quotes.spot)].mean()
    assert low > high + 0.02


def test_asking_for_one_contract_gives_what_the_chain_gives(world):
    listing = world.listing("TSLA")
    contracts = alive(world, "TSLA")
    quotes = world.option_quotes(contracts)
    first = len(listing) - len(contracts)
    for row in range(0, len(contracts), 61):
        quote = world.quote(listing.contract(first + row).occ)
        assert (quote.bid, quote.ask, quote.bid_size) == (quotes.bid[row], quotes.ask[row], quotes.bid_size[row])
        assert quote.time_ns == world.now_ns


def test_liquid_names_have_interest_and_volume_near_the_money(world):
    contracts = alive(world, "NVDA")
    interest = world.open_interest(contracts)
    volume, before = world.option_volume(contracts, interest)
    delta = np.abs(world.option_quotes(contracts).delta)
    month = (contracts.expiry == np.datetime64("2026-03-27")) & (delta > 0.3) & (delta < 0.7)
    assert (interest[month] >= 500).mean() > 0.5
    assert (before[month] >= 100).mean() > 0.5
    assert 0 < volume.sum() < before.sum()


def test_unknown_or_unlisted_contracts_have_no_quote(world):
    assert world.quote("AAPL  260418C00260000") is None
    assert world.quote("ZZZZZ 260417C00260000") is None
    assert world.contract("AAPL  260417C00261300") is None
    assert world.quote("NOPE") is None


def test_before_the_open_quotes_are_those_of_the_last_close():
    world = World(SimOptions(seed=5, symbols=50))
    occ = world.contracts("AAPL")[0].occ
    assert world.quote(occ).time_ns == from_et(date(2026, 2, 27), 16)


def test_an_expired_contract_settles_at_the_close_and_loses_its_quote(closing_world):
    world = closing_world
    contract = next(c for c in world.contracts("SPY") if c.expiry == date(2026, 3, 2))
    assert world.settlement(contract.occ) is None
    assert world.quote(contract.occ) is not None
    world.advance_to(from_et(date(2026, 3, 2), 16) + NS)
    assert world.quote(contract.occ) is None
    assert world.contract(contract.occ) is None
    assert world.settlement(contract.occ) == world.history.rows[-1].close[0] / 100


def test_the_listing_does_not_depend_on_when_it_is_first_asked_for(closing_world):
    curious, late = closing_world, deepcopy(closing_world)
    curious.contracts("TSLA")
    for world in (curious, late):
        world.advance_to(from_et(date(2026, 3, 2), 16, 30))
    assert curious.contracts("TSLA") == late.contracts("TSLA")


@pytest.mark.parametrize(("weekly", "daily"), [(True, True), (True, False), (False, False)])
def test_no_contract_leaves_the_listing_before_it_expires(world, weekly, daily):
    start, low, high = date(2026, 2, 27), 100.0, 100.0
    held: set[str] = set()
    for number, day in enumerate(world.calendar.sessions(date(2026, 3, 2), date(2026, 6, 30))):
        low, high = min(low, 100 - number / 3), max(high, 100 + number / 2)
        kind = {"weekly": weekly, "daily": daily, "volatility": 0.4, "seed": 1}
        listing = make_listing(0, "ABC", world.calendar, day, since=start, anchor=100.0, low=low, high=high, **kind)
        alive = {tail for tail in held if tail[:6] >= f"{day:%y%m%d}"}
        assert alive <= set(listing.tails)
        held = set(listing.tails)

"""Option prints of the simulated world: they add up, they do not depend on who listens, and hurry looks like hurry."""

from __future__ import annotations

import functools
from copy import deepcopy
from datetime import date

import numpy as np
import pytest

from qmterm.core.clock import NS, from_et
from qmterm.sim.option_tape import CANCEL, EXCHANGES, ISO
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.frames import OptionQuote, OptionTrade
from qmterm.sim.polygon.option_feed import OptionFeed
from qmterm.sim.world import World

DAY = date(2026, 3, 2)
NAMES = ("NVDA", "TSLA")


@pytest.fixture(scope="module")
def world() -> World:
    market = World(SimOptions(seed=5, symbols=50, start="2026-03-02T09:29"))
    market.advance_to(from_et(DAY, 9, 50))
    return market


def chain(world: World, ticker: str):
    listing = world.listing(ticker)
    alive = np.flatnonzero(listing.contracts.expiry_ns > world.now_ns)
    return listing.contracts.take(alive)


@functools.cache
def all_prints(world: World, ticker: str):
    return world.option_prints(chain(world, ticker), world.today.open_ns, world.now_ns)


@pytest.mark.parametrize("ticker", NAMES)
def test_prints_add_up_to_the_volume_of_the_snapshot(world, ticker):
    contracts, found = chain(world, ticker), all_prints(world, ticker)
    traded = np.zeros(len(contracts), dtype=np.int64)
    np.add.at(traded, found.row[~found.busted], found.size[~found.busted])
    volume, _ = world.option_volume(contracts, world.open_interest(contracts))
    assert (traded == volume).all()
    assert (np.diff(found.time_ns) >= 0).all()


def test_a_print_does_not_depend_on_the_interval_it_is_asked_in(world):
    contracts, whole = chain(world, "NVDA"), all_prints(world, "NVDA")
    start, middle = world.today.open_ns, world.today.open_ns + 345 * NS
    parts = [world.option_prints(contracts, *pair) for pair in ((start, middle), (middle, world.now_ns))]
    for name in ("row", "time_ns", "size", "exchange", "condition"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert (joined == getattr(whole, name)).all(), name


def test_a_contract_alone_has_the_prints_it_has_in_the_chain(world):
    contracts, whole = chain(world, "TSLA"), all_prints(world, "TSLA")
    row = int(np.bincount(whole.row).argmax())
    alone = world.option_prints(contracts.take(np.array([row])), world.today.open_ns, world.now_ns)
    mine = whole.row == row
    assert len(alone) > 10
    assert (alone.time_ns == whole.time_ns[mine]).all()
    assert (alone.size == whole.size[mine]).all()


def test_the_last_print_is_the_last_one_of_the_tape(world):
    contracts, whole = chain(world, "NVDA"), all_prints(world, "NVDA")
    last = world.last_option_prints(contracts, world.open_interest(contracts))
    latest = {
        row: stamp for row, stamp, busted in zip(*columns(whole, "row", "time_ns", "busted"), strict=True) if not busted
    }
    assert dict(zip(*columns(last, "row", "time_ns"), strict=True)) == latest


def columns(prints, *names: str) -> list[list[int]]:
    return [getattr(prints, name).tolist() for name in names]


def test_conditions_and_exchanges_look_like_the_tape(world):
    found = [all_prints(world, ticker) for ticker in NAMES]
    conditions = np.concatenate([part.condition for part in found])
    share = {int(c): float((conditions == c).mean()) for c in np.unique(conditions)}
    assert 0.45 < share[209] < 0.65
    assert share[ISO] > 0.08
    assert {227, 231, 232, 233} <= set(share)
    assert set(np.concatenate([part.exchange for part in found]).tolist()) == set(EXCHANGES)


def test_hurried_buyers_sweep_several_exchanges_within_half_a_second(world):
    """By the plan of the whole day: the tape of the contracts concerned, as it will be at the close."""
    later = deepcopy(world)
    later.now_ns = later.step_ns = later.today.close_ns - NS
    sweeps = blocks = 0
    for ticker in ("SPY", *NAMES, "AAPL"):
        planned = later.option_campaigns(chain(world, ticker))
        hurried = chain(world, ticker).take(planned.row)
        found = later.option_prints(hurried, later.today.open_ns, later.now_ns)
        for row, (second, size) in enumerate(zip(planned.second[:, 0], planned.size[:, 0], strict=True)):
            at = later.today.open_ns + int(second) * NS
            mine = (found.row == row) & (found.time_ns >= at - NS) & (found.time_ns < at)
            assert found.size[mine].sum() >= size
            if planned.sweep[row]:
                sweeps += 1
                assert len(set(found.exchange[mine].tolist())) >= 3
            else:
                blocks += 1
                assert found.size[mine].max() == size
    assert sweeps > 3
    assert blocks > 3


@pytest.fixture(scope="module")
def heard() -> list:
    """Everything a listener to NVDA's front weeks heard in the first five minutes."""
    world = World(SimOptions(seed=5, symbols=50, start="2026-03-02T09:30"))
    listing = world.listing("NVDA")
    names = frozenset(f"O:NVDA{tail}" for tail in listing.tails if tail < "260314")
    feed, out = OptionFeed(world, names), []
    for second in range(1, 301):
        world.advance_to(world.today.open_ns + second * NS)
        out += feed.events(names, names, frozenset())
    return out


def test_a_regular_print_stands_at_the_quote_that_was_sent_before_it(heard):
    quotes: dict[str, OptionQuote] = {}
    fresh = judged = at_side = 0
    for event in heard:
        if isinstance(event, OptionQuote):
            quotes[event.sym] = event
        elif event.sym in quotes and event.c in ([209], [ISO]):
            quote = quotes[event.sym]
            judged += 1
            fresh += event.t - quote.t <= 1000
            at_side += event.p in (quote.bp, quote.ap)
            assert quote.bp - 0.011 <= event.p <= quote.ap + 0.11
    assert judged > 300
    assert at_side > 0.75 * judged
    assert fresh > 0.95 * judged


def identity(trade: OptionTrade) -> tuple[object, ...]:
    return trade.sym, trade.q, trade.p, trade.s, trade.x


def test_a_cancel_repeats_the_print_it_removes(heard):
    trades = [event for event in heard if isinstance(event, OptionTrade)]
    cancels = [event for event in trades if event.c == [CANCEL]]
    assert cancels
    for cancel in cancels:
        same = [
            t for t in trades if (t.sym, t.p, t.s, t.x, t.q) == (cancel.sym, cancel.p, cancel.s, cancel.x, cancel.q)
        ]
        assert [t.c for t in same] == [[209], [CANCEL]]
        assert 1000 <= cancel.t - same[0].t <= 10_000

"""The room against the simulator: alike runs in lockstep, every data fault survived, plans respected."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date, timedelta

import aiohttp
import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date
from qmterm.core.errors import DataError, NotEntitled, RateLimited
from qmterm.market.clock import ServerClock, StepClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.history.history import History
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.lockstep import LockstepDriver, advance_and_read
from qmterm.sim.options import SimOptions
from qmterm.sim.spawn import spawn
from tests.market.fakes import settings

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2028, 12, 31))
SYMBOLS = 50


@asynccontextmanager
async def simulator(**options):
    sim = await spawn(SimOptions(seed=7, symbols=SYMBOLS, **options))
    try:
        yield sim
    finally:
        await sim.close()


@asynccontextmanager
async def lockstep(**options):
    """A started feed in lockstep; yields (feed, advance, fault)."""
    async with simulator(lockstep=True, **options) as sim, aiohttp.ClientSession() as http:
        clock = StepClock(sim.now_ns)
        chosen = settings(sim.url, sim.ws_url, read_timeout_s=5.0, deadline_s=10.0)
        feed = PolygonFeed(chosen, sim.token, clock, CALENDAR, lockstep=True)
        driver = LockstepDriver(sim.url, sim.token, http)

        async def advance(steps):
            for _ in range(steps):
                await advance_and_read(driver, feed, clock.set)

        async def fault(name, **more):
            headers = {"Authorization": f"Bearer {sim.token}"}
            async with http.post(f"{sim.url}/sim/faults", json={"fault": name, **more}, headers=headers) as answer:
                assert answer.status == 200, await answer.text()

        try:
            await feed.start()
            await feed.settled()
            yield feed, advance, fault
        finally:
            await feed.close()


async def run(steps):
    """All the board and one chain know after some steps."""
    async with lockstep() as (feed, advance, _):
        await advance(61)  # to 09:30:05: before the open option quotes are those of the last close
        now = feed._clock.now()
        chain = await feed.chains.read("SPY", now, et_date(now), et_date(now) + timedelta(days=30))
        feed.watch(frozenset({"SPY", "AAPL"}), frozenset(chain.occ[:40]))
        await feed.settled()
        await advance(steps)
        stocks, options = feed.board.stocks, feed.board.options
        columns = [stocks.bid, stocks.ask, stocks.last, stocks.quote_ns, stocks.arrival_ns, stocks.trade_ns]
        columns += [stocks.day_high, stocks.day_volume, options.bid, options.ask, options.quote_ns, options.arrival_ns]
        columns += [*feed.board.five_minute_closes(feed._clock.now())]
        again = feed.chains.requote(chain, feed._clock.now())
        columns += [again.iv, again.delta, again.bid]
        assert feed.status.malformed == feed.status.unknown == 0
        return [np.array(column) for column in columns], chain


async def test_two_lockstep_runs_know_the_same_to_the_bit():
    first, chain = await run(75)
    second, _ = await run(75)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other, equal_nan=True)
    known = ~np.isnan(chain.iv) & ~np.isnan(chain.vendor_iv)
    assert known.sum() > 100
    assert np.median(np.abs(chain.iv - chain.vendor_iv)[known]) < 0.005
    assert np.median(np.abs(chain.delta - chain.vendor_delta)[known]) < 0.01


async def test_history_comes_in_one_call_a_session_and_agrees_with_the_symbols_own_bars(tmp_path):
    async with lockstep() as (feed, _, _):
        history = History(feed.rest, tmp_path, CALENDAR, feed._clock)
        last = CALENDAR.last_completed(feed._clock.now())
        before = feed.rest.caller.budget.spent
        report = await history.pull(CALENDAR.last_n(last, 25))
        assert report.complete
        assert feed.rest.caller.budget.spent - before == 25
        panel = await history.panel(last, 25)
        assert len(panel) == SYMBOLS
        row = panel.symbols.index("SPY")
        bars = await feed.rest.aggs("SPY", 1, "day", panel.days[row][0].item(), last)
        assert bars.close.tolist() == pytest.approx(panel.close[row].tolist())
        assert feed.board.stocks.prev_close[feed.board.stocks.numbers["SPY"]] == panel.close[row, -1]


async def test_streams_survive_every_fault_and_the_board_goes_on():
    async with lockstep() as (feed, advance, fault):
        feed.watch(frozenset({"SPY"}), frozenset())
        await feed.settled()
        await advance(72)
        for name in ("duplicate_bar", "late_bar", "big_frame", "not_json"):
            await fault(name, times=1)
        await advance(60)
        assert feed.status.malformed == 1
        for code in (1000, 1001, 1006, 1008):
            before = feed.status.drops
            await fault("close", code=code, times=1)
            await advance(1)  # the marker of the step goes down with the connection
            assert feed.status.drops > before
            await advance(2)
        await fault("drop_during_auth", times=1)
        await fault("close", code=1006, times=1)
        await advance(1)
        assert feed.status.drops >= 6
        seen = feed.board.quote("SPY").time_ns
        await advance(12)
        assert feed.board.quote("SPY").time_ns > seen


async def test_rest_faults_of_the_simulator_are_our_errors():
    async with lockstep() as (feed, _, fault):
        now = feed._clock.now()
        window = (now, et_date(now), et_date(now) + timedelta(days=60))
        await fault("html_502", times=1)
        await fault("truncated", times=1)
        assert (await feed.rest.market_status()).market == "extended-hours"
        await fault("page_fails", page=3, times=9)
        with pytest.raises(DataError, match="page 3"):
            await feed.chains.read("SPY", *window)


async def test_a_basic_plan_is_told_what_it_lacks():
    async with simulator(lockstep=True, plan="basic") as sim:
        rest = PolygonRest(settings(sim.url, sim.ws_url), sim.token)
        with pytest.raises(NotEntitled):
            await rest.whole_market_snapshot()
        calls = [rest.market_status() for _ in range(8)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert any(isinstance(answer, RateLimited) for answer in answers)
        rest.close()


async def test_the_servers_clock_is_followed_while_the_market_runs_fast():
    async with simulator(speed=60.0) as sim:
        rest = PolygonRest(settings(sim.url, sim.ws_url), sim.token)
        clock = ServerClock()
        await clock.start(rest, spacing_s=0.2, samples=6)
        assert clock.rate == pytest.approx(60.0, rel=0.05)
        shown = (await rest.market_status()).server_ns
        assert abs(clock.now() - shown) / clock.rate < 0.1e9
        rest.close()


async def test_bars_of_watched_trades_are_the_vendors_to_the_last_share():
    async with lockstep() as (feed, advance, _):
        await advance(58)
        watched = frozenset({"SPY", "AAPL", "NVDA"})
        feed.watch(watched, frozenset())
        await feed.settled()
        await advance(2 + 3 * 60 + 15)
        checked = feed.status.bars_checked
        assert checked >= 8
        assert (feed.status.bars_differ, feed.status.bars_own) == (0, 0)
        assert not feed.bars.book.unknown

"""What a REST service can do to snapshots, chains and history, and that nothing of it becomes a number."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from qmterm.core.errors import DataAuthError, DataError, DataSilent, NotEntitled, RateLimited
from qmterm.market.history.history import History
from tests.faults.floor import CALENDAR, WATCHED, floor

SNAPSHOT = "/v2/snapshot/locale/us/markets/stocks/tickers"
CHAIN = "/v3/snapshot/options"
PASSING = (
    ("html_502", {}),
    ("truncated", {}),
    ("rate_limit", {"seconds": 0}),
    ("rate_limit", {"seconds": 1}),
)


@pytest.mark.parametrize(("name", "more"), PASSING)
async def test_a_passing_fault_of_the_snapshot_is_tried_again_and_leaves_no_trace(simulator, name, more):
    async with floor(simulator) as one:
        await one.read()
        await one.fault(name, times=1, path=SNAPSHOT, **more)
        began = asyncio.get_running_loop().time()
        await one.feed.load_snapshot()
        assert asyncio.get_running_loop().time() - began < 10
        assert await one.difference() == []


@pytest.mark.parametrize("name", ["html_502", "truncated", "rate_limit"])
async def test_a_fault_that_stays_is_an_error_and_the_stream_goes_on(simulator, name):
    async with floor(simulator) as one:
        await one.read()
        await one.fault(name, path=SNAPSHOT)
        async with one.moving():
            heard = one.feed.status.events
            with pytest.raises(DataError):
                await one.feed.load_snapshot()
            await one.until(lambda: one.feed.status.events > heard)
            assert one.feed.status.drops == 0
        await one.heal()
        await one.feed.load_snapshot()
        assert await one.whole_again() < 10


async def test_an_answer_without_rows_is_an_error_not_an_empty_market(simulator):
    async with floor(simulator) as one:
        await one.read()
        before = one.board.quote("SPY")
        await one.fault("no_results", times=1, path=SNAPSHOT)
        with pytest.raises(DataError, match="never empty"):
            await one.feed.load_snapshot()
        assert one.board.quote("SPY") == before


async def test_a_stalled_body_ends_at_the_deadline_and_loses_only_itself(simulator):
    async with floor(simulator) as one:
        await one.fault("stalled_body", seconds=20, path=SNAPSHOT, times=1)
        began = asyncio.get_running_loop().time()
        with pytest.raises(DataSilent, match="no complete answer"):
            await one.feed.load_snapshot()
        assert asyncio.get_running_loop().time() - began < 4
        async with one.moving():  # another call and the stream do not wait for the stuck one
            seen = one.feed.status.events
            assert (await one.feed.rest.market_status()).market == "open"
            await one.until(lambda: one.feed.status.events > seen)
        await one.feed.load_snapshot()
        assert await one.difference() == []


async def test_a_silent_service_ends_at_the_time_out(simulator):
    async with floor(simulator) as one:
        await one.fault("stall", seconds=20, path=SNAPSHOT, times=1)
        with pytest.raises(DataSilent):
            await one.feed.load_snapshot()
        await one.feed.load_snapshot()


@pytest.mark.parametrize(
    ("name", "kind"), [("unknown_key", DataAuthError), ("not_authorized", NotEntitled), ("not_found", DataError)]
)
async def test_refusals_are_told_apart_and_never_tried_again(simulator, name, kind):
    async with floor(simulator) as one:
        await one.feed.rest.news("SPY", one.clock.now() - 10**15)  # the plan has it: one refusal does not say otherwise
        await one.fault(name, path="/v2/reference/news")
        before = one.feed.rest.caller.budget.spent
        with pytest.raises(kind) as refusal:
            await one.feed.rest.news("SPY", one.clock.now() - 10**15)
        assert one.feed.rest.caller.budget.spent == before + 1
        assert simulator.token not in str(refusal.value)
        await one.heal()
        await one.feed.rest.news("SPY", one.clock.now() - 10**15)


async def test_a_plan_that_loses_the_snapshot_says_so_and_lives_on_the_stream(simulator):
    async with floor(simulator) as one:
        await one.fault("not_authorized", path=SNAPSHOT)
        await one.feed.load_snapshot()
        assert "does not include" in one.feed.snapshot_refused
        async with one.moving():
            seen = one.feed.status.events
            await one.until(lambda: one.feed.status.events > seen)


async def test_a_rate_limit_without_an_end_is_rate_limited_and_holds_the_other_calls_back(simulator):
    async with floor(simulator) as one:
        await one.fault("rate_limit", seconds=0, path="/v1/marketstatus")
        with pytest.raises(RateLimited):
            await one.feed.rest.market_status()
        await one.heal()
        began = asyncio.get_running_loop().time()
        await one.feed.rest.market_status()
        assert asyncio.get_running_loop().time() - began < 10


async def test_a_chain_whose_third_page_fails_is_an_error_not_a_short_chain(simulator):
    async with floor(simulator) as one:
        whole = await one.chain()
        await one.fault("page_fails", page=3, path=CHAIN)
        with pytest.raises(DataError, match="page 3"):
            await one.chain()
        await one.heal()
        again = await one.chain()
        assert again.occ == whole.occ
        assert len(whole.occ) > 500


async def test_a_third_page_that_fails_once_is_read_again(simulator):
    async with floor(simulator) as one:
        whole = await one.chain()
        await one.fault("page_fails", page=3, path=CHAIN, times=3)  # pages 1 and 2 use it up
        assert (await one.chain()).occ == whole.occ


@pytest.mark.parametrize("digits", [13, 16, 19])
async def test_a_chain_with_stamps_in_another_unit_has_the_same_times(simulator, digits):
    async with floor(simulator) as one:
        right = await one.chain(days=2)
        await one.fault("wrong_units", digits=digits, path=CHAIN)
        told = await one.chain(days=2)
        assert np.array_equal(told.quote_ns, right.quote_ns)
        assert np.array_equal(told.bid, right.bid)
        assert np.array_equal(told.iv, right.iv, equal_nan=True)


@pytest.mark.parametrize("digits", [10, 13, 16])
async def test_a_snapshot_with_stamps_in_another_unit_makes_nothing_look_fresh_or_old(simulator, digits):
    async with floor(simulator) as one:
        await one.fault("wrong_units", digits=digits, path=SNAPSHOT)
        await one.feed.load_snapshot()
        times = one.board.stocks.quote_ns[[one.board.stocks.numbers[symbol] for symbol in WATCHED]]
        assert np.all(times <= one.clock.now() + 1_000_000_000)
        assert np.all(times > one.clock.now() - 60_000_000_000)


async def test_history_is_pulled_to_the_end_through_a_bad_hour(simulator, tmp_path):
    async with floor(simulator) as one:
        path = "/v2/aggs/grouped"
        for name in ("html_502", "truncated", "rate_limit", "no_results", "stalled_body"):
            await one.fault(name, times=1, path=path)
        history = History(one.feed.rest, tmp_path, CALENDAR, one.clock)
        last = CALENDAR.last_completed(one.clock.now())
        report = await history.pull(CALENDAR.last_n(last, 12))
        assert report.complete, report.failed
        panel = await history.panel(last, 12)
        row = panel.symbols.index("SPY")
        bars = await one.feed.rest.aggs("SPY", 1, "day", CALENDAR.last_n(last, 12)[0], last)
        assert panel.close[row].tolist() == pytest.approx(bars.close.tolist())


async def test_history_that_cannot_be_had_is_named_by_day_and_pulled_later(simulator, tmp_path):
    async with floor(simulator) as one:
        await one.fault("html_502", path="/v2/aggs/grouped")
        history = History(one.feed.rest, tmp_path, CALENDAR, one.clock)
        last = CALENDAR.last_completed(one.clock.now())
        days = CALENDAR.last_n(last, 3)
        report = await history.pull(days)
        assert set(report.failed) == set(days)
        assert all("502" in why for why in report.failed.values())
        await one.heal()
        assert (await history.pull(days)).complete


async def test_a_refused_connect_of_rest_is_an_error_in_words_and_over_when_it_is_over(simulator):
    async with floor(simulator) as one:
        await one.ask("POST", "/sim/away", {"seconds": 1.0})
        await one.until(lambda: one.feed.status.drops, what="away")
        with pytest.raises(DataError, match=r"cannot reach|broke off"):
            await one.feed.load_snapshot()
        await one.whole_again()
        await one.feed.load_snapshot()
        assert await one.difference() == []


async def test_yields_that_fail_leave_the_fallback_rate_and_its_mark(simulator):
    async with floor(simulator) as one:
        await one.fault("html_502", path="/fed")
        await one.feed.load_yields()
        assert one.feed.chains.rate_mark(one.clock.now()) != ""
        await one.heal()
        await one.feed.load_yields()
        assert one.feed.chains.rate_mark(one.clock.now()) == ""

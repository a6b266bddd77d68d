"""What a stream can do to the feed, and that the board is right again afterwards."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.faults.floor import WATCHED, floor


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008])
async def test_a_close_is_a_drop_and_another_connection_carries_on(simulator, code):
    async with floor(simulator) as one:
        await one.step()
        await one.fault("close", code=code, times=1, path="stocks")
        await one.step()
        await one.until(lambda: one.feed.status.drops == 1, what="the drop is counted")
        assert await one.whole_again() < 10
        assert one.feed.status.state == "live"
        assert one.refused_while_down()


async def test_a_drop_during_the_login_loses_no_subscription(simulator):
    async with floor(simulator) as one:
        await one.fault("drop_during_auth", times=3)
        await one.fault("close", code=1006, times=1, path="stocks")
        await one.step()
        await one.until(lambda: one.feed.status.drops >= 3, what="drops")
        await one.whole_again()
        assert {f"Q.{symbol}" for symbol in WATCHED} | {"AM.*"} <= one.feed._stocks.confirmed
        assert one.refused_while_down()


async def test_a_reader_called_slow_is_cut_and_comes_back(simulator):
    async with floor(simulator) as one:
        await one.fault("cut", times=1, path="stocks")
        await one.step()
        await one.until(lambda: one.feed.status.drops == 1)
        await one.whole_again()
        assert one.refused_while_down()


async def test_a_refused_connect_is_tried_until_the_service_is_back(simulator):
    async with floor(simulator) as one:
        await one.read()
        before = one.board.quote("SPY")
        await one.ask("POST", "/sim/away", {"seconds": 1.5})
        await one.until(lambda: one.feed.status.drops >= 2, what="it keeps trying")
        assert one.feed.status.state in ("backoff", "connecting")
        assert "cannot connect" in one.feed.status.why or "refused" in one.feed.status.why.lower()
        assert one.board.quote("SPY") == before  # the last value stays, with its own time
        assert one.feed.age_s() > 0
        await one.whole_again()
        assert one.refused_while_down()


async def test_a_mute_stream_is_noticed_in_five_seconds_and_replaced(simulator):
    async with floor(simulator) as one:
        async with one.moving():
            await one.fault("mute", path="stocks", marker=0)
            await one.until(lambda: any(state == "mute" for _, state, _ in one.states), 5.0, "mute is noticed")
        await one.heal()
        await one.whole_again()
        assert one.refused_while_down()


async def test_a_burst_of_50000_events_is_read_to_the_last_one(simulator):
    async with floor(simulator) as one:
        await one.fault("burst", events=50_000, times=1)
        before = one.feed.status.events
        step = await one.step()
        loop = asyncio.get_running_loop()
        slowest = last = loop.time()
        longest = 0.0
        while one.feed._stocks.last_step < step:
            await asyncio.sleep(0)
            slowest, last = last, loop.time()
            longest = max(longest, last - slowest)
        assert one.feed.status.events - before >= 50_000
        assert one.feed.status.drops == 0
        assert longest < 0.5  # the engine's loop had its turns
        assert await one.difference() == []


async def test_a_frame_over_a_mebibyte_is_taken_whole(simulator):
    async with floor(simulator) as one:
        await one.fault("big_frame", times=1)
        await one.read(61)
        rows = await one.truth()
        table = one.board.stocks
        ends = {symbol: rows[symbol]["min"]["t"] * 1_000_000 + 60_000_000_000 for symbol in rows}
        heard = [s for s in rows if ends[s] > 0 and table.bar_ns[table.numbers[s]] == ends[s]]
        assert len(heard) > 50
        assert all(table.bar_close[table.numbers[s]] == rows[s]["min"]["c"] for s in heard)
        assert one.feed.status.drops == 0


async def test_frames_out_of_order_change_nothing_that_is_newer(simulator):
    async with floor(simulator) as one:
        await one.fault("out_of_order", times=1)
        await one.step()
        await one.read()
        assert await one.difference() == []
        await one.until(lambda: one.feed.status.late > 0, what="late events are counted")


async def test_frames_sent_twice_change_nothing(simulator):
    async with floor(simulator) as one:
        await one.fault("duplicate")
        await one.step(3)
        assert await one.difference() == []
        assert one.feed.status.malformed == one.feed.status.drops == 0


async def test_late_and_double_minute_bars_leave_the_right_closes(simulator):
    async with floor(simulator) as one:
        await one.fault("late_bar", times=2)
        await one.fault("duplicate_bar", times=2)
        await one.read(130)
        rows, table = await one.truth(), one.board.stocks
        for symbol in WATCHED:
            assert table.bar_close[table.numbers[symbol]] == rows[symbol]["min"]["c"]


@pytest.mark.parametrize("digits", [10, 13, 16, 19])
async def test_stamps_in_another_unit_are_the_same_instants(simulator, digits):
    async with floor(simulator) as one:
        await one.fault("stamp_units", digits=digits)
        await one.read(2)
        assert await one.difference() == []
        times = one.board.stocks.quote_ns[[one.board.stocks.numbers[symbol] for symbol in WATCHED]]
        assert np.all(np.abs(times - one.clock.now()) < 60e9)


async def test_stamps_three_seconds_ahead_are_no_reason_to_refuse_what_follows(simulator):
    async with floor(simulator) as one:
        await one.fault("stamp_skew", ms=3000)
        await one.step(2)
        await one.heal()
        assert await one.whole_again() < 10
        ahead = one.board.stocks.quote_ns[one.board.stocks.numbers["SPY"]] - one.clock.now()
        assert ahead <= 3_000_000_000


async def test_what_is_not_json_is_counted_and_the_rest_is_read(simulator):
    async with floor(simulator) as one:
        await one.fault("not_json", times=2, path="stocks")
        await one.step(2)
        assert await one.difference() == []
        assert one.feed.status.malformed == 2

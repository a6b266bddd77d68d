"""Minutes that the stream misses: known of the whole market again, or counted as lost for whom they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from qmterm.core.clock import NS
from qmterm.market.board.minutes import MINUTE_NS
from qmterm.market.stream.gaps import MinuteStatus
from qmterm.market.stream.order import Standing
from tests.faults.floor import Floor, floor
from tests.sim.conftest import Simulator, start, stop

SETTLED_S = 8  # after a minute's end: its bars should have come, the minute is judged


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One of its own: a quarter of an hour passes here, and what the others look at must not depend on that."""
    started = start("--symbols", "60", "--lockstep", "--seed", "11", "--step-s", "1", "--start", "2026-03-02T10:00")
    yield started
    stop(started)


async def go_to_minutes_end(one: Floor) -> int:
    """Some seconds past the end of the next minute (its start comes back), and it is judged."""
    minute = one.clock.now() // MINUTE_NS
    ends = (minute + 1) * MINUTE_NS + SETTLED_S * NS
    await one.step((ends - one.clock.now()) // NS)
    ledger = one.feed.minutes.ledger
    at = minute - ledger.session[0] // MINUTE_NS
    await one.until(lambda: ledger.status[at] != MinuteStatus.UNWATCHED, what="the minute is judged")
    return minute


async def listening(one: Floor) -> None:
    """Two minutes as they should be."""
    await one.until(lambda: one.feed.minutes.ledger._listening, what="minutes are counted")
    for _ in range(2):
        await go_to_minutes_end(one)
    await one.read()
    await one.read()  # data at this time, after the minute's bars
    assert one.feed.status.lost_minutes == 0


async def take_down(one: Floor) -> None:
    await one.fault("drop_during_auth")
    await one.fault("close", code=1006, times=1, path="stocks")
    await one.step()
    await one.until(lambda: one.feed.status.state != "live", what="the stream is down")


async def wrong_bars(one: Floor, minutes: list[int]) -> list[str]:
    """Where the board's minute bars of the market are not the vendor's own aggregates."""
    wrong = []
    stocks, ring = one.board.stocks, one.board.minutes
    first, last = minutes[0] * MINUTE_NS // 1_000_000, (minutes[-1] + 1) * MINUTE_NS // 1_000_000 - 1
    for symbol in await one.truth():
        bars = await one.feed.rest.aggs(symbol, 1, "minute", first, last)
        true = {start // MINUTE_NS: place for place, start in enumerate(bars.start_ns.tolist())}
        for minute in minutes:
            mine = ring.told(minute, np.array([stocks.numbers[symbol]]))[:, 0]
            place = true.get(minute)
            theirs = [np.nan] * 5
            if place is not None:
                theirs = [float(getattr(bars, n)[place]) for n in ("open", "high", "low", "close", "volume")]
            if not np.array_equal(mine, theirs, equal_nan=True):
                wrong.append(f"{symbol} {minute}: {mine.tolist()} for {theirs}")
    return wrong


async def test_a_stream_down_for_minutes_loses_none_of_the_whole_market_while_rest_lives(simulator):
    async with floor(simulator) as one:
        await listening(one)
        before = one.feed.status
        await take_down(one)
        missed = []
        for _ in range(4):
            missed.append(await go_to_minutes_end(one))
            await one.until(lambda: one.feed.status.lost_minutes == 0, what="the minute is had by snapshot")
        assert one.feed.status.state != "live"
        assert one.feed.status.repaired_minutes - before.repaired_minutes == len(missed)
        assert one.feed.status.repaired_by_snapshot > one.feed.status.repaired_by_bars
        assert await wrong_bars(one, missed) == []
        await one.heal()
        await one.whole_again()
        assert (one.feed.status.lost_minutes, one.feed.status.lost_bars) == (0, 0)
        assert await wrong_bars(one, missed) == []


async def test_a_mute_stream_loses_no_minute_of_the_whole_market_while_rest_lives(simulator):
    async with floor(simulator) as one:
        await listening(one)
        await one.fault("mute", path="stocks", marker=0)
        await one.step()
        async with one.moving():
            await one.until(lambda: one.feed.status.mutes > 0, what="mute is noticed")
        missed = []
        for _ in range(3):
            missed.append(await go_to_minutes_end(one))
            await one.until(lambda: one.feed.status.lost_minutes == 0, what="the minute is had by snapshot")
        assert await wrong_bars(one, missed) == []


async def test_what_nobody_can_tell_is_lost_by_name_until_rest_is_back_and_then_had_in_ten_seconds(simulator):
    async with floor(simulator) as one:
        await listening(one)
        held = one.board.stocks.symbols[7]
        one.feed.standing = lambda: Standing(held=(held,))
        await take_down(one)
        await one.fault("html_502", path="/v2")
        missed = [await go_to_minutes_end(one) for _ in range(4)]
        await one.until(lambda: one.feed.status.repair_trouble, what="the failure is said")
        status, market = one.feed.status, len(one.feed.snapshot_symbols)
        assert status.lost_minutes == len(missed)
        assert (status.lost_bars, status.repaired_minutes) == (len(missed) * market, 0)
        assert one.feed.minutes.lost_symbols(3)[0] == held
        assert len(one.feed.minutes.lost_symbols(1_000)) == market
        await one.heal()
        took = await one.until(lambda: one.live and not one.feed.status.lost_minutes, what="every minute is known")
        assert took < 10
        status = one.feed.status
        assert (status.lost_bars, status.repaired_minutes, status.repair_trouble) == (0, len(missed), "")
        assert status.repaired_by_bars + status.repaired_by_snapshot == len(missed) * market
        assert await wrong_bars(one, missed) == []

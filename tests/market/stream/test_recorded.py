"""Against the simulator: what was recorded replays to the same board, what was missed is repaired, mute is noticed."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import date

import aiohttp
import numpy as np

from qmterm.core.calendar import SessionCalendar
from qmterm.market.board.board import Board
from qmterm.market.board.wire import FrameDecoder
from qmterm.market.clock import ServerClock, StepClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.lockstep import LockstepDriver, advance_and_read
from qmterm.market.stream.state import StreamState
from qmterm.sim.options import SimOptions
from qmterm.sim.spawn import spawn
from qmterm.tape.frames import FrameReader, recordings
from qmterm.tape.recorder import FrameRecorder
from tests.market.fakes import settings, until

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2028, 12, 31))
MINUTE_STEPS = 12  # of five market seconds


@asynccontextmanager
async def lockstep(recorder=None, **changes):
    """A started feed in lockstep from 09:29; yields (feed, advance, fault)."""
    sim = await spawn(SimOptions(seed=7, symbols=60, lockstep=True, start="2026-03-02T09:29"))
    http = aiohttp.ClientSession()
    clock = StepClock(sim.now_ns)
    chosen = settings(sim.url, sim.ws_url, read_timeout_s=60.0, deadline_s=60.0, **changes)
    feed = PolygonFeed(
        chosen,
        sim.token,
        clock,
        CALENDAR,
        lockstep=True,
        recorder=recorder(sim.now_ns) if recorder else None,
    )
    driver = LockstepDriver(sim.url, sim.token, http)

    async def advance(steps):
        for _ in range(steps):
            await advance_and_read(driver, feed, clock.set)

    async def fault(name, **more):
        await post_fault(http, sim, name, **more)

    try:
        await feed.start()
        await feed.settled()
        yield feed, advance, fault
    finally:
        await feed.close()
        await http.close()
        await sim.close()


async def post_fault(http, sim, name, **more):
    headers = {"Authorization": f"Bearer {sim.token}"}
    async with http.post(f"{sim.url}/sim/faults", json={"fault": name, **more}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


def columns(table):
    """Every array of a table, whatever it has come to hold."""
    found = {name: value for name, value in vars(table).items() if isinstance(value, np.ndarray) and value.ndim == 1}
    return {name: value[: len(table)].copy() for name, value in found.items()}


async def test_a_recording_replays_to_the_byte_identical_board_and_bars(tmp_path):
    def recorder(start_ns):
        return FrameRecorder(tmp_path, ("stocks", "options"), start_ns, limit_bytes=1 << 28, keep_days=7)

    async with lockstep(recorder) as (feed, advance, fault):
        # From empty tables: what REST brought is no part of a recording.
        session = feed.board.session_open_ns, feed.board.session_close_ns
        live = Board(feed.board.stocks.symbols)
        live.start_session(*session)
        decoders = {cluster: FrameDecoder(live, cluster) for cluster in ("stocks", "options")}
        for cluster, stream in (("stocks", feed._stocks), ("options", feed._options)):
            stream._decoder = decoders[cluster]
        now = feed._clock.now()
        spot = feed.chains.spot("SPY")
        week = date(2026, 3, 2), date(2026, 3, 6)
        chain = await feed.chains.read("SPY", now, *week, 0.98 * spot, 1.02 * spot)
        feed.watch(frozenset(feed.board.stocks.symbols[:20]), frozenset(), chain.occ[:30])
        await feed.settled()
        await advance(MINUTE_STEPS * 6)
        await fault("duplicate_bar", times=2)
        await fault("late_bar", times=1)
        await fault("close", code=1006, times=1)
        await advance(MINUTE_STEPS * 7)
        assert feed.status.drops >= 1

    replayed = Board(live.stocks.symbols[:60])
    replayed.start_session(*session)
    decoders = {cluster: FrameDecoder(replayed, cluster) for cluster in ("stocks", "options")}
    reader = FrameReader(recordings(tmp_path)[0])
    events = 0
    for cluster, arrival_ns, _, frame in reader:
        events += decoders[cluster].apply(frame, arrival_ns).events
    assert (reader.torn, reader.damaged, reader.left_out) == (False, 0, 0)
    assert events > 1_000
    for one, other in ((live.stocks, replayed.stocks), (live.options, replayed.options)):
        assert one.symbols == other.symbols
        mine, theirs = columns(one), columns(other)
        assert mine.keys() == theirs.keys()
        assert len(mine) >= 19
        for name, column in mine.items():
            assert column.tobytes() == theirs[name].tobytes(), name
    closing = feed._clock.now()
    for mine, theirs in zip(live.five_minute_closes(closing), replayed.five_minute_closes(closing), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    bars = [
        [board.five_minute_bar(s, closing - 60_000_000_000) for s in live.stocks.symbols] for board in (live, replayed)
    ]
    assert bars[0] == bars[1]
    assert sum(bar is not None for bar in bars[0]) > 20
    assert np.isfinite(live.five_minute_closes(closing)[0]).sum() > 20


async def five_minute_bars(drop):
    async with lockstep() as (feed, advance, fault):
        watched = tuple(feed.board.stocks.symbols[:10])
        feed.watch(frozenset(watched), frozenset())
        await feed.settled()
        await advance(MINUTE_STEPS * 4 - 1)  # five seconds before 9:33, when the bars of 9:32 are sent
        if drop:
            await fault("close", code=1006, times=1)
        await advance(MINUTE_STEPS * 2)
        now = feed._clock.now()
        return feed.status, [feed.board.five_minute_bar(symbol, now) for symbol in watched], now


async def test_minutes_lost_in_a_drop_are_repaired_to_the_same_bars():
    (whole, bars, now), (broken, mended, then) = await asyncio.gather(five_minute_bars(False), five_minute_bars(True))
    assert now == then
    assert (whole.drops, whole.lost_minutes, whole.repaired_minutes) == (0, 0, 0)
    assert (broken.drops, broken.lost_minutes, broken.repaired_minutes) == (1, 0, 1)
    assert bars == mended
    assert sum(bar is not None and bar.minutes >= 4 for bar in bars) >= 5


async def test_a_mute_stream_is_noticed_in_session_and_whole_again_within_ten_seconds():
    sim = await spawn(SimOptions(seed=7, symbols=60, speed=20.0, start="2026-03-02T09:31"))
    rest = PolygonRest(settings(sim.url, sim.ws_url), sim.token)
    clock, states = ServerClock(), []
    await clock.start(rest, spacing_s=0.1, samples=6)
    chosen = settings(sim.url, sim.ws_url, canaries=("SPY", "QQQ"), read_timeout_s=5.0, deadline_s=10.0)

    def note(cluster, state, why):
        states.append((state, why, feed.age_s()))

    feed = PolygonFeed(chosen, sim.token, clock, CALENDAR, rest=rest, on_state=note)
    async with aiohttp.ClientSession() as http:
        try:
            await feed.start()
            await until(lambda: feed._stocks._vigil.canaries_confirmed and feed.status.events > 100, 30.0)
            await post_fault(http, sim, "mute", times=16)
            await until(lambda: any(state is StreamState.MUTE for state, _, _ in states), 30.0)
            cut = time.monotonic()
            why, silent_s = next((why, age) for state, why, age in states if state is StreamState.MUTE)
            assert "while the market is open" in why
            assert silent_s <= 5.0
            before = feed.status.events
            await until(lambda: feed.status.state == "live" and feed.status.events > before, 30.0)
            assert time.monotonic() - cut <= 10.0
        finally:
            await feed.close()
            await sim.close()

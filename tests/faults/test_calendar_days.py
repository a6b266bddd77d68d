"""Nights, clock changes, holidays and half days; a split and a rename overnight. One simulator crosses each of them."""

from __future__ import annotations

import asyncio
from datetime import date

import numpy as np
import pytest

from qmterm.core.clock import et_date, from_et
from qmterm.core.reasons import Reason
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.renames import Renames
from qmterm.market.history.history import History
from qmterm.market.rest.client import PolygonRest
from tests.faults.floor import CALENDAR, Floor, floor
from tests.sim.conftest import Simulator, start, stop

WALKED = 12  # minutes
HOUR_NS = 3_600_000_000_000
# The first chain of a simulator takes its time, and so does a night of steps.
PATIENT = {"read_timeout_s": 10.0, "deadline_s": 20.0, "mute_after_s": 60.0, "ping_s": 20.0}
WATCHFUL = {**PATIENT, "mute_after_s": 0.5}
NAMES = frozenset({"SPY", "AAPL"})


@pytest.fixture
def at():
    """A simulator that starts at a New York time, a minute a step."""
    running: list[Simulator] = []

    def begin(when: str, *words: str) -> Simulator:
        running.append(
            start("--symbols", "50", "--lockstep", "--seed", "11", "--step-s", "60", "--start", when, *words)
        )
        return running[-1]

    yield begin
    for simulator in running:
        stop(simulator)


async def go_to(one: Floor, when_ns: int) -> None:
    """The market moves to an instant: in leaps, then minute by minute, because a bar from far ahead of the feed's own
    clock is no bar."""
    minutes = (when_ns - one.clock.now()) // 60_000_000_000
    while minutes > WALKED:
        leap = min(minutes - WALKED, 240)
        await one.step(leap)
        minutes -= leap
    for _ in range(minutes):
        await one.read()
    assert one.clock.now() == when_ns


async def new_session(one: Floor) -> None:
    """What the engine does when a session begins."""
    await one.feed.load_snapshot()


async def silence(one: Floor) -> None:
    """Real time passes in which nobody says anything, longer than a stream may be silent in a session."""
    await asyncio.sleep(1.2 * one.feed.settings.mute_after_s)


async def test_the_spring_change_a_split_and_a_rename_over_one_weekend(at, tmp_path):
    events = ('{"split": "NVDA", "to": 7}', '{"rename": "META", "to": "FACE"}')
    simulator = at("2026-03-06T15:58", "--event", events[0], "--event", events[1])
    monday, friday = date(2026, 3, 9), date(2026, 3, 6)
    async with floor(simulator, NAMES | {"NVDA", "META"}, **PATIENT) as one:
        await one.step()
        history = History(one.feed.rest, tmp_path, CALENDAR, one.clock)
        await history.pull(CALENDAR.last_n(date(2026, 3, 5), 5))
        before = await history.panel(date(2026, 3, 5), 5)
        old = await one.chain("NVDA", days=14)
        assert await announced(one.feed.rest, friday) == {("NVDA", monday, 7.0)}

        await go_to(one, from_et(monday, 9))
        await new_session(one)
        await go_to(one, from_et(monday, 9, 36))
        await closes_at(one, from_et(monday, 9, 35))
        assert one.board.session_open_ns == CALENDAR.open_ns(monday)
        assert one.board.session_open_ns % (24 * HOUR_NS) == 13 * HOUR_NS + HOUR_NS // 2  # the clocks went forward

        # the split: cached history, yesterday's close, strikes
        assert [split.symbol for split in await history.refresh_splits()] == ["NVDA"]
        await history.pull([friday])
        after = await history.panel(friday, 6)
        row = after.symbols.index("NVDA")
        was = before.close[before.symbols.index("NVDA")]
        assert after.close[row, :5] == pytest.approx(was / 7, abs=0.0051)
        assert np.all(np.abs(np.diff(np.log(after.close[row]))) < 0.4)  # no cliff
        table = one.board.stocks
        number = table.numbers["NVDA"]
        assert table.prev_close[number] == pytest.approx(after.close[row, -1], abs=0.0051)
        assert abs(np.log(table.last[number] / table.prev_close[number])) < 0.3
        chain = await one.chain("NVDA", days=14)
        kept = {round(float(strike) / 7, 2) for strike in old.strike[old.dte > 3]}
        assert kept <= set(chain.strike.tolist())
        assert np.isfinite(chain.iv).mean() > 0.3
        assert one.feed.chains.spot("NVDA") == pytest.approx(chain.spot)

        # the rename: the new name is heard without being asked for, the old one is only old
        fresh, gone = table.numbers["FACE"], table.numbers["META"]
        await one.until(lambda: table.bar_ns[fresh] == one.clock.now(), what="the new name's minutes")
        assert table.quote_ns[gone] < CALENDAR.close_ns(friday) + 4 * HOUR_NS + 1
        assert one.clock.now() - table.quote_ns[gone] > 50 * HOUR_NS
        inactive = await one.ask("GET", "/v3/reference/tickers?active=false")
        assert [row["ticker"] for row in inactive["results"]] == ["META"]
        changes = (await one.ask("GET", "/vX/reference/tickers/FACE/events"))["results"]["events"]
        assert changes[0] == {"type": "ticker_change", "date": "2026-03-09", "ticker_change": {"ticker": "FACE"}}
        old_bars = await one.feed.rest.aggs("META", 1, "day", date(2026, 3, 2), monday)
        new_bars = await one.feed.rest.aggs("FACE", 1, "day", date(2026, 3, 2), monday)
        assert [len(old_bars.close), len(new_bars.close)] == [5, 1]

        # ... and its history goes on under the new one, as the engine finds it out
        renames = Renames(one.feed.rest, history, lambda: frozenset(before.symbols), one.clock, RunLog(one.clock))
        listed = await one.feed.active_symbols()
        assert await renames.find(listed.symbols, ()) == {"META": "FACE"}
        panel = await history.panel(friday, 6)
        assert "META" not in panel.symbols
        kept_row = panel.symbols.index("FACE")
        assert panel.bars[kept_row] == 6
        assert panel.close[kept_row].tolist() == after.close[after.symbols.index("META")].tolist()


async def announced(rest: PolygonRest, since: date) -> set[tuple[str, date, float]]:
    return {(split.symbol, split.day, split.split_to) for split in await rest.splits(since)}


async def test_a_feed_lives_through_the_autumn_change_and_opens_an_hour_of_utc_later(at):
    simulator = at("2026-10-31T20:00")
    friday, monday = date(2026, 10, 30), date(2026, 11, 2)
    async with floor(simulator, NAMES, **PATIENT) as one:
        assert CALENDAR.last_completed(one.clock.now()) == friday
        assert (CALENDAR.open_ns(monday) - CALENDAR.open_ns(friday)) // HOUR_NS == 3 * 24 + 1
        await go_to(one, from_et(date(2026, 11, 1), 0, 1))  # midnight, and then two o'clock twice
        await go_to(one, from_et(date(2026, 11, 1), 4))
        assert et_date(one.board.quote("SPY").time_ns) == friday  # old, and it says so
        assert one.feed.quality.stock("SPY", one.clock.now()) is None  # the last price of the last session
        await go_to(one, from_et(monday, 9))
        await new_session(one)
        assert one.board.session_open_ns == from_et(monday, 9, 30)
        assert one.board.session_open_ns % (24 * HOUR_NS) == 14 * HOUR_NS + HOUR_NS // 2
        assert (
            one.feed.quality.stock("SPY", one.clock.now()) is Reason.NOT_TRADED
            or et_date(int(one.board.stocks.trade_ns[one.board.stocks.numbers["SPY"]])) == monday
        )
        await go_to(one, from_et(monday, 9, 41))
        await closes_at(one, from_et(monday, 9, 40))
        assert await one.difference_of(NAMES) == []
        assert one.feed.quality.stock("SPY", one.clock.now()) is None
        assert one.feed.status.lost_minutes == 0


async def closes_at(one: Floor, when_ns: int) -> None:
    """The last five-minute bar ended at an instant: minutes are filed under the right clock."""
    await one.until(lambda: (one.board.five_minute_close("SPY", one.clock.now()) or (0, 0))[1] == when_ns)


async def test_a_half_day_ends_at_one_and_the_holiday_after_it_is_quiet_without_an_alarm(at, tmp_path):
    eve, christmas = date(2026, 12, 24), date(2026, 12, 25)
    simulator = at("2026-12-24T12:55")
    async with floor(simulator, NAMES, **WATCHFUL) as one:
        assert one.board.session_close_ns == from_et(eve, 13)
        await one.read()
        assert await one.difference_of(NAMES) == []
        assert CALENDAR.last_completed(one.clock.now()) == date(2026, 12, 23)
        await go_to(one, from_et(eve, 13, 5))
        one.states.clear()
        await silence(one)
        assert CALENDAR.last_completed(one.clock.now()) == eve
        history = History(one.feed.rest, tmp_path, CALENDAR, one.clock)
        assert (await history.pull([eve])).complete
        panel = await history.panel(eve, 1)
        spy = panel.symbols.index("SPY")
        assert panel.close[spy, 0] == pytest.approx((await one.truth())["SPY"]["day"]["c"])

        await go_to(one, from_et(christmas, 11))
        assert (await one.feed.rest.market_status()).market == "closed"
        await silence(one)
        assert all(state != "mute" for _, state, _ in one.states)
        assert et_date(one.board.quote("SPY").time_ns) == eve  # and it says so
        assert CALENDAR.last_completed(one.clock.now()) == eve


@pytest.mark.drill
async def test_drill_a_night_a_holiday_a_half_day_and_a_weekend_in_one_run(at):
    simulator = at("2026-11-25T15:58")
    monday = date(2026, 11, 30)
    async with floor(simulator, NAMES, **PATIENT) as one:
        for day in (date(2026, 11, 27), monday):
            await go_to(one, from_et(day, 9))
            await new_session(one)
            await go_to(one, from_et(day, 9, 41))
            await closes_at(one, from_et(day, 9, 40))
            assert await one.difference_of(NAMES) == []
            assert one.board.session_open_ns == from_et(day, 9, 30)

"""Bars from trades: the simulator's own aggregates from its own tape, and each rule alone."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.conditions import ConditionBook, Counts
from qmterm.market.bars.trades import MINUTE_NS, TradeColumns, bits_of, daily_bars, minute_bars
from qmterm.sim.bar_history import daily, minutes
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.frames import minute_events, trade_events
from qmterm.sim.world import World

DAY = date(2026, 3, 2)
CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
OPEN = from_et(DAY, 9, 30)


def trades(*rows, **more):
    """(second after the open, price, size, conditions) of one symbol."""
    seconds, price, size, conditions = zip(*rows, strict=True)
    return TradeColumns.of(
        [0] * len(rows),
        price,
        size,
        bits_of(conditions, ConditionBook()),
        [OPEN + int(second * 1e9) for second in seconds],
        **more,
    )


def bar(columns):
    (found,) = zip(columns.open, columns.high, columns.low, columns.close, columns.volume, strict=True)
    return tuple(float(value) for value in found)


@pytest.fixture(scope="module")
def morning():
    """The simulator's first ten minutes: (world, its trades, its minute bars)."""
    world = World(SimOptions(seed=7, symbols=50, start="2026-03-02T09:25"))
    events, told = [], []
    while world.now_ns < from_et(DAY, 9, 40):
        step = world.advance_to(world.now_ns + MINUTE_NS)
        for moved in step.trades:
            events += trade_events(world, moved, None)
        for minute in step.minutes:
            for part in minute_events(world, minute, None):
                told += part
    return world, events, told


def tape_of(world, events):
    return TradeColumns.of(
        [world.universe.number[event.sym] for event in events],
        [event.p for event in events],
        [event.s for event in events],
        bits_of([event.c for event in events], ConditionBook()),
        [event.t * 1_000_000 for event in events],
        identity=[int(event.i.replace("x", "999")) for event in events],
    )


def test_our_bars_of_the_simulators_tape_are_its_own_bars(morning) -> None:
    world, events, told = morning
    names, tape = world.universe.number, tape_of(world, events)
    codes = {code for event in events for code in event.c}
    assert {2, 12, 33, 37} <= codes
    ours = minute_bars(tape)
    mine = {
        (int(ours.row[n]), int(ours.start_ns[n]) // 1_000_000): (
            *(float(getattr(ours, name)[n]) for name in ("open", "high", "low", "close", "volume")),
            float(ours.vwap[n]),
        )
        for n in range(len(ours))
    }
    assert len(told) > 400
    assert len(mine) == len(told)
    for event in told:
        found = mine[names[event.sym], event.s]
        assert found[:5] == (event.o, event.h, event.l, event.c, event.v), event
        assert found[5] == pytest.approx(event.vw, abs=1e-4)
    symbol = names[events[-1].sym]
    rest = minutes(world, symbol, OPEN // 1_000_000, from_et(DAY, 9, 39) // 1_000_000)
    for n, start in enumerate(rest.start_ms.tolist()):
        assert mine[symbol, start][:5] == (rest.open[n], rest.high[n], rest.low[n], rest.close[n], rest.volume[n])
    is_the_vendors_day(daily_bars(tape, CALENDAR, DAY), world)


def is_the_vendors_day(day, world) -> None:
    assert len(day) > 40
    for n, row in enumerate(day.row.tolist()):
        official = daily(world, row, DAY, DAY)
        assert (day.open[n], day.high[n], day.low[n], day.close[n], day.volume[n]) == (
            official.open[0], official.high[0], official.low[0], official.close[0], official.volume[0],
        )  # fmt: skip
        assert day.vwap[n] == pytest.approx(official.vwap[0], abs=0.0051)  # the world keeps it in cents


def test_a_day_that_ends_in_a_closing_auction_is_the_vendors_day(morning) -> None:
    world, events, _ = morning
    close_ns = world.now_ns
    calendar = SimpleNamespace(open_ns=CALENDAR.open_ns, close_ns=lambda day: close_ns)  # the session ends at 09:40
    last = {event.sym: place for place, event in enumerate(events) if event.c == [0]}
    auctions = [
        msgspec.structs.replace(event, c=[8], t=close_ns // 1_000_000 + 700) if last.get(event.sym) == place else event
        for place, event in enumerate(events)
    ]
    is_the_vendors_day(daily_bars(tape_of(world, auctions), calendar, DAY), world)


def test_the_closing_auction_prints_after_the_close_and_makes_the_official_one() -> None:
    day = 23_400
    tape = trades(
        (0, 10.0, 100, None),
        (day - 1, 11.0, 100, None),
        (day + 0.2, 11.5, 100, None),  # after the close, and no auction
        (day + 0.7, 12.0, 5_000, [8, 9]),
        (day + 240, 12.1, 900, [19]),  # an auction that was late
        (day + 300, 13.0, 100, [12, 8]),  # Form T never moves the day
        (day + 15_000, 14.0, 100, [8]),  # four hours later nothing is reported any more
    )
    assert bar(daily_bars(tape, CALENDAR, DAY)) == (10.0, 12.1, 10.0, 12.1, 6_100.0)


def test_conditions_take_away_what_they_take_away() -> None:
    tape = trades(
        (0, 10.0, 100, [37]),  # odd lot: volume only
        (1, 10.0, 200, None),
        (2, 12.0, 100, [2]),  # average price: volume only
        (3, 9.5, 100, [33]),  # sold out of sequence: moves the low, not the close
        (4, 10.1, 100, [14, 41]),
        (5, 8.0, 999, [16]),  # the exchange's official open: nothing
    )
    assert bar(minute_bars(tape)) == (10.0, 10.1, 9.5, 10.1, 600.0)


def test_a_minute_without_a_price_setting_trade_has_no_bar_but_its_volume_is_in_the_day() -> None:
    tape = trades((0, 10.0, 200, None), (60, 11.0, 30, [37]), (120, 10.5, 100, None))
    assert minute_bars(tape).start_ns.tolist() == [OPEN, OPEN + 2 * MINUTE_NS]
    assert bar(daily_bars(tape, CALENDAR, DAY)) == (10.0, 10.5, 10.0, 10.5, 330.0)


def test_extended_hours_make_minutes_but_no_official_day() -> None:
    tape = trades((-60, 9.0, 100, [12]), (0, 10.0, 200, None), (10, 15.0, 100, [12]), (23_400, 20.0, 100, [12, 37]))
    assert len(minute_bars(tape)) == 2  # the odd lot after the close has no bar
    assert bar(daily_bars(tape, CALENDAR, DAY)) == (10.0, 10.0, 10.0, 10.0, 200.0)


def test_duplicates_corrections_and_cancellations() -> None:
    tape = trades(
        (0, 10.0, 100, None), (1, 50.0, 100, None), (2, 10.2, 100, None),
        (2, 10.2, 100, None), (1, 50.0, 100, None), (0, 10.1, 300, None),
        identity=[1, 2, 3, 3, 2, 1], correction=[0, 0, 0, 0, 8, 1], sequence=[1, 2, 3, 3, 2, 1],
    )  # fmt: skip
    assert bar(minute_bars(tape)) == (10.1, 10.2, 10.1, 10.2, 400.0)


codes = st.sampled_from([None, [37], [33]])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 200), st.integers(900, 1100), st.integers(1, 500), st.sampled_from([None, [37], [33]])
        ),
        min_size=1,
        max_size=30,
    ),
    seed=st.integers(0, 99),
)
def test_the_order_of_arrival_and_repeats_change_nothing(rows, seed) -> None:
    tape = trades(*rows)
    places = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(rows)), 2))
    shuffled = TradeColumns(
        *(getattr(tape, name)[places] for name in ("row", "price", "size", "bits", "time_ns", "sequence"))
    )
    for name in ("start_ns", "open", "high", "low", "close", "volume", "trades"):
        assert getattr(minute_bars(tape), name).tolist() == getattr(minute_bars(shuffled), name).tolist()


def test_the_vendors_own_table_goes_over_ours_and_unknown_conditions_are_counted() -> None:
    book = ConditionBook()
    row = {"id": 37, "asset_class": "stocks", "data_types": ["trade"], "update_rules": {
        "consolidated": {"updates_high_low": True, "updates_open_close": True, "updates_volume": True}}}  # fmt: skip
    option = {**row, "id": 2, "asset_class": "options"}
    assert book.learn([row, option, {"id": 5}]) == 1
    assert book.counts([37]) == Counts()
    assert not book.counts([2]).last
    assert book.counts([97, 37]) == Counts()
    assert book.unknown == {97: 1}

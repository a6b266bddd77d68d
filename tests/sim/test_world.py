"""The simulated world: the same seed is the same to the byte, whoever asks what; and it holds together."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from qmterm.core.calendar import Phase
from qmterm.core.clock import NS, from_et
from qmterm.core.errors import BadInput
from qmterm.sim.bar_history import daily, minutes
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.snapshots import build_rows, take_columns
from qmterm.sim.universe import make_universe
from qmterm.sim.world import World

OPTIONS = SimOptions(seed=11, symbols=80)
OPEN = from_et(date(2026, 3, 2), 9, 30)
CLOSE = from_et(date(2026, 3, 2), 16)


def fingerprint(world: World) -> list[object]:
    listing = world.listing("NVDA")
    contracts = listing.contracts.take(np.flatnonzero(listing.contracts.expiry_ns > world.now_ns))
    quotes = world.option_quotes(contracts)
    return [
        build_rows(take_columns(world, None), True, True, 0),
        [bars.close.tobytes() + bars.volume.tobytes() for bars in world.history.rows],
        [quotes.bid.tobytes(), quotes.ask.tobytes(), quotes.ask_size.tobytes()],
        world.open_interest(contracts).tobytes(),
        [(article.title, article.published_ns) for article in world.published()],
        world.today.fair.tobytes(),
    ]


def nosy(world: World) -> None:
    for symbol in ("SPY", "AAPL", "TSLA"):
        world.quote(symbol)
        for contract in world.contracts(symbol)[::97]:
            world.quote(contract.occ)
    minutes(world, 5, from_et(date(2026, 2, 20)) // 1_000_000, world.now_ns // 1_000_000)
    world.corporate.earnings_of(7, world.wall_date)


def test_two_worlds_of_one_seed_are_byte_equal_whatever_was_asked_in_between():
    quiet, asked = World(OPTIONS), World(OPTIONS)
    nosy(asked)
    assert fingerprint(quiet) == fingerprint(asked)
    quiet.advance_to(OPEN + 900 * NS)
    while asked.now_ns < OPEN + 900 * NS:
        asked.advance_to(min(asked.now_ns + 313 * NS, OPEN + 900 * NS))
        nosy(asked)
    assert fingerprint(quiet) == fingerprint(asked)


def test_another_seed_is_another_world():
    assert fingerprint(World(OPTIONS)) != fingerprint(World(replace(OPTIONS, seed=12)))


def test_starting_later_is_the_same_day_seen_later():
    early = World(OPTIONS)
    early.advance_to(OPEN + 600 * NS)
    late = World(replace(OPTIONS, start="2026-03-02T09:40"))
    assert fingerprint(early) == fingerprint(late)


def test_history_bars_contain_their_open_and_close():
    for bars in World(OPTIONS).history.rows:
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()
        assert (bars.low > 0).all()
        assert (bars.volume > 0).all()


def test_there_are_300_sessions_up_to_the_day_before():
    world = World(OPTIONS)
    assert len(world.history.rows) == 300
    assert world.history.rows[-1].day == date(2026, 2, 27)
    assert world.phase is Phase.PRE


def test_a_session_ends_as_a_daily_bar_and_the_next_one_follows(closing_world):
    world = closing_world
    world.advance_to(CLOSE)
    bars = world.history.rows[-1]
    assert bars.day == date(2026, 3, 2)
    assert bars.close.tolist() == world.today.close.tolist()
    world.advance_to(from_et(date(2026, 3, 3), 9, 31))
    assert world.today.day == date(2026, 3, 3)
    assert world.previous is bars
    assert world.previous_close("SPY") == pytest.approx(bars.close[0] / 100)
    assert 0.85 < world.last("SPY") / world.previous_close("SPY") < 1.15


def test_minute_bars_of_the_day_add_up_to_the_daily_bar():
    world = World(replace(OPTIONS, start="2026-03-02T09:29"))
    world.advance_to(OPEN + 1800 * NS)
    for symbol in (0, 5, 70):
        lived = minutes(world, symbol, OPEN // 1_000_000, world.now_ns // 1_000_000)
        day = daily(world, symbol, date(2026, 3, 2), date(2026, 3, 2))
        assert lived.volume.sum() == day.volume[0]
        assert lived.high.max() == day.high[0]
        assert lived.low.min() == day.low[0]
        assert lived.open[0] == day.open[0]
        assert lived.close[-1] == day.close[0]


def test_minutes_of_a_past_session_agree_with_its_daily_bar_and_with_themselves():
    world, day = World(OPTIONS), date(2026, 2, 26)
    start, end = from_et(day) // 1_000_000, from_et(day, 23) // 1_000_000
    once, again = minutes(world, 9, start, end), minutes(world, 9, start, end)
    bar = daily(world, 9, day, day)
    assert len(once) == 390
    assert once.close.tolist() == again.close.tolist()
    assert (once.open[0], once.high.max(), once.low.min(), once.close[-1]) == (
        bar.open[0],
        bar.high[0],
        bar.low[0],
        bar.close[0],
    )


def test_a_step_back_in_time_is_refused():
    world = World(replace(OPTIONS, symbols=50))
    with pytest.raises(BadInput, match="cannot go back"):
        world.advance_to(world.now_ns - 1)


def test_tickers_are_valid_unique_and_a_longer_list_begins_like_a_shorter_one():
    names = make_universe(3, 5000).tickers
    assert len(set(names)) == 5000
    assert all(name.isalpha() and name.isupper() and 1 <= len(name) <= 5 for name in names)
    assert names[:600] == make_universe(3, 600).tickers
    assert names[:3] == ("SPY", "QQQ", "IWM")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"symbols": 10}, "symbols must be 50 to 32345"),
        ({"speed": 0.0}, "speed must be above 0"),
        ({"plan": "gold"}, "plan 'gold' is unknown"),
        ({"start": "yesterday"}, "is not a time such as"),
        ({"until": "09:00"}, "is not after the start"),
        ({"step_s": 0}, "step_s must be 1"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(change, text):
    with pytest.raises(BadInput, match=text):
        SimOptions(**change)

"""A bar that no market makes comes onto the board by no way: stream in both decoders, repair, our own bars."""

import json
import math

import numpy as np
import pytest

from qmterm.market.board.minutes import MINUTE_NS, MinuteRing
from qmterm.market.board.sane import MOST, sane_bar
from tests.market.board.test_decode import HOUR, MS0, NS0, Pair

GOOD = {"o": 100.0, "h": 101.0, "l": 99.0, "c": 100.5, "v": 5.0}
IMPOSSIBLE = [
    {"o": -5, "h": -1, "l": -9, "c": -5},
    {"l": 0},
    {"h": 1e14, "l": 0},
    {"h": MOST},
    {"c": 101.01},
    {"o": 98.99},
    {"c": 98.99},
    {"h": 99.0, "l": 101.0},
    {"v": -1},
    {"v": MOST},
]


@pytest.mark.parametrize("cluster", ["stocks", "options"])
@pytest.mark.parametrize("ev", ["A", "AM"])
@pytest.mark.parametrize("odd", IMPOSSIBLE)
def test_an_impossible_bar_on_the_stream_is_malformed_and_moves_nothing(cluster, ev, odd):
    pair = Pair(cluster)
    symbol = "SPY" if cluster == "stocks" else "O:SPY261218C00500000"
    bar = {"ev": ev, "sym": symbol, "s": MS0, "e": MS0 + 60_000, "op": 3, "av": 7} | GOOD | odd
    report = pair.apply(json.dumps([bar]).encode(), NS0 + HOUR)
    assert (report.malformed, report.events) == (1, 0)
    board = pair.boards[0]
    table = getattr(board, cluster)
    row = table.wire_numbers[symbol]
    for column in (table.last, table.day_high, table.day_low, table.day_open, table.bar_close):
        assert math.isnan(column[row])
    assert board.five_minute_close("SPY", NS0 + HOUR) is None


def test_a_bar_with_all_its_prices_the_same_and_no_volume_is_possible():
    pair = Pair("stocks")
    bar = {"ev": "AM", "sym": "SPY", "s": MS0, "e": MS0 + 60_000, "o": 5, "h": 5, "l": 5, "c": 5}
    assert pair.apply(json.dumps([bar]).encode(), NS0 + HOUR).minutes == 1
    assert pair.boards[0].last_price("SPY") == 5


@pytest.mark.parametrize("odd", IMPOSSIBLE)
def test_the_ring_takes_an_impossible_minute_from_nobody(odd):
    ring = MinuteRing(4)
    prices = list((GOOD | odd).values())
    assert not ring.write(2, NS0, *prices)
    assert not ring.holds(np.array([2]), np.array([NS0 // MINUTE_NS]), np.array([False]))[0]
    ring.write_rows(np.array([2]), np.array([NS0 // MINUTE_NS]), np.array([prices]).T)
    assert not ring.holds(np.array([2]), np.array([NS0 // MINUTE_NS]), np.array([False]))[0]
    assert ring.write(2, NS0, *GOOD.values())


def test_a_volume_that_is_not_told_does_not_make_a_bar_impossible():
    assert sane_bar(100.0, 101.0, 99.0, 100.0, math.nan)
    assert not sane_bar(math.nan, 101.0, 99.0, 100.0, 1.0)


def test_columns_are_judged_as_single_bars_are():
    bars = [GOOD, *(GOOD | odd for odd in IMPOSSIBLE)]
    columns = np.array([list(bar.values()) for bar in bars], dtype=float).T
    assert sane_bar(*columns).tolist() == [True] + [False] * len(IMPOSSIBLE)

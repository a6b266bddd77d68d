"""The board equals what a plain reading of the JSON gives, whatever order and form events come in."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.market.board.board import Board
from qmterm.market.board.minutes import FIVE_NS, MINUTE_NS, MinuteRing
from qmterm.market.board.wire import FrameDecoder
from qmterm.market.records import SnapshotColumns

MS0 = 1_772_463_600_000  # 10:00 New York, 2026-03-02
NS0 = MS0 * 1_000_000
SYMBOLS = ["AAPL", "MSFT", "SPY"]

prices = st.floats(0.01, 9_999, allow_nan=False).map(lambda value: round(value, 4))
names = st.sampled_from([*SYMBOLS, "NEW"])
stamps = st.integers(MS0, MS0 + 3_000)
quotes = st.fixed_dictionaries(
    {"ev": st.just("Q"), "sym": names, "bp": prices, "ap": prices, "bs": st.integers(0, 900), "as": st.integers(0, 900)}
    | {"t": stamps, "bx": st.just(4), "i": st.just([604]), "z": st.just(3)}
)
trades = st.fixed_dictionaries(
    {"ev": st.just("T"), "sym": names, "p": prices, "s": st.integers(1, 500), "t": stamps, "i": st.just("1")},
    optional={"c": st.lists(st.sampled_from([0, 2, 12, 14, 37, 41]), max_size=3)},
)
odd = st.sampled_from(
    [{"ev": "NOI", "T": "AAPL"}, {"ev": "Q", "sym": "AAPL"}, {"ev": "T", "sym": 3}, {}, [], None, "x", {"ev": 5}]
)
frames = st.lists(st.lists(st.one_of(quotes, trades, odd), max_size=12), max_size=6)


def plain(all_frames):
    """The same rules, read event by event from json.loads."""
    state = {name: {"q": None, "last": None, "t": 0} for name in [*SYMBOLS, "NEW"]}
    for event in (event for frame in all_frames for event in frame):
        if not isinstance(event, dict) or event.get("ev") not in ("Q", "T") or not isinstance(event.get("sym"), str):
            continue
        if "t" not in event:
            continue
        row, at = state[event["sym"]], event["t"] * 1_000_000
        if event["ev"] == "Q" and at >= (row["q"][4] if row["q"] else 0):
            row["q"] = (event["bp"], event["ap"], event["bs"] * 100, event["as"] * 100, at)
        elif event["ev"] == "T" and at >= row["t"] and not {2, 37} & set(event.get("c", ())):
            row["last"], row["t"] = event["p"], at
    return state


@given(frames)
def test_the_board_equals_a_plain_reading_exactly(all_frames):
    board = Board(SYMBOLS)
    decoder = FrameDecoder(board, "stocks")
    for number, frame in enumerate(all_frames):
        report = decoder.apply(json.dumps(frame).encode(), NS0 + number)
        assert report.events + report.unknown + report.malformed == len(frame)
    for name, row in plain(all_frames).items():
        quote = board.quote(name)
        if row["q"] is None:
            assert quote is None
        else:
            assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.time_ns) == row["q"]
        if name in board.stocks.numbers:
            last = board.stocks.last[board.stocks.numbers[name]]
            assert (None if math.isnan(last) else last) == row["last"]


@given(st.binary(max_size=300))
def test_any_bytes_are_counted_and_survived(frame):
    report = FrameDecoder(Board(SYMBOLS), "stocks").apply(frame, NS0)
    assert report.events == 0


def apply(board, *events, cluster="stocks", arrival_ns=NS0 + 5_000_000_000):
    return FrameDecoder(board, cluster).apply(json.dumps(events).encode(), arrival_ns)


@pytest.mark.parametrize(
    "odd",
    [
        {"ev": "Q", "sym": "SPY", "bp": 1, "ap": 2, "bs": 1, "as": 1, "t": 2**63},
        {"ev": "Q", "sym": "SPY", "bp": 1, "ap": 2, "bs": 1, "as": 1, "t": 5 * 10**13},
        {"ev": "Q", "sym": "SPY", "bp": 1, "ap": 2, "bs": 1e308, "as": 1, "t": MS0},
        {"ev": "T", "sym": "SPY", "p": 1, "t": 10**30},
        {"ev": "T", "sym": "SPY", "p": 0, "t": MS0},
        {"ev": "AM", "sym": "SPY", "o": 1, "h": 1, "l": 1, "c": 1, "s": 2**63, "e": 2**63},
        {"ev": "AM", "sym": "SPY", "o": 1, "h": 1, "l": 1, "c": 1, "s": MS0 + 10**9, "e": MS0 + 10**9 + 60_000},
        {"ev": "AM", "sym": "SPY", "o": 1, "h": 1e308, "l": 1, "c": 1e308, "s": MS0, "e": MS0 + 60_000},
    ],
)
def test_numbers_no_market_has_are_counted_and_cost_only_their_event(odd):
    board = Board(SYMBOLS)
    good = {"ev": "Q", "sym": "AAPL", "bp": 1, "ap": 2, "bs": 1, "as": 1, "t": MS0}
    report = apply(board, odd, good)
    assert report.malformed == 1
    assert board.quote("SPY") is None
    assert board.last_price("SPY") is None
    assert board.quote("AAPL").ask == 2


@pytest.mark.parametrize("cluster", ["stocks", "options"])
@pytest.mark.parametrize("inside", [b"", b'{"ev":"T","sym":"SPY","p":1,"t":1,"z":', b'{"ev":'])
def test_brackets_without_end_are_malformed_and_raise_nothing(inside, cluster):
    assert FrameDecoder(Board(SYMBOLS), cluster).apply(b"[" + inside + b"[" * 200_000, NS0).malformed == 1


def test_infinity_in_a_frame_is_not_a_price():
    board = Board(SYMBOLS)
    frame = b'[{"ev":"Q","sym":"SPY","bp":1,"ap":1e400,"bs":1,"as":1,"t":%d}]' % MS0
    assert FrameDecoder(board, "stocks").apply(frame, NS0).malformed == 1
    assert board.quote("SPY") is None


def test_a_quote_from_the_future_neither_stays_fresh_nor_keeps_later_ones_out():
    board = Board(SYMBOLS)
    apply(board, {"ev": "Q", "sym": "SPY", "bp": 1, "ap": 2, "bs": 1, "as": 1, "t": MS0 + 86_400_000}, arrival_ns=NS0)
    apply(board, {"ev": "T", "sym": "SPY", "p": 1.5, "t": MS0 + 86_400_000}, arrival_ns=NS0)
    assert board.quote("SPY").age_s(NS0 + 60_000_000_000) == 60
    apply(board, {"ev": "Q", "sym": "SPY", "bp": 3, "ap": 4, "bs": 1, "as": 1, "t": MS0 + 61_000})
    apply(board, {"ev": "T", "sym": "SPY", "p": 3.5, "t": MS0 + 61_000})
    assert board.quote("SPY").bid == 3
    assert board.last_price("SPY") == 3.5


def test_a_stamp_four_minutes_ahead_is_held_back_as_one_of_tomorrow_is_and_three_seconds_are_not():
    """At a machine's clock that is right nothing is made later than it arrives."""
    for ahead_ms, held in ((3_000, MS0 + 3_000), (240_000, MS0)):
        board = Board(SYMBOLS)
        board.start_session(NS0 - MINUTE_NS, NS0 + 400 * MINUTE_NS)
        events = (
            {"ev": "Q", "sym": "SPY", "bp": 1, "ap": 2, "bs": 1, "as": 1, "t": MS0 + ahead_ms},
            {"ev": "T", "sym": "AAPL", "p": 1.5, "t": MS0 + ahead_ms},
            bar(0, 14, sym="MSFT", s=MS0 + ahead_ms - 60_000, e=MS0 + ahead_ms),
            {"ev": "LULD", "T": "SPY", "h": 110, "l": 90, "t": MS0 + ahead_ms},
        )
        report = apply(board, *events, arrival_ns=NS0)
        assert (report.events, report.malformed) == (4, 0)
        assert report.newest_ns == (MS0 + ahead_ms) * 1_000_000  # as it was stamped: the latency shows it
        table, row = board.stocks, board.stocks.numbers
        stamps = [table.quote_ns[row["SPY"]], table.trade_ns[row["AAPL"]], table.trade_ns[row["MSFT"]]]
        assert [*stamps, table.bar_ns[row["MSFT"]], table.band_ns[row["SPY"]]] == [held * 1_000_000] * 5
        later = {"ev": "Q", "sym": "SPY", "bp": 3, "ap": 4, "bs": 1, "as": 1, "t": MS0 + 3_100}
        assert apply(board, later, arrival_ns=NS0 + 3_100_000_000).late == 0
        assert board.quote("SPY").bid == 3


def test_a_snapshots_stamps_ahead_are_held_back_too():
    board = Board(SYMBOLS)
    ahead = np.array([NS0 + 240_000_000_000])
    columns = {"quote_ns": ahead, "trade_ns": ahead, "bid": np.array([1.0]), "ask": np.array([1.1])}
    board.load_snapshot(snapshot(("SPY",), **columns, last=np.array([1.0])), NS0)
    row = board.stocks.numbers["SPY"]
    assert board.stocks.quote_ns[row] == board.stocks.trade_ns[row] == NS0


def test_an_older_quote_is_counted_and_not_taken():
    board = Board(SYMBOLS)
    new = {"ev": "Q", "sym": "SPY", "bp": 2, "ap": 3, "bs": 1, "as": 1, "t": MS0 + 10}
    report = apply(board, new, {**new, "bp": 1, "t": MS0 + 9}, {**new, "bp": 2.5})
    assert report.late == 1
    assert board.quote("SPY").bid == 2.5
    assert report.newest_ns == (MS0 + 10) * 1_000_000


def test_options_are_found_by_every_spelling_and_count_contracts():
    board = Board(SYMBOLS)
    event = {"ev": "Q", "sym": "O:SPY261218C00500000", "bp": 9.7, "ap": 9.8, "bs": 17, "as": 24, "t": MS0}
    apply(board, event, {**event, "sym": "NONSENSE"}, {**event, "sym": "O:SPY261399C00500000"}, cluster="options")
    quote = board.quote("SPY   261218C00500000")
    assert (quote.bid, quote.bid_size, quote.arrival_ns) == (9.7, 17, NS0 + 5_000_000_000)
    assert board.quote("O:SPY261218C00500000") == quote
    assert quote.symbol == "SPY   261218C00500000"
    assert len(board.options) == 1
    assert len(board.stocks) == 3


def test_the_board_grows_while_a_frame_is_read():
    board = Board(SYMBOLS)
    many = [{"ev": "Q", "sym": f"S{n}", "bp": n, "ap": n + 1, "bs": 1, "as": 1, "t": MS0} for n in range(3_000)]
    apply(board, *many)
    assert len(board.stocks) == 3_003
    assert [board.quote(f"S{n}").bid for n in (0, 255, 256, 2_999)] == [0, 255, 256, 2_999]
    assert board.stocks.bid.shape == (3_003,)


def bar(minute, close, ev="AM", high=None, low=None, **more):
    start = MS0 + minute * 60_000
    body = {"ev": ev, "sym": "SPY", "o": close, "h": high or close, "l": low or close, "c": close, "v": 1}
    return {**body, "s": start, "e": start + 60_000, **more}


def test_minute_bars_move_the_day_and_the_last_price():
    board = Board(SYMBOLS)
    board.start_session(NS0, NS0 + 10 * FIVE_NS)
    seen = [bar(-1, 500, high=900), bar(0, 100, high=101, low=99, av=50, a=100.5, op=98), bar(1, 102)]
    apply(board, *seen, arrival_ns=NS0 + 2 * MINUTE_NS)
    row = board.stocks.numbers["SPY"]
    table = board.stocks
    assert (table.day_high[row], table.day_low[row], table.day_open[row]) == (102, 99, 98)  # pre-market left out
    assert (table.day_volume[row], table.day_vwap[row], table.last[row]) == (50, 100.5, 102)
    apply(board, bar(0, 55, av=1), arrival_ns=NS0 + 2 * MINUTE_NS)  # an old bar again
    assert (table.last[row], table.day_volume[row], table.bar_close[row]) == (102, 50, 102)


def test_a_trade_after_the_bar_keeps_its_price():
    board = Board(SYMBOLS)
    apply(board, {"ev": "T", "sym": "SPY", "p": 7, "t": MS0 + 61_000}, bar(0, 5))
    assert board.last_price("SPY") == 7


@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(1, 999)), min_size=1, max_size=40),
    st.integers(0, 16 * 60),
)
def test_five_minute_closes_ignore_order_and_repeats(bars, second):
    """Truth: the last version of each minute; the close of a bar is that of its latest minute."""
    board = Board(SYMBOLS)
    newest = 0
    kept = {}
    for minute, close in bars:
        newest = max(newest, minute)
        if minute > newest - 10:
            apply(board, bar(minute, close), arrival_ns=NS0 + 15 * MINUTE_NS)
            kept[minute] = close
    now = NS0 + second * 1_000_000_000
    border = (now - board.grace_ns - NS0) // FIVE_NS * 5
    complete = [minute for minute in kept if minute < border]
    found = board.five_minute_close("SPY", now)
    if newest - max(complete, default=newest) >= 10 or not complete:
        assert found is None or found[1] <= now
    else:
        assert found == (kept[max(complete)], NS0 + (max(complete) // 5 + 1) * FIVE_NS)
    closes, ends = board.five_minute_closes(now)
    row = board.stocks.numbers["SPY"]
    assert (None if ends[row] == 0 else (closes[row], ends[row])) == found


def test_a_bar_is_complete_only_after_the_grace():
    board = Board(SYMBOLS)
    apply(board, *(bar(minute, 10 + minute, high=20 + minute, low=5 - minute) for minute in range(5)))
    end = NS0 + FIVE_NS
    assert board.five_minute_close("SPY", end + 1_999_999_999) is None
    assert board.five_minute_close("SPY", end + 2_000_000_000) == (14, end)
    running = board.five_minute_bar("SPY", end - 1)
    assert (running.open, running.high, running.low, running.close, running.minutes) == (10, 24, 1, 14, 5)
    assert not running.complete
    assert board.five_minute_bar("SPY", end) is None
    assert board.five_minute_close("AAPL", end) is None


def test_a_quiet_stock_keeps_its_last_complete_close_for_hours():
    board = Board(SYMBOLS)
    apply(board, bar(0, 10), bar(240, 11))
    assert board.five_minute_close("SPY", NS0 + 239 * MINUTE_NS) == (10, NS0 + FIVE_NS)


def snapshot(symbols, **columns):
    count = len(symbols)
    floats = ("bid", "ask", "bid_size", "ask_size", "last", "day_open", "day_high", "day_low", "day_close")
    floats += ("day_volume", "day_vwap", "prev_close", "prev_volume")
    floats += tuple(f"minute_{part}" for part in ("open", "high", "low", "close", "volume"))
    times = ("quote_ns", "trade_ns", "minute_ns", "updated_ns")
    made = {name: np.full(count, np.nan) for name in floats} | {name: np.zeros(count, np.int64) for name in times}
    return SnapshotColumns(symbols=tuple(symbols), **{**made, **columns}, delayed=False, malformed=0)


def test_a_snapshot_fills_what_is_older_and_leaves_what_is_newer():
    board = Board(["SPY"])
    apply(board, {"ev": "Q", "sym": "SPY", "bp": 2, "ap": 3, "bs": 1, "as": 1, "t": MS0 + 10})
    older = np.array([NS0, NS0])
    sides = {"bid": np.array([1.0, 5.0]), "ask": np.array([1.5, 6.0]), "bid_size": np.zeros(2), "ask_size": np.zeros(2)}
    board.load_snapshot(snapshot(["SPY", "QQQ"], quote_ns=older, prev_close=np.array([9.0, 8.0]), **sides), NS0 + 7)
    assert board.quote("SPY").bid == 2
    assert (board.quote("QQQ").bid, board.quote("QQQ").arrival_ns) == (5, NS0 + 7)
    assert board.last_price("QQQ") == 8.0  # yesterday's close until it trades


def test_a_snapshot_stamped_in_the_future_does_not_keep_later_quotes_out():
    board = Board()
    wrong = np.array([NS0 + 10**15])
    sides = {"bid": np.array([1.0]), "ask": np.array([1.5]), "bid_size": np.ones(1), "ask_size": np.ones(1)}
    board.load_snapshot(snapshot(["SPY"], quote_ns=wrong, trade_ns=wrong, last=np.array([1.2]), **sides), NS0)
    apply(board, {"ev": "Q", "sym": "SPY", "bp": 2, "ap": 3, "bs": 1, "as": 1, "t": MS0 + 1})
    apply(board, {"ev": "T", "sym": "SPY", "p": 2.5, "t": MS0 + 1})
    assert (board.quote("SPY").bid, board.last_price("SPY")) == (2, 2.5)


def test_without_trades_in_the_plan_the_minute_close_is_the_last_price():
    board = Board()
    board.load_snapshot(snapshot(["SPY"], minute_close=np.array([4.5]), minute_ns=np.array([NS0])), NS0)
    assert board.last_price("SPY") == 4.5
    assert board.quote("SPY") is None
    assert board.quote("NEVER") is None
    assert board.last_price("NEVER") is None


def test_minutes_outside_the_session_make_no_five_minute_close():
    """A print at seven in the morning, or at 16:07, must not stop anybody out."""
    board = Board(SYMBOLS)
    board.start_session(NS0, NS0 + 2 * FIVE_NS)
    apply(board, bar(-5, 90), bar(-1, 90))
    assert board.five_minute_close("SPY", NS0 + MINUTE_NS) is None
    apply(board, bar(4, 101), bar(10, 97), bar(14, 97))
    close, end = board.five_minute_close("SPY", NS0 + 4 * FIVE_NS)
    assert (close, end) == (101, NS0 + FIVE_NS)


def test_another_sources_quote_is_taken_when_newer_and_says_whose_it_is():
    board = Board()
    occ = "SPY   261218C00500000"
    assert board.apply_quote(occ, 1.0, 1.1, 5, 6, NS0, NS0 + 9, "dxlink")
    assert (board.quote(occ).bid, board.quote(occ).arrival_ns, board.quote_source(occ)) == (1.0, NS0 + 9, "dxlink")
    assert not board.apply_quote(occ, 2.0, 2.1, 5, 6, NS0 - 1, NS0 + 10, "dxlink")
    event = {"ev": "Q", "sym": "O:SPY261218C00500000", "bp": 3, "ap": 3.1, "bs": 1, "as": 1, "t": MS0 + 1}
    FrameDecoder(board, "options").apply(json.dumps([event]).encode(), 0)
    assert (board.quote(occ).bid, board.quote_source(occ)) == (3.0, "")
    assert board.apply_quote(occ, 4.0, 4.1, 5, 6, 0, NS0 + 10**9, "dxlink")
    assert board.quote(occ).time_ns == NS0 + 10**9
    assert board.quote_source("SPY") == ""


def test_minutes_of_many_symbols_are_taken_as_they_are_one_by_one():
    chance = np.random.default_rng(3)
    one, many = MinuteRing(20), MinuteRing(20)
    first = NS0 // MINUTE_NS
    for _ in range(60):
        rows = chance.permutation(20)[:12]
        minutes = first + chance.integers(0, 40, 12)
        prices = chance.uniform(1, 9, (5, 12))
        if chance.random() < 0.8:  # the rest is as good as always impossible
            prices[1], prices[2] = prices[:4].max(axis=0), prices[:4].min(axis=0)
        for at, row in enumerate(rows.tolist()):
            one.write(row, int(minutes[at]) * MINUTE_NS, *prices[:, at].tolist())
        many.write_rows(rows, minutes, prices)
        for mine, theirs in zip(one.arrays, many.arrays, strict=True):
            assert mine.tobytes() == theirs.tobytes()


def test_a_previous_close_in_another_unit_does_not_replace_what_is_known():
    board = Board()
    board.load_snapshot(snapshot(["SPY", "QQQ"], prev_close=np.array([600.0, 500.0])), NS0)
    board.load_snapshot(snapshot(["SPY", "QQQ"], prev_close=np.array([60_000.0, 505.0])), NS0)
    assert board.stocks.prev_close.tolist() == [600.0, 505.0]


def test_the_history_settles_which_unit_is_right():
    board = Board()
    board.load_snapshot(snapshot(["SPY", "QQQ"], prev_close=np.array([60_000.0, 500.0])), NS0)
    board.know_previous_closes(np.array([0, 1]), np.array([601.0, 501.0]))
    assert board.stocks.prev_close.tolist() == [601.0, 500.0]  # the snapshot's own stays where it can be right

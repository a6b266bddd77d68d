"""The scanner and the gate: a refused price makes no signal and no entry, and the ledger says why."""

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, ManualClock, from_et
from qmterm.core.compute import ComputeThread
from qmterm.core.errors import DataError
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import SignalState
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.scan_answer import scan_document
from qmterm.engine.signals.history_pull import HistoryPull
from qmterm.engine.signals.scanning import Scanning
from qmterm.market.board.board import Board
from qmterm.market.history.history import PullReport
from qmterm.market.history.volatility import Standing
from qmterm.market.quality.coverage import Listed
from qmterm.market.quality.stocks import BUSY_SHARES
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.records import Split
from qmterm.market.rest.budget import RequestBudget
from tests.strategy.test_scanner import PANEL

DAY = date(2026, 3, 2)
CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2026, 12, 31))
SIGNALS = (SignalState.ENTRY_LONG, SignalState.SCALE_OUT)


class Tape:
    """A history that holds the panel of the scanner's own tests."""

    unsaved = ""

    async def pull(self, days, progress):
        return PullReport(pulled=())

    def missing(self, days):
        return ()

    async def refresh_splits(self):
        return ()

    async def know_splits_since(self, first):
        self.splits_from = first

    renames = ()
    splits = (Split("AAPL", date(2026, 2, 9), 1, 4),)

    async def panel(self, last, sessions, allow_missing=False):
        return PANEL


@pytest.fixture
async def scanning():
    clock = ManualClock(from_et(DAY, 11, 0))
    board = Board()
    board.start_session(from_et(DAY, 9, 30), from_et(DAY, 16, 0))
    down = {"stocks": False}
    quality = QualityWatch(board, stocks_down=lambda: down["stocks"])
    compute = ComputeThread()
    tape = Tape()
    pull = HistoryPull(tape, RequestBudget(600, clock.monotonic), clock, patient=True)
    made = Scanning(
        board, tape, CALENDAR, compute, clock, RunLog(clock), AtrMatrixSettings(),
        ScannerSettings(require_options=False), 260, pull, quality,
    )  # fmt: skip
    await made.load(lambda text: None)
    made.coverage.list(Listed((*PANEL.symbols, "BRANDNEW")))
    table = board.stocks
    table.last[:], table.trade_ns[:], table.prev_volume[:] = PANEL.close[:, -1], clock.now() - NS, BUSY_SHARES
    yield SimpleNamespace(scan=made, table=table, clock=clock, down=down, tape=tape)
    compute.close()


def fresh(at):
    at.table.trade_ns[:] = at.clock.now() - NS


async def test_splits_of_the_time_of_past_dividends_are_learned_and_told(scanning):
    told = []
    scanning.scan.on_splits = told.append
    assert await scanning.scan.new_session()
    assert told == [Tape.splits]
    assert scanning.tape.splits_from == DAY - timedelta(days=400)


async def test_every_scan_is_in_the_ledger(scanning):
    scanning.scan.run()
    covered = scanning.scan.covered()
    assert (covered.listed, covered.evaluated, covered.skipped) == (401, 400, {"NO_HISTORY": 1})
    scanning.clock.advance(58)
    assert scanning.scan.covered().oldest_age_s == 58.0
    assert scanning.scan.coverage.of("BRANDNEW") == (None, Reason.NO_HISTORY)


async def test_a_stale_row_keeps_the_state_of_its_last_close_is_marked_and_no_entry(scanning):
    scan, table = scanning.scan, scanning.table
    scan.run()
    symbol = scan.entries(1)[0].symbol
    row = PANEL.symbols.index(symbol)
    state = scan.result.state(row)
    scanning.clock.advance(700)
    fresh(scanning)
    table.last[row], table.trade_ns[row] = table.last[row] * 3, scanning.clock.now() - 700 * NS
    turned = scan.run()
    assert scan.price_code(row) == "STALE_QUOTE"
    assert scan.price_age_s(row) == 700.0
    assert scan.result.state(row) is state  # of its last close: three times the price is not believed
    assert not scan.result.live[row]
    assert symbol not in [signal.symbol for signal in (*turned, *scan.entries(400))]
    assert scan.covered().skipped == {"NO_HISTORY": 1, "STALE_QUOTE": 1}
    fresh(scanning)
    table.last[row] = PANEL.close[row, -1]
    assert symbol not in [signal.symbol for signal in scan.run()]  # it is what it was: no news
    assert symbol in [signal.symbol for signal in scan.entries(400)]


async def test_while_the_feed_is_down_nothing_becomes_a_signal_and_then_everything_is_whole_again(scanning):
    scan = scanning.scan
    scanning.table.last[:] = PANEL.close[:, -1] * 0.7  # far below: no setups now
    assert [s for s in scan.run() if s.state in SIGNALS] == []
    scanning.clock.advance(60)
    scanning.down["stocks"] = True
    assert scan.run() == ()
    assert scan.entries(400) == ()
    assert scan.covered().skipped["FEED_DOWN"] == 400
    scanning.down["stocks"] = False
    scanning.table.last[:] = PANEL.close[:, -1]
    fresh(scanning)
    became = scan.run()
    assert len(became) > 0
    assert {signal.symbol for signal in scan.entries(400)} <= {signal.symbol for signal in became}
    assert scan.covered().evaluated == 400


async def test_a_setup_first_seen_while_refused_is_news_once_its_price_is_believed(scanning):
    scan = scanning.scan
    scanning.down["stocks"] = True
    scanning.table.trade_ns[:] = scanning.clock.now() - 60 * NS
    assert scan.run() == ()
    scanning.down["stocks"] = False
    fresh(scanning)
    assert {s.symbol for s in scan.entries(400)} == set()
    assert {s.symbol for s in scan.run() if s.state is SignalState.ENTRY_LONG} == {s.symbol for s in scan.entries(400)}


async def test_a_stop_hears_the_same_word_and_acts_on_late_prices_rather_than_none(scanning):
    scan, table = scanning.scan, scanning.table
    symbol = PANEL.symbols[0]
    assert scan.doubt(symbol) is None
    table.trade_ns[0] = scanning.clock.now() - 700 * NS
    assert scan.doubt(symbol) is Reason.STALE_QUOTE
    scan._quality._delayed = lambda: True
    fresh(scanning)
    assert scan.doubt(symbol) is None


async def test_a_five_minute_close_outside_the_bands_is_unknown_to_a_stop(scanning):
    scan, table, clock = scanning.scan, scanning.table, scanning.clock
    symbol, price, start_ns = PANEL.symbols[0], float(PANEL.close[0, -1]), clock.now() - 301 * NS
    ring, row = scan._board.minutes, table.numbers[PANEL.symbols[0]]
    table.band_low[row], table.band_high[row], table.band_ns[row] = 0.9 * price, 1.1 * price, start_ns
    ring.write(row, clock.now() - 360 * NS, *[price] * 4, 100.0)
    clock.advance(2)
    assert scan.five_minute_close(symbol, 0) == price
    ring.write(row, clock.now() - 62 * NS, *[0.5 * price] * 4, 100.0)
    fresh(scanning)  # a good trade after it: the gate believes the stock's price again
    assert scan.doubt(symbol) is None
    assert scan.five_minute_close(symbol, 0) is None
    table.band_ns[row] = clock.now()  # the same bands, told again
    assert scan.five_minute_close(symbol, 0) is None


async def test_a_price_of_another_day_has_no_age_and_no_code(scanning):
    scanning.table.trade_ns[:] = scanning.clock.now() - 30 * 3600 * NS
    scanning.table.prev_volume[:] = 0
    scanning.scan.run()
    assert scanning.scan.price_age_s(0) is None
    assert scanning.scan.price_code(0) == ""
    assert scanning.scan.covered().evaluated == 400
    assert np.isfinite(scanning.scan.result.matrix.close).all()


async def test_rows_whose_chain_was_read_tell_where_their_volatility_stands(scanning):
    scan = scanning.scan
    scan.run()
    ranked, counted = scan.result.symbols[:2]
    known = {ranked: Standing(0.4, 34.0, 40.0, 200), counted: Standing(None, None, None, 12)}
    rows = {row["symbol"]: row for row in scan_document(scan, volatility=known)["rows"]}
    assert (rows[ranked]["iv_rank"], rows[ranked]["iv_observations"]) == (34.0, 200)
    assert (rows[counted]["iv_rank"], rows[counted]["iv_observations"]) == (None, 12)
    assert sum("iv_rank" in row for row in rows.values()) == 2


# --- splits and the stops ---

SYMBOL = PANEL.symbols[0]
BEFORE = DAY - timedelta(days=30)


def splits_fail(at):
    """No splits can be read from now on; returns what ends it."""

    async def silent():
        raise DataError("no splits")

    known, at.tape.refresh_splits = at.tape.refresh_splits, silent
    return lambda: setattr(at.tape, "refresh_splits", known)


def price(at, times):
    at.table.last[PANEL.symbols.index(SYMBOL)] = PANEL.close[0, -1] * times
    fresh(at)


def next_day(at):
    at.clock.now_ns = from_et(DAY + timedelta(days=1), 11, 0)
    fresh(at)


async def test_a_price_that_a_split_may_have_made_decides_nothing_until_the_stops_follow(scanning):
    scan = scanning.scan
    scan.stops_follow()
    price(scanning, 0.5)
    assert scan.doubt(SYMBOL) is None  # today's splits are known: half the price is a fall
    next_day(scanning)
    read_again = splits_fail(scanning)
    assert not await scan.new_session()
    scan.stops_follow()
    assert not scan.splits_known
    for times, doubt in ((0.5, Reason.SPLIT_UNKNOWN), (0.86, Reason.SPLIT_UNKNOWN), (1.2, Reason.SPLIT_UNKNOWN),
                         (0.88, None), (1.14, None)):  # fmt: skip
        price(scanning, times)
        assert scan.doubt(SYMBOL) is doubt
    assert scan.doubt("BRANDNEW") is None
    read_again()
    assert await scan.new_session()
    price(scanning, 0.5)
    assert scan.doubt(SYMBOL) is Reason.SPLIT_UNKNOWN  # known, but the stop's price is not brought along yet
    scan.stops_follow()
    assert scan.doubt(SYMBOL) is None


async def test_what_the_gate_refuses_keeps_its_own_reason(scanning):
    price(scanning, 0.5)
    scanning.clock.advance(60)
    scanning.down["stocks"] = True
    assert scanning.scan.doubt(SYMBOL) is Reason.FEED_DOWN


async def test_a_days_levels_wait_until_the_stops_are_on_the_same_shares(scanning):
    scan = scanning.scan
    assert scan.daily(SYMBOL, BEFORE) is None  # the start has read the splits, its stops do not follow yet
    scan.stops_follow()
    told = scan.daily(SYMBOL, BEFORE)
    assert told is not None
    next_day(scanning)
    assert scan.daily(SYMBOL, BEFORE) == told  # nothing new is known: both on yesterday's shares

    async def one():
        return (Split(SYMBOL, DAY + timedelta(days=1), 1, 2),)

    scanning.tape.refresh_splits = one
    await scan.new_session()
    assert scan.daily(SYMBOL, BEFORE) is None
    scan.stops_follow()
    assert scan.daily(SYMBOL, BEFORE) is None  # the panel is still on the old ones
    scanning.tape.refresh_splits = Tape().refresh_splits
    await scan.load(lambda text: None)
    assert scan.daily(SYMBOL, BEFORE) is not None


async def test_a_load_that_learns_of_splits_before_the_morning_makes_the_levels_wait(scanning):
    scan = scanning.scan
    scan.stops_follow()
    scanning.clock.now_ns = from_et(DAY + timedelta(days=1), 0, 30)
    await scan.load(lambda text: None)
    assert scan.daily(SYMBOL, BEFORE) is None
    scan.stops_follow()
    assert scan.daily(SYMBOL, BEFORE) is not None

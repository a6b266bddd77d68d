"""Real files through the production clients: what the files say arrives, what they do not say is absent."""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from qmterm.commands.scan import _ages, _calendar, run, scan_row
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date
from qmterm.core.errors import NotEntitled
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.market.board.table import FLOAT_ROW, TIME_ROW
from qmterm.market.clock import StepClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.history.history import History
from qmterm.market.news.desk import NewsDesk
from qmterm.market.stream.lockstep import LockstepDriver, advance_and_read
from qmterm.quant.indicators.features import last_features
from qmterm.sim.options import SimOptions
from qmterm.sim.spawn import spawn
from qmterm.strategy.scanner import daily_mtf, scan
from qmterm.tape.frames import recordings
from qmterm.tape.recorder import FrameRecorder
from tests.market.fakes import settings
from tests.sim.replay import files
from tests.sim.replay.files import CALL, DAY, MINUTE_NS, OPEN_NS

WIKI = Path(__file__).parents[2] / "data" / "wiki_equity_2014.parquet"


@asynccontextmanager
async def lockstep(recorder=None, fault=None, **options):
    """A started production feed on a simulator in lockstep; yields (feed, advance to an instant)."""
    sim = await spawn(SimOptions(lockstep=True, **options))
    async with aiohttp.ClientSession() as http:
        clock = StepClock(sim.now_ns)
        day = et_date(sim.now_ns)
        calendar = SessionCalendar.load(day - timedelta(days=500), day + timedelta(days=1000))
        chosen = settings(sim.url, sim.ws_url, read_timeout_s=5.0, deadline_s=10.0)
        feed = PolygonFeed(chosen, sim.token, clock, calendar, lockstep=True, recorder=recorder)
        driver = LockstepDriver(sim.url, sim.token, http)

        async def advance(until_ns):
            while clock.now() < until_ns:
                info = await advance_and_read(driver, feed, clock.set)
                if info.done:
                    return

        try:
            if fault is not None:
                headers = {"Authorization": f"Bearer {sim.token}"}
                async with http.post(f"{sim.url}/sim/faults", json=fault, headers=headers) as answer:
                    assert answer.status == 200, await answer.text()
            await feed.start()
            await feed.settled()
            yield feed, advance
        finally:
            await feed.close()
            await sim.close()


async def test_a_scan_of_real_bars_through_the_wires_is_the_scan_of_their_file(tmp_path):
    async with lockstep(replay=WIKI) as (feed, _):
        now = feed._clock.now()
        assert et_date(now) == date(2015, 1, 2)
        calendar = feed._calendar
        days = calendar.sessions(date(2014, 1, 2), date(2014, 12, 31))
        history = History(feed.rest, tmp_path, calendar, feed._clock)
        report = await history.pull(days)
        assert report.complete
        panel = await history.panel(days[-1], len(days))
    features = last_features(panel)
    over_wires = _calendar(panel)
    mtf = daily_mtf(panel, features, over_wires)
    result = scan(panel, features, matrix=AtrMatrixSettings(), scanner=ScannerSettings(), mtf=mtf)
    ages = _ages(panel, over_wires)
    got = [scan_row(result, row, ages[row]) for row in result.order.tolist()]
    out = io.StringIO()
    run(WIKI, as_json=True, out=out)
    want = json.loads(out.getvalue().splitlines()[-1])["rows"]
    assert [row["symbol"] for row in got] == [row["symbol"] for row in want] == sorted(panel.symbols, key=_place(want))
    for one, other in zip(got, want, strict=True):
        for key, value in other.items():
            same = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert one[key] == same, (other["symbol"], key)


def _place(rows):
    order = [row["symbol"] for row in rows]
    return order.index


async def test_news_and_earnings_that_no_file_tells_of_are_unknown_and_not_none(folder):
    async with lockstep(replay=folder) as (feed, _):
        desk = NewsDesk(feed.rest, feed._clock, 6000)
        await desk.learn("AAA")
        assert desk.not_entitled
        assert desk.sentiment("AAA") is None
        for asked in (feed.rest.news("AAA", 0, 10), feed.rest.earnings(["AAA"], DAY, DAY)):
            with pytest.raises(NotEntitled):
                await asked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("replayed")
    files.daily(path)
    files.minutes(path / "minutes")
    files.option_quotes(path / "option_quotes")
    return path


async def test_bars_and_option_quotes_arrive_as_the_files_have_them_and_nothing_else_does(folder):
    async with lockstep(replay=folder) as (feed, advance):
        stocks = feed.board.stocks
        assert stocks.symbols == ["AAA", "BBB"]
        assert stocks.prev_close.tolist() == [101.0625, 20.75]
        feed.watch(frozenset({"AAA"}), frozenset({CALL}))
        await feed.settled()
        await advance(OPEN_NS + 7 * MINUTE_NS + 5_000_000_000)
        assert feed.board.quote("AAA") is None  # no quotes of stocks in the files
        assert stocks.last.tolist() == [101.0 + 6 / 8 + 0.03125, 20.5 + 0.03125]
        assert np.isnan(stocks.day_vwap).all()
        assert feed.board.five_minute_close("AAA", feed._clock.now()) == (101.53125, OPEN_NS + 5 * MINUTE_NS)
        quote = feed.board.quote(CALL)
        assert (quote.bid, quote.ask) == (3.0 + 6 / 20, 3.2 + 6 / 20)
        assert quote.time_ns == OPEN_NS + 7 * MINUTE_NS
        now = feed._clock.now()
        chain = await feed.chains.read("AAA", now, DAY, DAY + timedelta(days=60))
        assert chain.occ == (CALL, "AAA   260417P00100000")
        assert chain.open_interest.tolist() == [500, 500]
        assert np.isnan(chain.vendor_iv).all()
        assert np.isfinite(chain.iv[0])  # our own, from the replayed quote
        assert feed.status.malformed == feed.status.unknown == 0
        assert {"Q.AAA", "T.AAA"} <= set(feed.status.refused)  # refused as by a lower plan, not granted and silent
        bars = await feed.rest.aggs("AAA", 1, "minute", DAY, DAY)
        assert bars.start_ns.tolist() == [OPEN_NS + n * MINUTE_NS for n in range(7)]
        assert np.isnan(bars.vwap).all()


def _columns(table):
    """Every column of a table by name, NaN and all."""
    return {
        **{name: table.float_block[row] for name, row in FLOAT_ROW.items()},
        **{name: table.time_block[row] for name, row in TIME_ROW.items()},
    }


async def _watched(feed, advance, end_ns, options):
    """Ten quotes by name, some contracts, and all minute bars up to an instant; every column that the board has."""
    feed.watch(frozenset({"SPY", "AAPL", "TSLA"}), options)
    await feed.settled()
    await advance(end_ns)
    board, now = feed.board, feed._clock.now()
    columns = {}
    for name, table in (("stocks", board.stocks), ("options", board.options)):
        order = np.argsort(np.array(table.symbols, dtype=np.str_)) if table.symbols else np.zeros(0, dtype=np.int64)
        columns[f"{name}.symbols"] = sorted(table.symbols)
        for column, block in _columns(table).items():
            columns[f"{name}.{column}"] = block[: len(table.symbols)][order].tobytes()
    closes, ends = board.five_minute_closes(now)
    order = np.argsort(np.array(board.stocks.symbols, dtype=np.str_))
    columns["five.close"], columns["five.end"] = closes[order].tobytes(), ends[order].tobytes()
    columns["minutes"] = [
        [board.five_minute_bar(symbol, at) for at in range(OPEN_NS, now, 5 * MINUTE_NS)]
        for symbol in sorted(board.stocks.symbols)
    ]
    return columns, len(board.stocks)


@pytest.mark.parametrize(
    "minutes", [6, pytest.param(60, marks=(pytest.mark.drill, pytest.mark.timeout(900)), id="an hour")]
)
async def test_a_recording_replays_to_the_byte_identical_board_and_bars(tmp_path, minutes):
    """Recorded by the production feed on a simulated market, played through the same wires into another feed."""
    # What only a snapshot tells is not on a tape: neither feed may have one, so the plan refuses them.
    refused = {"fault": "not_authorized", "path": "/v2/snapshot", "times": 99}
    recorder = FrameRecorder(tmp_path, ("stocks", "options"), 1, limit_bytes=1 << 28, keep_days=30)
    contracts = frozenset({"SPY   260402C00690000", "SPY   260402P00680000", "AAPL  260320C00260000"})
    end_ns = OPEN_NS + minutes * MINUTE_NS
    made = {"seed": 11, "symbols": 60, "start": "2026-03-02T09:29"}
    async with lockstep(recorder, refused, **made) as (feed, advance):
        first, count = await _watched(feed, advance, end_ns, contracts)
        assert count == 60
        assert feed.status.events > 500
        assert int(feed.board.options.quote_ns.astype(bool).sum()) >= 2
    assert len(recordings(tmp_path)) >= 1
    async with lockstep(fault=refused, replay=tmp_path, start="2026-03-02T09:29") as (feed, advance):
        again, _ = await _watched(feed, advance, end_ns, contracts)
    assert np.isfinite(np.frombuffer(first["five.close"])).sum() > 40
    assert first.keys() == again.keys()
    for name, column in first.items():
        assert column == again[name], name

"""A held option is quoted by the broker where the data plan has no option quotes: wired as in production."""

import contextlib
from datetime import date, timedelta

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.core.settings.connections import Plan
from qmterm.engine.wiring import _held_quotes
from qmterm.market.clock import ServerClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.rest.client import PolygonRest
from qmterm.sim.options import SimOptions
from qmterm.sim.spawn import spawn
from tests.market.fakes import settings, until

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2028, 12, 31))


async def test_a_plan_without_option_quotes_lives_on_the_brokers():
    from qmterm.broker.tastytrade import TastytradeBroker

    sim = await spawn(SimOptions(seed=7, symbols=60, speed=5.0, plan="starter", start="2026-03-02T10:00"))
    chosen = settings(sim.url, sim.ws_url, plan=Plan.STARTER, read_timeout_s=30.0, deadline_s=60.0)
    rest, clock = PolygonRest(chosen, sim.token), ServerClock()
    broker = TastytradeBroker(
        TastytradeSettings(rest_url=sim.url, streamer_url=f"{sim.ws_url}/streamer"), sim.token, sim.token, clock=clock
    )
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(sim.close)
        opened.push_async_callback(broker.close)
        await clock.start(rest, spacing_s=0.05)
        feed = PolygonFeed(chosen, sim.token, clock, CALENDAR, rest=rest)
        opened.push_async_callback(feed.close)
        quotes = _held_quotes(broker, feed, clock, opened)
        await broker.connect()
        today = et_date(clock.now())
        await feed.load_snapshot()
        spot = feed.board.last_price("SPY")
        week = today + timedelta(days=1), today + timedelta(days=7)
        rows = await rest.option_rows("SPY", *week, 0.99 * spot, 1.01 * spot)
        occ = rows.occ[len(rows.occ) // 2]
        assert feed.lacks_option_quotes
        assert feed.board.quote(occ) is None
        quotes.want([occ])
        await until(lambda: feed.board.quote(occ) is not None)
        quote = feed.board.quote(occ)
        assert quote.ask > 0
        assert feed.board.quote_source(occ) == "dxlink"
        assert 0 < quote.time_ns <= quote.arrival_ns <= clock.now()
        await until(lambda: feed.board.quote(occ).time_ns > quote.time_ns)

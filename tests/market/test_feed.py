"""The whole room against servers on loopback: snapshot, streams, watching, lockstep, status, listed options."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import date

import aiohttp
import pytest
from aiohttp import web

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import from_et
from qmterm.core.errors import DataError, DataSilent
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.market.chains.listed import OptionsListed
from qmterm.market.clock import StepClock
from qmterm.market.feed import DELAY_NS, PolygonFeed
from qmterm.market.quality.quotes import doubt
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.latency import FeedLatency
from qmterm.market.stream.lockstep import LockstepDriver, advance_and_read
from qmterm.market.stream.state import StreamState
from qmterm.market.stream.vigil import Tide
from tests.market.fakes import KEY, forever, json_answer, rest_server, settings, status, stream_server, until

CALENDAR = SessionCalendar.load(date(2025, 1, 1), date(2027, 12, 31))
NOW = from_et(date(2026, 3, 2), 10, 0)
TICKER = {"ticker": "AAPL", "lastTrade": {"p": 231.2, "t": NOW}, "prevDay": {"c": 229}}


async def answers(request, number):
    if request.path.endswith("/tickers"):
        return json_answer({"status": "OK", "tickers": [TICKER]})
    if request.path == "/fed/v1/treasury-yields":
        return json_answer({"status": "OK", "results": [{"date": "2026-02-27", "yield_1_month": 4.3}]})
    return json_answer({"status": "NOT_FOUND", "message": "no"}, 404)


async def idle(server, socket, attempt):
    await forever()


class PacedClock:
    """Market time at 60 market seconds a real second, standing until moved."""

    rate = 60.0

    def __init__(self):
        self.ns = NOW

    def now(self):
        return self.ns

    def monotonic(self):
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def running(script=idle, rest=answers, clock=None, **changes):
    """A started feed with both servers; yields (feed, stream server)."""
    async with rest_server(rest) as (url, _), stream_server(script) as (ws_url, server):
        chosen = settings(url, ws_url.removesuffix("/stocks"), **changes)
        feed = PolygonFeed(chosen, KEY, clock or PacedClock(), CALENDAR, lockstep=isinstance(clock, StepClock))
        try:
            await feed.start()
            yield feed, server
        finally:
            await feed.close()


async def test_it_starts_with_the_snapshot_and_minute_bars_of_everything():
    async with running() as (feed, server):
        await feed.settled(3.0)
        assert feed.board.last_price("AAPL") == 231.2
        assert feed.board.session_open_ns == from_et(date(2026, 3, 2), 9, 30)
        assert server.subscribed(1) == ["AM.*", "LULD.*"]
        assert feed.chains.rate_mark(NOW) == ""
        assert feed.status.options_state is None
        assert server.connections == 1


async def test_watching_adds_trades_and_quotes_and_opens_the_options_socket_only_then():
    async with running() as (feed, server):
        await feed.settled(3.0)
        feed.watch(frozenset({"AAPL"}), frozenset({"AAPL  260417C00230000"}))
        await feed.settled(3.0)
        assert server.connections == 2
        wanted = {channel for number in (1, 2) for channel in server.subscribed(number)}
        contract = "O:AAPL260417C00230000"
        assert wanted == {"AM.*", "LULD.*", "T.AAPL", "Q.AAPL", f"T.{contract}", f"Q.{contract}"}
        assert feed.status.options_state == "live"
        feed.watch(frozenset(), frozenset())
        await until(lambda: (1, "unsubscribe", "Q.AAPL,T.AAPL") in server.actions)


async def test_a_watched_stock_gets_its_five_minute_close_from_trades_when_the_minute_bar_does_not_come():
    clock, sockets = PacedClock(), []
    minute, told = 60_000_000_000, []

    async def script(server, socket, attempt):
        sockets.append(socket)
        await forever()

    def trade(second, price, conditions):
        return {
            "ev": "T",
            "sym": "AAPL",
            "p": price,
            "s": 100,
            "t": (NOW // 1_000_000) + second * 1000,
            "c": conditions,
        }

    async with running(script, clock=clock) as (feed, _):
        feed.bars._tell = lambda symbol, text: told.append(text)
        feed.watch(frozenset({"AAPL"}), frozenset())
        await feed.settled(3.0)
        feed.turn()  # its trades are heard from here on
        clock.ns = NOW + 5 * minute + 2_000_000_000
        await sockets[0].send(json.dumps([trade(241, 232.5, []), trade(270, 240.0, [37]), trade(299, 233.0, [14])]))
        await until(lambda: feed.status.events == 3)
        assert feed.board.five_minute_close("AAPL", clock.ns) is None
        feed.turn()
        assert feed.board.five_minute_close("AAPL", clock.ns) == (233.0, NOW + 5 * minute)
        assert (feed.status.bars_own, feed.status.bars_checked, feed.status.bars_differ) == (1, 0, 0)
        start = NOW // 1_000_000 + 240_000
        late = {"ev": "AM", "sym": "AAPL", "o": 232.5, "h": 233.0, "l": 232.5, "c": 232.99, "v": 300}
        await sockets[0].send(json.dumps([late | {"s": start, "e": start + 60_000}]))
        await until(lambda: feed.status.events == 4)
        clock.ns = NOW + 5 * minute + 10_000_000_000
        feed.turn()
        assert feed.board.five_minute_close("AAPL", clock.ns) == (232.99, NOW + 5 * minute)
        assert (feed.status.bars_own, feed.status.bars_checked, feed.status.bars_differ) == (1, 1, 1)
        assert told == ["AAPL: our bars differ from the vendor's, first at 10:04: close 233, theirs 232.99"]


async def test_contracts_that_do_not_fit_take_turns_and_pinned_ones_stay():
    clock = PacedClock()
    later = [f"AAPL  260417C{strike:08d}" for strike in range(1_000, 31_000, 1_000)]
    pinned = "AAPL  260417P00230000"
    async with running(clock=clock, options_quote_limit=10) as (feed, _):
        feed.watch(frozenset({"AAPL"}), frozenset({pinned}), later)
        await feed.settled(3.0)
        seen = set()
        for _ in range(13):
            held = {channel for channel in feed._options.confirmed if channel.startswith("Q.")}
            assert len(held) == 10
            assert f"Q.O:{pinned.replace(' ', '')}" in held
            seen |= held
            clock.ns += 10_000_000_000
            feed.rotate()
            await feed.settled(3.0)
        assert len(seen) == 31
        assert feed.status.contracts_wanted == 31


async def test_a_plan_without_snapshots_starts_with_an_empty_board_and_says_so():
    async def refuse(request, number):
        return json_answer({"status": "NOT_AUTHORIZED", "message": "You are not entitled"}, 403)

    async with running(rest=refuse) as (feed, _):
        await feed.settled(3.0)
        assert "not entitled" in feed.snapshot_refused
        assert len(feed.board.stocks) == 0
        assert feed.chains.rate_mark(NOW) == "fallback 4.00%: no Treasury curve"


async def test_status_tells_age_latency_in_real_ms_and_what_was_refused():
    async def script(server, socket, attempt):
        event = {"ev": "T", "sym": "AAPL", "p": 232, "t": NOW // 1_000_000 - 1_200}
        await socket.send(json.dumps([event, {"ev": "T", "sym": 1}, {"ev": "XX"}]))
        await forever()

    async with running(script) as (feed, server):
        server.refuse = frozenset({"Q.AAPL"})
        feed.watch(frozenset({"AAPL"}), frozenset())
        await feed.settled(3.0)
        await until(lambda: feed.status.events == 1)
        now = feed.status
        assert now.state == "live"
        assert 0 <= now.age_s < 5
        assert now.latency_ms == pytest.approx((20.0, 20.0))  # 1.2 market seconds at 60 times real time
        assert (now.malformed, now.unknown, now.refused) == (1, 1, ("Q.AAPL",))
        assert not now.delayed


async def test_delayed_data_are_never_called_live():
    async def delayed(request, number):
        return json_answer({"status": "DELAYED", "tickers": [TICKER]})

    async with running(rest=delayed) as (feed, _):
        await until(lambda: feed.status.state != "connecting")
        assert feed.status.state == "delayed"
        assert feed.status.delayed


OPTION = {"details": {"ticker": "O:AAPL260417C00230000"}, "last_quote": {"bid": 5, "ask": 5.1, "last_updated": NOW}}


def late_options(stocks="OK"):
    """Stocks in real time (unless told otherwise), options by a delayed plan."""

    async def handler(request, number):
        if request.path.startswith("/v3/snapshot/options/"):
            row = {**OPTION, "last_quote": {**OPTION["last_quote"], "timeframe": "DELAYED"}}
            return json_answer({"status": "OK", "results": [row]})
        if request.path.endswith("/tickers"):
            return json_answer({"status": stocks, "tickers": [TICKER]})
        return await answers(request, number)

    return handler


async def test_delayed_options_leave_the_stocks_live():
    contract = "AAPL  260417C00230000"
    async with running(rest=late_options()) as (feed, _):
        feed.watch(frozenset(), frozenset({contract}))
        await feed.settled(3.0)
        await feed.chains.read("AAPL", NOW, date(2026, 3, 2), date(2026, 5, 1))
        assert (feed.stocks_delayed, feed.options_delayed) == (False, True)
        assert (feed.status.state, feed.status.options_state, feed.status.delayed) == ("live", "delayed", False)
        assert feed.quality.stock("AAPL", NOW) is None
        assert feed.quality.quote(feed.board.quote(contract), NOW) is Reason.DELAYED
        assert feed.quality.around("AAPL").delayed


async def test_what_was_delayed_yesterday_is_asked_afresh_on_a_new_day():
    clock = PacedClock()
    plan = {"stocks": "DELAYED"}

    async def handler(request, number):
        return await late_options(plan["stocks"])(request, number)

    async with running(rest=handler, clock=clock) as (feed, _):
        await feed.chains.read("AAPL", NOW, date(2026, 3, 2), date(2026, 5, 1))
        assert (feed.stocks_delayed, feed.options_delayed) == (True, True)
        plan["stocks"] = "OK"
        await feed.load_snapshot()
        assert (feed.stocks_delayed, feed.options_delayed) == (True, True)  # not within the day
        clock.ns = from_et(date(2026, 3, 3), 4, 0)
        await feed.load_snapshot()
        assert (feed.stocks_delayed, feed.options_delayed) == (False, False)


async def test_the_session_of_delayed_data_begins_a_quarter_of_an_hour_later():
    clock = PacedClock()
    clock.ns = from_et(date(2026, 3, 2), 9, 40)
    async with running(rest=late_options("DELAYED"), clock=clock) as (feed, _):
        assert feed._tide("stocks") is Tide.THIN
        assert feed._tide("options") is Tide.BUSY
        clock.ns += DELAY_NS
        assert feed._tide("stocks") is Tide.BUSY
        clock.ns = from_et(date(2026, 3, 2), 16, 10)
        assert (feed._tide("stocks"), feed._tide("options")) == (Tide.BUSY, Tide.THIN)


async def test_what_the_plan_refused_yesterday_is_asked_again_on_a_new_day():
    clock = PacedClock()
    async with running(clock=clock) as (feed, server):
        server.refuse = frozenset({"Q.AAPL"})
        feed.watch(frozenset({"AAPL"}), frozenset())
        await feed.settled(3.0)
        await until(lambda: feed.status.refused == ("Q.AAPL",))
        server.refuse = frozenset()
        await feed.load_snapshot()
        assert feed.status.refused == ("Q.AAPL",)
        clock.ns = from_et(date(2026, 3, 3), 4, 0)
        await feed.load_snapshot()
        await until(lambda: "Q.AAPL" in feed._stocks.confirmed)
        assert feed.status.refused == ()


async def test_lockstep_reads_every_frame_of_a_step_before_it_goes_on():
    step = 0
    sockets = []

    async def script(server, socket, attempt):
        sockets.append(socket)
        await forever()

    async def handler(request, number):
        nonlocal step
        if request.path != "/sim/advance":
            return await answers(request, number)
        assert request.headers["Authorization"] == "Bearer token"
        step += (await request.json())["steps"]
        event = {"ev": "Q", "sym": "AAPL", "bp": step, "ap": step + 1, "bs": 1, "as": 1, "t": NOW // 1_000_000 + step}
        for socket in sockets:
            await socket.send(json.dumps([event]))
            await socket.send(status("success", f"step {step}"))
        return json_answer({"step": step, "now_ns": NOW + step, "account_sequence": 2 * step, "done": step == 30})

    clock = StepClock(NOW)
    async with running(script, handler, clock) as (feed, _), aiohttp.ClientSession() as http:
        await feed.settled(3.0)
        driver = LockstepDriver(feed.settings.rest_url, "token", http)
        done = False
        while not done:
            info = await advance_and_read(driver, feed, clock.set)
            assert feed.board.quote("AAPL").bid == info.step
            assert clock.now() == info.now_ns == NOW + info.step
            done = info.done
        assert info.account_sequence == 60
        assert feed.status.latency_ms is None


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (lambda: web.Response(status=403, text="wrong token"), DataError, "answers 403: wrong token"),
        (lambda: web.Response(text="<html>"), DataError, "unreadable"),
    ],
)
async def test_a_lockstep_server_that_fails_is_an_error(answer, error, text):
    async def handler(request, number):
        return answer()

    async with rest_server(handler) as (url, _), aiohttp.ClientSession() as http:
        with pytest.raises(error, match=text):
            await LockstepDriver(url, "t", http).advance()


async def test_a_lockstep_server_that_stalls_or_is_gone_is_an_error():
    async def handler(request, number):
        await asyncio.sleep(2)

    async with aiohttp.ClientSession() as http:
        async with rest_server(handler) as (url, _):
            with pytest.raises(DataSilent):
                await LockstepDriver(url, "t", http, timeout_s=0.1).advance()
        with pytest.raises(DataError, match="cannot be reached"):
            await LockstepDriver(url, "t", http).advance()


async def test_after_a_drop_the_snapshot_fills_the_hole():
    snapshots = []

    async def handler(request, number):
        if request.path.endswith("/tickers"):
            snapshots.append({**TICKER, "lastTrade": {"p": 240.0 + len(snapshots), "t": NOW + len(snapshots)}})
            return json_answer({"status": "OK", "tickers": snapshots[-1:]})
        return await answers(request, number)

    async def script(server, socket, attempt):
        if attempt == 1:
            await socket.close(1001)
        await forever()

    async with running(script, handler) as (feed, _):
        await until(lambda: feed.board.last_price("AAPL") == 241.0)
        assert feed.status.drops == 1
        assert len(snapshots) == 2


async def test_every_state_of_a_stream_is_told():
    told = []

    async def script(server, socket, attempt):
        if attempt == 1:
            await socket.close(1000)
        await forever()

    async with rest_server(answers) as (url, _), stream_server(script) as (ws_url, _):
        feed = PolygonFeed(
            settings(url, ws_url.removesuffix("/stocks")),
            KEY,
            PacedClock(),
            CALENDAR,
            on_state=lambda cluster, state, why: told.append((cluster, state, why)),
        )
        await feed.start()
        await until(lambda: [state for _, state, _ in told].count(StreamState.LIVE) == 2)
        await feed.close()
    assert ("stocks", StreamState.BACKOFF, "the server closed the stream (1000 )") in told


async def test_listed_options_are_learned_once_a_day_and_unknown_stays_unknown():
    asked = []

    async def handler(request, number):
        symbol = request.query["underlying_ticker"]
        asked.append(symbol)
        if symbol == "BAD":
            return web.Response(status=404)
        return json_answer({"status": "OK", "results": [{"ticker": "O:X"}] if symbol == "AAPL" else [], "count": 0})

    async with rest_server(handler) as (url, _):
        rest = PolygonRest(settings(url), KEY)
        listed = OptionsListed(rest)
        day = date(2026, 3, 2)
        expected = {"AAPL": True, "TINY": False, "BAD": None}
        assert await listed.check(["AAPL", "TINY", "BAD", "AAPL"], day) == expected
        assert await listed.check(["AAPL", "TINY"], day) == {"AAPL": True, "TINY": False}
        assert sorted(asked) == ["AAPL", "BAD", "TINY"]
        await listed.check(["AAPL"], date(2026, 3, 3))
        assert asked.count("AAPL") == 2
        rest.close()


def test_a_doubtful_quote_has_its_reason():
    good = Quote("SPY", 1.0, 1.1, 1, 1, NOW, NOW)
    assert doubt(good, NOW) is None
    assert doubt(None, NOW) is Reason.NO_QUOTE
    assert doubt(good, NOW + 61 * 10**9) is Reason.STALE_QUOTE
    assert doubt(Quote("SPY", 0.0, 1.1, 1, 1, NOW, NOW), NOW) is Reason.ZERO_BID
    assert doubt(Quote("SPY", 1.2, 1.1, 1, 1, NOW, NOW), NOW) is Reason.CROSSED


def test_latency_is_in_real_milliseconds_and_absent_in_lockstep():
    latency = FeedLatency()
    latency.add(NOW, NOW + 10**9, None)
    assert latency.percentiles() is None
    for number in range(10_000):
        latency.add(NOW, NOW + (number % 100) * 60_000_000, 60.0)
    p50, p99 = latency.percentiles()
    assert (p50, p99) == pytest.approx((49.5, 98.0), abs=1.0)


def test_a_clock_behind_the_exchanges_is_told_once_and_one_that_is_not_never():
    told = []
    latency = FeedLatency(told.append)
    for number in range(2_000):
        latency.add(NOW, NOW + (-900_000_000 if number % 3 else 20_000_000), 1.0)
    latency.add(NOW + 10**15, NOW, 1.0)  # one wrong stamp is no clock
    assert told == []
    for _ in range(5_000):
        latency.add(NOW, NOW - 8_000_000_000, 1.0)
    assert told == ["this machine's clock is 8.0 s behind the exchanges': ages are too small; set it"]


async def test_canaries_are_listened_to_and_where_the_plan_refuses_quotes_through_second_bars():
    async with running(canaries=("SPY", "AAPL")) as (feed, server):
        await feed.settled(3.0)
        assert set(server.subscribed(1)) == {"AM.*", "LULD.*", "T.AAPL", "Q.AAPL"}
    async with rest_server(answers) as (url, _), stream_server(idle) as (ws_url, server):
        server.refuse = frozenset({"T.AAPL", "Q.AAPL"})
        chosen = settings(url, ws_url.removesuffix("/stocks"), canaries=("AAPL",))
        feed = PolygonFeed(chosen, KEY, PacedClock(), CALENDAR)
        await feed.start()
        await until(lambda: "A.AAPL" in server.subscribed(1))
        await feed.close()

"""The unmodified WebSocketClient against the simulator, and the protocol's edges by a bare socket."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from polygon import WebSocketClient
from polygon.websocket.models import EquityAgg, EquityQuote, EquityTrade
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from qmterm.sim.polygon import stream
from qmterm.sim.polygon.plan import PLANS
from qmterm.sim.polygon.subscriptions import Subscriptions


@pytest.fixture(autouse=True)
def _calm(simulator):
    yield
    simulator.call("DELETE", "/sim/faults")
    simulator.call("POST", "/sim/connections", {"allowed": 1})


async def step(simulator, count=1):
    return await asyncio.to_thread(simulator.advance, count)


@asynccontextmanager
async def socket(simulator, cluster="stocks", key=None, channels=None):
    async with connect(f"{simulator.ws_url}/{cluster}", proxy=None, max_size=None) as ws:
        assert json.loads(await ws.recv())[0]["status"] == "connected"  # it speaks first
        await ws.send(json.dumps({"action": "auth", "params": key or simulator.token}))
        assert json.loads(await ws.recv())[0]["status"] == "auth_success"
        if channels:
            await ws.send(json.dumps({"action": "subscribe", "params": channels}))
            await ws.recv()
        yield ws


async def events_until_step(ws) -> list[dict]:
    """Everything up to and without the lockstep marker."""
    out: list[dict] = []
    while True:
        for event in json.loads(await asyncio.wait_for(ws.recv(), 5)):
            if event["ev"] == "status" and event["message"].startswith("step "):
                return out
            out.append(event)


async def test_the_official_client_hears_trades_quotes_and_minutes(simulator):
    await step(simulator, 70)  # past the open
    heard: list[object] = []
    client = WebSocketClient(simulator.token, feed=simulator.host, market="stocks", secure=False)
    client.subscribe("T.SPY", "Q.SPY", "AM.*")

    async def collect(messages):
        heard.extend(messages)

    task = asyncio.create_task(client.connect(collect, proxy=None))
    for _ in range(60):
        await step(simulator)
        await asyncio.sleep(0.02)
        if len({type(message) for message in heard}) == 3:
            break
    await client.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    trades = [message for message in heard if isinstance(message, EquityTrade)]
    quotes = [message for message in heard if isinstance(message, EquityQuote)]
    minutes = [message for message in heard if isinstance(message, EquityAgg)]
    assert {message.symbol for message in trades} == {"SPY"}
    assert all(quote.bid_price < quote.ask_price for quote in quotes)
    assert len({bar.symbol for bar in minutes}) > 40
    assert all(bar.end_timestamp - bar.start_timestamp == 60_000 for bar in minutes)
    assert all(bar.low <= bar.open <= bar.high for bar in minutes)
    assert all(len(str(trade.timestamp)) == 13 for trade in trades)


async def test_minute_bars_equal_those_of_rest(simulator):
    async with socket(simulator, channels="AM.*") as ws:
        await step(simulator, 24)
        bars = [event for event in await events_until_step(ws) if event["ev"] == "AM" and event["sym"] == "NVDA"]
    _, body = await asyncio.to_thread(
        simulator.call, "GET", "/v2/aggs/ticker/NVDA/range/1/minute/2026-03-02/2026-03-02?sort=desc"
    )
    rest = {row["t"]: row for row in body["results"]}
    assert len(bars) == 2
    for bar in bars:
        assert [bar[k] for k in ("o", "h", "l", "c", "v")] == [rest[bar["s"]][k] for k in ("o", "h", "l", "c", "v")]


async def test_only_what_was_asked_for_is_sent(simulator):
    async with socket(simulator, channels="T.AAPL,A.MSFT") as ws:
        await step(simulator, 3)
        heard = {(event["ev"], event["sym"]) for event in await events_until_step(ws)}
        assert heard == {("T", "AAPL"), ("A", "MSFT")}
        await ws.send(json.dumps({"action": "unsubscribe", "params": "T.AAPL"}))
        assert json.loads(await ws.recv())[0]["message"] == "unsubscribed to: T.AAPL"
        await step(simulator)
        assert {event["ev"] for event in await events_until_step(ws)} == {"A"}


async def test_option_quotes_and_trades_agree_with_the_chain(simulator):
    _, body = await asyncio.to_thread(
        simulator.call, "GET", "/v3/snapshot/options/NVDA?limit=250&expiration_date=2026-03-27"
    )
    names = [row["details"]["ticker"] for row in body["results"]]
    channels = ",".join(f"Q.{name},T.{name}" for name in names)
    async with socket(simulator, "options", channels=channels) as ws:
        await step(simulator, 2)
        events = await events_until_step(ws)
        _, body = await asyncio.to_thread(
            simulator.call, "GET", "/v3/snapshot/options/NVDA?limit=250&expiration_date=2026-03-27"
        )
    latest = {event["sym"]: event for event in events if event["ev"] == "Q"}
    assert set(latest) == set(names)
    for row in body["results"]:
        event, quote = latest[row["details"]["ticker"]], row["last_quote"]
        assert (event["bp"], event["ap"], event["bs"]) == (quote["bid"], quote["ask"], quote["bid_size"])
        assert event["t"] == quote["last_updated"] // 1_000_000
    assert any(event["ev"] == "T" for event in events)


async def test_one_status_for_each_channel_and_silence_for_a_repeated_one(simulator):
    async with socket(simulator) as ws:
        await ws.send(json.dumps({"action": "subscribe", "params": "T.AAPL,Q.AAPL,LV.X"}))
        answers = [(row["status"], row["message"]) for row in json.loads(await ws.recv())]
        assert answers == [
            ("success", "subscribed to: T.AAPL"),
            ("success", "subscribed to: Q.AAPL"),
            ("error", "not authorized: LV.X"),
        ]
        await ws.send(json.dumps({"action": "subscribe", "params": "T.AAPL"}))
        await ws.send(json.dumps({"action": "subscribe", "params": "T.MSFT"}))
        assert json.loads(await ws.recv())[0]["message"] == "subscribed to: T.MSFT"


async def test_more_than_1000_option_quotes_are_refused_one_by_one(simulator):
    names = ",".join(f"Q.O:SPY260417C{strike:05d}000" for strike in range(1, 1003))
    async with connect(f"{simulator.ws_url}/options", proxy=None) as ws:
        await ws.recv()
        await ws.send(json.dumps({"action": "auth", "params": simulator.token}))
        await ws.recv()
        await ws.send(json.dumps({"action": "subscribe", "params": names}))
        answers = json.loads(await ws.recv())
    assert [row["status"] for row in answers] == ["success"] * 1000 + ["error"] * 2
    assert "1000" in answers[-1]["message"]


async def test_a_wrong_key_is_refused_and_closed(simulator):
    async with connect(f"{simulator.ws_url}/stocks", proxy=None) as ws:
        await ws.recv()
        await ws.send(json.dumps({"action": "auth", "params": "wrong"}))
        assert json.loads(await ws.recv())[0]["status"] == "auth_failed"
        with pytest.raises(ConnectionClosed):
            await ws.recv()


async def test_a_second_connection_closes_the_older_one(simulator):
    async with socket(simulator) as older, socket(simulator) as newer:
        assert json.loads(await older.recv())[0]["status"] == "max_connections"
        with pytest.raises(ConnectionClosed) as closed:
            await older.recv()
        assert closed.value.rcvd.code == 1008
        await step(simulator)
        assert await events_until_step(newer) == []


async def test_or_the_newcomer_is_the_one_to_go(simulator):
    await asyncio.to_thread(simulator.call, "POST", "/sim/connections", {"allowed": 1, "refuse_newcomer": True})
    async with socket(simulator) as older, socket(simulator) as newer:
        assert json.loads(await newer.recv())[0]["status"] == "max_connections"
        await step(simulator)
        assert await events_until_step(older) == []


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008])
async def test_the_stream_can_be_closed_with_any_code(simulator, code):
    async with socket(simulator, channels="AM.*") as ws:
        await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "close", "code": code, "times": 1})
        await step(simulator)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(ws.recv(), 5)
    seen = closed.value.rcvd.code if closed.value.rcvd else 1006
    assert seen == code


async def test_a_connection_can_drop_during_auth(simulator):
    await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "drop_during_auth", "times": 1})
    async with connect(f"{simulator.ws_url}/stocks", proxy=None) as ws:
        await ws.recv()
        await ws.send(json.dumps({"action": "auth", "params": simulator.token}))
        with pytest.raises(ConnectionClosed):
            await ws.recv()


async def test_bars_can_come_twice_or_late_and_frames_be_huge_or_broken(simulator):
    async with socket(simulator, channels="AM.SPY") as ws:
        await step(simulator, 12)
        first = await events_until_step(ws)
        await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "late_bar", "times": 1})
        await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "duplicate_bar", "times": 1})
        await step(simulator, 12)
        second = await events_until_step(ws)
        fresh, late = second[0]["s"], first[-1]["s"]
        assert [event["s"] for event in second] == [fresh, fresh, late, late]
        assert late < fresh
        await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "big_frame", "times": 1})
        await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "not_json", "times": 1})
        await step(simulator, 12)
        frames = [await ws.recv() for _ in range(3)]
        assert frames[0].startswith("<html>")
        assert len(frames[1]) > 1 << 20


async def test_a_reader_that_lets_frames_pile_up_is_given_up(monkeypatch):
    monkeypatch.setattr(stream, "QUEUED_BYTES", 1000)
    connection = stream.Connection(None, None, Subscriptions("stocks", PLANS["advanced"]))
    for _ in range(10):
        connection.send(b"x" * 100)
    assert not connection.dropped
    connection.send(b"x")
    assert connection.dropped
    assert connection.queue.qsize() == 10


async def test_a_muted_stream_stays_connected_and_silent(simulator):
    async with socket(simulator, channels="T.SPY") as ws:
        await asyncio.to_thread(simulator.call, "POST", "/sim/faults", {"fault": "mute", "times": 2})
        await step(simulator, 2)
        assert await events_until_step(ws) == []
        await step(simulator)
        assert await events_until_step(ws)

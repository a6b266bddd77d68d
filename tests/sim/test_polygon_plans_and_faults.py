"""What lesser plans do not get, and how the data side misbehaves when told to."""

from __future__ import annotations

import json
import time

import pytest
import urllib3
from polygon import RESTClient
from polygon.exceptions import BadResponse
from websockets.asyncio.client import connect

from qmterm.core.errors import BadInput
from qmterm.sim.faults import KINDS, REST, Faults
from tests.sim.conftest import start, stop


@pytest.fixture
def client(simulator):
    yield RESTClient(simulator.token, base=simulator.url, retries=0)
    simulator.call("DELETE", "/sim/faults")


@pytest.fixture(scope="module")
def starter():
    simulator = start("--symbols", "50", "--lockstep", "--plan", "starter")
    yield simulator
    stop(simulator)


def test_starter_is_delayed_and_sees_neither_trades_nor_quotes(starter):
    simulator = starter
    _, body = simulator.call("GET", "/v2/snapshot/locale/us/markets/stocks/tickers")
    assert body["status"] == "DELAYED"
    assert "lastTrade" not in body["tickers"][0]
    assert "lastQuote" not in body["tickers"][0]
    _, chain = simulator.call("GET", "/v3/snapshot/options/SPY?limit=3")
    assert "last_quote" not in chain["results"][0]
    assert chain["results"][0]["underlying_asset"]["timeframe"] == "DELAYED"
    status, refusal = simulator.call("GET", "/v2/last/nbbo/SPY")
    assert (status, refusal["status"]) == (403, "NOT_AUTHORIZED")
    status, refusal = simulator.call("GET", "/benzinga/v1/earnings?ticker=AAPL")
    assert "not entitled" in refusal["message"]


async def test_starter_streams_bars_only_and_says_so_for_each_channel(starter):
    async with connect(f"{starter.ws_url}/stocks", proxy=None) as ws:
        await ws.recv()
        await ws.send(json.dumps({"action": "auth", "params": starter.token}))
        await ws.recv()
        await ws.send(json.dumps({"action": "subscribe", "params": "T.AAPL,AM.*"}))
        answers = {row["message"]: row["status"] for row in json.loads(await ws.recv())}
    assert answers == {"not authorized: T.AAPL": "error", "subscribed to: AM.*": "success"}


def test_basic_gets_five_calls_a_minute(start_simulator):
    simulator = start_simulator("--symbols", "50", "--lockstep", "--plan", "basic")
    answers = [simulator.call("GET", "/v2/aggs/ticker/SPY/prev")[0] for _ in range(6)]
    assert answers == [200] * 5 + [429]
    status, refusal = simulator.call("GET", "/v3/snapshot/options/SPY")
    assert status == 429
    assert "maximum requests per minute" in refusal["error"]


def test_rate_limit_fault_is_a_429_and_then_over(simulator, client):
    simulator.call("POST", "/sim/faults", {"fault": "rate_limit", "times": 1})
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        client.get_market_status()
    assert client.get_market_status().market


def test_truncated_json_comes_back_as_an_empty_list_from_the_official_client(simulator, client):
    simulator.call("POST", "/sim/faults", {"fault": "truncated", "times": 1, "path": "/v2/snapshot"})
    assert client.get_snapshot_all("stocks") == []
    assert len(client.get_snapshot_all("stocks")) == 60


def test_a_gateway_page_and_a_refusal(simulator, client):
    simulator.call("POST", "/sim/faults", {"fault": "html_502", "times": 1})
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        client.get_market_status()
    simulator.call("POST", "/sim/faults", {"fault": "not_authorized", "times": 1})
    with pytest.raises(BadResponse, match="NOT_AUTHORIZED"):
        client.get_market_status()


def test_page_three_fails(simulator, client):
    simulator.call("POST", "/sim/faults", {"fault": "page_fails", "page": 3, "path": "/v3/snapshot/options"})
    rows = client.list_snapshot_options_chain("SPY", params={"limit": 50})
    assert len([next(rows) for _ in range(100)]) == 100
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        next(rows)


def test_latency_and_clock_skew(simulator, client):
    simulator.call("POST", "/sim/faults", {"fault": "latency", "ms": 300, "times": 1})
    begin = time.perf_counter()
    straight = client.get_market_status().server_time
    assert time.perf_counter() - begin >= 0.3
    simulator.call("POST", "/sim/faults", {"fault": "clock_skew", "ms": 60_000, "times": 1})
    assert client.get_market_status().server_time > straight


def test_chance_strikes_alike_for_one_seed():
    def pattern() -> list[bool]:
        faults = Faults(seed=9)
        faults.add({"fault": "html_502", "chance": 0.3})
        return [faults.take(REST, "/v1/x") is not None for _ in range(200)]

    first = pattern()
    assert first == pattern()
    assert 30 < sum(first) < 90


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_fault_can_be_switched_on_and_is_used_up(name):
    faults = Faults(seed=1)
    rule = faults.add({"fault": name, "times": 1})
    assert faults.take(rule.kind.where, "/anything") is rule
    assert faults.rules == []


def test_an_unknown_fault_or_key_is_one_clear_sentence(simulator, client):
    with pytest.raises(BadInput, match="choose one of"):
        Faults(1).add({"fault": "gremlins"})
    with pytest.raises(BadInput, match="unknown key 'second'"):
        Faults(1).add({"fault": "stall", "second": 3})
    status, body = simulator.call("POST", "/sim/faults", {"fault": "gremlins"})
    assert status == 400
    assert "gremlins" in body["error"]


# --- what "delayed" means ---


@pytest.fixture(scope="module")
def twins():
    """The same market on a delayed plan and on a real-time one."""
    words = ("--symbols", "50", "--lockstep", "--step-s", "60", "--start", "2026-03-02T10:00")
    both = start(*words, "--plan", "developer"), start(*words)
    yield both
    for one in both:
        stop(one)


def test_delayed_values_are_a_quarter_of_an_hour_old(twins):
    late, live = twins
    _, then = live.call("GET", "/v2/snapshot/locale/us/markets/stocks/tickers/SPY")
    late.advance(15)
    _, now = late.call("GET", "/v2/snapshot/locale/us/markets/stocks/tickers/SPY")
    assert now["status"] == "DELAYED"
    assert now["ticker"]["lastTrade"] == then["ticker"]["lastTrade"]
    assert now["ticker"]["min"] == then["ticker"]["min"]
    _, status = late.call("GET", "/v1/marketstatus/now")
    assert status["serverTime"].startswith("2026-03-02T10:15")  # the clock is not delayed
    _, bars = late.call("GET", "/v2/aggs/ticker/SPY/range/1/minute/2026-03-02/2026-03-02?sort=desc&limit=1")
    assert bars["results"][0]["t"] == now["ticker"]["min"]["t"]


async def test_a_delayed_stream_sends_the_minute_of_a_quarter_of_an_hour_ago(twins):
    late, _ = twins
    async with connect(f"{late.ws_url}/stocks", proxy=None) as ws:
        await ws.recv()
        await ws.send(json.dumps({"action": "auth", "params": late.token}))
        await ws.recv()
        await ws.send(json.dumps({"action": "subscribe", "params": "AM.SPY"}))
        await ws.recv()
        now = late.advance(1)["now"]
        bar = json.loads(await ws.recv())[0]
    assert bar["e"] == now // 1_000_000 - 15 * 60_000


def test_basic_sees_a_session_once_it_is_over(start_simulator):
    simulator = start_simulator("--symbols", "50", "--lockstep", "--plan", "basic", "--start", "2026-03-02T10:30")
    path = "/v2/aggs/ticker/SPY/range/1/day/2026-02-27/2026-03-02"
    _, bars = simulator.call("GET", path)
    assert bars["resultsCount"] == 1
    status, refusal = simulator.call("GET", "/v2/aggs/grouped/locale/us/market/stocks/2026-03-02")
    assert (status, refusal["status"]) == (403, "NOT_AUTHORIZED")
    assert simulator.call("GET", "/v2/snapshot/locale/us/markets/stocks/tickers")[0] == 403
    status, refusal = simulator.call("GET", "/v2/aggs/ticker/SPY/range/1/day/2019-01-02/2019-01-31")
    assert status == 403
    assert "timeframe" in refusal["message"]

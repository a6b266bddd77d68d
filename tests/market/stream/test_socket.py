"""The supervised socket against a server that drops, refuses, falls silent, or sends too much at once."""

import asyncio
import json
import random

import pytest

from qmterm.core.errors import DataAuthError, DataSilent, SubscriptionLimit
from qmterm.market.board.board import Board
from qmterm.market.board.wire import FrameDecoder
from qmterm.market.stream.socket import MarketStream
from qmterm.market.stream.state import StreamState
from qmterm.market.stream.vigil import Tide
from tests.market.fakes import KEY, forever, settings, status, stream_server, until

NOW = 1_772_463_600_000_000_000


def quote(symbol="AAPL", bid=10.0, at_ms=NOW // 1_000_000):
    return {"ev": "Q", "sym": symbol, "bp": bid, "ap": bid + 0.01, "bs": 1, "as": 2, "t": at_ms}


def open_stream(url, board=None, **options):
    board = board if board is not None else Board(["AAPL"])
    changes = options.pop("changes", {})
    stream = MarketStream(url, KEY, settings(**changes), FrameDecoder(board, "stocks"), lambda: NOW, seed=1, **options)
    stream.want(frozenset({"AM.*", "Q.AAPL"}))
    stream.start()
    return stream, board


async def test_it_logs_in_subscribes_and_writes_the_board():
    async def script(server, socket, attempt):
        await until(lambda: "AM.*" in server.subscribed(attempt))
        await socket.send(json.dumps([quote()]))
        await forever()

    async with stream_server(script) as (url, server):
        stream, board = open_stream(url)
        await until(lambda: board.quote("AAPL") is not None)
        assert board.quote("AAPL").bid == 10.0
        assert stream.state is StreamState.LIVE
        assert server.actions[0] == (1, "auth", KEY)
        await until(lambda: stream.confirmed == {"AM.*", "Q.AAPL"})
        await stream.close()
        assert stream.state is StreamState.CLOSED


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1009, 1011, 1013])
async def test_any_close_is_a_drop_and_everything_is_subscribed_again(code):
    async def script(server, socket, attempt):
        await until(lambda: "AM.*" in server.subscribed(attempt))
        if attempt < 3:
            await socket.close(code, "bye")
        else:
            await forever()

    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url)
        await until(lambda: server.connections == 3 and set(server.subscribed(3)) == {"AM.*", "Q.AAPL"})
        assert stream.counters.drops == 2
        assert str(code) in stream.notes.last_drop
        await stream.close()


async def test_a_connection_cut_without_a_close_is_a_drop():
    async def script(server, socket, attempt):
        if attempt == 1:
            socket.transport.abort()
        await forever()

    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url)
        await until(lambda: server.connections == 2 and set(server.subscribed(2)) == {"AM.*", "Q.AAPL"})
        await stream.close()


async def test_a_drop_during_login_loses_no_subscription():
    async def cut_first(server, socket):
        if server.connections == 1:
            socket.transport.abort()

    async with stream_server(forever, before_login=cut_first) as (url, server):
        stream, _ = open_stream(url)
        await until(lambda: set(server.subscribed(2)) == {"AM.*", "Q.AAPL"})
        assert stream.counters.drops == 1
        await stream.close()


async def test_a_refused_key_stops_for_good_and_says_what_to_do():
    async with stream_server(forever, login="auth_failed") as (url, server):
        stream, _ = open_stream(url)
        with pytest.raises(DataAuthError, match="QMTERM_POLYGON_KEY"):
            await stream.wait_step(1, 3.0)
        await asyncio.sleep(0.2)
        assert server.connections == 1
        assert stream.state is StreamState.REFUSED
        assert KEY not in stream.notes.refusal
        await stream.close()


async def test_max_connections_waits_its_own_time():
    async def script(server, socket, attempt):
        if attempt == 1:
            await socket.send(status("max_connections", "Maximum number of connections exceeded."))
            await socket.close(1008, "max")
        await forever()

    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url)
        await until(lambda: server.connections == 2)
        assert server.times[1] - server.times[0] >= 0.3
        assert "Another program uses this key" in stream.notes.last_drop
        await stream.close()
    assert type(settings()).model_fields["max_connections_wait_s"].default >= 60


async def test_a_mute_connection_is_replaced_only_while_data_are_expected():
    async def script(server, socket, attempt):
        await forever()

    open_now = False
    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url, changes={"mute_after_s": 0.15}, tide=lambda: Tide.BUSY if open_now else Tide.STILL)
        await until(lambda: stream.state is StreamState.LIVE)
        await asyncio.sleep(0.4)
        assert server.connections == 1
        open_now = True
        await until(lambda: server.connections == 2)
        assert stream.counters.mutes == 1
        assert "while the market is open" in stream.notes.last_drop
        await stream.close()


async def test_a_channel_the_plan_lacks_is_remembered_and_the_rest_lives():
    async def script(server, socket, attempt):
        await until(lambda: "Q.AAPL" in server.subscribed(attempt))
        await socket.send(json.dumps([quote()]))
        await forever()

    async with stream_server(script) as (url, server):
        server.refuse = frozenset({"Q.AAPL"})
        stream, board = open_stream(url)
        await stream.wait_settled(3.0)
        await until(lambda: board.quote("AAPL") is not None)
        assert list(stream.notes.refused) == ["Q.AAPL"]
        assert stream.state is StreamState.LIVE
        await stream.close()


async def test_two_megabytes_and_fragments_are_one_frame_each():
    events = [quote(f"S{number % 5000:04d}", 1 + number % 5000) for number in range(20_000)]
    text = json.dumps(events)
    assert len(text) > 1_500_000

    async def script(server, socket, attempt):
        await socket.send(text)
        await socket.send([text[:1000], text[1000:200_000], text[200_000:]])
        await socket.send(text.encode())
        await forever()

    async with stream_server(script) as (url, _):
        stream, board = open_stream(url)
        await until(lambda: stream.counters.events == 60_000)
        assert stream.counters.malformed == 0
        assert len(board.stocks) == 5_001
        assert board.quote("S4999").bid == 5_000
        await stream.close()


async def test_frames_that_are_no_json_are_counted_and_survived():
    async def script(server, socket, attempt):
        await socket.send("<html>502</html>")
        await socket.send(b"\xff\xfe")
        await socket.send(json.dumps([{"ev": "Q", "sym": 7}, {"ev": "NEWS"}, quote()]))
        await forever()

    async with stream_server(script) as (url, server):
        stream, board = open_stream(url)
        await until(lambda: board.quote("AAPL") is not None)
        assert (stream.counters.malformed, stream.counters.unknown) == (3, 1)
        assert server.connections == 1
        await stream.close()


async def test_a_fault_of_our_own_is_said_and_the_stream_starts_again():
    said = []
    failures = iter([RuntimeError("a fault of ours")])

    def on_frame(report):
        for failure in failures if report.quotes else ():
            raise failure

    async def script(server, socket, attempt):
        await until(lambda: "AM.*" in server.subscribed(attempt))
        await socket.send(json.dumps([quote(bid=float(attempt))]))
        await forever()

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context["message"]))
    async with stream_server(script) as (url, server):
        stream, board = open_stream(url, on_frame=on_frame)
        await until(lambda: server.connections == 2 and board.quote("AAPL").bid == 2.0)
        assert stream.state is StreamState.LIVE
        assert stream.counters.drops == 1
        assert len(said) == 1
        await stream.close()


async def test_what_is_wanted_between_a_drop_and_the_reconnect_is_not_lost():
    async def script(server, socket, attempt):
        if attempt == 1:
            await until(lambda: "AM.*" in server.subscribed(1))
            await socket.close(1000)
        await forever()

    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url, changes={"backoff_min_s": 0.3, "backoff_max_s": 0.4})
        await until(lambda: stream.state is StreamState.BACKOFF)
        stream.want(frozenset({"AM.*", "T.MSFT"}))
        await until(lambda: set(server.subscribed(2)) == {"AM.*", "T.MSFT"})
        await stream.close()


async def test_wishes_while_live_are_sent_at_once():
    async def script(server, socket, attempt):
        await forever()

    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url)
        await stream.wait_settled(3.0)
        stream.want(frozenset({"AM.*", "T.MSFT"}))
        await until(lambda: "T.MSFT" in stream.confirmed)
        assert (1, "unsubscribe", "Q.AAPL") in server.actions
        with pytest.raises(SubscriptionLimit):
            stream.want(frozenset(f"Q.O:SPY261218C{number:08d}" for number in range(1_001)))
        await stream.close()


async def test_step_markers_come_after_their_data():
    async def script(server, socket, attempt):
        for step in range(1, 51):
            await socket.send(json.dumps([quote(bid=float(step), at_ms=NOW // 1_000_000 + step)]))
            await socket.send(status("success", f"step {step}"))
        await forever()

    async with stream_server(script) as (url, _):
        stream, board = open_stream(url)
        await stream.wait_step(50, 5.0)
        assert board.quote("AAPL").bid == 50.0
        assert stream.last_step == 50
        with pytest.raises(DataSilent, match="step 51 did not arrive"):
            await stream.wait_step(51, 0.05)
        await stream.close()


async def test_nobody_listening_is_retried_with_growing_waits():
    waits = []
    stream, _ = open_stream(
        "ws://127.0.0.1:9/stocks",
        changes={"backoff_min_s": 0.01, "backoff_max_s": 0.04},
        on_state=lambda state, why: waits.append(why) if state is StreamState.BACKOFF else None,
    )
    await until(lambda: len(waits) >= 4)
    assert all("cannot connect" in why for why in waits)
    await stream.close()


async def test_a_long_backlog_lets_other_tasks_run():
    text = json.dumps([quote(f"S{number:03d}") for number in range(1_000)])

    async def script(server, socket, attempt):
        for _ in range(300):
            await socket.send(text)
        await forever()

    async with stream_server(script) as (url, _):
        stream, _ = open_stream(url)
        loop = asyncio.get_running_loop()
        worst, done = 0.0, False
        while not done:
            before = loop.time()
            await asyncio.sleep(0.001)
            worst = max(worst, loop.time() - before)
            done = stream.counters.events == 300_000
        assert worst < 0.25
        await stream.close()


async def test_a_server_that_drops_at_random_never_ends_the_stream():
    chance = random.Random(5)

    async def script(server, socket, attempt):
        for step in range(20):
            await socket.send(json.dumps([quote(bid=float(attempt), at_ms=NOW // 1_000_000 + attempt * 100 + step)]))
            if chance.random() < 0.3:
                (socket.transport.abort if chance.random() < 0.5 else lambda: None)()
                return
        await forever()

    async with stream_server(script) as (url, server):
        stream, board = open_stream(url)
        await until(lambda: server.connections >= 6, 10.0)
        await until(lambda: board.quote("AAPL").bid >= 6.0)
        assert stream.counters.drops >= 5
        await stream.close()


async def test_canaries_that_fall_silent_are_a_mute_stream_though_the_server_answers_pings():
    async def script(server, socket, attempt):
        await until(lambda: "Q.SPY" in server.subscribed(attempt))
        for step in range(8 if attempt == 1 else 1_000):
            await socket.send(json.dumps([quote("SPY", 500.0 + attempt, NOW // 1_000_000 + step)]))
            await asyncio.sleep(0.02)
        await forever()

    async with stream_server(script) as (url, server):
        stream, board = open_stream(url, changes={"canary_silence_s": 0.3})
        stream.want(frozenset({"AM.*", "T.SPY", "Q.SPY"}))
        stream.listen_for(frozenset({"SPY"}))
        await until(lambda: server.connections == 2)
        assert stream.counters.mutes == 1
        assert stream.notes.last_drop.startswith("nothing of SPY for 0.")
        assert "pings are answered" in stream.notes.last_drop
        assert server.times[1] - server.times[0] < 1.5
        await until(lambda: board.quote("SPY").bid == 502.0)
        await stream.close()


@pytest.mark.parametrize(
    ("word", "said"),
    [("slow_consumer", "too slowly"), ("force_disconnect", "told us to leave"), ("auth_timeout", "login in time")],
)
async def test_a_status_that_ends_the_connection_is_a_drop_and_says_why(word, said):
    async def script(server, socket, attempt):
        if attempt == 1:
            await socket.send(status(word, "the server's own words"))
        await forever()

    async with stream_server(script) as (url, server):
        stream, _ = open_stream(url)
        await until(lambda: server.connections == 2 and set(server.subscribed(2)) == {"AM.*", "Q.AAPL"})
        assert said in stream.notes.last_drop
        assert "the server's own words" in stream.notes.last_drop
        assert stream.counters.slow == (word == "slow_consumer")
        await stream.close()


async def test_a_refused_channel_is_not_asked_for_again_before_the_next_day():
    async def script(server, socket, attempt):
        await until(lambda: "AM.*" in server.subscribed(attempt))
        if attempt == 1:
            await until(lambda: stream.notes.refused)
            await socket.close(1001)
        await forever()

    async with stream_server(script) as (url, server):
        server.refuse = frozenset({"Q.AAPL"})
        stream, _ = open_stream(url)
        await until(lambda: server.connections == 2)
        await stream.wait_settled(3.0)
        assert set(server.subscribed(2)) == {"AM.*"}
        stream.want(frozenset({"AM.*", "T.MSFT"}))
        stream.want(frozenset({"AM.*", "Q.AAPL"}))
        await stream.wait_settled(3.0)
        assert "Q.AAPL" not in server.subscribed(2)
        server.refuse = frozenset()
        stream.forget_refusals()
        await until(lambda: "Q.AAPL" in stream.confirmed)
        assert stream.notes.refused == {}
        await stream.close()


async def test_a_login_that_is_never_answered_does_not_hold_us_up_for_long():
    async def hang(server, socket):
        if server.connections == 1:
            await socket.wait_closed()

    async with stream_server(forever, before_login=hang) as (url, server):
        stream, _ = open_stream(url, changes={"open_timeout_s": 0.1})
        await until(lambda: set(server.subscribed(2)) == {"AM.*", "Q.AAPL"}, 3.0)
        assert "no answer to connect or log in" in stream.notes.last_drop
        await stream.close()


SAID = f"about {KEY} \x1b[2J\x1b]0;x\x07"


@pytest.mark.parametrize("word", ["auth_failed", "max_connections", "slow_consumer", "error", "odd", "closed"])
async def test_no_word_of_the_server_holds_the_key_or_steers_a_terminal(word):
    states = []

    async def script(server, socket, attempt):
        if word == "closed":
            await socket.close(1008, SAID)
        elif word != "auth_failed":
            await socket.send(status(word, f"not authorized: Q.MSFT {SAID}"))
        await forever()

    async def before(server, socket):
        if word == "auth_failed":
            await socket.send(status(word, SAID))

    async with stream_server(script, before_login=before) as (url, _):
        stream, _ = open_stream(url, on_state=lambda state, why: states.append(why))
        notes = stream.notes
        await until(lambda: "***" in f"{notes.last_drop}{notes.refusal}{notes.last_word}{notes.refused}")
        await stream.close()
    words = [notes.last_drop, notes.refusal, notes.last_word, *notes.refused, *notes.refused.values(), *states]
    assert any("***" in said for said in words)
    assert not any(KEY in said for said in words)
    assert all(said.isprintable() for said in words)


async def test_what_is_recorded_holds_no_key():
    kept = []

    async def script(server, socket, attempt):
        await socket.send(status("error", f"unknown action with {KEY}"))
        await socket.send(json.dumps([quote()]))
        await forever()

    async with stream_server(script) as (url, _):
        stream, board = open_stream(url, record=lambda arrival_ns, frame: kept.append((arrival_ns, frame)))
        await until(lambda: board.quote("AAPL") is not None)
        await until(lambda: len(kept) >= 3)
        assert {arrival_ns for arrival_ns, _ in kept} == {NOW}
        assert any(b'"ev": "Q"' in frame for _, frame in kept)
        assert not any(KEY.encode() in frame for _, frame in kept)
        await stream.close()


async def test_login_answers_do_not_make_a_mute_stream_look_fresh():
    async def script(server, socket, attempt):
        await forever()

    async with stream_server(script) as (url, _):
        stream, _ = open_stream(url)
        await stream.wait_settled(3.0)
        assert stream.last_frame_s is None
        await stream.close()

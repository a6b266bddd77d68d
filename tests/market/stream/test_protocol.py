"""The stream's protocol without a socket: login, subscriptions as differences, what the server refuses."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import SubscriptionLimit
from qmterm.market.stream import protocol
from qmterm.market.stream.protocol import StreamProtocol, check_wanted
from tests.market.fakes import status


def ready(key="k", chunk=250):
    talk = StreamProtocol(key, chunk)
    talk.receive(status("connected").encode())
    talk.outgoing()
    talk.receive(status("auth_success").encode())
    return talk


def sent(talk):
    return [(m["action"], m["params"]) for m in map(json.loads, talk.outgoing())]


def test_the_server_speaks_first_and_the_key_is_sent_once():
    talk = StreamProtocol("secret")
    talk.want(frozenset({"AM.*"}))
    assert sent(talk) == []
    talk.receive(status("connected", "Connected Successfully").encode())
    assert sent(talk) == [("auth", "secret")]
    assert sent(talk) == []
    assert talk.receive(status("auth_success").encode()) == [protocol.Authenticated()]
    assert sent(talk) == [("subscribe", "AM.*")]


def test_only_differences_are_sent_and_room_is_made_first():
    talk = ready()
    talk.want(frozenset({"T.A", "T.B"}))
    assert sent(talk) == [("subscribe", "T.A,T.B")]
    assert sent(talk) == []
    talk.want(frozenset({"T.B", "T.C"}))
    assert sent(talk) == [("unsubscribe", "T.A"), ("subscribe", "T.C")]


def test_a_wish_for_second_bars_leaves_minute_bars_alone():
    talk = ready()
    talk.want(frozenset({"AM.*", "A.*"}))
    talk.outgoing()
    talk.want(frozenset({"AM.*"}))
    assert sent(talk) == [("unsubscribe", "A.*")]


@given(st.lists(st.frozensets(st.sampled_from([f"T.S{n}" for n in range(12)])), max_size=8), st.integers(1, 5))
def test_whatever_is_wanted_in_turn_the_server_ends_with_exactly_the_last_wish(wishes, chunk):
    talk = ready(chunk=chunk)
    server = set()
    for wish in wishes:
        talk.want(wish)
        for action, params in sent(talk):
            channels = params.split(",")
            assert len(channels) <= chunk
            (server.update if action == "subscribe" else server.difference_update)(channels)
    assert server == (wishes[-1] if wishes else set())


def test_the_vendors_refusals_are_events():
    talk = ready()
    assert talk.receive(status("error", "not authorized for channel Q.AAPL").encode()) == [
        protocol.ChannelRefused("Q.AAPL", "not authorized for channel Q.AAPL")
    ]
    assert "Q.AAPL" in talk.refused
    unnamed = talk.receive(status("error", "You don't have access real-time data").encode())
    assert unnamed == [protocol.ChannelRefused("", "You don't have access real-time data")]
    assert talk.receive(status("max_connections", "Maximum").encode()) == [protocol.TooManyConnections("Maximum")]
    assert StreamProtocol("k").receive(status("auth_failed", "no").encode()) == [protocol.AuthRefused("no")]
    assert talk.receive(status("slow_consumer", "late").encode()) == [protocol.Noted("slow_consumer", "late")]


def test_refusals_that_are_forgotten_are_asked_for_again_as_far_as_they_are_wanted():
    talk = ready()
    talk.want(frozenset({"Q.A", "Q.B", "T.A"}))
    talk.outgoing()
    for channel in ("Q.A", "Q.B"):
        talk.receive(status("error", f"not authorized: {channel}").encode())
    assert sent(talk) == []
    talk.want(frozenset({"Q.A", "T.A"}))
    talk.forget_refusals()
    assert talk.refused == {}
    assert sent(talk) == [("subscribe", "Q.A")]


@pytest.mark.parametrize("channel", ["T.BACpL", "Q.BRK.B", "A.ACHR.WS", "AM.*", "Q.O:BRKB260417C00230000"])
@pytest.mark.parametrize("end", ["", ".", ", upgrade", ". See the pricing page"])
def test_a_channel_is_read_whole_and_nothing_behind_it(channel, end):
    talk = ready()
    talk.receive(status("error", f"not authorized for channel {channel}{end}").encode())
    assert list(talk.refused) == [channel]
    talk.receive(status("success", f"subscribed to: {channel}").encode())
    assert talk.confirmed == {channel}


def test_confirmations_and_step_markers_are_read_from_the_message():
    talk = ready()
    assert talk.receive(status("success", "subscribed to: Q.O:SPY241220P00720000").encode()) == [
        protocol.Subscribed("Q.O:SPY241220P00720000")
    ]
    assert talk.confirmed == {"Q.O:SPY241220P00720000"}
    assert talk.receive(status("success", "step 17").encode()) == [protocol.StepReached(17)]
    assert talk.receive(status("success", "unsubscribed to: Q.O:SPY241220P00720000").encode()) == [
        protocol.Unsubscribed("Q.O:SPY241220P00720000")
    ]
    assert talk.confirmed == set()


def test_a_thousand_option_quotes_fit_and_one_more_is_a_named_error():
    quotes = [f"Q.O:SPY261218C{number:08d}" for number in range(1_001)]
    check_wanted(quotes[:1_000])
    with pytest.raises(SubscriptionLimit, match="1001 option contracts"):
        check_wanted(quotes)
    check_wanted([channel.replace("Q.", "T.") for channel in quotes])  # only quotes are limited


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(frame):
    ready().receive(frame)

"""The account stream as the unmodified AlertStreamer reads it, and as a raw client sees it."""

import asyncio
import json

import aiohttp
import pytest
from pydantic import ValidationError
from tastytrade import AlertStreamer
from tastytrade.account import AccountBalance, CurrentPosition
from tastytrade.order import OrderStatus, PlacedComplexOrder, PlacedOrder

from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.stream import Listener
from tests.sim.brokerage.fake_world import CALL_230, CALL_240, TOKEN, step
from tests.sim.brokerage.test_brokerage_sdk_orders import BTO, STC, STO, OTOCOOrder, StopOrder, leg, limit


def streamer_for(session, url):
    streamer = AlertStreamer(session)
    streamer.base_url = url.replace("http", "ws") + "/streamer"
    return streamer


async def collect(streamer, kind, until):
    seen = []
    async with asyncio.timeout(5):
        async for event in streamer.listen(kind):
            seen.append(event)
            if until(event):
                return seen


async def test_orders_positions_and_balances_arrive_until_filled(account, session, url, broker):
    async with streamer_for(session, url) as streamer:
        await streamer.subscribe_accounts([account])
        await account.place_order(session, limit("-5.10", leg(CALL_230, BTO), external_identifier="e"), dry_run=False)
        await step(broker)
        orders = await collect(streamer, PlacedOrder, lambda order: order.status is OrderStatus.FILLED)
        assert [order.status.value for order in orders] == ["Received", "Routed", "Live", "Filled"]
        assert {order.external_identifier for order in orders} == {"e"}
        (position,) = await collect(streamer, CurrentPosition, lambda _: True)
        assert (position.symbol, position.quantity) == (CALL_230, 1)
        (balance,) = await collect(streamer, AccountBalance, lambda _: True)
        assert balance.cash_balance == (await account.get_balances(session)).cash_balance


async def test_complex_orders_arrive_as_full_objects(account, session, url, broker):
    bracket = OTOCOOrder(
        trigger_order=limit("-5.10", leg(CALL_230, BTO)),
        take_profit=limit("8.00", leg(CALL_230, STC)),
        stop_loss=StopOrder(legs=[leg(CALL_230, STC)], stop_trigger=3),
    )
    async with streamer_for(session, url) as streamer:
        await streamer.subscribe_accounts([account])
        await account.place_complex_order(session, bracket, dry_run=False)
        await step(broker)
        groups = await collect(streamer, PlacedComplexOrder, lambda g: g.trigger_order.status is OrderStatus.FILLED)
        assert groups[0].trigger_order.status is OrderStatus.CONTINGENT


async def test_a_staggered_fill_reports_one_leg_first(account, session, url, broker):
    broker.life.stagger_fills = True
    async with streamer_for(session, url) as streamer:
        await streamer.subscribe_accounts([account])
        spread = limit("-3.10", leg(CALL_230, BTO), leg(CALL_240, STO))
        await account.place_order(session, spread, dry_run=False)
        await step(broker)
        done = lambda order: order.status is OrderStatus.FILLED  # noqa: E731
        first = (await collect(streamer, PlacedOrder, done))[-1]
        second = (await collect(streamer, PlacedOrder, done))[-1]
    assert [len(part.fills) for part in first.legs] == [1, 0]
    assert [len(part.fills) for part in second.legs] == [1, 1]


@pytest.fixture
async def raw(url, session):
    """A plain WebSocket client and the access token it must send."""
    await session.refresh()
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{url}/streamer") as socket:

        async def ask(action, **fields):
            await socket.send_json({"action": action, "auth-token": f"Bearer {session.session_token}", **fields})
            return await socket.receive_json(timeout=5)

        yield socket, ask


async def connect(ask, account):
    answer = await ask("connect", value=[account.account_number], **{"request-id": 7})
    assert (answer["status"], answer["request-id"]) == ("ok", 7)


async def drain(socket, broker):
    """All events sent so far (a heartbeat's answer marks the end)."""
    events = []
    while True:
        body = await socket.receive_json(timeout=5)
        if body.get("action") == "heartbeat":
            return events
        events.append(body)


async def test_answers_echo_the_request_and_name_what_is_wrong(raw, account, session):
    socket, ask = raw
    early = await ask("heartbeat", **{"request-id": 1})
    assert (early["message"], early["request-id"]) == ("connect-not-completed", 1)
    assert (await ask("connect", value=["5WT99999"], **{"request-id": 2}))["message"] == "failed"
    await connect(ask, account)
    assert (await ask("heartbeat", **{"request-id": 8}))["status"] == "ok"
    assert (await ask("dance", **{"request-id": 9}))["status"] == "error"
    await socket.send_json({"action": "heartbeat", "auth-token": f"Bearer Bearer {session.session_token}"})
    assert (await socket.receive_json(timeout=5))["message"] == "failed"
    await socket.send_str("not json")
    assert (await socket.receive_json(timeout=5))["status"] == "error"


async def test_sequence_numbers_rise_and_nothing_is_replayed(raw, account, session, broker):
    socket, ask = raw
    await account.place_order(session, limit("-4.00", leg(CALL_230, BTO)), dry_run=False)
    before = broker.account_sequence
    await connect(ask, account)
    await step(broker)
    await socket.send_json({"action": "heartbeat", "auth-token": f"Bearer {session.session_token}"})
    events = await drain(socket, broker)
    numbers = [event["ws-sequence"] for event in events]
    assert numbers == list(range(before + 1, broker.account_sequence + 1))
    assert [event["data"]["status"] for event in events if event["type"] == "Order"] == ["Routed", "Live"]


@pytest.mark.parametrize(
    ("fault", "copies"), [("duplicate_frame", 2), ("dropped_frame", 0), ("mute_stream", 0), (None, 1)]
)
async def test_frames_can_be_doubled_dropped_or_withheld(raw, account, session, broker, fault, copies):
    socket, ask = raw
    await connect(ask, account)
    if fault:
        broker.faults.arm({"fault": fault} | ({"type": "CurrentPosition"} if "frame" in fault else {}))
    await account.place_order(session, limit("-5.10", leg(CALL_230, BTO)), dry_run=False)
    await step(broker)
    await socket.send_json({"action": "heartbeat", "auth-token": f"Bearer {session.session_token}"})
    events = await drain(socket, broker)
    assert sum(event["type"] == "CurrentPosition" for event in events) == copies
    assert broker.book.quantity(CALL_230) == 1  # the truth is in REST all the same


async def test_a_poison_event_ends_the_sdk_stream(account, session, url, broker):
    broker.faults.arm({"fault": "poison_event"})

    async def listen():
        async with streamer_for(session, url) as streamer:
            await streamer.subscribe_accounts([account])
            await step(broker)
            await collect(streamer, AccountBalance, lambda _: False)

    with pytest.raises(ExceptionGroup) as caught:
        await listen()
    assert caught.group_contains(ValidationError)


async def test_the_server_can_close_the_stream(raw, account, broker):
    socket, ask = raw
    await connect(ask, account)
    broker.faults.arm({"fault": "stream_close", "code": 1001})
    await step(broker)
    message = await socket.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert message.data == 1001


async def test_a_client_that_does_not_read_is_cut_off(world, monkeypatch):
    from qmterm.sim.brokerage import stream as module

    broker = Brokerage(world, TOKEN)
    monkeypatch.setattr(module, "QUEUE_LIMIT", 3)
    client = module._Client(socket=None)
    client.connected = True
    broker.stream.join(client)
    for number in range(4):
        broker.stream.emit("Order", {"id": number})
    assert client.outbox.get_nowait() is None
    assert client.close_code == 1013


def test_events_are_json_with_market_time(world, broker):
    from qmterm.sim.brokerage import stream as module

    client = module._Client(socket=None)
    client.connected = True
    broker.stream.join(client)
    broker.stream.emit("Order", {"id": 1})
    event = json.loads(client.outbox.get_nowait())
    assert event == {"type": "Order", "data": {"id": 1}, "timestamp": world.now_ns // 1_000_000, "ws-sequence": 1}


class Ears(Listener):
    def __init__(self):
        super().__init__()
        self.connected = True
        self.heard = []

    def put(self, text):
        self.heard.append(json.loads(text)["ws-sequence"])


async def test_a_frame_can_change_places_with_the_next_one(broker):
    ears = Ears()
    broker.stream.join(ears)
    broker.faults.arm({"fault": "swapped_frame"})
    for number in range(3):
        broker.stream.emit("Order", {"id": number})
    assert ears.heard == [2, 1, 3]


async def test_a_frame_can_come_behind_newer_ones(broker):
    ears = Ears()
    broker.stream.join(ears)
    broker.faults.arm({"fault": "late_frame", "seconds": 0.01})
    broker.stream.emit("Order", {"id": 1})
    broker.stream.emit("Order", {"id": 2})
    assert ears.heard == [2]
    async with asyncio.timeout(2):
        while ears.heard != [2, 1]:  # noqa: ASYNC110 - the timer has no event to offer
            await asyncio.sleep(0.005)

"""The held order on the real client: what reaches the broker, when, and with what."""

import asyncio

import httpx2
import pytest

from qmterm.broker import door
from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.core.errors import BrokerError
from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.engine.arming import Permit
from tests.broker.conftest import WorldClock, buy
from tests.broker.test_brackets import STOP, TARGET, TRIGGER
from tests.sim.brokerage.fake_world import TOKEN


async def at_the_door(broker, *intents):
    """Held, and built as far as it goes."""
    there = asyncio.Event()

    async def hook(request):
        if request.method == "POST":
            there.set()

    broker.client_hooks["request"].insert(0, hook)
    held = broker.ready(intents)
    await there.wait()
    broker.client_hooks["request"].remove(hook)
    return held


async def test_a_held_order_is_at_the_broker_once_it_is_let_go_and_no_sooner(broker, wire):
    held = await at_the_door(broker, buy())
    await broker.live_orders()  # other calls pass
    assert wire.count("POST", "/orders") == 0
    (order,) = await held.leave()
    assert (order.external_id, wire.count("POST", "/orders")) == ("qm-1", 1)


async def test_a_held_order_has_its_connection_already_and_stands_before_the_first_byte(broker, wire):
    pool = broker._session.sdk._client._transport._pool
    held = broker.ready((buy(),))
    for _ in range(30):
        await asyncio.sleep(0)
    assert any("ACTIVE" in repr(each) for each in pool.connections)
    assert wire.count("POST", "/orders") == 0
    await held.leave()
    assert wire.count("POST", "/orders") == 1


async def test_a_connection_that_ended_while_the_order_was_held_is_left_for_another_and_it_leaves_once(
    broker, wire, monkeypatch
):
    pool = broker._session.sdk._client._transport._pool
    held = await at_the_door(broker, buy())
    for _ in range(30):
        await asyncio.sleep(0)
    active = [each for each in pool.connections if "ACTIVE" in repr(each)]
    monkeypatch.setattr(door, "LONG_S", -1.0)  # the loop's clock may stand still meanwhile
    stream = active[0]._connection._network_stream._inner
    stream.get_extra_info = {"is_readable": True}.get  # what a closed socket says
    (order,) = await held.leave()
    assert (order.external_id, wire.count("POST", "/orders")) == ("qm-1", 1)
    assert active[0].is_closed()
    await broker.live_orders()
    assert active[0] not in pool.connections


async def test_a_connection_that_still_stands_after_a_long_wait_is_kept(broker, wire, monkeypatch):
    pool = broker._session.sdk._client._transport._pool
    held = await at_the_door(broker, buy())
    monkeypatch.setattr(door, "LONG_S", -1.0)
    before = set(pool.connections)
    await held.leave()
    assert wire.count("POST", "/orders") == 1
    assert set(pool.connections) == before


async def test_an_idle_connection_is_readable_once_the_broker_has_closed_it():
    peers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _reader, writer: peers.put_nowait(writer), "127.0.0.1", 0)
    async with server, httpx2.AsyncClient() as client:
        door.at_connections(client)
        backend = client._transport._pool._network_backend
        stream = await backend.connect_tcp("127.0.0.1", server.sockets[0].getsockname()[1])
        peer = await peers.get()
        assert [stream.get_extra_info("is_readable") for _ in range(2)] == [False, False]
        peer.close()
        await peer.wait_closed()
        assert stream.get_extra_info("is_readable")
        assert stream.get_extra_info("server_addr") == server.sockets[0].getsockname()
        await stream.aclose()


async def test_a_client_with_a_way_around_the_doors_gets_none():
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _request: httpx2.Response(200))) as client:
        assert not door.at_connections(client)
    async with httpx2.AsyncClient(proxy="http://127.0.0.1:1") as client:
        assert door.at_connections(client)


async def test_a_held_bracket_leaves_as_one_call(broker, wire):
    held = await at_the_door(broker, TRIGGER, TARGET, STOP)
    assert wire.count("POST", "/complex-orders") == 0
    answers = await held.leave()
    assert [answer.external_id for answer in answers] == [each.intent_id for each in (TRIGGER, TARGET, STOP)]
    assert wire.count("POST", "/complex-orders") == 1


async def test_a_dropped_order_never_reaches_the_broker_and_the_next_one_does(broker, wire):
    held = await at_the_door(broker, buy())
    await held.drop()
    await broker.place(buy(intent_id="qm-2"))
    assert [body["external-identifier"] for body in wire.bodies("POST", "/orders")] == ["qm-2"]


async def test_a_token_renewed_while_the_order_is_held_is_the_one_it_leaves_with(broker, brokerage, wire):
    held = await at_the_door(broker, buy())
    brokerage.tokens.expire_all()  # the one it was built with is worth nothing
    await broker._session._refresh()
    (order,) = await held.leave()
    assert order.state is OrderState.RECEIVED
    assert wire.count("POST", "/orders") == 1


async def test_the_time_at_the_door_is_not_taken_from_the_brokers_time_to_answer(connect):
    broker = await connect(read_timeout_s=0.1, connect_timeout_s=0.1)
    held = await at_the_door(broker, buy())
    await asyncio.sleep(0.5)  # longer than a call to the broker may take: so long does a disk sometimes
    (order,) = await held.leave()
    assert order.external_id == "qm-1"


async def test_the_wait_for_the_disk_is_not_told_as_a_wait_for_the_broker(broker):
    calls = []
    held = await at_the_door(broker, buy())
    broker.on_call = lambda began, ended: calls.append((began, ended))
    await held.drop()
    assert calls == []
    held = await at_the_door(broker, buy())
    let_go = asyncio.get_running_loop().time()
    await held.leave()
    assert all(began >= let_go for began, _ in calls)
    assert calls


async def test_an_order_that_cannot_be_sent_is_refused_when_it_would_leave(broker, wire):
    held = broker.ready((buy(price="5.10"),))  # a credit for a purchase
    with pytest.raises(BrokerError) as refused:
        await held.leave()
    assert refused.value.code == "bad_order"
    assert wire.count("POST", "/orders") == 0


@pytest.mark.parametrize("intents", [(buy(),), (TRIGGER, TARGET, STOP)])
async def test_arming_is_asked_when_it_leaves_not_when_it_is_built(settings, world, wire, intents):
    permit = Permit()
    live = TastytradeBroker(settings, TOKEN, TOKEN, clock=WorldClock(world), is_test=False, permit=permit)
    await live.connect()
    try:
        permit.rule = lambda _intent: None
        held = await at_the_door(live, *intents)
        permit.rule = lambda _intent: Reason.NOT_ARMED  # it ended while the disk worked
        with pytest.raises(BrokerError) as refused:
            await held.leave()
        assert refused.value.code == Reason.NOT_ARMED.value
        assert not [path for method, path, _ in wire.requests if method == "POST" and "orders" in path]

        held = live.ready(intents)
        permit.rule = lambda _intent: None  # armed only now: what counts is now
        assert len(await held.leave()) == len(intents)
    finally:
        await live.close()

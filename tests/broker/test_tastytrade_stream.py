"""The account stream under supervision: lost, mute, poisoned or restarted, nothing of the account stays unknown."""

import asyncio

import pytest
from aiohttp import web

from qmterm.core.orders import AccountBalance, BrokerOrder, OrderState
from tests.broker.conftest import buy, until


async def order_states(broker):
    return [event.state for event in broker.take_events() if isinstance(event, BrokerOrder)]


async def test_connecting_reads_the_account_back_first(connect, wire):
    first = await connect()
    await first.place(buy())
    second = await connect()
    events = second.take_events()
    assert [event.external_id for event in events if isinstance(event, BrokerOrder)] == ["qm-1"]
    assert any(isinstance(event, AccountBalance) for event in events)
    assert second.stream_up


async def test_events_are_one_ordered_iterator_that_ends_when_the_broker_closes(broker, step):
    await broker.place(buy())
    seen = []

    async def listen():
        async for event in broker.events():
            if isinstance(event, BrokerOrder):
                seen.append(event.state)  # noqa: PERF401 - looked at while it grows

    listening = asyncio.create_task(listen())
    for _ in range(6):
        await step(1)
    await until(lambda: OrderState.FILLED in seen)
    assert seen.index(OrderState.LIVE) < seen.index(OrderState.FILLED)
    await broker.close()
    await asyncio.wait_for(listening, 1)


async def test_a_dropped_stream_comes_back_and_tells_what_happened_meanwhile(broker, brokerage, step, wire):
    await broker.place(buy())
    broker.take_events()
    brokerage.stream.close_all(1001)
    await until(lambda: not broker.stream_up)
    for _ in range(6):
        await step(1)  # fills while nobody listens; the service replays nothing
    await until(lambda: broker.stream_up)
    assert OrderState.FILLED in await order_states(broker)
    assert any("account stream lost" in fault for fault in broker.told)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_every_way_of_closing_is_survived(broker, brokerage, code):
    for round_number in range(2, 4):
        brokerage.stream.close_all(code)
        await until(lambda number=round_number: broker._stream.connects >= number and broker.stream_up)
    assert broker.stream_up


async def test_a_refused_reconnect_backs_off_and_goes_on(broker, brokerage, wire):
    async def refuse(request):
        return web.Response(status=503)

    wire.instead[("GET", "/streamer")] = [refuse] * 3
    brokerage.stream.close_all(1001)
    await until(lambda: not broker.stream_up)
    await until(lambda: broker.stream_up)
    assert wire.count("GET", "/streamer") == 5
    assert sum("account stream lost" in fault for fault in broker.told) == 4


async def test_a_poison_event_costs_a_reading_not_the_stream(broker, brokerage, step, wire):
    await broker.place(buy())
    connects = broker._stream.connects
    readings = wire.count("GET", "/balances/USD")
    brokerage.stream.poison("Order")
    await until(lambda: wire.count("GET", "/balances/USD") > readings)
    for _ in range(6):
        await step(1)
        await broker.wait_sequence(brokerage.account_sequence, 2)
    assert (await order_states(broker))[-1] is OrderState.FILLED
    assert broker._stream.connects == connects
    assert any("unreadable account event (Order)" in fault for fault in broker.told)


async def test_a_gap_in_the_servers_numbers_is_read_back_at_once(broker, brokerage, step):
    await broker.place(buy())
    await until(lambda: broker.queued >= 2)
    broker.take_events()
    brokerage.faults.arm({"fault": "dropped_frame", "type": "Order", "times": 99})
    for _ in range(6):
        await step(1)  # only positions and balances get through
    await until(lambda: OrderState.FILLED in (getattr(event, "state", None) for event in broker._stream.queue._events))
    assert any("account stream skipped" in fault for fault in broker.told)
    assert broker._stream.connects == 1


async def test_the_last_frame_that_got_lost_is_found_by_waiting_for_its_number(broker, brokerage, step):
    await broker.place(buy())
    await broker.wait_sequence(brokerage.account_sequence, 2)
    broker.take_events()
    brokerage.stream.mute(60)
    for _ in range(6):
        await step(1)
    assert await broker.wait_sequence(brokerage.account_sequence, 2)
    assert (await order_states(broker))[-1] is OrderState.FILLED


async def test_a_mute_stream_is_found_by_two_polls_and_restarted(broker, brokerage, step):
    await broker.place(buy())
    await broker.wait_sequence(brokerage.account_sequence, 2)
    brokerage.stream.mute(60)
    for _ in range(6):
        await step(1)
    polled = await broker.live_orders()
    assert polled[0].state is OrderState.FILLED  # the poll alone finds the lost fill
    connects = broker._stream.connects
    await broker.live_orders()
    await until(lambda: broker._stream.connects > connects and broker.stream_up)
    assert OrderState.FILLED in await order_states(broker)
    assert any("kept silent about order" in fault for fault in broker.told)


async def test_a_quiet_stream_that_agrees_with_the_poll_is_left_alone(broker, brokerage, step):
    await broker.place(buy(price="-1.00"))
    for _ in range(3):
        await step(1)
    await broker.wait_sequence(brokerage.account_sequence, 2)
    for _ in range(4):
        await broker.live_orders()
    await asyncio.sleep(0.05)
    assert broker._stream.connects == 1
    assert broker.told == []


async def test_duplicate_frames_are_harmless(broker, brokerage, step):
    brokerage.faults.arm({"fault": "duplicate_frame", "type": "Order", "times": 5})
    await broker.place(buy())
    for _ in range(6):
        await step(1)
        await broker.wait_sequence(brokerage.account_sequence, 2)
    fills = {fill.fill_id for event in broker.take_events() if isinstance(event, BrokerOrder) for fill in event.fills}
    assert len(fills) == 1
    assert broker.told == []


async def test_a_number_that_was_never_issued_is_waited_for_in_vain(broker, brokerage):
    brokerage.stream.close_all(1001)
    await until(lambda: not broker.stream_up)
    brokerage.stream._clients.clear()
    assert await broker.wait_sequence(10**9, 0.001) is False


async def test_an_overfull_queue_is_replaced_by_a_reading(broker, brokerage, step):
    await broker.place(buy())
    broker._stream.queue._capacity = len(broker._stream.queue) + 1
    for _ in range(6):
        await step(1)
    await until(lambda: broker._stream.queue.overruns > 0)
    broker._stream.queue._capacity = 10_000
    broker.take_events()
    await until(lambda: any(isinstance(event, AccountBalance) for event in broker._stream.queue._events))
    await until(lambda: broker.stream_up)
    assert OrderState.FILLED in await order_states(broker)


async def test_a_fault_of_our_own_is_said_and_the_stream_started_again(broker, brokerage, step, monkeypatch):
    def broken(kind, data):
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(broker._stream, "_decode", broken)
        await broker.place(buy())
        await until(lambda: any("supervisor failed" in fault for fault in broker.told))
        assert not broker.stream_up
    await until(lambda: broker.stream_up)
    for _ in range(6):
        await step(1)
        await broker.wait_sequence(brokerage.account_sequence, 2)
    assert OrderState.FILLED in await order_states(broker)


async def test_a_stream_that_fails_at_first_does_not_hold_up_the_start(connect, wire):
    async def gone(request):
        return web.Response(status=503)

    wire.instead["GET", "/streamer"] = [gone]
    broker = await connect(stream_open_timeout_s=30.0)
    assert any("does not come up yet" in text for text in broker.told)
    await until(lambda: broker.stream_up)


async def test_a_login_that_the_stream_refuses_is_renewed_at_once(broker, brokerage, wire):
    logins = wire.count("POST", "/oauth/token")
    brokerage.tokens.expire_all()
    brokerage.stream.close_all(1001)
    await until(lambda: not broker.stream_up)
    await until(lambda: broker.stream_up)
    assert wire.count("POST", "/oauth/token") > logins

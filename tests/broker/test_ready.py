"""An order that is held: nothing leaves before it is let go, nothing after it was dropped."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from qmterm.broker.errors import Exchange, current_exchange, on_request
from qmterm.broker.ready import HeldOrders
from qmterm.core.errors import BrokerError, InvariantBroken


class Sender:
    """The client's hook before a transport that counts."""

    def __init__(self) -> None:
        self.left = 0

    async def __call__(self, door):
        current_exchange.set(Exchange("POST", "/orders", door=lambda _request: door()))
        request = httpx2.Request("POST", "http://broker/accounts/1/orders")
        await on_request(request)
        self.left += 1
        return "answer"


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nothing_leaves_before_it_is_let_go():
    send = Sender()
    held = HeldOrders(send, lambda: None, "o1")
    await turns()
    assert send.left == 0
    assert await held.leave() == "answer"
    assert send.left == 1


async def test_what_is_dropped_never_leaves():
    send = Sender()
    held = HeldOrders(send, lambda: None, "o1")
    await turns()
    await held.drop()
    await turns()
    assert send.left == 0


async def test_what_forbids_it_in_the_moment_it_leaves_keeps_it_here():
    def disarmed() -> None:
        raise BrokerError("not armed", "NOT_ARMED")

    send = Sender()
    held = HeldOrders(send, disarmed, "o1")
    with pytest.raises(BrokerError, match="not armed"):
        await held.leave()
    assert send.left == 0


async def test_an_order_that_found_another_way_out_is_a_broken_invariant():
    async def leaks(_door):
        return "answer"

    held = HeldOrders(leaks, lambda: None, "o1")
    await turns()
    with pytest.raises(InvariantBroken, match="left before its intent"):
        await held.drop()
    held = HeldOrders(leaks, lambda: None, "o2")
    await turns()
    with pytest.raises(InvariantBroken, match="left before its intent"):
        await held.leave()


async def test_another_request_on_the_way_does_not_wait_at_the_door():
    async def shut(_request) -> None:
        raise AssertionError("the token renewal must pass")

    current_exchange.set(Exchange("POST", "/orders", door=shut))
    await on_request(httpx2.Request("POST", "http://broker/oauth/token"))

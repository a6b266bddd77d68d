"""The door at a connection: what is held is whole before it waits, and leaves in one piece."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from qmterm.broker.door import DoorStream
from qmterm.broker.errors import Exchange, current_exchange

HEAD = b"POST /orders HTTP/1.1\r\nHost: broker\r\ncontent-length: 5\r\n\r\n"
ORDER = httpx2.Request("POST", "http://broker/orders", content=b"order")


class Line:
    """What was written to the network, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, buffer, timeout=None):
        self.pieces.append(buffer)

    def get_extra_info(self, _info):
        return None


@pytest.fixture
def at():
    """A held order's exchange in this context; `opened` holds the pieces that had left when the door was asked."""
    line = Line()
    opened: list[list[bytes]] = []

    async def door(_request):
        opened.append(list(line.pieces))

    exchange = Exchange("POST", "/orders", door=door, at_wire=True, held=ORDER)
    token = current_exchange.set(exchange)
    yield line, opened, exchange
    current_exchange.reset(token)


async def test_a_held_request_leaves_in_one_piece_once_it_is_whole_and_the_door_opened(at):
    line, opened, exchange = at
    stream = DoorStream(line)
    await stream.write(HEAD)
    await stream.write(b"ord")
    assert (line.pieces, opened, exchange.sent) == ([], [], False)
    await stream.write(b"er")
    assert (line.pieces, opened, exchange.sent) == ([HEAD + b"order"], [[]], True)
    await stream.write(b"")  # the end of the message, which has no bytes
    assert opened == [[]]


@pytest.mark.parametrize(
    "first",
    [
        b"CONNECT broker:443 HTTP/1.1\r\nHost: broker\r\n\r\n",  # to a proxy, before the order
        b"POST /orders HTTP/1.1\r\nHost: broker\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_tells_no_length_waits_at_the_door_at_once_and_for_nothing_more(at, first):
    line, opened, exchange = at
    async with asyncio.timeout(5):
        await DoorStream(line).write(first)
    assert (line.pieces, opened, exchange.sent) == ([first], [[]], True)


async def test_a_request_without_a_body_is_whole_with_its_head(at):
    line, _, _ = at
    head = HEAD.replace(b"5", b"0")
    await DoorStream(line).write(head)
    assert line.pieces == [head]


async def test_what_is_not_held_passes(at):
    line, opened, exchange = at
    exchange.held = None
    await DoorStream(line).write(HEAD)
    assert (line.pieces, opened) == ([HEAD], [])

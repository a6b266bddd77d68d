"""A held order's own way to an idle connection: the bytes of the pool's way, and no way but the pool's otherwise."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from qmterm.broker import straight
from qmterm.broker.errors import Exchange, current_exchange
from qmterm.broker.straight import StraightTransport

BODY = b'{"order-type":"Limit"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-One: 1\r\n\r\n{}"


class Peer:
    """A server that keeps what it was sent, by connection, and answers each request."""

    def __init__(self):
        self.heard = []
        self.writers = []
        self.answer = ANSWER
        self.came = asyncio.Event()  # a request, since it was last cleared

    async def serve(self, reader, writer):
        self.writers.append(writer)
        own = len(self.heard)
        self.heard.append([])
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            length = int(next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))[16:])
            self.heard[own].append(head + await reader.readexactly(length))
            self.came.set()
            writer.write(self.answer)


@pytest.fixture
async def peer():
    served = Peer()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/accounts/5WT/orders"
    async with server:
        yield served
        for writer in served.writers:
            writer.close()


@pytest.fixture
async def client():
    async with httpx2.AsyncClient(trust_env=False) as made:
        straight.past_the_pool(made)
        assert isinstance(made._transport, StraightTransport)
        yield made


async def held(client, url, body=BODY):
    """A POST that a door would hold, and its answer."""
    request = client.build_request("POST", url, content=body)
    token = current_exchange.set(Exchange("POST", "/orders", held=request))
    try:
        return await client.send(request)
    finally:
        current_exchange.reset(token)


async def sent_without_an_answer(client, peer):
    """A held request on the client's only connection, which the peer has read and will not answer."""
    await client.post(peer.url, content=BODY)
    peer.answer = b""
    peer.came.clear()
    waiting = asyncio.ensure_future(held(client, peer.url))
    await peer.came.wait()
    return waiting


async def test_its_bytes_and_its_answer_are_those_of_the_pools_way(client, peer):
    plain = await client.post(peer.url, content=BODY)
    own = await held(client, peer.url)
    assert peer.heard == [[peer.heard[0][0], peer.heard[0][0]]]  # one connection, the same bytes twice
    assert (own.status_code, own.headers, own.content) == (plain.status_code, plain.headers, plain.content)
    assert own.extensions["http_version"] == plain.extensions["http_version"]


async def test_it_takes_an_idle_connection_without_asking_the_pool(client, peer, monkeypatch):
    await client.post(peer.url, content=BODY)
    pool = client._transport._pool
    monkeypatch.setattr(pool, "handle_async_request", lambda _request: pytest.fail("the pool was asked"))
    for body in (BODY, b"{}", BODY):
        assert (await held(client, peer.url, body)).status_code == 201
    assert [each.is_idle() for each in pool.connections] == [True]


async def test_without_an_idle_connection_the_pool_opens_one(client, peer):
    assert (await held(client, peer.url)).status_code == 201
    answers = await asyncio.gather(held(client, peer.url), held(client, peer.url), client.post(peer.url, content=BODY))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert sum(map(len, peer.heard)) == 4
    assert all(each.is_idle() for each in client._transport._pool.connections)


async def test_a_connection_that_the_pool_has_promised_is_not_taken(client, peer):
    await client.post(peer.url, content=BODY)
    pool = client._transport._pool
    (only,) = pool.connections

    class Promise:
        connection = only

    pool._requests.append(Promise())
    url = client._transport._core_url(httpx2.URL(peer.url))
    assert client._transport._idle(url.origin) is None
    pool._requests.clear()
    assert client._transport._idle(url.origin) is only._connection


async def test_a_connection_that_somebody_takes_in_the_last_moment_sends_it_the_pools_way(client, peer):
    await client.post(peer.url, content=BODY)
    (only,) = client._transport._pool.connections
    inner = only._connection
    async with inner._state_lock:
        waiting = asyncio.ensure_future(held(client, peer.url))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        inner._state = type(inner._state).ACTIVE
    assert (await waiting).status_code == 201
    assert list(map(len, peer.heard)) == [1, 1]


async def test_a_connection_to_elsewhere_is_not_taken(client, peer):
    await client.post(peer.url, content=BODY)
    url = client._transport._core_url(httpx2.URL("http://127.0.0.1:1/orders"))
    assert client._transport._idle(url.origin) is None


async def test_a_connection_that_the_broker_has_closed_is_left_alone(client, peer):
    await client.post(peer.url, content=BODY)
    peer.writers[0].close()
    await peer.writers[0].wait_closed()
    await asyncio.sleep(0)
    assert (await held(client, peer.url)).status_code == 201
    assert list(map(len, peer.heard)) == [1, 1]


async def test_a_connection_that_ends_without_an_answer_is_the_clients_own_error_and_is_not_used_again(client, peer):
    waiting = await sent_without_an_answer(client, peer)
    peer.writers[0].close()
    with pytest.raises(httpx2.RemoteProtocolError):
        await waiting
    assert len(peer.heard[0]) == 2  # sent once
    peer.answer = ANSWER
    assert (await held(client, peer.url)).status_code == 201
    assert list(map(len, peer.heard)) == [2, 1]


async def test_one_that_is_given_up_leaves_no_connection_behind_that_would_give_its_answer_to_the_next(client, peer):
    waiting = await sent_without_an_answer(client, peer)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    peer.answer = ANSWER
    assert (await held(client, peer.url)).status_code == 201
    assert list(map(len, peer.heard)) == [2, 1]


async def test_a_header_that_is_none_is_refused_as_on_the_pools_way(client, peer):
    await client.post(peer.url, content=BODY)
    request = client.build_request("POST", peer.url, content=BODY, headers={"X-Bad": "a\nb"})
    token = current_exchange.set(Exchange("POST", "/orders", held=request))
    with pytest.raises(httpx2.LocalProtocolError):
        await client.send(request)
    current_exchange.reset(token)
    assert list(map(len, peer.heard)) == [1]


async def test_a_client_behind_a_proxy_keeps_its_own_way():
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(proxy="http://127.0.0.1:1")) as behind:
        before = behind._transport
        straight.past_the_pool(behind)
        assert behind._transport is before

"""An order's request made by hand is the one that the vendor's client would make, in every respect."""

from __future__ import annotations

import httpx2
import pytest

from qmterm.broker.kept_session import KeptSession

URL = "/accounts/5WT00001/orders"
BODY = '{"order-type": "Limit", "note": "ü"}'


@pytest.fixture
async def session():
    made = KeptSession("secret", "refresh")
    made._client.base_url = "https://api.cert.tastyworks.com"
    yield made
    await made._client.aclose()


def same(mine: httpx2.Request, theirs: httpx2.Request) -> None:
    assert (mine.method, mine.url, mine.content) == (theirs.method, theirs.url, theirs.content)
    assert sorted(mine.headers.raw) == sorted(theirs.headers.raw)
    assert mine.headers.raw[0] == theirs.headers.raw[0]  # the host stands first
    assert mine.extensions == theirs.extensions


@pytest.mark.parametrize(
    "change",
    [
        lambda client: None,
        lambda client: client.headers.update({"Authorization": "Bearer another"}),
        lambda client: client.cookies.set("__cf_bm", "abc", domain="api.cert.tastyworks.com"),
        lambda client: client.cookies.set("other", "abc", domain="example.com"),
        lambda client: setattr(client, "timeout", httpx2.Timeout(3.0, connect=1.0)),
        lambda client: setattr(client, "base_url", "http://127.0.0.1:4444/deeper"),
    ],
)
async def test_it_is_the_clients_own_request_whatever_changed_on_the_client_since_the_last(session, change):
    client = session._client
    same(session._request(URL, BODY.encode()), client.build_request("POST", URL, content=BODY))
    change(client)
    same(session._request(URL, BODY.encode()), client.build_request("POST", URL, content=BODY))


async def test_only_json_text_goes_that_way(session, monkeypatch):
    seen = []

    def answer(request):
        seen.append((request.method, request.url.path, request.url.query, request.content))
        return httpx2.Response(200, json={"data": {"ok": True}})

    session._client._transport = httpx2.MockTransport(answer)
    session._client._mounts = {}

    async def no_login(force=False):
        return None

    monkeypatch.setattr(session, "refresh", no_login)
    assert await session._post(URL, data=BODY) == {"ok": True}
    assert await session._post(URL, json={"a": 1}) == {"ok": True}
    session._client.params = {"v": "2"}
    assert await session._post(URL, data=BODY) == {"ok": True}
    assert [body for *_, body in seen] == [BODY.encode(), b'{"a":1}', BODY.encode()]
    assert [query for _, _, query, _ in seen] == [b"", b"", b"v=2"]


async def test_an_answer_that_is_an_error_is_the_sdks_own_error(session, monkeypatch):
    from tastytrade.utils import TastytradeError

    async def no_login(force=False):
        return None

    monkeypatch.setattr(session, "refresh", no_login)
    session._client._mounts = {}
    session._client._transport = httpx2.MockTransport(
        lambda request: httpx2.Response(422, json={"error": {"code": "no_room", "message": "no room"}})
    )
    with pytest.raises(TastytradeError, match="no room"):
        await session._post(URL, data=BODY)

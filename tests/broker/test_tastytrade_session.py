"""The login: refused clearly, renewed ahead of time, warm, and never written anywhere."""

import asyncio
import logging
import time

import pytest
from aiohttp import web

from qmterm.broker.session import REFUSED_PAUSE_S, STRANGE_PAUSE_S, quiet_vendor_logs
from qmterm.core.errors import BrokerAuthError, BrokerError, OutcomeUnknown
from qmterm.sim.brokerage.app import Brokerage
from tests.broker.conftest import buy, until
from tests.sim.brokerage.fake_world import TOKEN

TOKENS = ("POST", "/oauth/token")


async def test_a_wrong_secret_is_one_sentence_that_says_what_to_do(connect):
    with pytest.raises(BrokerAuthError, match=r"does not accept the login \(invalid_client\); check QMTERM_TT_SECRET"):
        await connect(secret="not-the-secret-of-anybody")


async def test_a_server_that_is_not_there_is_one_sentence(connect):
    with pytest.raises(BrokerError, match="does not answer the login") as refused:
        await connect(rest_url="http://127.0.0.1:9")
    assert not isinstance(refused.value, BrokerAuthError)


@pytest.mark.parametrize("answer", [web.Response(status=502, text="<html>"), web.Response(status=200, text="[]")])
async def test_a_login_answered_with_rubbish_is_not_called_a_wrong_password(connect, wire, answer):
    wire.instead[TOKENS] = [answer]
    with pytest.raises(BrokerError) as refused:
        await connect()
    assert not isinstance(refused.value, BrokerAuthError)


class TestShortTokens:
    """Tokens that live 63 s, of which the SDK uses three: renewing must happen before that, by itself."""

    @pytest.fixture
    def brokerage(self, world):
        return Brokerage(world, TOKEN, participation=1.0, token_lifetime_s=63.0)

    async def test_the_token_is_renewed_ahead_and_never_on_the_way_of_an_order(self, connect, wire):
        broker = await connect()
        await until(lambda: broker._session.refreshes == 2, 4)
        assert broker._session.token_left_s() > 60
        before = wire.count(*TOKENS)
        await broker.place(buy())
        assert wire.count(*TOKENS) == before


async def test_a_token_the_broker_forgot_is_renewed_and_a_question_asked_again(broker, brokerage, wire):
    brokerage.tokens.expire_all()
    assert await broker.live_orders() == ()
    assert wire.count("GET", "/orders/live") >= 3  # at the start, refused, asked again
    assert wire.count(*TOKENS) == 2


async def test_a_login_that_was_refused_is_not_repeated_by_every_poll(broker, brokerage, wire):
    """Too many refused logins block the address for hours."""
    refused = {"error_code": "invalid_grant", "error_description": "revoked"}
    wire.instead[("POST", "/oauth/token")] = [web.json_response(refused, status=401) for _ in range(50)]
    before = wire.count("POST", "/oauth/token")
    brokerage.tokens.expire_all()
    for _ in range(10):
        with pytest.raises(BrokerAuthError):
            await broker.live_orders()
    broker._session.sdk.session_expiration = 0  # now the SDK itself would log in on each call
    for _ in range(5):
        with pytest.raises(BrokerAuthError, match="next login is tried in"):
            await broker.live_orders()
        with pytest.raises(BrokerAuthError, match="next login is tried in"):
            await broker.place(buy())
    assert wire.count("POST", "/oauth/token") - before <= 2
    assert wire.count("POST", "/orders") == 0


@pytest.mark.parametrize("status", [401, 403, 404, 408])
async def test_a_strange_answer_to_the_login_holds_no_cancel_back(broker, wire, status):
    """A proxy's page in place of the renewal: the token is good to its end, and the login is tried again soon."""
    placed = await broker.place(buy())
    session = broker._session
    wire.instead[TOKENS] = [web.Response(status=status, text="<html>busy</html>")]
    with pytest.raises(BrokerError):
        await session._refresh()
    session.sdk.session_expiration = time.time() + 50  # the SDK would log in now
    await broker.cancel(placed.broker_id)
    assert wire.count("DELETE", f"/orders/{placed.broker_id}") == 1
    assert session._pause_left_s() <= STRANGE_PAUSE_S


async def test_a_login_that_stays_strange_is_tried_more_rarely_and_one_that_is_refused_at_once(broker, wire):
    session, pauses = broker._session, []
    pages = [web.Response(status=403, text="<html>") for _ in range(3)]
    refused = web.json_response({"error_code": "invalid_grant", "error_description": "revoked"}, status=401)
    wire.instead[TOKENS] = [*pages, refused]
    for _ in range(4):
        session._no_login_until = 0.0
        with pytest.raises(BrokerAuthError):
            await session._refresh()
        pauses.append(round(session._pause_left_s()))
    assert pauses == [STRANGE_PAUSE_S, STRANGE_PAUSE_S, REFUSED_PAUSE_S, REFUSED_PAUSE_S]
    session._no_login_until = 0.0
    await session._refresh()
    assert session._strange_logins == 0


async def test_an_order_with_a_forgotten_token_is_a_certain_refusal_and_is_not_sent_again(broker, brokerage, wire):
    brokerage.tokens.expire_all()
    with pytest.raises(BrokerAuthError) as refused:
        await broker.place(buy())
    assert refused.value.code == "invalid_session"
    assert wire.count("POST", "/orders") == 1
    await until(lambda: wire.count(*TOKENS) == 2)  # the next order finds a good one
    await until(lambda: broker._session.refreshes == 2)
    await broker.place(buy(intent_id="qm-2"))


async def test_idle_connections_are_kept_warm_two_at_a_time(connect, wire):
    await connect(warm_every_s=0.1)
    before = wire.count("GET", "/orders/live")
    await until(lambda: wire.count("GET", "/orders/live") >= before + 4)


async def test_secrets_are_in_no_log_and_no_error(connect, brokerage, wire, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("tastytrade").setLevel(logging.DEBUG)
    broker = await connect()
    token = broker._session.sdk.session_token
    errors = []

    async def echo(request):
        text = f"{request.headers['Authorization']} {TOKEN} {await request.text()}"
        return web.Response(status=500, text=text)

    wire.instead[("POST", "/orders")] = [echo, echo]
    wire.instead[("GET", "/orders/live")] = [echo]
    for call in (lambda: broker.place(buy()), broker.live_orders, lambda: broker.cancel("77")):
        with pytest.raises((BrokerError, OutcomeUnknown)) as caught:
            await call()
        errors.append(f"{caught.value!r} {caught.value} {caught.value.__cause__!r}")
        assert caught.value.__suppress_context__
    brokerage.tokens.expire_all()
    brokerage.stream.close_all(1001)
    await until(lambda: any("account stream lost" in fault for fault in broker.told))
    for text in (caplog.text, *errors, *broker.told):
        assert token not in text
        assert TOKEN not in text
    assert len(errors) == 3


def test_vendor_loggers_cannot_be_turned_up_by_the_root_logger():
    logging.getLogger("tastytrade").setLevel(logging.DEBUG)
    quiet_vendor_logs()
    assert not logging.getLogger("tastytrade").isEnabledFor(logging.INFO)
    assert not logging.getLogger("httpx2").isEnabledFor(logging.INFO)


def accounts(*rows):
    return {"data": {"items": [{"account": row, "authority-level": "owner"} for row in rows]}}


A = {"account-number": "5WT00001", "is-closed": False}
B = {"account-number": "5WT00002", "is-closed": False}
CLOSED = {"account-number": "5WT00003", "is-closed": True}
LIST = ("GET", "/customers/me/accounts")


@pytest.mark.parametrize(
    ("rows", "wanted", "sentence"),
    [
        ((A, B), None, r"several accounts \(\.\.0001, \.\.0002\); name one with QMTERM_TT_ACCOUNT"),
        ((CLOSED,), None, "no open account"),
        ((A, CLOSED), "5WT00003", r"account \.\.0003 is closed"),
        ((A, B), "9999", "matches no account"),
        ((), None, "no open account"),
    ],
)
async def test_an_account_is_never_guessed(connect, wire, rows, wanted, sentence):
    wire.instead[LIST] = [web.json_response(accounts(*rows))]
    with pytest.raises(BrokerAuthError, match=sentence):
        await connect(account=wanted)


async def test_the_only_open_account_is_taken_and_a_tail_is_enough_to_name_one(connect, wire):
    wire.instead[LIST] = [web.json_response(accounts(A, CLOSED)), web.json_response(accounts(A, B))]
    assert (await connect()).account == "5WT00001"
    assert (await connect(account="0001")).account == "5WT00001"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ({"options-level": "No Options"}, "not approved for options"),
        ({"is-frozen": True, "options-level": "No Restrictions"}, "is frozen"),
    ],
)
async def test_an_account_that_cannot_trade_options_is_refused(connect, wire, status, sentence):
    wire.instead[("GET", "/trading-status")] = [web.json_response({"data": status})]
    with pytest.raises(BrokerAuthError, match=sentence):
        await connect()


async def test_a_question_without_an_answer_is_given_up_sooner_than_an_order_and_waits_longer_next_time(connect, wire):
    broker = await connect(read_timeout_s=2.0, question_timeout_s=0.1)
    await until(lambda: wire.count("GET", "/orders/live") > 0)  # the start's own question is none of these

    async def silent(_request):
        await asyncio.sleep(1.0)
        return web.Response(status=204)

    wire.instead["GET", "/orders/live"] = [silent] * 2
    loop, waited = asyncio.get_running_loop(), []
    for _ in range(2):
        began = loop.time()
        with pytest.raises(BrokerError):
            await broker.live_orders()
        waited.append(loop.time() - began)
    assert 0.08 < waited[0] < waited[1] < 0.5
    assert await broker.live_orders() == ()
    wire.instead["POST", "/orders"] = [slow_order(0.4)]
    assert (await broker.place(buy())).broker_id


def slow_order(seconds):
    async def answer(request):
        await asyncio.sleep(seconds)
        return await handled(request)

    return answer


async def handled(request):
    """The order as the simulator would take it."""
    body = await request.json()
    order = {
        "id": 7,
        "account-number": "5WT00001",
        "status": "Received",
        "external-identifier": body["external-identifier"],
        "legs": [{**leg, "remaining-quantity": leg["quantity"], "fills": []} for leg in body["legs"]],
    }
    return web.json_response({"data": {"order": order}}, status=201)

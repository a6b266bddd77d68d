"""Faults: each one seen by the unmodified SDK, and what is true afterwards."""

from decimal import Decimal as D

import aiohttp
import httpx2
import pytest
from tastytrade import Account, Session
from tastytrade.order import OrderStatus
from tastytrade.utils import TastytradeError

from qmterm.sim.brokerage.faults import FAULTS, Faults
from qmterm.sim.brokerage.oauth import AccessTokens
from qmterm.sim.brokerage.refusals import MalformedRequest
from tests.sim.brokerage.fake_world import CALL_230, CALL_240, TOKEN, step
from tests.sim.brokerage.test_brokerage_sdk_orders import BTO, STO, leg, limit

BUY = limit("-5.10", leg(CALL_230, BTO), external_identifier="qm-lost")


async def test_a_lost_acknowledgement_is_found_again_by_its_identifier(account, session, broker):
    broker.faults.arm({"fault": "lost_ack"})
    with pytest.raises(httpx2.TransportError):
        await account.place_order(session, BUY, dry_run=False)
    (found,) = [o for o in await account.get_live_orders(session) if o.external_identifier == "qm-lost"]
    assert found.status is OrderStatus.RECEIVED
    await step(broker)
    assert broker.book.quantity(CALL_230) == 1


async def test_a_lost_acknowledgement_may_look_like_a_bad_gateway(account, session, broker):
    broker.faults.arm({"fault": "lost_ack", "how": "502"})
    with pytest.raises(TastytradeError, match="Couldn't parse response"):
        await account.place_order(session, BUY, dry_run=False)
    assert len(broker.desk.orders) == 1


async def test_a_connection_lost_before_acceptance_leaves_nothing(account, session, broker):
    broker.faults.arm({"fault": "timeout_before_accept"})
    with pytest.raises(httpx2.TransportError):
        await account.place_order(session, BUY, dry_run=False)
    assert await account.get_live_orders(session) == []
    assert broker.account_sequence == 0


@pytest.mark.parametrize("code", ["429", "502"])
async def test_gateway_errors_act_before_anything_is_done_and_as_often_as_told(account, session, broker, code):
    broker.faults.arm({"fault": code, "times": 2, "path": "/orders"})
    await account.get_balances(session)
    for _ in range(2):
        with pytest.raises(TastytradeError, match="Couldn't parse response"):
            await account.place_order(session, BUY, dry_run=False)
    assert broker.desk.orders == {}
    await account.place_order(session, BUY, dry_run=False)


async def test_a_stalled_answer_times_out_though_the_order_was_taken(account, session, broker):
    broker.faults.arm({"fault": "stall", "path": "/orders", "seconds": 1})
    session._client.timeout = 0.2
    with pytest.raises(httpx2.TimeoutException):
        await account.place_order(session, BUY, dry_run=False)
    assert len(broker.desk.orders) == 1


async def test_a_late_fill_waits_and_wins_against_the_cancel(account, session, broker):
    broker.faults.arm({"fault": "late_fill", "seconds": 60})
    placed = (await account.place_order(session, BUY, dry_run=False)).order
    await step(broker)
    await step(broker, 30)
    assert (await account.get_order(session, placed.id)).status is OrderStatus.LIVE
    await account.delete_order(session, placed.id)
    await step(broker)
    assert (await account.get_order(session, placed.id)).status is OrderStatus.FILLED


async def test_a_rejection_by_the_exchange_comes_after_routing_with_its_reason(account, session, broker):
    broker.faults.arm({"fault": "reject", "reason": "No such luck"})
    placed = (await account.place_order(session, BUY, dry_run=False)).order
    await step(broker)
    order = await account.get_order(session, placed.id)
    assert (order.status, order.reject_reason) == (OrderStatus.REJECTED, "No such luck")
    assert (await account.get_balances(session)).derivative_buying_power == D(100_000)


async def test_one_leg_of_a_spread_may_fill_alone(account, session, broker):
    broker.faults.arm({"fault": "leg_only_fill", "leg": 1})
    spread = limit("-3.10", leg(CALL_230, BTO, 3), leg(CALL_240, STO, 3))
    placed = (await account.place_order(session, spread, dry_run=False)).order
    await step(broker)
    await step(broker, 3600)
    order = await account.get_order(session, placed.id)
    assert order.status is OrderStatus.LIVE
    assert [part.remaining_quantity for part in order.legs] == [3, 0]
    assert broker.book.holdings() == {CALL_240: -3}
    await account.delete_order(session, placed.id)
    await step(broker)
    assert (await account.get_order(session, placed.id)).status is OrderStatus.CANCELLED


async def test_the_ledger_may_lag_behind_a_fill(account, session, broker):
    broker.faults.arm({"fault": "ledger_lag", "seconds": 10})
    placed = (await account.place_order(session, BUY, dry_run=False)).order
    await step(broker)
    assert (await account.get_order(session, placed.id)).status is OrderStatus.FILLED
    assert await account.get_positions(session) == []
    assert (await account.get_balances(session)).cash_balance == D(100_000)
    await step(broker, 11)
    assert len(await account.get_positions(session)) == 1


async def test_expired_access_tokens_are_an_invalid_session(account, session, broker):
    broker.faults.arm({"fault": "short_token", "seconds": 0.0})
    await session.refresh(force=True)
    session.session_expiration = float("inf")  # a client whose clock thinks the token is good
    with pytest.raises(TastytradeError, match="invalid_session"):
        await account.get_balances(session)
    await session.refresh(force=True)
    await account.get_balances(session)


async def test_a_wrong_secret_is_answered_in_the_oauth_form(url):
    async with Session(TOKEN, "wrong", trust_env=False) as session:
        session._client.base_url = url
        with pytest.raises(TastytradeError, match=r"error_code.*invalid_grant"):
            await Account.get(session)


def test_tokens_live_in_real_seconds():
    clock = [0.0]
    tokens = AccessTokens(TOKEN, 900, lambda: clock[0])
    body = {"grant_type": "refresh_token", "client_secret": TOKEN, "refresh_token": TOKEN}
    status, answer = tokens.grant(body)
    assert (status, answer["expires_in"]) == (200, 900)
    header = f"Bearer {answer['access_token']}"
    clock[0] = 899.0
    assert tokens.valid(header)
    clock[0] = 900.0
    assert not tokens.valid(header)
    assert tokens.grant({"grant_type": "password"})[0] == 400
    assert tokens.grant(body | {"client_secret": "x"})[1]["error_code"] == "invalid_client"
    assert not tokens.valid(None)


async def test_faults_are_set_listed_and_cleared_over_the_wire_by_the_owner_only(url):
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as owner:
        async with owner.post(f"{url}/sim/broker-faults", json={"fault": "lost_ack", "times": 3}) as answer:
            assert (await answer.json())["data"]["active"] == [{"fault": "lost_ack", "left": 3, "how": "drop"}]
        async with owner.post(f"{url}/sim/broker-faults", json={"fault": "earthquake"}) as answer:
            assert answer.status == 400
            assert "earthquake" in await answer.text()
        async with owner.delete(f"{url}/sim/broker-faults") as answer:
            body = (await answer.json())["data"]
            assert body["active"] == []
            assert set(body["known"]) == set(FAULTS)
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{url}/sim/broker-faults") as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"fault": "nothing"},
        {"fault": "lost_ack", "times": 0},
        {"fault": "lost_ack", "times": True},
        {"fault": "lost_ack", "speed": 1},
        {"fault": "late_fill", "seconds": "soon"},
        {"fault": "late_fill", "seconds": -1},
        {"fault": "reject", "reason": 5},
    ],
)
def test_a_wrong_fault_is_refused_in_one_sentence(body):
    with pytest.raises(MalformedRequest) as caught:
        Faults().arm(body)
    assert caught.value.reason


async def test_an_answer_torn_in_its_body_leaves_an_accepted_order(account, session, broker):
    broker.faults.arm({"fault": "lost_ack", "how": "torn"})
    with pytest.raises(httpx2.RemoteProtocolError):
        await account.place_order(session, BUY, dry_run=False)
    assert len(broker.desk.orders) == 1


async def test_an_order_can_be_refused_at_submit_with_a_code(account, session, broker):
    broker.faults.arm({"fault": "refuse", "code": "too_late_today"})
    with pytest.raises(TastytradeError, match="too_late_today"):
        await account.place_order(session, BUY, dry_run=False)
    assert broker.desk.orders == {}


async def test_one_execution_can_take_less_than_the_market_shows(account, session, broker):
    four = limit("-5.10", leg(CALL_230, BTO, 4))
    broker.faults.arm({"fault": "partial_fill", "units": 1})
    await account.place_order(session, four, dry_run=False)
    await step(broker)
    assert broker.book.quantity(CALL_230) == 1
    await step(broker)
    assert broker.book.quantity(CALL_230) == 4


async def test_a_broker_that_is_down_answers_nothing_and_does_nothing(account, session, broker):
    broker.faults.arm({"fault": "down", "seconds": 0.2})
    await step(broker)
    with pytest.raises(httpx2.TransportError):
        await account.place_order(session, BUY, dry_run=False)
    with pytest.raises(httpx2.TransportError):
        await session.refresh(force=True)
    assert broker.desk.orders == {}
    assert broker.outage.now

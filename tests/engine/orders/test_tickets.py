"""An order line from a person: judged like any order, proposed (or sent), or one sentence and nothing sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, OrderKind, OrderState, Purpose, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.engine.commands import ApproveProposal, EditOrder, StageTicket
from qmterm.engine.ladder import Level
from qmterm.engine.orders.proposals import short_id
from qmterm.engine.orders.tickets import Tickets
from tests.engine.fakes import OCC
from tests.engine.house import opened, plan

HIGHER = "NVDA  260417C00180000"
SPREAD = "buy 1 NVDA 17APR26 175C / sell 1 NVDA 17APR26 180C"
WALKING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)


async def stage(house, text, send=False):
    answer = await house.tickets.stage(StageTicket(text, send))
    await house.lanes.idle()
    return answer


def approve(house):
    (waiting,) = house.trader.proposals.waiting
    return house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price)))


async def test_a_typed_limit_is_proposed_in_every_mode_and_sent_once_it_is_approved():
    for mode in Mode:
        async with opened(mode) as house:
            answer = await stage(house, "buy 2 NVDA 17APR26 175C @ 4.15 gtc")
            assert answer.ok, answer.text
            assert house.broker.posts == []
            (waiting,) = house.trader.proposals.waiting
            assert (waiting.strategy, waiting.quantity, str(waiting.net_price)) == ("manual", 2, "-4.15")
            assert waiting.max_loss > 830
            assert approve(house).ok
            await house.lanes.idle()
            (order,) = house.working
            assert order.intent.time_in_force is TimeInForce.GTC
            assert (str(order.intent.net_price), order.intent.worst_price) == ("-4.15", None)
            assert house.guards.of(order.intent.plan_id) is not None


async def test_sent_from_a_shell_it_goes_at_once_in_auto_mode_and_is_proposed_in_confirm_mode():
    async with opened(Mode.AUTO) as house:
        answer = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15", send=True)
        assert answer.text.startswith("sending BUY 1 NVDA 17APR26 175C @ 4.15 db"), answer.text
        assert len(house.broker.posts) == 1
    async with opened(Mode.CONFIRM) as house:
        answer = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15", send=True)
        assert answer.text.startswith("proposed")
        assert house.broker.posts == []


async def test_without_a_price_it_starts_at_the_mid_and_is_judged_at_the_ask():
    async with opened(orders=WALKING) as house:
        house.quote(4.10, 4.30)
        answer = await stage(house, "buy 1 NVDA 17APR26 175C")
        assert "starts at 4.20 db, walks to 4.30 db at worst" in answer.text
        (waiting,) = house.trader.proposals.waiting
        assert str(waiting.net_price) == "-4.30"
        assert waiting.max_loss > 430
        assert approve(house).ok
        await house.lanes.idle()
        intent = house.working[0].intent
        assert (str(intent.net_price), str(intent.worst_price)) == ("-4.20", "-4.30")


@pytest.mark.parametrize(("word", "limit"), [("mid", "-4.15"), ("nat", "-4.20")])
async def test_mid_and_natural_are_taken_from_the_quotes(word, limit):
    async with opened(orders=WALKING) as house:
        assert (await stage(house, f"buy 1 NVDA 17APR26 175C @ {word}")).ok
        (waiting,) = house.trader.proposals.waiting
        assert str(waiting.net_price) == limit
        assert waiting.order.worst_price is None


async def test_a_market_order_has_no_limit_and_is_judged_at_the_ask():
    async with opened() as house:
        assert (await stage(house, "buy 1 NVDA 17APR26 175C @ mkt", send=True)).ok
        (order,) = house.working
        assert (order.intent.kind, order.intent.net_price) == (OrderKind.MARKET, None)
        assert order.intent.max_loss > 420


async def test_a_stop_that_buys_waits_above_the_market_and_is_judged_at_its_trigger():
    async with opened() as house:
        assert (await stage(house, "buy 1 NVDA 17APR26 175C stop 5.00", send=True)).ok
        (order,) = house.working
        assert (order.intent.kind, order.intent.stop_trigger) == (OrderKind.STOP, Decimal("5.00"))
        assert order.intent.max_loss > 500
    async with opened() as house:
        answer = await stage(house, "buy 1 NVDA 17APR26 175C stop 3.00", send=True)
        assert answer.data["code"] == "TRIGGER_INSANE"
        assert house.broker.posts == []


@pytest.mark.parametrize(("price", "claimed"), [("@ 4.10", "91.24"), ("@ mkt", "501.24"), ("stop 4.00", "501.24")])
async def test_a_sale_without_a_limit_is_judged_as_if_it_brought_nothing(price, claimed):
    async with opened() as house:
        house.quote(2.20, 2.30, HIGHER)
        assert (await stage(house, "buy 1 NVDA 17APR26 180C @ 2.30", send=True)).ok
        await house.filled(house.working[0].broker_id, 1, "2.30", symbol=HIGHER)
        answer = await stage(house, f"sell 1 NVDA 17APR26 175C {price}", send=True)
        assert answer.ok, answer.text
        assert house.working[0].intent.max_loss == Decimal(claimed)


async def test_what_is_held_decides_whether_a_leg_closes_and_no_more_than_that_is_closed():
    async with opened() as house:
        await house.hold(2)
        sent = len(house.broker.posts)
        answer = await stage(house, "sell 5 NVDA 17APR26 175C @ 4.30", send=True)
        assert "cut to 2" in answer.text
        assert len(house.broker.posts) == sent + 1
        (order,) = house.working
        assert order.intent.legs[0].action is Action.SELL_TO_CLOSE
        assert (order.intent.quantity, str(order.intent.net_price)) == (2, "4.30")
        assert (order.intent.strategy, order.intent.plan_id) == ("atr_matrix", "P1")
        again = await stage(house, "sell 1 NVDA 17APR26 175C @ 4.30", send=True)
        assert again.data["code"] == "NOTHING_TO_CLOSE"


async def test_a_stop_that_sells_what_is_held_goes_out_as_a_stop():
    async with opened(Mode.CONFIRM) as house:
        await house_holds(house, 2)
        assert (await stage(house, "stc 2 NVDA 17APR26 175C stop 3.00 limit 2.90 gtc")).ok
        assert approve(house).ok
        await house.lanes.idle()
        intent = house.working[0].intent
        assert (intent.kind, str(intent.stop_trigger), str(intent.net_price)) == (OrderKind.STOP_LIMIT, "3.00", "2.90")
        assert intent.time_in_force is TimeInForce.GTC


async def house_holds(house, contracts):
    assert (await stage(house, f"buy {contracts} NVDA 17APR26 175C @ 4.15")).ok
    assert approve(house).ok
    await house.lanes.idle()
    await house.filled(house.working[0].broker_id, contracts)


async def test_a_spread_is_one_order_at_its_net_price_and_claims_what_it_can_lose():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGHER)
        answer = await stage(house, f"{SPREAD} @ 1.95 db", send=True)
        assert answer.ok, answer.text
        (order,) = house.working
        assert [(leg.symbol, leg.action) for leg in order.intent.legs] == [
            (OCC, Action.BUY_TO_OPEN),
            (HIGHER, Action.SELL_TO_OPEN),
        ]
        assert str(order.intent.net_price) == "-1.95"
        assert Decimal(195) < order.intent.max_loss < Decimal(205)
        assert [leg.symbol for leg in house.guards.all[0].legs] == [OCC, HIGHER]  # its stops know the whole of it


async def test_a_credit_spread_claims_its_width_less_the_credit():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGHER)
        answer = await stage(house, "sell 1 NVDA 17APR26 175C / buy 1 NVDA 17APR26 180C @ 1.85 cr")
        assert answer.ok, answer.text
        (waiting,) = house.trader.proposals.waiting
        assert Decimal(315) < waiting.max_loss < Decimal(325)
        assert waiting.buying_power >= Decimal(315)
        assert not any("no stop guards it" in warning for warning in waiting.warnings)
        assert waiting.mid_seen == pytest.approx(1.90)


async def test_a_spread_that_walks_starts_at_its_net_mid():
    async with opened(orders=WALKING) as house:
        house.quote(2.20, 2.30, HIGHER)
        assert (await stage(house, SPREAD, send=True)).ok
        intent = house.working[0].intent
        assert (str(intent.net_price), str(intent.worst_price)) == ("-1.90", "-2.00")


async def test_a_call_sold_against_shares_needs_them():
    async with opened() as house:
        naked = await stage(house, "sell 1 NVDA 17APR26 175C @ 4.15", send=True)
        assert naked.data["code"] == "UNDEFINED_RISK"
        assert "no cover" in naked.text
        assert house.broker.posts == []
        assert (await stage(house, "buy 10 NVDA @ 178.05", send=True)).ok
        await house.filled(house.working[0].broker_id, 10, "178.05")
        assert (await stage(house, "sell 1 NVDA 17APR26 175C @ 4.15", send=True)).data["code"] == "UNDEFINED_RISK"


async def test_a_person_may_hold_several_contracts_of_one_stock():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGHER)
        assert (await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15", send=True)).ok
        assert (await stage(house, "buy 1 NVDA 17APR26 180C @ 2.25", send=True)).ok
        assert len(house.broker.posts) == 2


async def test_a_size_beyond_the_limits_is_cut_and_said():
    async with opened() as house:
        answer = await stage(house, "buy 400 NVDA 17APR26 175C @ 4.15")
        assert "400 wanted, LIMIT_TRADE allows no more" in answer.text
        (waiting,) = house.trader.proposals.waiting
        assert waiting.max_loss <= 2000


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("buy 1 NVDA 17APR26 175C @ 4.17", "OFF_TICK", "the nearest are 4.15 and 4.20"),
        ("buy 1 NVDA 17APR26 175C stop 5.02", "OFF_TICK", "the nearest are 5.00 and 5.05"),
        ("buy 1 NVDA 17APR26 175C @ 5.15", "PRICE_INSANE", "beyond the market"),
        ("buy 0 NVDA 17APR26 175C @ 4.15", "BAD_INPUT", "at least 1"),
        ("buy 1 NVDX 17APR26 175C @ 4.15", "BAD_INPUT", "did you mean NVDA?"),
        ("buy 1 NVDA 20FEB26 175C @ 4.15", "BAD_INPUT", "expired on 2026-02-20"),
        ("buy 1 NVDA 17APR26 999C", "NO_QUOTE", "is it listed?"),
        ("buy 1 NVDA 17APR26 999C @ 1.00", "NO_QUOTE", "NVDA  260417C00999000"),
        ("buy 1 NVDA 17APR26 999C @ mkt", "EMPTY_BOOK", "give a price"),
        ("sell 1 NVDA 17APR26 175C @ 4.15", "UNDEFINED_RISK", "no cover"),
        ("stc 1 NVDA 17APR26 175C @ 4.15", "NOTHING_TO_CLOSE", "no NVDA 17APR26 175C is held"),
        ("garbage", "BAD_INPUT", "no side"),
        ("buy 1 AMD2 17APR26 175C", "BAD_INPUT", "no symbol"),
    ],
)
async def test_bad_input_is_one_sentence_and_nothing_is_staged_or_sent(text, code, says):
    async with opened() as house:
        answer = await stage(house, text, send=True)
        assert not answer.ok
        assert answer.data["code"] == code, answer.text
        assert says in answer.text
        assert house.broker.posts == []
        assert house.working == ()
        assert house.trader.proposals.waiting == ()


async def test_what_is_held_the_other_way_is_not_opened_against():
    async with opened() as house:
        await house.hold(2)
        answer = await stage(house, "sto 1 NVDA 17APR26 175C @ 4.15", send=True)
        assert answer.data["code"] == "ALREADY_HELD"
        assert "stc" in answer.text


async def test_an_answer_names_the_order_and_so_do_its_approval_and_its_edit():
    async with opened() as house:
        asked = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15")
        (waiting,) = house.trader.proposals.waiting
        assert (asked.data["proposal"], asked.data["order"]) == (waiting.proposal_id, None)
        sent = approve(house)
        await house.lanes.idle()
        (order,) = house.working
        assert sent.data["order"] == order.intent.intent_id
        edited = house.edits.edit(EditOrder(sent.data["order"], "4.10"))
        await house.lanes.idle()
        assert edited.data["order"] == house.working[-1].intent.intent_id != order.intent.intent_id


async def test_what_a_machines_proposal_would_open_is_said_to_wait_not_to_be_held():
    async with opened(Mode.CONFIRM) as house:
        assert house.trader.open(plan(), 0.0).approved
        answer = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15")
        assert answer.data["code"] == "ALREADY_HELD"
        assert "NVDA 17APR26 175C would be opened by atr_matrix, as a proposal that waits" in answer.text
        assert "holds" not in answer.text


async def test_under_no_new_a_ticket_may_close_and_not_open():
    async with opened() as house:
        await house.hold(1)
        house.ladder.lower(Level.NO_NEW, Reason.USER, "", 1, by_person=True)
        opening = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15", send=True)
        assert opening.data["code"] == "LADDER_NO_NEW"
        assert (await stage(house, "sell 1 NVDA 17APR26 175C @ 4.10", send=True)).ok


async def test_the_same_ticket_twice_waits_once_and_a_second_at_once_has_an_id_of_its_own():
    async with opened() as house:
        assert (await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15")).ok
        again = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15")
        assert not again.ok
        (waiting,) = house.trader.proposals.waiting
        assert f"waits in pane 5 already as {short_id(waiting.proposal_id)}:" in again.text
        assert (await stage(house, "buy 1 NVDA 17APR26 175C @ 4.10", send=True)).ok
        assert approve(house).ok or house.trader.rejected["DUPLICATE_INTENT"]
        await house.lanes.idle()
        assert len(set(house.broker.posts)) == len(house.broker.posts)


async def test_a_persons_own_order_works_as_long_as_it_says_and_is_cancelled_by_reduce_only():
    async with opened() as house:
        assert (await stage(house, "buy 1 NVDA 17APR26 175C @ 4.10 gtc", send=True)).ok
        (order,) = house.working
        await house.desk.on_order(house.broker.set_state(order.broker_id, OrderState.LIVE))
        house.clock.advance(3600)
        house.quote(4.10, 4.20)
        await house.turn()
        assert house.broker.cancels == []
        house.ladder.lower(Level.REDUCE_ONLY, Reason.USER, "", 1, by_person=True)
        await house.turn()
        assert house.broker.cancels == [order.broker_id]


async def test_a_broken_gate_answer_is_never_sent_for_an_approval_that_came_too_late():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGHER)
        assert (await stage(house, f"{SPREAD} @ 1.95 db")).ok
        house.quote(1.70, 1.80, HIGHER)  # the net mid moved from 1.90 to 2.40
        answer = approve(house)
        assert "moved" in answer.text
        await house.lanes.idle()
        assert house.broker.posts == []
        assert house.trader.proposals.waiting == ()


async def test_a_purpose_is_an_entry_or_an_exit_and_never_both_without_a_gate():
    async with opened() as house:
        await house.hold(1)
        assert (await stage(house, "sell 1 NVDA 17APR26 175C")).ok
        (waiting,) = house.trader.proposals.waiting
        assert (waiting.purpose, waiting.alarm) == (Purpose.EXIT, False)


async def test_what_a_person_typed_shows_no_signal_and_no_invented_zeros():
    async with opened() as house:
        assert (await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15")).ok
        (waiting,) = house.trader.proposals.waiting
        assert waiting.why[0].startswith("option NVDA 17APR26 175C @ 4.15 db")
        assert not any("signal" in line or "0.00" in line for line in waiting.why)


async def test_what_a_strategy_found_shows_its_signal():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(now_ns=house.clock.now()), 0.0)
        (waiting,) = house.trader.proposals.waiting
        assert waiting.why[0].startswith("signal ENTRY_LONG: NVDA 178.00")


async def test_an_old_quote_of_what_nobody_watched_is_asked_for_anew_and_waited_for():
    async with opened() as house:
        house.tickets = Tickets(house.trader, lambda: ("NVDA",), wait_s=60.0)
        house.clock.advance(111)
        staging = asyncio.create_task(stage(house, "buy 1 NVDA 17APR26 175C @ 4.15"))
        await asyncio.sleep(0)
        assert house.tickets.wanted == {OCC}
        house.quote(4.10, 4.20)
        answer = await staging
        assert answer.ok, answer.text
        assert house.tickets.wanted == set()


async def test_an_old_quote_that_stays_old_is_refused_with_what_to_do():
    async with opened() as house:
        house.clock.advance(111)
        answer = await stage(house, "buy 1 NVDA 17APR26 175C @ 4.15")
        assert answer.data["code"] == "STALE_QUOTE"
        assert "try again when it is quoted" in answer.text


async def test_a_close_and_an_order_out_of_hours_wait_for_no_younger_quote():
    async with opened() as house:
        await house.hold(1)
        house.tickets = Tickets(house.trader, lambda: ("NVDA",), wait_s=60.0)
        house.clock.advance(111)
        assert (await asyncio.wait_for(stage(house, "sell 1 NVDA 17APR26 175C @ 4.10"), 5)).ok
        house.open = False
        house.quote(2.20, 2.30, HIGHER)
        house.clock.advance(111)
        assert not (await asyncio.wait_for(stage(house, "buy 1 NVDA 17APR26 180C @ 2.30"), 5)).ok

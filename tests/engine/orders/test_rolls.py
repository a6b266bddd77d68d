"""Rolling: one order closes and opens; it never opens alone, never blocks a stop, and the guard moves with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ApproveProposal, ClosePosition, RollPosition, StageTicket
from qmterm.engine.ladder import Level
from qmterm.engine.orders.exposure import rolls_out_of
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from tests.engine.fakes import OCC, entry
from tests.engine.house import GONE, close_at, opened

MAY = "NVDA  260515C00180000"
SAME = "NVDA  260515C00175000"
HIGHER = "NVDA  260417C00180000"


async def roll(house, text, send=True):
    answer = await house.rolls.roll(RollPosition(text, send))
    await house.lanes.idle()
    return answer


def leg_fills(house, order, prices):
    """Every leg of an order filled whole."""
    report = house.broker.orders[order.broker_id]
    fills = tuple(
        Fill(f"{leg.symbol}-{order.broker_id}", order.broker_id, leg.symbol, leg.action, leg.quantity, Decimal(price),
             house.clock.now())
        for leg, price in zip(order.intent.legs, prices, strict=True)
    )  # fmt: skip
    return replace(report, fills=fills, state=OrderState.FILLED)


async def held(house, contracts=2):
    await house.hold(contracts)
    house.quote(5.00, 5.10, MAY)
    house.quote(6.00, 6.10, SAME)


@pytest.mark.parametrize("name", ["P1", "NVDA", "NVDA 17APR26 175C"])
async def test_a_roll_is_one_order_that_closes_and_opens_at_a_net_price(name):
    async with opened() as house:
        await held(house)
        answer = await roll(house, f"{name} 15MAY26 180C @ 0.95 db")
        assert answer.ok, answer.text
        (order,) = house.working
        assert order.intent.legs == (Leg(OCC, Action.SELL_TO_CLOSE, 2), Leg(MAY, Action.BUY_TO_OPEN, 2))
        assert (str(order.intent.net_price), order.intent.quantity) == ("-0.95", 2)
        assert order.intent.strategy == "atr_matrix"
        assert order.intent.max_loss > 1000  # what it opens, taken by itself


async def test_the_new_position_inherits_strategy_and_levels_and_both_ends_say_so():
    async with opened() as house:
        await held(house)
        assert (await roll(house, "P1 15MAY26 180C @ 0.95 db")).ok
        (order,) = house.working
        await house.desk.on_order(leg_fills(house, order, ("4.10", "5.05")))
        assert house.book.quantity(OCC) == 0
        position = house.book.position(MAY)
        assert (position.quantity, position.strategy, position.plan_id) == (2, "atr_matrix", order.intent.plan_id)
        guard = house.guards.of(order.intent.plan_id)
        assert (guard.state.stop, guard.state.atr, guard.state.sma50) == (170.0, 4.0, 168.0)
        assert (guard.state.quantity, guard.state.entry_premium) == (2, Decimal("5.05"))
        assert str(guard.state.expiry) == "2026-05-15"
        assert house.guards.of("P1").state.quantity == 0
        await house.guards.tidy()
        assert [g.symbol for g in house.guards.all] == [MAY]
        assert any("rolled from NVDA 17APR26 175C (P1)" in line for line in house.trader.trail.lines(position.plan_id))
        assert any("rolled to NVDA 15MAY26 180C" in line for line in house.trader.trail.lines("P1"))


async def test_the_stop_of_the_new_contract_fires_at_the_old_level():
    async with opened() as house:
        await held(house)
        await roll(house, "P1 15MAY26 180C @ 0.95 db")
        (order,) = house.working
        await house.desk.on_order(leg_fills(house, order, ("4.10", "5.05")))
        house.clock.advance(300)
        house.quote(5.00, 5.10, MAY)
        close_at(house, GONE)
        await house.turn()
        (closing,) = house.working
        assert closing.intent.legs == (Leg(MAY, Action.SELL_TO_CLOSE, 2),)
        assert closing.intent.reason is Reason.ATR_STOP


async def test_a_stop_that_hits_while_a_roll_works_cancels_the_roll_and_then_closes():
    async with opened() as house:
        await held(house)
        await roll(house, "P1 15MAY26 180C @ 0.90 db")
        (order,) = house.working
        await house.desk.on_order(house.broker.set_state(order.broker_id, OrderState.LIVE))
        close_at(house, GONE)
        await house.turn()
        assert house.broker.cancels == [order.broker_id]
        await house.ended(order.broker_id)
        house.clock.advance(1)
        house.quote(4.10, 4.20)
        await house.turn()
        (closing,) = house.working
        assert closing.intent.legs == (Leg(OCC, Action.SELL_TO_CLOSE, 2),)


def test_only_an_order_that_closes_what_is_stopped_and_opens_something_is_a_roll_out_of_it():
    ledger = Ledger()
    for name, *legs in (
        ("roll", Leg(OCC, Action.SELL_TO_CLOSE, 1), Leg(MAY, Action.BUY_TO_OPEN, 1)),
        ("close", Leg(OCC, Action.SELL_TO_CLOSE, 1)),
        ("more", Leg(OCC, Action.BUY_TO_OPEN, 1)),
        ("other roll", Leg(HIGHER, Action.SELL_TO_CLOSE, 1), Leg(MAY, Action.BUY_TO_OPEN, 1)),
    ):
        ledger.add(OrderRecord(replace(entry(name), legs=tuple(legs)), OrderState.LIVE))
    assert [record.intent.intent_id for record in rolls_out_of(ledger, {OCC})] == ["roll"]
    assert rolls_out_of(ledger, set()) == ()


async def test_in_confirm_mode_and_by_a_key_a_roll_is_proposed_and_judged_again_when_approved():
    async with opened() as house:
        await held(house)
        assert (await roll(house, "P1 15MAY26 180C @ 0.95 db", send=False)).text.startswith("proposed SELL 2")
        (waiting,) = house.trader.proposals.waiting
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
        await house.lanes.idle()
        assert [leg.action for leg in house.working[0].intent.legs] == [Action.SELL_TO_CLOSE, Action.BUY_TO_OPEN]


async def test_a_roll_whose_close_is_gone_at_the_approval_opens_nothing():
    async with opened() as house:
        await held(house)
        await roll(house, "P1 15MAY26 180C @ 0.95 db", send=False)
        (waiting,) = house.trader.proposals.waiting
        assert house.approvals.close(ClosePosition("P1", send=True)).ok
        await house.lanes.idle()
        posts = list(house.broker.posts)
        answer = house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price)))
        await house.lanes.idle()
        assert not answer.ok
        assert "NOTHING_TO_CLOSE" in answer.text
        assert house.broker.posts == posts


@pytest.mark.parametrize("level", [Level.NO_NEW, Level.REDUCE_ONLY, Level.HALT])
async def test_a_roll_opens_something_so_it_needs_the_ladder_at_normal(level):
    async with opened() as house:
        await held(house)
        house.ladder.lower(level, Reason.USER, "", 1, by_person=True)
        posts = list(house.broker.posts)
        answer = await roll(house, "P1 15MAY26 180C @ 0.95 db")
        assert answer.data["code"].startswith("LADDER")
        assert house.broker.posts == posts


async def test_what_a_roll_opens_is_sized_by_the_limits_alone():
    async with opened() as house:
        await house.hold(4)
        house.quote(9.00, 9.10, MAY)
        answer = await roll(house, "P1 15MAY26 180C @ 5.00 db")
        assert "allows no more" in answer.text
        assert house.working[0].intent.quantity == 2  # 2 % of 100,000 carries two of 910


async def test_a_short_spread_rolls_with_all_its_legs_at_once():
    async with opened(Mode.AUTO) as house:
        house.quote(2.20, 2.30, HIGHER)
        answer = await house.tickets.stage(
            StageTicket("sell 1 NVDA 17APR26 175C / buy 1 NVDA 17APR26 180C @ 1.85 cr", True)
        )
        assert answer.ok, answer.text
        await house.lanes.idle()
        (order,) = house.working
        plan_id = order.intent.plan_id
        await house.desk.on_order(leg_fills(house, order, ("4.10", "2.25")))
        house.clock.advance(60)
        for symbol, bid in ((OCC, 4.10), (HIGHER, 2.20), (SAME, 6.00), (MAY, 3.90)):
            house.quote(bid, bid + 0.10, symbol)
        answer = await roll(house, f"{plan_id} 15MAY26 @ 0.10 cr")
        assert answer.ok, answer.text
        (order,) = house.working
        assert {(leg.symbol, leg.action) for leg in order.intent.legs} == {
            (OCC, Action.BUY_TO_CLOSE), (HIGHER, Action.SELL_TO_CLOSE),
            (SAME, Action.SELL_TO_OPEN), (MAY, Action.BUY_TO_OPEN),
        }  # fmt: skip


async def test_a_roll_typed_as_an_order_line_is_judged_as_one():
    async with opened() as house:
        await held(house)
        answer = await house.tickets.stage(
            StageTicket("sell 2 NVDA 17APR26 175C / buy 2 NVDA 15MAY26 180C @ 0.95 db", True)
        )
        assert answer.ok, answer.text
        await house.lanes.idle()
        (order,) = house.working
        assert [leg.action for leg in order.intent.legs] == [Action.SELL_TO_CLOSE, Action.BUY_TO_OPEN]


def owned(house, symbol, quantity, strategy):
    row = BrokerPosition(symbol, quantity, Decimal(2), 100)
    house.book.adopt(row, strategy, f"of-{strategy}", house.clock.now())
    house.quote(4.10, 4.20, symbol)


async def test_a_roll_is_judged_as_the_trade_it_closes_though_another_holds_what_it_opens():
    """What it sells covers a sold call of the same strategy: taken for somebody else's, it bared that."""
    covered, cover = OCC, HIGHER
    async with opened() as house:
        owned(house, covered, -1, "one")
        owned(house, cover, 1, "one")
        owned(house, SAME, 1, "manual")
        answer = await house.tickets.stage(
            StageTicket("sell 1 NVDA 17APR26 180C / buy 1 NVDA 15MAY26 175C @ 0.10 db", True)
        )
        assert not answer.ok
        assert answer.data["code"] == "UNDEFINED_RISK"
        assert house.broker.posts == []


async def test_a_roll_in_one_root_of_an_index_is_no_second_position_though_the_other_root_is_held_too():
    async with opened() as house:
        house.tickets._known = lambda: None
        weekly, monthly = "SPXW  260417C00175000", "SPX   260417C00175000"
        owned(house, weekly, 1, "one")
        owned(house, monthly, 1, "one")
        house.quote(6.00, 6.10, "SPXW  260515C00175000")
        answer = await roll(house, f"{weekly} 15MAY26 @ 2.00 db")
        assert answer.ok, answer.text


async def test_an_order_that_closes_legs_of_two_strategies_and_opens_something_is_refused():
    async with opened() as house:
        owned(house, OCC, 1, "one")
        owned(house, HIGHER, 1, "two")
        text = "sell 1 NVDA 17APR26 175C / sell 1 NVDA 17APR26 180C / buy 1 NVDA 15MAY26 175C @ 4.00 cr"
        house.quote(4.10, 4.20, SAME)
        answer = await house.tickets.stage(StageTicket(text, True))
        assert not answer.ok
        assert "it closes legs of one and two: one order for each" in answer.text
        assert house.broker.posts == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("AMD 15MAY26 180C", "no position 'AMD 15MAY26 180C'"),
        ("", "no position"),
        ("P1 nonsense", "no expiry"),
        ("P1 15MAY25 180C", "expired"),
        ("P1 17APR26 175C", "rolled into itself"),
        ("P1 15MAY26 180C @ 0.95", "db (you pay it) or cr (you get it)"),
        ("P1 15MAY26 180C @ 9.00 db", "PRICE_INSANE"),
        ("P1 15MAY26 999C", "no two-sided quote"),
        ("P1", "no later expiry"),
    ],
)
async def test_a_roll_that_makes_no_sense_is_one_sentence_and_nothing_is_sent(text, says):
    async with opened() as house:
        await held(house)
        posts = list(house.broker.posts)
        answer = await roll(house, text)
        assert not answer.ok
        assert says in answer.text
        assert house.broker.posts == posts
        assert house.trader.proposals.waiting == ()


async def test_rolling_what_covers_a_short_call_away_is_refused():
    """The nearer call is sold against the later one; rolled to a nearer expiry that one would cover nothing."""
    async with opened() as house:
        house.quote(6.00, 6.10, SAME)
        house.quote(2.20, 2.30, HIGHER)
        assert (await house.tickets.stage(StageTicket("buy 1 NVDA 15MAY26 175C @ 6.05", True))).ok
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 1, "6.05")
        assert (await house.tickets.stage(StageTicket("sell 1 NVDA 17APR26 180C @ 2.25", True))).ok
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 1, "2.25")
        house.quote(1.00, 1.10, "NVDA  260320C00190000")
        posts = list(house.broker.posts)
        answer = await roll(house, "NVDA 15MAY26 175C 20MAR26 190C @ 4.50 cr")
        assert answer.data["code"] == "UNDEFINED_RISK", answer.text
        assert house.broker.posts == posts

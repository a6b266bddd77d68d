"""Exits that rest at the broker, in use: out with the entry, out of the way of a close, and back where they miss."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError
from qmterm.core.orders import BracketRole, BrokerPosition, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode, OrderSettings
from qmterm.engine.commands import ApproveProposal, CancelOrder, ClosePosition, EditOrder, Flatten, Kill, StageTicket
from qmterm.engine.orders.recovery import from_journal
from qmterm.journal.state import StoredOrder
from qmterm.risk.gate import Gate
from tests.engine.fakes import OCC
from tests.engine.house import GONE, House, close_at, opened, plan

RESTING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True, resting_exits=True)
IV = {"iv": 0.4}


@pytest.fixture
async def house():
    async with opened(orders=RESTING) as made:
        yield made


def role(house, wanted):
    return next(r for r in house.desk.ledger.records[::-1] if r.intent.role is wanted)


async def enter(house: House, contracts: int = 4, filled: int | None = None, numbers=IV):
    verdict = house.trader.open(
        replace(plan(now_ns=house.clock.now()), numbers=numbers), house.clock.monotonic(), wanted=contracts
    )
    assert verdict.contracts == contracts, verdict
    await house.lanes.idle()
    trigger = role(house, BracketRole.TRIGGER)
    await house.filled(trigger.broker_id, contracts if filled is None else filled)
    if filled is None:
        await release(house)
    house.clock.advance(300)
    fresh(house)
    return trigger


async def release(house):
    for record in house.working:
        if record.state is OrderState.CONTINGENT:
            await house.ended(record.broker_id, OrderState.LIVE)


def fresh(house, bid=4.10, ask=4.20):
    house.quote(bid, ask)
    house.quotes.set("NVDA", 177.95, 178.05, house.clock.now())


async def later(house, seconds=31.0, bid=4.10, ask=4.20):
    house.clock.advance(seconds)
    fresh(house, bid, ask)
    await house.turn()


async def gone(house):
    """The broker carries the cancels out."""
    for record in house.working:
        if house.broker.orders[record.broker_id].state is OrderState.CANCEL_REQUESTED:
            await house.ended(record.broker_id)


async def test_an_entry_leaves_with_its_stop_and_target_in_one_call_at_its_own_price(house):
    await enter(house)
    (post,) = house.broker.posts
    assert post.count("+") == 2
    trigger, stop = role(house, BracketRole.TRIGGER), role(house, BracketRole.STOP)
    assert (trigger.intent.net_price, trigger.intent.worst_price) == (Decimal("-4.15"), None)
    assert stop.intent.stop_trigger == Decimal("2.07")
    await house.turn()
    assert house.broker.posts == [post]


@pytest.mark.parametrize("resting", [True, False])
async def test_the_gate_is_told_that_exits_leave_with_an_entry(resting, monkeypatch):
    told = []
    check = Gate.check

    def listening(self, *rest, **more):
        told.append(more["fleeting"])
        return check(self, *rest, **more)

    monkeypatch.setattr(Gate, "check", listening)
    async with opened(orders=RESTING if resting else None) as house:
        house.trader.open(plan(now_ns=house.clock.now()), 0.0, wanted=1)
    assert told == [resting]


async def test_without_a_level_the_stop_goes_alone(house):
    await enter(house, numbers={})
    assert [r.intent.role for r in house.working] == [BracketRole.STOP]


async def test_off_by_default_nothing_rests():
    async with opened() as house:
        await house.hold(4)
        await house.turn()
        assert house.working == ()


async def test_a_stop_of_ours_cancels_what_rests_waits_and_then_closes(house):
    await enter(house)
    close_at(house, GONE)
    await house.turn()
    assert house.broker.cancels == [f"complex {role(house, BracketRole.STOP).complex_id}"]
    assert len(house.broker.posts) == 1
    await house.turn()
    assert (len(house.broker.cancels), len(house.broker.posts)) == (1, 1)  # asked once, and not yet gone
    await gone(house)
    await house.turn()
    (exit_,) = house.working
    assert (exit_.intent.reason, exit_.intent.quantity, exit_.intent.role) == (Reason.ATR_STOP, 4, None)
    await house.filled(exit_.broker_id, 4)
    await later(house)
    assert (house.book.quantity(OCC), house.working) == (0, ())


async def test_a_stop_that_fills_at_the_broker_while_its_cancel_is_on_the_way_closes_once(house):
    await enter(house)
    close_at(house, GONE)
    await house.turn()
    stop, target = role(house, BracketRole.STOP), role(house, BracketRole.TARGET)
    await house.filled(stop.broker_id, 4, "2.00")
    await house.ended(target.broker_id)
    await house.turn()
    assert (house.book.quantity(OCC), house.working, len(house.broker.posts)) == (0, (), 1)
    assert house.guards.of("P1").goal == 0


async def test_a_cancel_that_is_refused_is_asked_again_and_the_close_is_not_forgotten(house):
    await enter(house)
    close_at(house, GONE)
    real, tries = house.broker.cancel_bracket, []

    async def refuse(complex_id):
        tries.append(complex_id)
        raise BrokerError("not now", "cannot_update_order")

    house.broker.cancel_bracket = refuse
    await house.turn()
    house.broker.cancel_bracket = real
    house.clock.advance(2)
    await house.turn()
    assert (len(tries), len(house.broker.cancels)) == (1, 1)
    await gone(house)
    fresh(house)
    await house.turn()
    assert [r.intent.reason for r in house.working] == [Reason.ATR_STOP]


async def test_in_confirm_mode_the_exit_rests_until_the_close_is_approved():
    async with opened(Mode.CONFIRM, orders=RESTING) as house:
        house.trader.open(replace(plan(now_ns=house.clock.now()), numbers=IV), 0.0, wanted=4)
        (waiting,) = house.trader.proposals.waiting
        assert sum("rests at the broker" in line for line in waiting.why) == 2
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
        await house.lanes.idle()
        await house.filled(role(house, BracketRole.TRIGGER).broker_id, 4)
        await release(house)
        house.clock.advance(300)
        fresh(house)
        close_at(house, GONE)
        await house.turn()
        (asked,) = house.trader.proposals.waiting
        assert house.broker.cancels == []
        answer = house.approvals.approve(ApproveProposal(asked.proposal_id, str(asked.net_price)))
        assert answer.ok
        assert "cancelling the exit that rests" in answer.text
        await house.lanes.idle()
        assert len(house.broker.cancels) == 1
        await gone(house)
        await house.turn()
        assert [r.intent.intent_id for r in house.working] == [asked.proposal_id.removeprefix("p")]


async def test_a_persons_close_says_what_it_waits_for_and_leaves_when_that_is_gone(house):
    await enter(house)
    answer = house.approvals.close(ClosePosition(OCC, send=True))
    assert answer.ok
    assert answer.text.startswith("cancelling the exit that rests")
    await house.lanes.idle()
    await gone(house)
    await house.turn()
    assert [(r.intent.reason, r.intent.quantity) for r in house.working] == [(Reason.USER, 4)]


async def test_a_typed_close_says_what_it_waits_for_as_well(house):
    await enter(house)
    answer = await house.tickets.stage(StageTicket("sell 2 NVDA 17APR26 175C @ 4.50", send=True))
    words = "cancelling the exit that rests at the broker; once it is gone, sending SELL 2 NVDA 17APR26 175C @ 4.50 cr"
    assert (answer.ok, answer.text) == (True, words)
    assert (answer.data["proposal"], answer.data["quantity"]) == (None, 2)
    await house.lanes.idle()
    await gone(house)
    await house.turn()
    assert [(r.intent.intent_id, r.intent.quantity) for r in house.working] == [(answer.data["order"], 2)]


async def test_two_closes_typed_in_one_moment_both_leave_when_the_way_is_free(house):
    await enter(house)
    for line in ("sell 2 NVDA 17APR26 175C @ 4.50", "sell 1 NVDA 17APR26 175C @ 5.50"):
        assert (await house.tickets.stage(StageTicket(line, send=True))).ok
    await house.lanes.idle()
    await gone(house)
    await house.turn()
    assert [(r.intent.quantity, r.intent.net_price) for r in house.working] == [
        (2, Decimal("4.50")),
        (1, Decimal("5.50")),
    ]


async def test_closes_that_waited_close_no_more_than_is_held(house):
    await enter(house)
    for line in ("sell 3 NVDA 17APR26 175C @ 4.50", "sell 2 NVDA 17APR26 175C @ 5.50"):
        assert (await house.tickets.stage(StageTicket(line, send=True))).ok
    await house.lanes.idle()
    await gone(house)
    await house.turn()
    assert [r.intent.quantity for r in house.working] == [3, 1]


async def test_a_close_whose_way_stays_blocked_is_given_up_aloud(house):
    await enter(house)
    house.approvals.close(ClosePosition(OCC, send=True))
    await house.lanes.idle()
    await later(house, 61)
    assert not house.trader.way.waits(OCC)
    assert any("does not go away" in line.text for line in house.log.lines)
    await gone(house)
    await house.turn()
    assert not any(r.intent.reason is Reason.USER for r in house.working)


async def test_a_position_without_an_exit_gets_one(house):
    trigger = await enter(house, filled=2)
    await house.turn()
    assert len(house.broker.posts) == 1  # its entry still works
    for record in (trigger, role(house, BracketRole.TARGET), role(house, BracketRole.STOP)):
        await house.ended(record.broker_id)
    await later(house)
    assert sorted(r.intent.role for r in house.working) == ["stop", "target"]
    assert {(r.intent.quantity, r.intent.plan_id) for r in house.working} == {(2, "P1")}
    await later(house)
    assert len(house.broker.posts) == 2


async def test_one_that_the_broker_refuses_is_not_tried_again_at_once(house):
    trigger = await enter(house, filled=2)
    for record in (trigger, role(house, BracketRole.TARGET), role(house, BracketRole.STOP)):
        await house.ended(record.broker_id)

    def refuse(_intent):
        raise BrokerError("no", "cannot_close")

    house.broker.before_accept = refuse
    await later(house)
    for _ in range(5):
        await later(house)
    assert len(house.broker.posts) == 2
    await later(house, 301)
    assert len(house.broker.posts) == 3


@pytest.mark.parametrize("sold", [0, 1])
async def test_an_option_that_covers_a_sold_one_gets_no_exit_that_would_leave_that_bare(house, sold):
    trigger = await enter(house, filled=2)
    for record in (trigger, role(house, BracketRole.TARGET), role(house, BracketRole.STOP)):
        await house.ended(record.broker_id)
    strategy = house.book.position(OCC).strategy
    short = BrokerPosition("NVDA  260417C00180000", -sold, Decimal("2.00"), 100)
    house.book.adopt(short, strategy, "P2", house.clock.now())
    await later(house)
    assert bool(house.working) is (sold == 0)


async def test_below_its_stop_nothing_is_put_to_rest(house):
    trigger = await enter(house, filled=2)
    for record in (trigger, role(house, BracketRole.TARGET), role(house, BracketRole.STOP)):
        await house.ended(record.broker_id)
    house.guards._rules = replace(house.guards.rules, premium_stop=0.01)
    await later(house, bid=3.90, ask=4.40)  # the mid is above, the bid below
    assert len(house.broker.posts) == 1


async def test_what_a_person_cancelled_stays_away(house):
    await enter(house)
    stop = role(house, BracketRole.STOP)
    assert (await house.approvals.cancel(CancelOrder(stop.intent.intent_id))).ok
    await gone(house)
    for _ in range(3):
        await later(house)
    assert house.working == ()


async def test_an_exit_without_a_position_is_taken_away_after_a_moment(house):
    await enter(house)
    stop = role(house, BracketRole.STOP)
    other = house.broker.orders[role(house, BracketRole.TRIGGER).broker_id]
    elsewhere = replace(
        other, broker_id="9", external_id=None, legs=stop.intent.legs, fills=(), state=OrderState.LIVE,
        net_price=Decimal("4.10"), complex_id=None, role=None,
    )  # fmt: skip
    house.broker.orders["9"] = elsewhere
    await house.filled("9", 4)
    await house.turn()
    assert house.broker.cancels == []
    await later(house, 4)
    await later(house, 1)
    assert house.broker.cancels == [f"complex {stop.complex_id}"]


async def test_a_target_whose_stop_was_rejected_does_not_hold_its_place(house):
    await enter(house)
    await house.ended(role(house, BracketRole.STOP).broker_id, OrderState.REJECTED)
    await house.turn()
    await later(house, 4)
    await later(house, 1)
    await gone(house)
    assert house.working == ()
    await later(house, 301)
    assert sorted(r.intent.role for r in house.working) == ["stop", "target"]


async def test_a_kill_takes_what_rests_with_one_cancel_and_nothing_comes_back(house):
    await enter(house)
    await house.answering.answer(Kill("test"))
    assert house.broker.cancels == [f"complex {role(house, BracketRole.STOP).complex_id}"]
    await gone(house)
    await later(house)
    assert house.working == ()


async def test_a_flatten_takes_what_rests_and_then_closes(house):
    await enter(house)
    await house.answering.answer(Flatten("test"))
    await house.oversight.sweep.answered()
    assert len(house.broker.cancels) == 1
    await gone(house)
    await house.turn()
    assert [r.intent.reason for r in house.working] == [Reason.FLATTEN]


async def test_no_price_of_a_bracket_is_changed(house):
    verdict = house.trader.open(replace(plan(now_ns=house.clock.now()), numbers=IV), 0.0, wanted=4)
    assert verdict.approved
    await house.lanes.idle()
    trigger = role(house, BracketRole.TRIGGER)
    await house.ended(trigger.broker_id, OrderState.LIVE)
    for _ in range(3):
        await later(house, 6)
    assert house.broker.puts == []
    answer = house.edits.edit(EditOrder(trigger.intent.intent_id, "4.10"))
    assert (answer.ok, "bracket" in answer.text) == (False, True)


async def test_an_entry_that_waits_too_long_goes_with_its_exits(house):
    house.trader.open(replace(plan(now_ns=house.clock.now()), numbers=IV), 0.0, wanted=4)
    await house.lanes.idle()
    trigger = role(house, BracketRole.TRIGGER)
    await house.ended(trigger.broker_id, OrderState.LIVE)
    await later(house, 301)
    assert house.broker.cancels == [f"complex {trigger.complex_id}"]


def restarted(house):
    """A person's wish as the start makes it of the journal's rows."""
    for record in house.desk.ledger.records:
        row = StoredOrder(record.intent, record.state, record.broker_id, 0, record.reason or None, 1)
        record.unwanted = from_journal(row, (), 0.0).unwanted


async def test_what_a_person_cancelled_stays_away_after_a_restart_too(house):
    await enter(house)
    stop = role(house, BracketRole.STOP)
    assert (await house.approvals.cancel(CancelOrder(stop.intent.intent_id))).ok
    await gone(house)
    restarted(house)
    for _ in range(3):
        await later(house)
    assert house.working == ()

"""A person's answers: approved once, only at what was seen; closing is capped, selling what is not held is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from qmterm.core.orders import Action, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ApproveProposal, CancelOrder, ClosePosition, RejectProposal, StageOrder, StageTicket
from qmterm.engine.ladder import Level
from qmterm.engine.orders.proposals import Proposals, exit_proposal, short_id
from tests.engine.fakes import OCC, clock_at, entry, lost
from tests.engine.house import opened, plan

OTHER = "AMD   260417C00200000"


def proposed(house):
    house.trader.open(plan(), 0.0)
    (waiting,) = house.trader.proposals.waiting
    return waiting


def approve(house, waiting, limit=None):
    return house.approvals.approve(ApproveProposal(waiting.proposal_id, limit or str(waiting.net_price)))


async def test_approving_twice_sends_once():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        answers = [approve(house, waiting) for _ in range(3)]
        await house.lanes.idle()
        assert [a.ok for a in answers] == [True, False, False]
        assert answers[1].text == "already answered"
        assert house.broker.posts == ["eP1"]


async def test_an_approval_of_another_limit_than_the_one_shown_sends_nothing_and_stays_open():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        answer = approve(house, waiting, "-4.10")
        assert not answer.ok
        assert "4.15 db" in answer.text
        assert house.trader.proposals.waiting == (waiting,)


async def test_a_mid_that_moved_more_than_the_band_sends_nothing():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        house.quote(4.40, 4.50)
        answer = approve(house, waiting)
        assert not answer.ok
        assert "moved from 4.15 to 4.45" in answer.text
        assert house.trader.rejected["PRICE_MOVED"] == 1
        assert house.trader.proposals.waiting == ()


async def test_no_two_sided_quote_sends_nothing_and_the_question_stays():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        house.quote(0.0, 4.20)
        assert not approve(house, waiting).ok
        assert house.trader.proposals.waiting == (waiting,)


async def test_an_expired_proposal_is_gone():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        house.clock.advance(181)
        house.trader.proposals.expire(lambda _: None)
        assert approve(house, waiting).text == "this proposal is gone"


async def typed(house):
    """A proposal with an id as they really are, and what pane 5 shows of it."""
    assert (await house.tickets.stage(StageTicket("buy 1 NVDA 17APR26 175C @ 4.15"))).ok
    (waiting,) = house.trader.proposals.waiting
    assert len(waiting.proposal_id) > 12
    return short_id(waiting.proposal_id), str(waiting.net_price)


async def test_the_end_of_an_id_that_pane_5_shows_is_enough_to_approve():
    async with opened() as house:
        name, limit = await typed(house)
        assert house.approvals.approve(ApproveProposal(name, limit)).ok
        assert house.approvals.approve(ApproveProposal(name, limit)).text == "already answered"
        await house.lanes.idle()
        assert len(house.broker.posts) == 1


async def test_the_end_of_an_id_that_pane_5_shows_is_enough_to_reject():
    async with opened() as house:
        name, _ = await typed(house)
        assert (await house.approvals.reject(RejectProposal(name))).ok
        assert house.trader.proposals.waiting == ()
        assert (await house.approvals.reject(RejectProposal(name))).text == "already answered"


async def test_an_id_that_never_was_is_said_to_be_none_and_those_that_wait_are_named():
    async with opened(Mode.CONFIRM) as house:
        assert (await house.approvals.reject(RejectProposal("p9999"))).text == "no such proposal: 'p9999'; none waits"
        waiting = proposed(house)
        for wrong in ("", "p", "p9999", waiting.proposal_id[-1]):
            told = f"no such proposal: {wrong!r}; waiting: {short_id(waiting.proposal_id)}"
            assert house.approvals.approve(ApproveProposal(wrong, str(waiting.net_price))).text == told
            assert (await house.approvals.reject(RejectProposal(wrong))).text == told
        assert house.trader.proposals.waiting == (waiting,)


def test_an_end_that_two_ids_share_names_neither():
    proposals = Proposals(clock_at())
    for number in (1, 2):
        order = replace(entry(f"e{number}"), purpose=Purpose.EXIT, plan_id=f"P{number}")
        made = exit_proposal(order, (), None, (0, 1e9), alarm=False)
        assert proposals.add(replace(made, proposal_id=f"pm{number}2b04"))
    assert proposals.find("p2b04") is None
    assert proposals.missing("p2b04").endswith("name one in full: pm12b04, pm22b04")
    assert proposals.find("p12b04") is proposals.get("pm12b04")


async def test_a_proposal_past_its_shelf_life_is_not_sent_before_the_turn_that_takes_it_away():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        house.clock.advance(181)
        house.quote(4.10, 4.20)
        assert "shelf life is over" in approve(house, waiting).text
        await house.lanes.idle()
        assert house.broker.posts == []


async def test_a_rejected_entry_is_journalled_with_its_reason():
    async with opened(Mode.CONFIRM) as house:
        waiting = proposed(house)
        assert (await house.approvals.reject(RejectProposal(waiting.proposal_id))).ok
        assert house.journal.decisions[-1] == ("NVDA", "rejected by a person", Reason.PROPOSAL_REJECTED)
        assert not (await house.approvals.reject(RejectProposal(waiting.proposal_id))).ok


# --- close ---


async def test_closing_sells_all_that_nothing_closes_already_at_the_bid():
    async with opened() as house:
        await house.hold(4)
        assert house.approvals.close(ClosePosition(OCC, send=True)).ok
        await house.lanes.idle()
        (order,) = house.working
        assert order.intent.legs[0].action is Action.SELL_TO_CLOSE
        assert (order.intent.quantity, str(order.intent.net_price)) == (4, "4.10")
        again = house.approvals.close(ClosePosition("P1", send=True))
        assert not again.ok
        assert "closes it already" in again.text


async def test_closing_in_confirm_mode_asks_first():
    async with opened(Mode.CONFIRM) as house:
        approve(house, proposed(house))
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 4)
        assert house.approvals.close(ClosePosition(OCC, send=True)).text.startswith("proposed SELL 4")
        (waiting,) = house.trader.proposals.waiting
        assert (waiting.purpose, waiting.alarm) == (Purpose.EXIT, False)
        assert approve(house, waiting).ok
        await house.lanes.idle()
        assert house.working[0].intent.reason is Reason.USER


async def test_a_position_that_is_not_there_cannot_be_closed():
    async with opened() as house:
        assert house.approvals.close(ClosePosition("AMD")).text == "no position 'AMD'"


@pytest.mark.parametrize("level", [Level.NO_NEW, Level.REDUCE_ONLY, Level.HALT])
async def test_a_person_may_close_at_every_level(level):
    async with opened() as house:
        await house.hold(2)
        house.ladder.lower(level, Reason.KILL, "", 1, by_person=True)
        assert house.approvals.close(ClosePosition(OCC, send=True)).ok
        await house.lanes.idle()
        assert len(house.working) == 1


async def test_a_persons_close_under_halt_is_not_swept_away_by_the_halt():
    """HALT cancels everything on every turn; the close that a person sent after it must live."""
    async with opened() as house:
        await house.hold(2)
        house.oversight.lower(Level.HALT, Reason.KILL, "kill", by_person=True)
        assert house.approvals.close(ClosePosition(OCC, send=True)).ok
        await house.lanes.idle()
        (order,) = house.working
        await house.desk.on_order(house.broker.set_state(order.broker_id, OrderState.LIVE))
        for _ in range(3):
            house.clock.advance(1)
            await house.turn()
        assert house.broker.cancels == []
        assert order.state is OrderState.LIVE


# --- stage ---


async def test_staging_always_asks_even_in_auto_mode():
    async with opened() as house:
        assert house.approvals.stage(StageOrder(OCC, buys=True, quantity=2)).ok
        await house.lanes.idle()
        assert house.broker.posts == []
        (waiting,) = house.trader.proposals.waiting
        assert (waiting.strategy, waiting.quantity, str(waiting.net_price)) == ("manual", 2, "-4.15")
        assert approve(house, waiting).ok
        await house.lanes.idle()
        assert len(house.broker.posts) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (StageOrder(OCC, buys=False), "undefined risk"),
        (StageOrder("NVDA", buys=True), "not an option"),
        (StageOrder(OCC, buys=True, quantity=0), "at least 1"),
        (StageOrder(OTHER, buys=True), "no two-sided quote"),
    ],
)
async def test_what_must_not_be_staged_is_refused_in_words(command, words):
    async with opened() as house:
        answer = house.approvals.stage(command)
        await house.lanes.idle()
        assert not answer.ok
        assert words in answer.text
        assert house.broker.posts == []
        assert house.trader.proposals.waiting == ()


async def test_staging_a_sale_of_what_is_held_is_a_close_capped_at_what_is_held():
    async with opened() as house:
        await house.hold(2)
        assert house.approvals.stage(StageOrder(OCC, buys=False, quantity=9)).ok
        await house.lanes.idle()
        assert house.working == ()
        (waiting,) = house.trader.proposals.waiting
        assert (waiting.legs[0].action, waiting.quantity) == (Action.SELL_TO_CLOSE, 2)


async def test_a_staged_order_never_exceeds_the_limits():
    async with opened() as house:
        house.approvals.stage(StageOrder(OCC, buys=True, quantity=400))
        (waiting,) = house.trader.proposals.waiting
        assert waiting.max_loss <= 2000


# --- cancel ---


async def test_an_order_is_cancelled_by_our_id_the_brokers_or_the_end_of_ours():
    async with opened() as house:
        for name, used in (("qm-1", "qm-1"), ("qm-2", "1001"), ("abcdef-77", "f-77")):
            record = await house.desk.submit(entry(name))
            answer = await house.approvals.cancel(CancelOrder(used))
            assert answer.ok
            assert record.cancel_asked
        assert house.broker.cancels == ["1000", "1001", "1002"]


async def test_an_ambiguous_or_unknown_name_cancels_nothing():
    async with opened() as house:
        await house.desk.submit(entry("a-0077"))
        await house.desk.submit(entry("b-0077"))
        await house.desk.submit(entry("c-1234"))
        for name in ("0077", "zzz", "", "4", "234"):  # less than the screen shows of an id names nothing
            assert not (await house.approvals.cancel(CancelOrder(name))).ok
        assert house.broker.cancels == []


async def test_cancelling_what_is_still_queued_means_it_never_leaves():
    async with opened() as house:
        release = asyncio.Event()
        house.lanes.entry(release.wait)
        house.trader.open(plan(), 0.0)
        answer = await house.approvals.cancel(CancelOrder("eP1"))
        release.set()
        await house.lanes.idle()
        assert answer.ok
        assert house.broker.posts == []
        assert house.desk.ledger.get("eP1").state is OrderState.NOT_SENT


async def test_an_entry_behind_one_that_became_unknown_does_not_leave():
    async with opened() as house:
        release = asyncio.Event()
        house.lanes.entry(release.wait)
        house.trader.open(plan("P1", house.clock.now()), 0.0)
        later = plan("P2", house.clock.now(), symbol="NVDA  260417C00180000")
        house.trader.send_entry(later, house.trader.intent_of(later, 1), 0.0)  # judged when nothing was unknown yet
        house.broker.before_accept = lost
        release.set()
        await house.lanes.idle()
        assert house.broker.posts == ["eP1"]
        second = house.desk.ledger.get("eP2")
        assert (second.state, second.reason) == (OrderState.NOT_SENT, Reason.SYMBOL_FROZEN.value)


async def test_one_key_never_sends_a_close_even_when_the_engine_trades_alone():
    async with opened() as house:
        await house.hold(4)
        sent = list(house.broker.posts)
        assert house.approvals.close(ClosePosition(OCC)).text.startswith("proposed SELL 4")
        await house.lanes.idle()
        assert house.broker.posts == sent
        (waiting,) = house.trader.proposals.waiting
        assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
        await house.lanes.idle()
        assert len(house.broker.posts) == len(sent) + 1


async def test_a_rejected_proposal_leaves_its_underlying_alone():
    async with opened(Mode.CONFIRM) as house:
        left_alone = []
        house.trader.leave_alone = left_alone.append
        house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic())
        (waiting,) = house.trader.proposals.waiting
        await house.approvals.reject(RejectProposal(waiting.proposal_id))
        assert left_alone == ["NVDA"]


@pytest.mark.parametrize("name", ["all", "eP1"])
async def test_a_cancel_of_an_order_that_the_broker_has_not_named_yet_is_kept_until_it_has(name):
    async with opened() as house:
        house.broker.after_accept = lost
        house.trader.open(plan(), 0.0)
        await house.lanes.idle()
        (record,) = house.desk.ledger.unknown
        await house.approvals.cancel(CancelOrder(name))
        assert house.broker.cancels == []
        await house.oversight.read_account()
        await house.turn()
        assert house.broker.cancels == [record.broker_id]

"""From plan to order: confirm asks, auto sends, and both count everything that may still fill."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BrokerPosition, Leg, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.core.signals import MANUAL
from qmterm.engine.commands import ApproveProposal, StageTicket
from qmterm.engine.ladder import Level
from qmterm.engine.orders.manual_plan import manual_plan
from tests.engine.fakes import OCC, entry, lost
from tests.engine.house import opened, plan

OTHER = "AMD   260417C00200000"


async def test_auto_sends_what_the_gate_allows_with_the_plans_id():
    async with opened() as house:
        verdict = house.trader.open(plan(), 0.0)
        await house.lanes.idle()
        assert (verdict.contracts, verdict.reason) == (4, Reason.LIMIT_TRADE)
        assert house.broker.posts == ["eP1"]
        assert house.trader.proposals.waiting == ()
        assert house.journal.decisions == [("NVDA", "sent", Reason.LIMIT_TRADE)]
        assert house.desk.ledger.get("eP1").intent.max_loss == 4 * Decimal("416.26")


async def test_confirm_asks_and_sends_nothing():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        await house.lanes.idle()
        assert house.broker.posts == []
        (waiting,) = house.trader.proposals.waiting
        assert (waiting.quantity, waiting.net_price, waiting.binding) == (4, Decimal("-4.15"), "LIMIT_TRADE")
        assert any("gate 4 contract" in line for line in waiting.why)


async def test_the_very_next_decision_counts_the_order_that_has_not_left_yet():
    async with opened() as house:
        assert house.trader.open(plan(), 0.0).approved
        assert house.trader.open(plan("P2"), 0.0).reason is Reason.ALREADY_WORKING
        assert house.trader.rejected == {"ALREADY_WORKING": 1}


async def test_waiting_proposals_count_so_that_approving_all_of_them_breaks_no_limit():
    async with opened(Mode.CONFIRM) as house:
        house.quote(9.90, 10.00, OTHER)
        total = Decimal(0)
        for number in range(40):
            name = f"S{chr(65 + number // 26)}{chr(65 + number % 26)}"
            symbol = f"{name:<6}260417C00200000"
            house.quote(9.80, 10.00, symbol)
            one = replace(plan(f"P{number}", symbol=symbol, net_price="-9.90"), underlying=name)
            house.trader.open(one, 0.0)
            house.clock.advance(4)
        for waiting in house.trader.proposals.waiting:
            total += waiting.max_loss
        assert Decimal("0.18") * 100_000 < total <= Decimal("0.20") * 100_000
        assert house.trader.rejected["LIMIT_STRATEGY"] > 0


async def test_an_unknown_outcome_freezes_the_symbol_and_nothing_else():
    async with opened() as house:
        house.broker.after_accept = lost
        house.trader.open(plan(), 0.0)
        await house.lanes.idle()
        assert house.desk.ledger.unknown
        assert house.trader.open(plan("P2"), 0.0).reason is Reason.SYMBOL_FROZEN
        house.quote(4.10, 4.20, OTHER)
        assert house.trader.open(replace(plan("P3", symbol=OTHER), underlying="AMD"), 0.0).approved


async def test_what_is_queued_when_the_ladder_falls_does_not_leave():
    async with opened() as house:
        house.trader.open(plan(), 0.0)
        house.oversight.lower(Level.NO_NEW, Reason.USER, "pause", by_person=True)
        await house.lanes.idle()
        assert house.broker.posts == []
        record = house.desk.ledger.get("eP1")
        assert (record.state, record.reason) == (OrderState.NOT_SENT, "LADDER_NO_NEW")


async def test_a_journal_that_is_full_stops_entries_and_says_why():
    async with opened() as house:
        house.journal.full = True
        house.trader.open(plan(), 0.0)
        await house.lanes.idle()
        assert house.broker.posts == []
        assert house.ladder.level is Level.REDUCE_ONLY
        assert "disk full" in house.ladder.text


async def test_refusals_of_the_account_come_before_everything():
    async with opened() as house:
        house.money_refusal = Reason.NOT_ARMED
        assert house.trader.open(plan(), 0.0).reason is Reason.NOT_ARMED
        house.ladder.lower(Level.HALT, Reason.KILL, "", 1)
        assert house.trader.open(plan("P2"), 0.0).reason is Reason.LADDER_HALT


async def test_a_stale_or_missing_quote_opens_nothing():
    async with opened() as house:
        house.clock.advance(61)
        assert house.trader.open(plan(now_ns=house.clock.now()), 0.0).reason is Reason.STALE_QUOTE
        del house.quotes.table[OCC]
        assert house.trader.open(plan("P2", house.clock.now()), 0.0).reason is Reason.NO_QUOTE


async def test_entries_and_exits_of_one_turn_reach_the_broker_while_the_entry_is_stuck():
    async with opened() as house:
        await house.hold(2)
        release = asyncio.Event()
        place = house.broker.place

        async def slow(intent):
            if intent.purpose.value == "entry":
                await release.wait()
            return await place(intent)

        house.broker.place = slow
        house.quote(4.10, 4.20, OTHER)
        house.trader.open(replace(plan("P3", house.clock.now(), OTHER), underlying="AMD"), 0.0)
        house.underlyings.closes["NVDA"] = (160.0, house.clock.now())
        await house.guards.look(lambda *_: None)
        for intent in house.guards.due():
            house.trader.close(intent, by_person=False)
        for _ in range(20):
            await asyncio.sleep(0)
        assert house.broker.posts[-1].startswith("xP1")
        release.set()
        await house.lanes.idle()
        assert house.broker.posts[-1] == "eP3"


async def test_two_equal_stories_have_one_hash_and_another_price_has_another():
    async def story(price):
        async with opened() as house:
            house.trader.open(plan(net_price=price), 0.0)
            await house.lanes.idle()
            return house.trader.decisions.hexdigest()

    assert await story("-4.15") == await story("-4.15")
    assert await story("-4.15") != await story("-4.10")


async def test_a_proposal_approved_by_a_person_passes_the_gate_again():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        (waiting,) = house.trader.proposals.waiting
        house.ladder.lower(Level.NO_NEW, Reason.USER, "", 1, by_person=True)
        answer = house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price)))
        await house.lanes.idle()
        assert not answer.ok
        assert "LADDER_NO_NEW" in answer.text
        assert house.broker.posts == []


async def test_once_a_stop_was_asked_nothing_queued_leaves_and_nothing_new_is_taken():
    async with opened() as house:
        verdict = house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic())
        assert verdict.approved
        house.trader.stopping = True
        await house.lanes.idle()
        assert house.broker.posts == []
        refused = house.trader.open(plan("P2", now_ns=house.clock.now()), house.clock.monotonic())
        assert refused.reason is Reason.STOPPING


@asynccontextmanager
async def held_up(house, seconds):
    """Another order is on its way for so long, and ours waits behind it."""
    release = asyncio.Event()
    house.broker.turn = release.wait
    first = house.desk.register(entry(symbol=OTHER))
    house.lanes.entry(lambda: house.desk.send(first, lambda _record: None))
    for _ in range(3):
        await asyncio.sleep(0)
    yield
    house.clock.advance(seconds)
    release.set()
    await house.lanes.idle()


@pytest.mark.parametrize(
    ("price", "seconds", "leaves"),
    [("@ mkt", 5, True), ("@ mkt", 6, False), ("@ 4.15", 60, True), ("@ 4.15", 61, False)],
)
async def test_an_order_that_waited_longer_than_its_prices_count_is_not_sent(price, seconds, leaves):
    async with opened() as house:
        async with held_up(house, seconds):
            answer = await house.answering.answer(StageTicket(f"buy 1 NVDA 17APR26 175C {price}", send=True))
            assert answer.ok, answer.text
        ours = house.desk.ledger.get(answer.data["order"])
        assert (house.broker.posts[1:] == [ours.intent.intent_id]) == leaves
        assert leaves or (ours.state, ours.reason) == (OrderState.NOT_SENT, "STALE_QUOTE")


@pytest.mark.parametrize(("covers", "leaves"), [(True, True), (False, False)])
async def test_what_worsens_no_worst_case_leaves_however_long_it_waited(covers, leaves):
    short, long = "NVDA  260417P00170000", "NVDA  260417P00165000"
    async with opened() as house:
        now = house.clock.now()
        if covers:
            house.book.adopt(BrokerPosition(short, -1, Decimal("3.00"), 100), MANUAL, "S1", now)
        house.quote(3.0, 3.1, short)
        house.quote(1.0, 1.1, long)
        house.marks.update()

        async def a_minute_and_more():
            house.clock.advance(61)

        house.broker.turn = a_minute_and_more
        bought = manual_plan(house.trader, (Leg(long, Action.BUY_TO_OPEN, 1),), Decimal("-1.10"), Decimal("-1.05"))
        assert house.trader.open(bought, house.clock.monotonic(), wanted=1).contracts == 1
        await house.lanes.idle()
        assert bool(house.broker.posts) is leaves

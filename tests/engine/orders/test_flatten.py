"""FLATTEN: all that opens is cancelled, everything held is closed by machine, and only the broker's word ends it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import Action, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.core.settings.risk import RiskSettings
from qmterm.engine.commands import ClosePosition, Flatten, Kill, Resume
from qmterm.engine.ladder import Ladder, Level
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.flatten import _in_order, _rank
from qmterm.engine.oversight import Oversight
from tests.engine.fakes import CASH, OCC, entry, lost
from tests.engine.house import confirmed, opened, plan

LOWER, UPPER = OCC, "NVDA  260417C00180000"


def position(symbol, quantity, strategy="atr_matrix", plan_id="P1"):
    return Position(symbol, quantity, Decimal("4.10"), strategy, plan_id, 1)


def holding(*positions):
    return Book(CASH, positions)


async def held(house):
    """The broker holds what the book says, and both know it."""
    house.broker.held = {p.symbol: p.quantity for p in house.book.positions}
    await house.oversight.read_account()


async def test_a_flatten_cancels_the_entries_and_closes_what_is_held_in_auto_and_in_confirm():
    for mode in Mode:
        async with opened(mode) as house:
            await (house.hold(4) if mode is Mode.AUTO else confirmed(house, 4))
            await house.desk.submit(entry("qm-2", symbol="AMD   260417C00200000"))
            answer = await house.answering.answer(Flatten("ctl"))
            assert answer.ok, answer.text
            assert house.broker.cancels == ["1001"]
            await house.lanes.idle()
            close = house.broker.orders["1002"]
            assert [(leg.symbol, leg.action, leg.quantity) for leg in close.legs] == [(OCC, Action.SELL_TO_CLOSE, 4)]
            assert close.net_price == Decimal("4.10")  # at natural
            assert house.trader.proposals.waiting == ()  # a person asked once: no second approval
            assert house.desk.ledger.get(close.external_id).intent.purpose is Purpose.FLATTEN


async def test_waiting_proposals_are_withdrawn_by_a_flatten():
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(plan(), 0.0)
        await house.answering.answer(Flatten())
        assert house.trader.proposals.waiting == ()


async def test_it_is_flat_only_when_the_broker_shows_it_and_a_person_goes_up_only_then():
    async with opened() as house:
        await house.hold(2)
        house.broker.cash = house.book.cash
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        answer = await house.answering.answer(Resume())
        assert not answer.ok
        assert "NVDA 17APR26 175C" in answer.text
        await house.desk.on_order(house.broker.fill("1001", 2))
        house.broker.held = {OCC: 2}  # its ledger lags
        await house.oversight.read_account()
        assert not house.oversight.proof.confirmed
        assert "1 position (+2 NVDA 17APR26 175C)" in house.oversight.proof.text
        house.broker.held = {}
        await house.oversight.read_account()
        assert house.oversight.proof.text == "flat: no positions and no orders, confirmed by the broker at 10:05:00"
        house.broker.cash = house.book.cash
        answer = await house.answering.answer(Resume())
        assert answer.ok, answer.text
        assert house.ladder.level is Level.NORMAL


async def test_an_incomplete_read_proves_nothing():
    async with opened() as house:
        await house.answering.answer(Flatten())
        house.broker.complete = False
        await house.oversight.read_account()
        assert not house.oversight.proof.confirmed
        assert "not confirmed" in house.oversight.proof.left


async def test_an_order_of_somebody_elses_is_cancelled_and_keeps_the_account_from_being_flat():
    async with opened() as house:
        await house.desk.submit(entry())
        order = house.broker.orders["1000"]
        house.broker.orders["77"] = replace(order, broker_id="77", external_id=None, state=OrderState.LIVE)
        await house.ended("1000")
        await house.oversight.read_account()
        await house.answering.answer(Flatten())
        assert house.broker.cancels == ["77"]
        await house.oversight.read_account()
        assert "NVDA" in house.oversight.proof.left
        await house.ended("77")
        await house.oversight.read_account()
        assert house.oversight.proof.confirmed


async def test_a_proof_is_taken_back_when_something_turns_up_again():
    async with opened() as house:
        await house.answering.answer(Flatten())
        await house.oversight.read_account()
        assert house.oversight.proof.confirmed
        house.broker.held = {OCC: 3}
        await house.oversight.read_account()
        assert not house.oversight.proof.confirmed
        assert "still there" in house.oversight.proof.text


async def test_a_persons_resting_close_gives_way_to_one_that_gets_filled():
    async with opened() as house:
        await house.hold(4)
        await house.answering.answer(ClosePosition(OCC, send=True))
        await house.lanes.idle()
        house.clock.advance(1)
        await house.answering.answer(Flatten())
        assert house.broker.cancels == ["1001"]
        await house.ended("1001")
        await house.turn()
        (left,) = house.working
        assert left.intent.purpose is Purpose.FLATTEN
        assert left.intent.quantity == 4


async def test_a_close_that_waits_is_taken_back_and_sent_anew_at_the_market_of_then():
    async with opened() as house:
        await house.hold(4)
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        house.quote(3.80, 3.90)
        house.clock.advance(14)
        await house.turn()
        assert house.broker.cancels == []
        house.clock.advance(1)
        await house.turn()
        assert house.broker.cancels == ["1001"]
        await house.turn()
        assert len(house.broker.orders) == 2  # nothing beside the old one while it may still fill
        await house.ended("1001")
        await house.turn()
        assert house.broker.orders["1002"].net_price == Decimal("3.75")  # the bid, and a tick more


async def test_it_waits_for_quotes_and_says_so_by_symbol():
    async with opened(book=holding(position(OCC, 2), position("AMD   260417C00200000", 1))) as house:
        await held(house)
        answer = await house.answering.answer(Flatten())
        assert "AMD   260417C00200000: waits for a quote" in answer.text
        assert OCC not in answer.data
        house.quote(0.0, 4.20)
        for record in house.working:
            await house.lanes.idle()
            await house.ended(record.broker_id)
        house.clock.advance(60)
        await house.turn()
        assert house.oversight.flattener.waiting[OCC] == "waits: nobody bids"
        house.quote(4.00, 4.20)
        await house.turn()
        assert OCC not in house.oversight.flattener.waiting


async def test_outside_market_hours_it_waits_for_the_open_and_says_so():
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        house.open = False
        answer = await house.answering.answer(Flatten())
        assert "waits for the market to open" in answer.text
        assert house.broker.posts == []
        house.open = True
        await house.turn()
        assert len(house.broker.posts) == 1


async def test_what_nobody_bids_for_and_hardly_anybody_offers_is_offered_at_one_tick():
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        house.quote(0.0, 0.02)
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        assert house.broker.orders["1000"].net_price == Decimal("0.01")


async def test_what_is_sold_is_closed_before_what_covers_it():
    async with opened(book=holding(position(LOWER, 3), position(UPPER, -3))) as house:
        await held(house)
        house.quote(2.10, 2.20, UPPER)
        answer = await house.answering.answer(Flatten())
        assert answer.data == {LOWER: "SHORTS_FIRST: it covers what is still sold: that is closed first"}
        await house.lanes.idle()
        (short,) = house.working
        assert short.intent.legs[0].action is Action.BUY_TO_CLOSE
        await house.filled(short.broker_id, 2, "2.20")
        await house.turn()
        assert len(house.broker.orders) == 1  # one is still sold: its cover stays
        await house.filled(short.broker_id, 1, "2.20")
        await house.turn()
        (cover,) = house.working
        assert cover.intent.legs[0].symbol == LOWER


async def test_a_lost_answer_to_the_close_of_the_short_leg_keeps_its_cover():
    async with opened(book=holding(position(LOWER, 1), position(UPPER, -1))) as house:
        await held(house)
        house.quote(2.10, 2.20, UPPER)
        house.broker.after_accept = lost
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        await house.turn()
        assert len(house.broker.orders) == 1
        assert house.desk.ledger.unknown
        assert "unknown" in house.oversight.proof.left


async def test_a_position_of_somebody_elses_is_closed_too():
    async with opened(book=holding(position(OCC, -2, "external", ""))) as house:
        await held(house)
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        order = house.broker.orders["1000"]
        assert (order.legs[0].action, order.net_price) == (Action.BUY_TO_CLOSE, Decimal("-4.20"))


@pytest.mark.parametrize(
    ("held_shares", "bid", "ask", "price"),
    [
        (100, 177.93, 177.95, "177.93"),
        (100, 0.5012, 0.5134, "0.5012"),  # below a dollar they are quoted in hundredths of a cent
        (-100, 0.5012, 0.5134, "-0.5134"),
    ],
)
@pytest.mark.parametrize("how", [Flatten(), ClosePosition("NVDA", send=True)])
async def test_shares_are_closed_on_their_own_grid(held_shares, bid, ask, price, how):
    async with opened(book=holding(position("NVDA", held_shares, "external", ""))) as house:
        await held(house)
        house.quotes.set("NVDA", bid, ask, house.clock.now())
        await house.answering.answer(how)
        await house.lanes.idle()
        assert house.broker.orders["1000"].net_price == Decimal(price)


async def test_a_restart_in_the_middle_goes_on():
    async with opened() as house:
        await house.hold(4)
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        await house.filled("1001", 1)
        saved = json.loads(json.dumps(house.journal.documents["ladder"]))
        stand_down = house.journal.documents["stand-down"]
    async with opened(book=holding(position(OCC, 3))) as again:
        again.ladder._causes = Ladder.from_dict(saved)._causes
        again.oversight.proof.restore(stand_down)
        await held(again)
        assert again.ladder.level is Level.FLATTEN
        await again.turn()
        (record,) = again.working
        assert (record.intent.purpose, record.intent.quantity) == (Purpose.FLATTEN, 3)
        await again.filled_all()
        again.broker.held = {}
        await again.oversight.read_account()
        assert again.oversight.proof.confirmed


async def test_a_stop_of_a_guard_sends_nothing_beside_the_flatten():
    async with opened() as house:
        await house.hold(4)
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        house.underlyings.closes["NVDA"] = (160.0, house.clock.now())
        await house.turn()
        assert len(house.working) == 1
        await house.filled_all()
        assert house.guards.of("P1").goal == 0


async def test_a_kill_in_the_middle_stops_it_and_a_resume_goes_on_with_the_flatten():
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        await house.answering.answer(Kill())
        await house.ended("1000")
        await house.turn()
        assert len(house.broker.orders) == 1
        answer = await house.answering.answer(Resume())
        assert "FLATTEN goes on" in answer.text
        house.clock.advance(15)
        await house.turn()
        assert len(house.broker.orders) == 2


async def test_a_flatten_under_halt_is_kept_for_the_resume_and_closes_nothing_now():
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        await house.answering.answer(Kill())
        answer = await house.answering.answer(Flatten())
        assert (answer.ok, answer.refused) == (False, True)
        await house.turn()
        assert house.broker.posts == []


async def test_an_account_that_may_not_trade_says_so_instead_of_closing():
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        house.trader.closing_refusal = lambda: Reason.NOT_ARMED
        answer = await house.answering.answer(Flatten())
        assert answer.data == {OCC: "NOT_ARMED: real money needs arming first"}
        assert house.broker.posts == []


async def test_a_close_that_the_broker_refuses_is_tried_again_at_its_pace():
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        from qmterm.core.errors import BrokerError

        def refuse(intent):
            raise BrokerError("no", "margin_check_failed")

        house.broker.before_accept = refuse
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        for _ in range(5):
            await house.turn()
        assert len(house.broker.posts) == 1
        house.clock.advance(15)
        await house.turn()
        assert len(house.broker.posts) == 2


@pytest.mark.parametrize("auto", [True, False])
async def test_the_days_loss_flattens_by_itself_only_where_that_is_wished(auto):
    async with opened(book=holding(position(OCC, 2))) as house:
        await held(house)
        risk = RiskSettings(auto_flatten=auto)
        oversight = Oversight(
            house.trader, house.broker, house.journal, house.parts.settings.engine, risk, lambda: 0.0, None
        )
        await oversight.begin_day()
        house.book.adjustments = -house.trader.marks.nlv * Decimal("0.031")
        await oversight.look()
        await house.lanes.idle()
        assert (house.ladder.level is Level.FLATTEN) is auto
        assert bool(house.broker.posts) is auto
        assert bool(oversight.flatten_proposed) is not auto
        assert house.log.levels["alarm"] == (2 if auto else 1)
        await oversight.look()
        assert house.log.levels["alarm"] == (2 if auto else 1)  # once a day


async def test_moves_are_journalled_with_cause_levels_and_who_moved():
    async with opened() as house:
        await house.answering.answer(Flatten("ctl"))
        await house.oversight.read_account()
        await house.answering.answer(Resume("ctl"))
        assert house.journal.moves == [
            ("NORMAL", "FLATTEN", "FLATTEN", True, "flatten by a person (ctl)"),
            ("FLATTEN", "NORMAL", None, True, "resumed by a person"),
        ]


async def test_a_full_disk_keeps_no_cancel_back_and_the_moves_are_written_later():
    async with opened() as house:
        await house.desk.submit(entry())
        house.journal.full = True
        await house.answering.answer(Kill())
        assert house.broker.cancels == ["1000"]
        house.journal.full = False
        await house.oversight.keep()
        assert ("NORMAL", "HALT", "KILL", True, "kill by a person (screen)") in house.journal.moves


POSITIONS = st.lists(
    st.builds(
        position, st.sampled_from([LOWER, UPPER, "NVDA", "AMD   260417C00200000", "AMD"]), st.sampled_from([-2, 3])
    ),
    unique_by=lambda held: held.symbol,
)


@given(POSITIONS)
def test_in_the_order_of_closing_nothing_that_covers_comes_before_what_is_sold(positions):
    ordered = _in_order(positions)
    assert sorted(ordered, key=str) == sorted(positions, key=str)
    assert [_rank(p) for p in ordered] == sorted(_rank(p) for p in positions)
    assert all((p.quantity > 0) == (_rank(p) == 2) for p in ordered)


async def test_a_flatten_of_the_machine_keeps_no_turn_waiting_for_a_cancel_that_is_not_answered():
    async with opened() as house:
        await house.hold(2)
        house.oversight._risk = RiskSettings(auto_flatten=True)
        opening = replace(entry("qm-9", 1, symbol="NVDA  260417C00180000"), created_ns=house.clock.now())
        await house.desk.submit(opening)
        await house.oversight.begin_day()
        house.trader.day.flatten_due = True
        go, cancel, posts = asyncio.Event(), house.broker.cancel, len(house.broker.posts)

        async def silent(broker_id):
            await go.wait()
            await cancel(broker_id)

        house.broker.cancel = silent
        turn = asyncio.create_task(house.oversight.look())
        await asyncio.sleep(0.05)
        assert turn.done()
        assert len(house.broker.posts) == posts + 1  # what is held is being closed
        go.set()
        await house.oversight.sweep.answered()
        assert house.broker.cancels == ["1001"]

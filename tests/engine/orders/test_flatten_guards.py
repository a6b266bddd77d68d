"""FLATTEN, turn by turn: what is in its way, why a close waits, and what exactly leaves."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BracketRole, Leg, OrderIntent, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.commands import ClosePosition, Flatten, Kill, Resume
from qmterm.engine.ladder import Level
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.flatten import Flattener, _in_order
from qmterm.risk.verdict import Verdict
from tests.engine.fakes import CASH, OCC, entry
from tests.engine.house import GONE, close_at, opened
from tests.engine.orders.desk_seat import Sink

UPPER, AMD = "NVDA  260417C00180000", "AMD   260417C00200000"


def position(symbol, quantity):
    return Position(symbol, quantity, Decimal("4.10"), "atr_matrix", "P1", 1)


def held(*positions):
    return opened(book=Book(CASH, positions))


def flat(house):
    """The ladder alone goes to FLATTEN: the house's own machinery stays out of it."""
    house.ladder.lower(Level.FLATTEN, Reason.FLATTEN, "", house.clock.now(), by_person=True)
    return Flattener(house.trader)


async def look(house, flattener):
    flattener.close_all()
    await house.lanes.idle()
    return dict(flattener.waiting)


# --- what is in the way ---


async def test_a_stop_of_ours_that_works_already_is_left_at_its_price_for_its_time():
    async with opened() as house:
        await house.hold(4)
        close_at(house, GONE)
        await house.turn()
        (stop,) = house.working
        house.clock.advance(1)
        flattener = flat(house)
        assert flattener.unwanted() == ()
        house.clock.advance(13.9)
        assert flattener.unwanted() == ()
        house.clock.advance(0.1)
        assert flattener.unwanted() == (stop,)


async def closing(house):
    assert house.approvals.close(ClosePosition(OCC, send=True)).ok
    await house.lanes.idle()
    return house.working[-1]


async def test_a_persons_close_stays_when_it_was_sent_after_the_flatten_and_goes_otherwise():
    async with opened() as house:
        await house.hold(4)
        close = await closing(house)
        flattener = flat(house)  # in the same instant: the flatten is the newer wish
        assert flattener.unwanted() == (close,)
    async with opened() as house:
        await house.hold(4)
        flattener = flat(house)
        house.clock.advance(1)
        await closing(house)
        assert flattener.unwanted() == ()


async def test_before_a_flatten_no_fresh_close_is_in_the_way():
    async with opened() as house:
        await house.hold(4)
        await closing(house)
        assert Flattener(house.trader).unwanted() == ()


@pytest.mark.parametrize("changes", [{"role": BracketRole.STOP, "bracket_id": "b"}, {"purpose": Purpose.ENTRY}, {}])
async def test_what_rests_opens_or_was_placed_elsewhere_is_in_the_way_at_once(changes):
    async with held(position(OCC, 2)) as house:
        flattener = flat(house)
        house.clock.advance(1)
        sells = (Leg(OCC, Action.SELL_TO_CLOSE, 2),)
        intent = replace(entry(), created_ns=house.clock.now(), purpose=Purpose.EXIT, reason=Reason.PREMIUM_STOP,
                         legs=sells, net_price=Decimal("4.10"))  # fmt: skip
        record = await house.desk.submit(replace(intent, **changes))
        record.external = not changes
        assert flattener.unwanted() == (record,)


async def test_a_close_of_the_flatten_itself_is_not():
    async with held(position(OCC, 2)) as house:
        flattener = flat(house)
        assert await look(house, flattener) == {}
        assert len(house.working) == 1
        assert flattener.unwanted() == ()


# --- what leaves ---


async def test_what_leaves_is_one_close_of_all_that_is_held():
    async with held(position(OCC, 2)) as house:
        await look(house, flat(house))
        now = house.clock.now()
        assert house.working[0].intent == OrderIntent(
            intent_id=f"f{now:x}-0",
            created_ns=now,
            strategy="atr_matrix",
            underlying="NVDA",
            purpose=Purpose.FLATTEN,
            legs=(Leg(OCC, Action.SELL_TO_CLOSE, 2),),
            quantity=2,
            net_price=Decimal("4.10"),
            plan_id="P1",
            reason=Reason.FLATTEN,
        )


@pytest.mark.parametrize(("quantity", "action", "price"), [(1, "Sell to Close", "4.10"), (-1, "Buy to Close", "-4.20")])
async def test_a_single_contract_is_closed_on_its_own_side(quantity, action, price):
    async with held(position(OCC, quantity)) as house:
        await look(house, flat(house))
        intent = house.working[0].intent
        assert (intent.legs[0].action.value, intent.net_price) == (action, Decimal(price))


async def test_several_that_leave_in_one_instant_have_numbers_of_their_own():
    async with held(position(OCC, 1), position(UPPER, 1), position(AMD, 1)) as house:
        for symbol in (UPPER, AMD):
            house.quote(2.10, 2.20, symbol)
        await look(house, flat(house))
        now = house.clock.now()
        assert [record.intent.intent_id for record in house.working] == [f"f{now:x}-{n}" for n in range(3)]
        assert [record.intent.legs[0].symbol for record in house.working] == [AMD, OCC, UPPER]


async def test_it_does_not_leave_any_more_when_everything_was_halted_meanwhile():
    async with held(position(OCC, 2)) as house:
        flattener = flat(house)
        flattener.close_all()
        house.ladder.lower(Level.HALT, Reason.KILL, "", 1, by_person=True)
        await house.lanes.idle()
        (record,) = house.desk.ledger.records
        assert (record.state, record.reason) == (OrderState.NOT_SENT, "LADDER_HALT")
        assert house.broker.posts == []


async def test_nothing_leaves_once_the_program_is_stopping():
    async with held(position(OCC, 2)) as house:
        flattener = flat(house)
        house.trader.stopping = True
        await look(house, flattener)
        assert house.broker.posts == []


def test_sold_options_come_before_sold_shares_and_both_before_what_covers_them():
    given = [position("NVDA", 100), position("AMD", -100), position(OCC, 2), position(UPPER, -2)]
    assert [p.symbol for p in _in_order(given)] == [UPPER, "AMD", "NVDA", OCC]


async def test_sold_shares_wait_for_the_sold_options_of_the_same_stock():
    async with held(position("NVDA", -100), position(UPPER, -2)) as house:
        house.quote(2.10, 2.20, UPPER)
        assert list(await look(house, flat(house))) == ["NVDA"]
        assert [record.intent.legs[0].symbol for record in house.working] == [UPPER]


# --- why one waits ---


async def test_while_a_close_works_nothing_waits():
    async with held(position(OCC, 2)) as house:
        flattener = flat(house)
        for _ in range(2):
            assert await look(house, flattener) == {}
        assert len(house.broker.posts) == 1


async def test_each_reason_to_wait_is_said_once_in_its_own_words():
    async with held(position(OCC, 2)) as house:
        flattener, told = flat(house), Sink()
        house.log.keep_in(told)
        house.open = False
        for _ in range(3):
            assert await look(house, flattener) == {OCC: "waits for the market to open"}
        house.open = True
        house.book.settle([], house.clock.now())
        words = "the broker's positions do not show it (yet): the comparison decides"
        for _ in range(3):
            assert await look(house, flattener) == {OCC: words}
        said = ("waits for the market to open", words)
        assert told == [("warn", "RISK", f"flatten NVDA 17APR26 175C: {why}", OCC, {}) for why in said]


@pytest.mark.parametrize(
    ("quantity", "bid", "ask", "words"),
    [
        (1, 0.0, 4.20, "waits: nobody bids"),
        (-1, 4.10, 0.0, "waits: nobody offers"),
        (1, 0.0, 0.0, "waits: nobody bids"),
        (1, 0.0, 0.04, "waits: nobody bids"),
        (1, None, None, "waits for a quote"),
    ],
)
async def test_a_side_that_is_missing_is_named(quantity, bid, ask, words):
    async with held(position(OCC, quantity)) as house:
        house.quotes.table.pop(OCC)
        if bid is not None:
            house.quote(bid, ask)
        assert await look(house, flat(house)) == {OCC: words}
        assert house.broker.posts == []


async def test_asked_at_three_ticks_it_is_offered_at_one():
    async with held(position(OCC, 1)) as house:
        house.quote(0.0, 0.03)
        await look(house, flat(house))
        assert house.working[0].intent.net_price == Decimal("0.01")


async def test_after_a_refusal_of_the_broker_it_waits_a_moment_and_says_so():
    async with held(position(OCC, 2)) as house:
        flattener = flat(house)
        await look(house, flattener)
        await house.ended(house.working[0].broker_id, OrderState.REJECTED)
        assert await look(house, flattener) == {OCC: "waits a moment before the next try"}
        house.clock.advance(14.9)
        assert len(house.broker.posts) == 1
        house.clock.advance(0.1)
        assert await look(house, flattener) == {}
        assert len(house.broker.posts) == 2


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict(0, Reason.NO_QUOTE), f"refused: NO_QUOTE: {Verdict(0, Reason.NO_QUOTE).sentence}"),
        (Verdict(0, None), f"refused: : {Verdict(0, None).sentence}"),
    ],
)
async def test_a_refusal_of_the_gate_is_kept_in_its_words_until_the_next_try(verdict, words):
    async with held(position(OCC, 2)) as house:
        asked = []
        house.trader.close = lambda intent, **how: asked.append(how) or verdict
        flattener = flat(house)
        for seconds in (0, 1, 13.9, 0.1):
            house.clock.advance(seconds)
            assert await look(house, flattener) == {OCC: words}
        assert asked == [{"by_person": False, "approved": True}] * 2


async def test_a_second_try_gives_way_a_tick_and_after_a_resume_it_starts_anew():
    async with held(position(OCC, 2)) as house:
        house.broker.held = {OCC: 2}
        await house.oversight.read_account()
        await house.answering.answer(Flatten())
        await house.lanes.idle()
        await house.answering.answer(Kill())
        await house.ended("1000")
        await house.turn()
        await house.answering.answer(Resume())
        await house.turn()
        assert [order.net_price for order in house.broker.orders.values()] == [Decimal("4.10")] * 2
        await house.ended("1001")
        house.clock.advance(15)
        await house.turn()
        assert house.broker.orders["1002"].net_price == Decimal("4.05")

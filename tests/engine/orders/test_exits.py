"""Protection: a stop that was hit becomes a goal, the goal becomes orders, until the position is flat."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError
from qmterm.core.orders import Action, Leg, OrderState, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram
from qmterm.engine.orders.exit_orders import exit_price
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.underlyings import Daily
from tests.engine.fakes import OCC, entry
from tests.engine.house import GONE, close_at, opened, plan

SEVEN, EIGHT = 168 + 7 * 4.0, 168 + 8 * 4.0


async def test_the_guard_is_on_disk_before_its_entry_leaves():
    async with opened() as house:
        house.broker.before_accept = lambda intent: house.journal.protects[intent.plan_id]
        await house.hold(4)
        assert house.journal.protects["P1"]["quantity"] == 4
        assert house.guards.of("P1").state.entry_premium == Decimal("4.10")


async def test_stop_goal_order_reprice_flat():
    async with opened() as house:
        await house.hold(4)
        await house.turn()
        assert house.working == ()

        close_at(house, GONE)
        await house.turn()
        (first,) = house.working
        assert (first.intent.purpose, first.intent.reason) == (Purpose.EXIT, Reason.ATR_STOP)
        assert (first.intent.quantity, first.intent.net_price) == (4, Decimal("4.10"))
        assert house.log.levels["alarm"] == 1

        await house.filled(first.broker_id, 1, "4.10")
        await house.turn()
        assert house.working == (first,)  # one close at a time

        house.clock.advance(15)
        house.quote(3.90, 4.00)
        await house.turn()
        assert house.broker.cancels == [first.broker_id]
        await house.ended(first.broker_id)
        close_at(house, 200.0)  # the price came back: a stop that was hit stays hit
        await house.turn()
        (second,) = house.working
        assert second.intent.quantity == 3
        assert second.intent.net_price == Decimal("3.85")  # one tick beyond the bid after the first try
        await house.filled(second.broker_id, 3, "3.88")
        assert house.book.quantity(OCC) == 0
        assert house.guards.of("P1").goal == 0
        await house.turn()
        assert house.working == ()
        await house.guards.tidy()
        assert house.journal.protects == {}
        assert house.log.levels["alarm"] == 1  # told once


async def test_what_is_sold_to_open_is_no_entry_of_a_guard_that_waits_for_a_purchase():
    async with opened() as house:
        bought = Leg(OCC, Action.BUY_TO_OPEN, 1)
        await house.guards.prepare(plan(), (bought,))  # its own order was refused
        other = Leg("NVDA  260417C00170000", Action.BUY_TO_OPEN, 2)
        legs = (other, Leg(OCC, Action.SELL_TO_OPEN, 2))
        record = await house.desk.submit(replace(entry("qm-9", 2), legs=legs, plan_id="P9"))
        await house.filled(record.broker_id, 2, symbol=OCC)
        assert house.book.quantity(OCC) == -2
        assert house.guards.of("P1").state.quantity == 0

        guard = house.guards.of("P1")
        moving = [action for action in Action if guard.moved_by(OCC, action)]
        assert moving == [Action.BUY_TO_OPEN, Action.SELL_TO_CLOSE]
        assert not guard.moved_by(other.symbol, Action.BUY_TO_OPEN)


async def test_a_scale_out_level_fires_once():
    async with opened() as house:
        await house.hold(4)
        close_at(house, SEVEN)
        await house.turn()
        (order,) = house.working
        assert (order.intent.purpose, order.intent.quantity) == (Purpose.SCALE_OUT, 1)
        await house.filled(order.broker_id, 1, "4.10")
        house.clock.advance(300)
        house.quote(4.10, 4.20)
        close_at(house, SEVEN + 1)
        await house.turn()
        assert house.working == ()
        assert house.guards.of("P1").state.fired == (7.0,)
        close_at(house, EIGHT)
        await house.turn()
        assert [r.intent.quantity for r in house.working] == [1]


async def test_a_whole_exit_takes_over_a_scale_out_that_still_works():
    async with opened() as house:
        await house.hold(4)
        close_at(house, SEVEN)
        await house.turn()
        (scale,) = house.working
        house.clock.advance(14)
        house.quote(4.10, 4.20)
        close_at(house, GONE)
        await house.turn()
        guard = house.guards.of("P1")
        assert (guard.goal, guard.reason) == (4, Reason.ATR_STOP)
        assert [r.intent.quantity for r in house.working] == [1, 3]  # what is free leaves at once
        await house.filled(house.working[1].broker_id, 3)
        house.clock.advance(2)
        house.quote(4.10, 4.20)
        await house.turn()
        assert house.broker.cancels == [scale.broker_id]
        await house.ended(scale.broker_id)
        await house.turn()
        (whole,) = house.working
        assert (whole.intent.purpose, whole.intent.quantity) == (Purpose.EXIT, 1)


async def test_the_goal_survives_a_restart():
    async with opened() as house:
        await house.hold(4)
        close_at(house, GONE)
        await house.turn()
        await house.filled(house.working[0].broker_id, 1)
        saved = json.loads(json.dumps(house.journal.protects))
        before = house.guards.of("P1")
    async with opened(book=house.book) as again:
        again.guards.restore(saved)
        after = again.guards.of("P1")
        assert (after.goal, after.reason, after.state) == (3, Reason.ATR_STOP, before.state)
        again.clock.advance(900)
        again.quote(4.10, 4.20)
        await again.turn()
        assert [r.intent.quantity for r in again.working] == [3]


@pytest.mark.parametrize("lost", [1, 4])
async def test_a_fill_whose_guard_was_never_written_is_guarded_after_the_restart(lost):
    """Killed between the fill's row and the guard's: the book holds it, so the stop must know it."""
    async with opened() as house:
        house.trader.open(plan(now_ns=house.clock.now()), 0.0, wanted=4)
        await house.lanes.idle()
        (order,) = house.working
        await house.filled(order.broker_id, 4 - lost) if lost < 4 else None
        saved = json.loads(json.dumps(house.journal.protects))
        await house.filled(order.broker_id, lost, "4.20")
        house.guards.restore(saved)  # what the disk had
        assert house.guards.of("P1").state.quantity == 4 - lost
        await house.guards.catch_up()
        state = house.guards.of("P1").state
        assert (state.opened, state.quantity, state.entry_premium) == (4, 4, house.book.position(OCC).average)
        before = json.loads(json.dumps(house.journal.protects))
        await house.guards.catch_up()
        assert house.journal.protects == before  # once is enough
        house.clock.advance(300)
        house.quote(4.10, 4.20)
        close_at(house, GONE)
        await house.turn()
        assert [r.intent.quantity for r in house.working] == [4]


async def test_a_close_whose_guard_was_never_written_leaves_no_goal_beyond_what_is_held():
    async with opened() as house:
        await house.hold(4)
        close_at(house, GONE)
        await house.turn()
        saved = json.loads(json.dumps(house.journal.protects))
        await house.filled(house.working[0].broker_id, 3)
        house.guards.restore(saved)
        await house.guards.catch_up()
        guard = house.guards.of("P1")
        assert (guard.goal, guard.state.quantity, guard.state.opened) == (1, 1, 4)


def test_a_guard_as_text_is_the_same_guard():
    async def make():
        async with opened() as house:
            await house.hold(2)
            return house.guards.of("P1")

    import asyncio

    guard = asyncio.run(make())
    guard = replace(guard, goal=1, reason=Reason.SCALE_OUT, daily_seen=date(2026, 3, 2), called_off_ns=7)
    assert Guard.from_dict(json.loads(json.dumps(guard.to_dict()))) == guard


async def test_without_a_quote_the_goal_waits_and_goes_when_there_is_one():
    async with opened() as house:
        await house.hold(2)
        house.quote(0.0, 4.20)
        close_at(house, GONE)
        await house.turn()
        assert house.guards.of("P1").goal == 2
        assert house.working == ()
        house.quote(4.00, 4.20)
        await house.turn()
        assert [r.intent.net_price for r in house.working] == [Decimal("4.00")]


async def test_outside_the_session_a_stop_latches_and_the_order_waits_for_the_open():
    async with opened() as house:
        await house.hold(2)
        house.open = False
        close_at(house, GONE)
        await house.turn()
        assert (house.guards.of("P1").goal, house.working) == (2, ())
        house.open = True
        await house.turn()
        assert len(house.working) == 1


async def test_a_bar_that_began_before_the_position_cannot_stop_it():
    async with opened() as house:
        close_at(house, GONE)
        house.clock.advance(1)
        house.quote(4.10, 4.20)
        await house.hold(2)
        await house.turn()
        assert house.guards.of("P1").goal == 0


async def test_half_the_premium_gone_is_a_stop_but_a_flagged_mark_decides_nothing():
    async with opened() as house:
        await house.hold(2)
        house.clock.advance(120)  # the last quote is old: the mark is flagged
        house.quotes.table[OCC] = replace(house.quotes.table[OCC], bid=1.0, ask=1.2)
        await house.turn()
        assert house.guards.of("P1").goal == 0
        house.quote(2.00, 2.10)
        await house.turn()
        assert house.working[0].intent.reason is Reason.PREMIUM_STOP


async def test_a_close_below_the_sma50_ends_the_setup_once_the_session_is_over():
    async with opened() as house:
        await house.hold(2)
        house.underlyings.sessions["NVDA"] = Daily(date(2026, 3, 2), 160.0, 168.0, 4.0)
        await house.turn()
        assert house.working[0].intent.reason is Reason.SMA50_EXIT


async def test_an_exit_the_broker_refused_is_asked_again_at_repricing_pace_not_every_turn():
    async with opened() as house:
        await house.hold(2)

        def refuse(intent):
            raise BrokerError("exchange closed for this series", "rejected")

        house.broker.before_accept = refuse
        close_at(house, GONE)
        sent = len(house.broker.posts)
        for _ in range(10):
            house.clock.advance(1)
            house.quote(4.10, 4.20)
            await house.turn()
        assert len(house.broker.posts) == sent + 1
        house.clock.advance(6)
        house.quote(4.10, 4.20)
        await house.turn()
        assert len(house.broker.posts) == sent + 2


async def test_a_cancel_that_led_to_nothing_is_asked_again():
    """Else an exit could stand at a price that is long gone, and block every other close of the position."""
    async with opened() as house:
        await house.hold(2)
        close_at(house, GONE)
        await house.turn()
        (order,) = house.working
        for seconds, asked in ((15, 1), (10, 1), (6, 2)):
            house.clock.advance(seconds)
            house.quote(3.00, 3.10)
            await house.turn()
            assert house.broker.cancels == [order.broker_id] * asked
            await house.ended(order.broker_id, OrderState.LIVE)  # the cancel came to nothing


async def test_somebody_elses_close_of_the_whole_leaves_nothing_to_do():
    async with opened() as house:
        await house.hold(2)
        close_at(house, GONE)
        house.desk.ledger.add(
            replace_record(house, entry("ext-9", 2, "4.00"), OrderState.LIVE)
        )  # a close placed elsewhere works already
        await house.turn()
        assert [r.intent.intent_id for r in house.working] == ["ext-9"]


def replace_record(house, intent, state):
    from qmterm.core.orders import Action, Leg
    from qmterm.engine.orders.ledger import OrderRecord

    close = replace(intent, purpose=Purpose.EXTERNAL, legs=(Leg(OCC, Action.SELL_TO_CLOSE, 2),), max_loss=None)
    return OrderRecord(close, state, broker_id="9", external=True)


def test_a_protective_price_is_the_natural_one_then_one_tick_beyond_and_never_zero():
    def quote(bid, ask):
        return Quote(OCC, bid, ask, 5, 5, 1, 1)

    assert exit_price(quote(4.10, 4.20), 0, TickProgram.PENNY, selling=True) == Decimal("4.10")
    assert exit_price(quote(4.10, 4.20), 3, TickProgram.PENNY, selling=True) == Decimal("4.05")
    assert exit_price(quote(4.10, 4.20), 0, TickProgram.PENNY, selling=False) == Decimal("4.20")
    assert exit_price(quote(0.0, 0.05), 0, TickProgram.PENNY, selling=True) is None
    assert exit_price(quote(0.01, 0.05), 2, TickProgram.PENNY, selling=True) > 0


async def test_a_split_moves_the_stop_with_the_price_and_only_once():
    async with opened() as house:
        await house.hold(4)
        before = house.guards.of("P1").state
        house.underlyings.splits["NVDA"] = 2.0
        assert house.guards.adjust_for_splits() == ("NVDA",)
        after = house.guards.of("P1").state
        assert (after.stop, after.sma50, after.atr) == (before.stop / 2, before.sma50 / 2, before.atr / 2)
        assert Guard.from_dict(house.guards.of("P1").to_dict()).levels_day is not None

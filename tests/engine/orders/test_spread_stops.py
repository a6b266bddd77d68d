"""Stops of spreads and of sold options: one goal, one order with all legs, and no leg left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import JournalError
from qmterm.core.orders import Action, BrokerPosition, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import StageTicket
from qmterm.engine.orders.guard import Guard
from tests.engine.fakes import OCC, lost
from tests.engine.house import opened, plan

LOW, HIGH = OCC, "NVDA  260417C00180000"
BOUGHT = "buy 3 NVDA 17APR26 175C / sell 3 NVDA 17APR26 180C @ 1.95 db"
SOLD = "sell 3 NVDA 17APR26 175C / buy 3 NVDA 17APR26 180C @ 1.85 cr"
LEGS_OUT = {LOW: Action.SELL_TO_CLOSE, HIGH: Action.BUY_TO_CLOSE}
LEGS_BACK = {LOW: Action.BUY_TO_CLOSE, HIGH: Action.SELL_TO_CLOSE}


async def hold(house, text, low="4.15", high="2.25"):
    """Three of a spread, typed, sent and filled."""
    house.quote(2.20, 2.30, HIGH)
    answer = await house.tickets.stage(StageTicket(text, True))
    assert answer.ok, answer.text
    await house.lanes.idle()
    (order,) = house.working
    await house.filled(order.broker_id, 3, low, LOW)
    await house.filled(order.broker_id, 3, high, HIGH)
    house.clock.advance(300)
    at(house, 4.10, 2.20)
    return house.guards.of(order.intent.plan_id)


def at(house, low, high):
    """Quotes a dime wide above these bids."""
    house.quote(low, low + 0.10, LOW)
    house.quote(high, high + 0.10, HIGH)


def legs_of(record):
    return {leg.symbol: leg.action for leg in record.intent.legs}


async def test_a_bought_spread_that_lost_half_its_premium_is_closed_whole():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        assert (guard.state.quantity, guard.state.entry_premium, guard.state.sold) == (3, Decimal("1.90"), False)
        at(house, 2.00, 1.00)
        await house.turn()
        assert house.working == ()  # worth 1.00 of 1.90
        at(house, 1.80, 0.90)
        await house.turn()
        (exit_,) = house.working
        assert legs_of(exit_) == LEGS_OUT
        assert (exit_.intent.quantity, exit_.intent.purpose, exit_.intent.reason) == (
            3,
            Purpose.EXIT,
            Reason.PREMIUM_STOP,
        )
        assert exit_.intent.net_price == Decimal("0.80")  # bid of the one less ask of the other
        said = [line.text for line in house.log.lines if line.kind == "STOP"]
        assert said == ["PREMIUM_STOP: +1 NVDA 17APR26 175C / -1 NVDA 17APR26 180C"]


async def test_sold_premium_whose_volatility_rose_by_ten_points_is_bought_back():
    async with opened() as house:
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": 0.30, "delta": 0.5} for _ in legs]}
        guard = await hold(house, SOLD)
        assert (guard.state.sold, guard.state.entry_iv, guard.state.entry_premium) == (True, 0.30, Decimal("1.90"))
        ivs = {LOW: 0.39, HIGH: 0.90}  # what was bought is not what must be bought back
        house.guards.iv_of = ivs.get
        await house.turn()
        assert house.working == ()
        ivs[LOW] = 0.41
        await house.turn()
        (exit_,) = house.working
        assert (legs_of(exit_), exit_.intent.reason) == (LEGS_BACK, Reason.IV_STOP)
        assert exit_.intent.net_price == Decimal("-2.00")
        assert house.journal.protects[guard.state.position_id]["latched"] == "IV_STOP"


async def test_sold_premium_is_closed_three_weeks_before_its_end():
    async with opened() as house:
        await hold(house, SOLD)
        house.clock.advance((date(2026, 3, 26) - date(2026, 3, 2)).days * 86_400)
        at(house, 4.10, 2.20)
        await house.turn()
        assert house.working == ()
        house.clock.advance(86_400)
        at(house, 4.10, 2.20)
        await house.turn()
        (exit_,) = house.working
        assert (legs_of(exit_), exit_.intent.reason) == (LEGS_BACK, Reason.SHORT_DTE_STOP)


@pytest.mark.parametrize("walk", [False, True])
async def test_a_stop_whose_wing_loses_its_bid_is_cancelled_and_what_was_sold_bought_back_alone(walk):
    async with opened(orders=OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=walk)) as house:
        await hold(house, SOLD)
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await house.turn()
        (stop,) = house.working
        await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
        for _ in range(4):
            house.clock.advance(5)
            house.quote(6.00, 6.10, LOW)
            house.quote(0.0, 0.05, HIGH)
            await house.turn()
            if stop.broker_id in house.broker.cancels:
                break
        await house.ended(stop.broker_id)
        await house.turn()
        (exit_,) = house.working
        assert legs_of(exit_) == {LOW: Action.BUY_TO_CLOSE}
        assert exit_.intent.net_price == Decimal("-6.15")  # a tick more: it is the second try


async def test_a_stop_all_of_whose_legs_are_quoted_gets_its_next_price_by_a_replace():
    async with opened(orders=OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)) as house:
        await hold(house, SOLD)
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await house.turn()
        (stop,) = house.working
        await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
        house.clock.advance(15)
        at(house, 4.30, 2.20)
        await house.turn()
        assert (house.broker.cancels, len(house.broker.puts)) == ([], 1)
        assert house.working[-1].intent.net_price == Decimal("-2.21")


async def test_a_call_sold_against_shares_has_its_stop_too():
    async with opened() as house:
        house.book.adopt(BrokerPosition("NVDA", 100, Decimal(170), 1), "manual", "", house.clock.now())
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": 0.30, "delta": 0.5} for _ in legs]}
        answer = await house.tickets.stage(StageTicket("sell 1 NVDA 17APR26 175C @ 4.15 cr", True))
        assert answer.ok, answer.text
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 1, "4.15")
        house.clock.advance(300)
        house.quote(4.10, 4.20)
        house.guards.iv_of = lambda symbol: 0.45
        await house.turn()
        (exit_,) = house.working
        assert (legs_of(exit_), exit_.intent.reason) == ({LOW: Action.BUY_TO_CLOSE}, Reason.IV_STOP)
        assert exit_.intent.net_price == Decimal("-4.20")


async def latched(house):
    """A spread on its way out, its closing order working."""
    guard = await hold(house, BOUGHT)
    at(house, 1.80, 0.90)
    await house.turn()
    (exit_,) = house.working
    return guard.state.position_id, exit_


async def test_who_closes_one_leg_by_hand_keeps_the_other():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        answer = await house.tickets.stage(StageTicket("buy 3 NVDA 17APR26 180C @ 2.30 db", True))
        assert answer.ok, answer.text
        await house.lanes.idle()
        (close,) = house.working
        assert legs_of(close) == {HIGH: Action.BUY_TO_CLOSE}
        await house.filled(close.broker_id, 3, "2.30", HIGH)
        assert house.guards.of(guard.state.position_id).state.quantity == 0
        await house.turn()
        await house.turn()
        assert house.working == ()
        assert house.book.quantity(LOW) == 3
        await house.guards.tidy()
        assert house.guards.all == ()


async def test_a_wing_worth_nothing_does_not_hold_up_the_close():
    async with opened() as house:
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": 0.30, "delta": 0.5} for _ in legs]}
        guard = await hold(house, SOLD)
        house.guards.iv_of = lambda symbol: 0.45
        house.marks.update()
        await house.guards.look(lambda guard, reason, numbers: None)
        assert house.guards.of(guard.state.position_id).goal == 3
        house.quote(0.0, 0.05, HIGH)
        await house.turn()
        (exit_,) = house.working
        assert (legs_of(exit_), exit_.intent.net_price) == ({LOW: Action.BUY_TO_CLOSE}, Decimal("-4.20"))
        await house.filled(exit_.broker_id, 3, "4.20", LOW)
        await house.turn()
        assert house.working == ()
        assert house.guards.of(guard.state.position_id).goal == 0


@pytest.mark.parametrize(("ask", "age_s"), [(4.20, 0), (0.05, 120)])
async def test_a_missing_bid_that_may_be_a_hole_in_the_data_leaves_no_leg_behind(ask, age_s):
    async with opened() as house:
        await hold(house, SOLD)
        house.quote(0.0, ask, HIGH)
        house.clock.advance(age_s)
        house.quote(4.10, 4.20, LOW)
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await house.turn()
        assert house.working == ()


async def test_a_bought_spread_worth_nothing_on_one_side_still_has_its_premium_stop():
    async with opened() as house:
        await hold(house, BOUGHT)
        house.quote(0.10, 0.15, LOW)
        house.quote(0.0, 0.05, HIGH)
        await house.turn()
        (exit_,) = house.working
        assert (legs_of(exit_), exit_.intent.reason) == (LEGS_OUT, Reason.PREMIUM_STOP)


async def test_the_volatility_of_what_was_sold_is_watched_while_the_wing_has_no_bid():
    async with opened() as house:
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": 0.30, "delta": 0.5} for _ in legs]}
        await hold(house, SOLD)
        house.guards.iv_of = {LOW: 0.90}.get
        house.quote(0.0, 0.05, HIGH)
        await house.turn()
        (exit_,) = house.working
        assert (legs_of(exit_), exit_.intent.reason) == ({LOW: Action.BUY_TO_CLOSE}, Reason.IV_STOP)


async def test_a_spread_whose_sold_leg_nobody_offers_waits():
    async with opened() as house:
        await hold(house, SOLD)
        (guard,) = house.guards.all
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        house.quote(4.10, 0.0, LOW)
        await house.turn()
        assert house.working == ()
        at(house, 4.10, 2.20)
        await house.turn()
        assert len(house.working) == 1
        assert house.guards.of(guard.state.position_id).state.latched is Reason.PIN_RISK


async def test_the_expiry_desks_word_on_either_leg_closes_the_whole_once():
    async with opened() as house:
        await hold(house, BOUGHT)
        assert await house.guards.want_out(HIGH, Reason.PIN_RISK)
        assert not await house.guards.want_out(LOW, Reason.PIN_RISK)
        await house.turn()
        (exit_,) = house.working
        assert legs_of(exit_) == LEGS_OUT


async def test_an_exit_that_gives_way_goes_one_step_beyond_the_natural_price():
    async with opened() as house:
        _position, exit_ = await latched(house)
        house.clock.advance(15)
        at(house, 1.80, 0.90)
        await house.turn()
        assert house.broker.cancels == [exit_.broker_id]
        await house.ended(exit_.broker_id)
        await house.turn()
        (again,) = house.working
        assert again.intent.net_price == Decimal("0.79")


async def test_what_a_restart_missed_of_a_spread_is_counted_by_its_legs():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        position = guard.state.position_id
        stale = replace(guard, state=replace(guard.state, opened=1, quantity=1))
        house.guards.restore({position: stale.to_dict()})
        await house.guards.catch_up()
        assert (house.guards.of(position).state.opened, house.guards.of(position).state.quantity) == (3, 3)
        assert Guard.from_dict(guard.to_dict()).legs == guard.legs


async def test_a_spread_half_filled_is_guarded_for_what_is_whole():
    async with opened() as house:
        house.quote(2.20, 2.30, HIGH)
        await house.tickets.stage(StageTicket(BOUGHT, True))
        await house.lanes.idle()
        (order,) = house.working
        await house.filled(order.broker_id, 3, "4.15", LOW)
        guard = house.guards.of(order.intent.plan_id)
        assert (guard.state.opened, guard.state.quantity) == (0, 0)
        await house.filled(order.broker_id, 2, "2.25", HIGH)
        guard = house.guards.of(order.intent.plan_id)
        assert (guard.state.opened, guard.state.quantity) == (2, 2)


async def test_a_stored_guard_of_an_older_version_is_of_a_bought_option():
    async with opened() as house:
        guard = await hold(house, BOUGHT)
        plain = guard.to_dict()
        del plain["legs"]
        (leg,) = Guard.from_dict(plain).legs
        assert (leg.symbol, leg.action, leg.quantity) == (LOW, Action.BUY_TO_OPEN, 1)


async def test_a_scale_out_of_a_spread_begins_at_its_mid():
    walking = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=True)
    async with opened(orders=walking) as house:
        guard = await hold(house, BOUGHT)
        await house.guards._keep(replace(guard, goal=1, reason=Reason.SCALE_OUT))
        await house.turn()
        (exit_,) = house.working
        assert (exit_.intent.purpose, exit_.intent.quantity) == (Purpose.SCALE_OUT, 1)
        assert exit_.intent.net_price == Decimal("1.90")


async def test_an_entry_that_turns_up_late_finds_its_stop():
    async with opened() as house:
        house.broker.after_accept = lost
        house.trader.open(plan(now_ns=house.clock.now()), 0.0, wanted=2)
        await house.lanes.idle()
        (entry,) = house.working
        entry.state = OrderState.NOT_ACCEPTED
        await house.oversight.protection.tidy()
        await house.filled(next(iter(house.broker.orders)), 2)
        (guard,) = house.guards.all
        assert guard.state.quantity == house.book.quantity(LOW) == 2


async def test_a_guard_counts_in_the_smallest_units():
    """Two contracts a unit, as a ratio roll opens them: the stop reads the price of one and sells contracts."""
    async with opened() as house:
        two = replace(plan(now_ns=house.clock.now(), net_price="-8.30"), legs=(Leg(LOW, Action.BUY_TO_OPEN, 2),))
        await house.guards.prepare(two, two.legs)
        (guard,) = house.guards.all
        assert guard.legs == (Leg(LOW, Action.BUY_TO_OPEN, 1),)
        assert guard.state.entry_premium == Decimal("4.15")


async def test_a_trade_of_which_a_leg_is_left_says_that_nothing_watches_it():
    async with opened() as house:
        await hold(house, BOUGHT)
        house.book.adopt(BrokerPosition(HIGH, 0, Decimal(0), 100), "external", "", house.clock.now())
        await house.oversight.protection.tidy()
        (told,) = [line.text for line in house.log.lines if "no longer watch" in line.text]
        assert told.startswith("NVDA 17APR26 175C is left of +1 NVDA 17APR26 175C / -1")


async def test_that_a_leg_is_left_is_said_though_the_row_of_it_fails():
    async with opened() as house:
        await house.hold(4)
        guard = house.guards.of("P1")
        short = Leg("NVDA  260417C00185000", Action.SELL_TO_OPEN, 1)
        await house.guards._keep(replace(guard, legs=(*guard.legs, short)))
        house.journal.full = True
        with pytest.raises(JournalError):
            await house.oversight.protection.tidy()
        assert [line.level for line in house.log.lines if "no longer watch" in line.text] == ["alarm"]


@pytest.mark.parametrize("dark", [(LOW, HIGH), (LOW,)], ids=["no leg is quoted", "what was sold is not quoted"])
async def test_a_spreads_stop_that_nothing_could_follow_stays_where_it_is(dark):
    async with opened(orders=OrderSettings(readback_window_s=0.2, exit_reprice_s=15)) as house:
        await hold(house, SOLD)
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await house.turn()
        (stop,) = house.working
        await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
        for symbol in dark:
            house.quote(0.0, 0.0, symbol)
        for _ in range(8):
            house.clock.advance(5)
            await house.turn()
        assert house.broker.cancels == []


async def test_the_stop_of_a_pair_of_which_nothing_was_sold_stays_while_one_leg_has_no_bid():
    async with opened(orders=OrderSettings(readback_window_s=0.2, exit_reprice_s=15)) as house:
        await hold(house, "buy 3 NVDA 17APR26 175C / buy 3 NVDA 17APR26 180C @ 6.45 db")
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await house.turn()
        (stop,) = house.working
        await house.desk.on_order(house.broker.set_state(stop.broker_id, OrderState.LIVE))
        house.quote(0.0, 0.05, HIGH)
        for _ in range(8):
            house.clock.advance(5)
            await house.turn()
        assert house.broker.cancels == []

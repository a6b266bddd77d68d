"""A stop that hit and has no order: what was sold leaves alone after a while, and it is said once, loudly."""

from __future__ import annotations

from qmterm.core.orders import Action, BrokerPosition, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import StageTicket
from tests.engine.fakes import OCC
from tests.engine.house import GONE, close_at, opened, plan
from tests.engine.orders.test_spread_stops import BOUGHT, HIGH, LOW, SOLD, hold, legs_of

TOLD = "has no order yet"
RESTING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=False, resting_exits=True)


def alarms(house, words=TOLD):
    return [line.text for line in house.log.lines if line.level == "alarm" and words in line.text]


async def turns(house, seconds, low=(3.00, 3.10), high=(0.0, 0.20), step=5):
    for _ in range(seconds // step):
        house.clock.advance(step)
        house.quote(*low, LOW)
        house.quote(*high, HIGH)
        await house.turn()


async def test_what_was_sold_is_bought_back_alone_when_nobody_bids_for_the_wing():
    async with opened() as house:
        house.desk.priced = lambda legs, stock: {"legs": [{"iv": 0.30, "delta": 0.5} for _ in legs]}
        guard = await hold(house, SOLD)
        house.guards.iv_of = {LOW: 0.45, HIGH: 0.45}.get
        await turns(house, 15)
        assert house.guards.of(guard.state.position_id).goal == 3
        assert house.working == ()
        await turns(house, 5)
        (stop,) = house.working
        assert (legs_of(stop), stop.intent.reason) == ({LOW: Action.BUY_TO_CLOSE}, Reason.IV_STOP)
        (told,) = alarms(house)
        assert told.startswith("IV_STOP of -1 NVDA 17APR26 175C / +1 NVDA 17APR26 180C")
        await house.filled(stop.broker_id, 3, "3.10", LOW)
        await turns(house, 30)
        assert house.working == ()
        after = house.guards.of(guard.state.position_id)
        assert (after.state.quantity, after.goal, after.loose) == (0, 0, (0, 3))
        assert len(alarms(house)) == 1


async def test_the_whole_leaves_when_the_wing_has_a_bid_again_in_time():
    async with opened() as house:
        await hold(house, SOLD)
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await turns(house, 10)
        await turns(house, 5, high=(0.05, 0.20))
        assert [len(order.intent.legs) for order in house.working] == [2]
        await turns(house, 10)
        assert alarms(house) == []


async def test_a_bought_spread_whose_bought_leg_has_no_bid_covers_nothing_and_buys_the_sold_one_back():
    async with opened() as house:
        await hold(house, BOUGHT)
        await house.guards.want_out(LOW, Reason.PIN_RISK)
        await turns(house, 20, low=(0.0, 4.20), high=(2.20, 2.30))
        assert [legs_of(order) for order in house.working] == [{HIGH: Action.BUY_TO_CLOSE}]


async def test_a_long_call_that_nobody_bids_for_is_told_once_and_again_after_it_left():
    async with opened() as house:
        await house.hold(2)
        close_at(house, GONE)
        await turns(house, 40, low=(0.0, 4.20))
        assert house.working == ()
        assert len(alarms(house)) == 1
        assert "bought back" not in alarms(house)[0]
        await turns(house, 5, low=(4.00, 4.10))
        await house.ended(house.working[0].broker_id)
        await turns(house, 20, low=(0.0, 4.20))
        assert len(alarms(house)) == 2


async def test_a_stop_that_the_brokers_ledger_does_not_show_as_held_is_told():
    async with opened() as house:
        await house.hold(2)
        house.book.settle((), house.clock.now())
        close_at(house, GONE)
        await turns(house, 25, low=(4.10, 4.20))
        assert house.working == ()
        assert len(alarms(house)) == 1
        house.book.settle((BrokerPosition(OCC, 2, house.book.position(OCC).average, 100),), house.clock.now())
        await turns(house, 5, low=(4.10, 4.20))
        assert [order.intent.quantity for order in house.working] == [2]


async def test_a_night_between_is_no_wait():
    async with opened() as house:
        await house.hold(2)
        close_at(house, GONE)
        await turns(house, 10, low=(0.0, 4.20))
        house.clock.advance(60_000)
        await turns(house, 10, low=(0.0, 4.20))
        assert alarms(house) == []


async def test_a_resting_exit_that_does_not_go_away_for_a_stop_is_told():
    async with opened(orders=RESTING) as house:
        house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=4)
        await house.lanes.idle()
        trigger = next(r for r in house.working if r.intent.purpose is Purpose.ENTRY)
        await house.filled(trigger.broker_id, 4)
        for resting in house.working:
            await house.desk.on_order(house.broker.set_state(resting.broker_id, OrderState.LIVE))
        house.clock.advance(300)
        house.quote(4.10, 4.20)
        close_at(house, GONE)
        await turns(house, 60, low=(4.10, 4.20))
        assert alarms(house, "does not go away") == []
        await turns(house, 10, low=(4.10, 4.20))
        assert len(alarms(house, "does not go away")) == 1


async def test_a_scale_out_that_nothing_was_free_for_leaves_when_something_is():
    async with opened() as house:
        await house.hold(4)
        house.book.settle((), house.clock.now())
        close_at(house, 196.5)
        await house.turn()
        (guard,) = house.guards.all
        assert (guard.goal, guard.state.fired) == (0, ())
        held = BrokerPosition(OCC, 4, house.book.position(OCC).average, 100)
        house.book.settle((held,), house.clock.now())
        await house.turn()
        assert [(r.intent.purpose, r.intent.quantity) for r in house.working] == [(Purpose.SCALE_OUT, 1)]


async def test_a_stop_that_waited_behind_a_persons_order_and_finds_no_bid_then_is_told_after_all():
    async with opened() as house:
        await house.hold(4)
        assert (await house.tickets.stage(StageTicket("sell 4 NVDA 17APR26 175C @ 9.00 gtc", True))).ok
        await house.lanes.idle()
        (sale,) = house.working
        close_at(house, GONE)
        for bid, seconds in ((4.10, 40), (0.0, 10)):
            for _ in range(seconds // 5):
                house.clock.advance(5)
                house.quote(bid, 4.20)
                await house.turn()
        assert len(alarms(house, "waits behind an order of yours")) == 1
        assert alarms(house) == []  # one thing at a time
        await house.ended(sale.broker_id)
        for _ in range(4):
            house.clock.advance(5)
            house.quote(0.0, 4.20)
            await house.turn()
        assert len(alarms(house)) == 1

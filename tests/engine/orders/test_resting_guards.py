"""When an exit is put to rest at the broker and when it must not be: each guard by itself."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, BracketRole, BrokerPosition, Leg, OrderKind, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import OrderSettings
from qmterm.engine.commands import ClosePosition
from qmterm.engine.ladder import Level
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.resting import Rester
from qmterm.risk.verdict import Verdict
from tests.engine.fakes import OCC, entry
from tests.engine.house import opened, plan

RESTING = OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=False, resting_exits=True)
PLAIN = RESTING.model_copy(update={"resting_exits": False})


@pytest.fixture
async def house():
    """Four contracts are held, nothing rests yet, the last order is five minutes old."""
    async with opened(orders=PLAIN) as made:
        await made.hold(4)
        made.trader.settings = RESTING
        made.rester = Rester(made.trader)
        yield made


def resting(house):
    return [record for record in house.working if record.intent.rests]


async def steps(house, seconds=0.0, bid=4.10, ask=4.20):
    house.clock.advance(seconds)
    house.quote(bid, ask)
    house.rester.step()
    await house.lanes.idle()
    return resting(house)


async def guard(house, **changes):
    """The guard as it would be with something different."""
    state = {name: changes.pop(name) for name in tuple(changes) if name in ("latched", "quantity", "entry_iv")}
    now = house.guards.of("P1")
    await house.guards._keep(replace(now, state=replace(now.state, **state), **changes))


def other_order(house, broker_id, legs, state=OrderState.LIVE):
    """An order placed elsewhere."""
    known = next(iter(house.broker.orders.values()))
    order = replace(known, broker_id=broker_id, external_id=None, legs=legs, fills=(), state=state,
                    net_price=Decimal("4.10"), complex_id=None, role=None)  # fmt: skip
    house.broker.orders[broker_id] = order
    return order


SELL_4 = (Leg(OCC, Action.SELL_TO_CLOSE, 4),)


# --- it rests ---


async def test_what_is_held_gets_its_stop_under_a_number_of_its_own(house):
    (record,) = await steps(house)
    intent, now = record.intent, house.clock.now()
    assert (intent.role, intent.kind, intent.stop_trigger) == (BracketRole.STOP, OrderKind.STOP, Decimal("2.05"))
    assert (intent.intent_id, intent.bracket_id) == (f"rP1-{now:x}-s", f"rP1-{now:x}")
    assert (intent.legs, intent.quantity, intent.created_ns) == (SELL_4, 4, now)
    assert (intent.strategy, intent.underlying, intent.plan_id) == ("atr_matrix", "NVDA", "P1")


async def test_with_a_level_that_waits_it_is_a_pair(house):
    await guard(house, entry_iv=0.4)
    found = await steps(house)
    assert [record.intent.role for record in found] == [BracketRole.TARGET, BracketRole.STOP]
    assert len({record.intent.bracket_id for record in found}) == 1
    assert len(house.broker.posts) == 2  # the entry, and both in one call


async def test_a_target_at_the_market_or_below_it_is_left_out(house):
    await guard(house, entry_iv=0.4)
    target = float((await steps(house))[0].intent.net_price)
    for record in resting(house):
        await house.ended(record.broker_id)
    found = await steps(house, 30, target - 0.10, target)
    assert [(r.intent.role, r.intent.stop_trigger) for r in found] == [(BracketRole.STOP, Decimal("2.05"))]


async def test_a_target_a_tick_above_the_market_rests(house):
    await guard(house, entry_iv=0.4)
    target = float((await steps(house))[0].intent.net_price)
    for record in resting(house):
        await house.ended(record.broker_id)
    assert len(await steps(house, 30, target - 0.10, target - 0.05)) == 2


async def test_a_single_contract_gets_one_too():
    async with opened(orders=PLAIN) as house:
        await house.hold(1)
        house.trader.settings = RESTING
        house.rester = Rester(house.trader)
        assert [record.intent.quantity for record in await steps(house)] == [1]


async def test_what_fits_is_left_where_it_is(house):
    await guard(house, entry_iv=0.4)
    found = await steps(house)
    for _ in range(30):
        assert await steps(house, 4) == found
    assert house.broker.cancels == []


async def test_of_what_somebody_closes_already_only_the_rest_is_covered(house):
    await guard(house, quantity=3)
    assert [record.intent.quantity for record in await steps(house)] == [3]


# --- it does not ---


async def test_not_while_its_stop_has_been_reached(house):
    await guard(house, latched=Reason.ATR_STOP)
    assert await steps(house) == []


async def test_not_while_even_one_contract_is_still_to_be_closed(house):
    await guard(house, goal=1, reason=Reason.SCALE_OUT)
    assert await steps(house) == []
    assert len(house.desk.ledger.records) == 1  # not even to be taken back in the moment it would leave


async def test_not_for_a_position_that_its_guard_does_not_know_of(house):
    await guard(house, quantity=0)
    assert await steps(house) == []


async def test_not_beside_an_order_that_closes_a_part(house):
    await house.desk.on_order(other_order(house, "9", (Leg(OCC, Action.SELL_TO_CLOSE, 1),)))
    assert await steps(house) == []


async def test_not_before_the_broker_shows_what_was_bought(house):
    house.book.settle([], house.clock.now())
    assert await steps(house) == []
    house.book.settle([BrokerPosition(OCC, 3, Decimal("4.10"), 100)], house.clock.now())
    assert await steps(house) == []
    house.book.settle([BrokerPosition(OCC, 4, Decimal("4.10"), 100)], house.clock.now())
    assert len(await steps(house)) == 1


@pytest.mark.parametrize("quantity", [0, -4])
async def test_not_where_nothing_is_held_or_it_was_sold(house, quantity):
    house.book._positions[OCC] = Position(OCC, quantity, Decimal("4.10"), "atr_matrix", "P1", 1)
    assert await steps(house) == []


async def test_not_while_a_close_waits_for_its_way(house):
    close = replace(entry("x-9"), purpose=Purpose.EXIT, legs=SELL_4, quantity=4, net_price=Decimal("4.10"))
    house.trader.way.hold(close, by_person=True)
    assert await steps(house) == []
    assert len(house.desk.ledger.records) == 1


@pytest.mark.parametrize(("bid", "ask"), [(2.05, 2.15), (2.00, 2.10), (0.0, 4.20)])
async def test_not_with_the_bid_at_its_stop_or_without_one(house, bid, ask):
    assert await steps(house, 0, bid, ask) == []


async def test_a_tick_above_its_stop_it_does(house):
    assert len(await steps(house, 0, 2.10, 2.20)) == 1


async def test_not_without_a_quote_or_without_an_offer(house):
    house.quotes.table.pop(OCC)
    house.rester.step()
    await house.lanes.idle()
    assert resting(house) == []
    assert await steps(house, 0, 4.10, 0.0) == []


async def test_not_for_what_has_no_stop_worth_a_tick(house):
    state = house.guards.of("P1").state
    await house.guards._keep(replace(house.guards.of("P1"), state=replace(state, entry_premium=Decimal("0.01"))))
    assert await steps(house) == []


async def test_not_while_its_entry_may_still_fill(house):
    await house.desk.submit(replace(entry("e-more"), plan_id="P1"))
    assert await steps(house, 31) == []
    await house.ended(house.working[0].broker_id)
    assert len(await steps(house)) == 1


async def test_an_order_of_another_plan_stands_in_nobodys_way(house):
    await house.desk.submit(entry("qm-2", symbol="AMD   260417C00200000"))
    assert len(await steps(house)) == 1


@pytest.mark.parametrize("how", ["off", "shut", "flatten", "halt", "stopping", "not armed"])
async def test_not_where_nothing_may_be_sent(house, how):
    trader = house.trader
    if how == "off":
        trader.settings = PLAIN
    elif how == "shut":
        house.open = False
    elif how in ("flatten", "halt"):
        house.ladder.lower(Level[how.upper()], Reason.USER, "", 1, by_person=True)
    elif how == "stopping":
        trader.stopping = True
    else:
        trader.closing_refusal = lambda: Reason.NOT_ARMED
    house.rester.step()
    await house.lanes.idle()
    assert len(house.desk.ledger.records) == 1


async def test_not_where_the_gate_refuses_its_stop(house, monkeypatch):
    monkeypatch.setattr(house.trader.gate, "check_exit", lambda *_, **__: Verdict(0, Reason.OFF_TICK))
    assert not await steps(house)


async def test_under_reduce_only_it_does(house):
    house.ladder.lower(Level.REDUCE_ONLY, Reason.USER, "", 1, by_person=True)
    assert len(await steps(house)) == 1


# --- again ---


async def ended(house, state=OrderState.CANCELLED):
    for record in resting(house):
        await house.ended(record.broker_id, state)


async def test_one_that_went_away_is_put_back_after_half_a_minute(house):
    await steps(house)
    await ended(house)
    assert await steps(house, 29) == []
    assert len(await steps(house, 1)) == 1


async def test_one_that_was_refused_is_tried_again_after_five_minutes(house):
    await steps(house)
    await ended(house, OrderState.REJECTED)
    assert await steps(house, 299) == []
    assert len(await steps(house, 1)) == 1


async def test_one_that_a_person_took_away_stays_away_whatever_else_was_ordered_before():
    async with opened(orders=PLAIN) as house:
        house.quote(4.10, 4.20, "AMD   260417C00200000")
        await house.desk.submit(entry("qm-2", symbol="AMD   260417C00200000"))
        await house.ended("1000")
        verdict = house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=4)
        assert verdict.approved
        await house.lanes.idle()
        await house.filled(house.working[0].broker_id, 4)
        house.clock.advance(60)
        house.trader.settings = RESTING
        house.rester = Rester(house.trader)
        (record,) = await steps(house)
        record.unwanted = True
        await house.ended(record.broker_id)
        assert await steps(house, 600) == []


async def test_a_close_that_came_to_nothing_does_not_delay_the_exit(house):
    assert house.approvals.close(ClosePosition(OCC, send=True)).ok
    await house.lanes.idle()
    (close,) = house.working
    await house.ended(close.broker_id)
    assert len(await steps(house)) == 1


# --- asked again in the moment it would leave ---


async def left_after(house, change):
    """What became of an exit when `change` came between the decision and the sending."""
    house.rester.step()
    found = change()
    if found is not None:
        await found
    await house.lanes.idle()
    record = next(r for r in house.desk.ledger.records if r.intent.rests)
    return record.state, record.reason


@pytest.mark.parametrize(
    ("level", "reason"), [(Level.FLATTEN, Reason.LADDER_FLATTEN), (Level.HALT, Reason.LADDER_HALT)]
)
async def test_it_does_not_leave_once_everything_is_to_be_closed_or_nothing_may_move(house, level, reason):
    answer = await left_after(house, lambda: house.ladder.lower(level, Reason.USER, "", 1, by_person=True) and None)
    assert answer == (OrderState.NOT_SENT, reason.value)


NOTHING = (OrderState.NOT_SENT, Reason.NOTHING_TO_CLOSE.value)


async def test_it_does_not_leave_once_its_guard_is_gone(house):
    assert await left_after(house, lambda: house.guards._guards.pop("P1") and None) == NOTHING


async def test_it_does_not_leave_once_a_contract_is_to_be_closed(house):
    assert await left_after(house, lambda: guard(house, goal=1, reason=Reason.SCALE_OUT)) == NOTHING


async def test_it_does_not_leave_once_a_close_waits_for_its_way(house):
    close = replace(entry("x-9"), purpose=Purpose.EXIT, legs=SELL_4, quantity=4, net_price=Decimal("4.10"))
    assert await left_after(house, lambda: house.trader.way.hold(close, by_person=True)) == NOTHING


async def test_it_does_not_leave_beside_a_close_that_leaves_it_too_little(house):
    order = other_order(house, "9", (Leg(OCC, Action.SELL_TO_CLOSE, 1),))
    assert await left_after(house, lambda: house.desk.on_order(order)) == NOTHING


async def test_it_does_not_leave_once_the_broker_shows_less(house):
    shown = [BrokerPosition(OCC, 3, Decimal("4.10"), 100)]
    assert await left_after(house, lambda: house.book.settle(shown, house.clock.now())) == NOTHING


async def test_otherwise_it_leaves(house):
    assert (await left_after(house, lambda: None))[0] is OrderState.RECEIVED


# --- what does not fit ---


async def elsewhere_closed(house, contracts):
    other_order(house, "9", SELL_4)
    await house.desk.on_order(house.broker.fill("9", contracts))
    await house.desk.on_order(house.broker.set_state("9", OrderState.CANCELLED))


async def test_an_exit_for_more_than_is_held_goes_after_three_seconds_in_a_row(house):
    (record,) = await steps(house)
    await elsewhere_closed(house, 1)
    for seconds in (0, 2.9):
        await steps(house, seconds)
        assert house.broker.cancels == []
    asked, ask = [], house.trader.way.ask
    house.trader.way.ask = lambda of, why: asked.append((of, why)) or ask(of, why)
    await steps(house, 0.1)
    assert asked == [(record, "is not what the position needs")]
    assert house.broker.cancels == [record.broker_id]


async def test_what_looked_odd_and_fits_again_is_forgotten(house):
    await steps(house)
    await elsewhere_closed(house, 1)
    await steps(house)
    held = house.book.position(OCC)
    house.book._positions[OCC] = replace(held, quantity=4)
    await steps(house, 2)
    house.book._positions[OCC] = held
    await steps(house, 2)
    await steps(house, 2.9)
    assert house.broker.cancels == []
    await steps(house, 0.1)
    assert len(house.broker.cancels) == 1


async def test_the_last_contract_goes_and_its_exit_with_it():
    async with opened(orders=PLAIN) as house:
        await house.hold(1)
        house.trader.settings = RESTING
        house.rester = Rester(house.trader)
        (record,) = await steps(house)
        other_order(house, "9", (Leg(OCC, Action.SELL_TO_CLOSE, 1),))
        await house.filled("9", 1)
        await steps(house)
        await steps(house, 3)
        assert house.broker.cancels == [record.broker_id]


async def test_while_its_entry_still_fills_the_broker_decides_what_the_exits_are_for():
    async with opened(orders=RESTING) as house:
        house.rester = Rester(house.trader)
        assert house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=4).approved
        await house.lanes.idle()
        trigger = next(r for r in house.working if r.intent.role is BracketRole.TRIGGER)
        await house.filled(trigger.broker_id, 2)
        for _ in range(5):
            await steps(house, 2)
        assert house.broker.cancels == []


async def test_an_exit_of_somebody_elses_is_not_ours_to_cancel(house):
    order = other_order(house, "9", (Leg(OCC, Action.SELL_TO_CLOSE, 9),))
    order = replace(order, complex_id="77", role=BracketRole.STOP, kind=OrderKind.STOP, stop_trigger=Decimal(2))
    await house.desk.on_order(order)
    for _ in range(3):
        await steps(house, 3)
    assert house.broker.cancels == []

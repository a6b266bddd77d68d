"""What steps do to orders: queueing, partial fills, patience, races, sessions, stops; no network."""

from datetime import date
from decimal import Decimal as D

import pytest

from qmterm.core.clock import from_et
from qmterm.core.errors import InvariantBroken
from qmterm.core.orders import Action, Leg
from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.orders import NEXT, TERMINAL, OrderType, Status
from qmterm.sim.brokerage.refusals import MalformedRequest, Refused
from qmterm.sim.brokerage.ticket import Ticket, parse_ticket
from qmterm.sim.brokerage.wire import NEXT_SESSION
from tests.sim.brokerage.fake_world import APRIL, CALL_230, CALL_240, MONDAY, TOKEN, option, step

BTO, STO, BTC, STC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.BUY_TO_CLOSE, Action.SELL_TO_CLOSE


def ticket(price, *legs, order_type=OrderType.LIMIT, time_in_force="Day", trigger=None, **fields):
    return Ticket(
        legs=legs or (Leg(CALL_230, BTO, 1),),
        order_type=order_type,
        time_in_force=time_in_force,
        price=None if price is None else D(price),
        stop_trigger=None if trigger is None else D(trigger),
        **fields,
    )


@pytest.fixture
def events(broker):
    """Every event, as (type, data)."""
    seen = []
    broker.desk.emit = lambda kind, data: seen.append((kind, data))
    return seen


async def test_an_order_placed_while_closed_waits_for_the_next_session(broker, world):
    world.now_ns = from_et(MONDAY, 18)
    order, accepted = broker.desk.place(ticket("-5.10"))
    assert accepted.warnings == [NEXT_SESSION]
    assert order.session == date(2026, 3, 3)
    await step(broker, 3600)
    assert order.status is Status.RECEIVED
    world.now_ns = from_et(date(2026, 3, 3), 9, 30)
    await broker.on_step(world.now_ns)
    assert order.status is Status.FILLED


async def test_a_day_order_expires_at_the_close_and_a_gtc_order_carries_on(broker, world):
    day, _ = broker.desk.place(ticket("-1.00"))
    good, _ = broker.desk.place(ticket("-1.00", time_in_force="GTC"))
    await step(broker)
    world.now_ns = from_et(MONDAY, 16)
    await broker.on_step(world.now_ns)
    assert (day.status, good.status) == (Status.EXPIRED, Status.LIVE)
    assert day.reserved_now == 0
    world.now_ns = from_et(date(2026, 3, 3), 10)
    world.set(CALL_230, 0.90, 1.00)
    await broker.on_step(world.now_ns)
    assert good.status is Status.FILLED


async def test_a_gtc_order_ends_with_its_contract(broker, world):
    order, _ = broker.desk.place(ticket("-1.00", time_in_force="GTC"))
    await step(broker)
    world.now_ns = from_et(APRIL, 16)
    await broker.on_step(world.now_ns)
    assert order.status is Status.EXPIRED


async def test_a_large_order_fills_in_parts_capped_by_the_displayed_size(broker, world, events):
    world.set(CALL_230, 5.00, 5.10, size=30)
    order, _ = broker.desk.place(ticket("-5.10", Leg(CALL_230, BTO, 70)))
    remaining = []
    for _ in range(3):
        await step(broker)
        remaining.append(order.legs[0].remaining)
    assert remaining == [40, 10, 0]
    fills = [data for kind, data in events if kind == "Order" and data["legs"][0]["fills"]]
    assert [data["status"] for data in fills] == ["Live", "Live", "Filled"]
    paid = sum(row.fees.commission for row in broker.book.transactions)
    assert paid == D(10)  # the cap is per order, not per fill


async def test_two_orders_of_one_step_share_the_displayed_size(broker, world):
    world.set(CALL_230, 5.00, 5.10, size=30)
    first, _ = broker.desk.place(ticket("-5.10", Leg(CALL_230, BTO, 20)))
    second, _ = broker.desk.place(ticket("-5.10", Leg(CALL_230, BTO, 20)))
    await step(broker)
    assert (first.legs[0].filled, second.legs[0].filled) == (20, 10)


async def test_an_order_between_mid_and_ask_fills_at_its_own_price_in_time(broker):
    order, _ = broker.desk.place(ticket("-5.05"))
    await step(broker)
    assert order.status is Status.LIVE
    for _ in range(60):
        await step(broker, 60)
    assert order.status is Status.FILLED
    assert order.legs[0].fills[0].price == D("5.05")


async def test_a_fill_may_win_against_a_cancel_but_not_always(broker, world):
    outcomes = set()
    for _ in range(16):
        world.set(CALL_230, 5.00, 5.50)
        order, _ = broker.desk.place(ticket("-5.10"))
        await step(broker)
        broker.desk.cancel(order.order_id)
        world.set(CALL_230, 5.00, 5.10)
        await step(broker)
        outcomes.add(order.status)
    assert outcomes == {Status.FILLED, Status.CANCELLED}


async def test_a_partly_filled_order_is_replaced_for_what_is_left(broker, world):
    world.set(CALL_230, 5.00, 5.10, size=30)
    order, _ = broker.desk.place(ticket("-5.10", Leg(CALL_230, BTO, 50)))
    await step(broker)
    world.set(CALL_230, 6.00, 6.10, size=30)
    left = tuple(Leg(leg.symbol, leg.action, leg.remaining) for leg in order.legs)
    new = broker.desk.replace(order.order_id, ticket("-6.10", *left))
    assert new.status is Status.CONTINGENT
    await step(broker)
    assert (order.status, new.status) == (Status.CANCELLED, Status.FILLED)
    assert broker.book.quantity(CALL_230) == 50


async def test_a_fill_of_the_original_aborts_its_replacement(broker, world):
    filled = None
    for _ in range(16):
        world.set(CALL_230, 5.00, 5.50)
        order, _ = broker.desk.place(ticket("-5.10"))
        await step(broker)
        new = broker.desk.replace(order.order_id, ticket("-5.20"))
        world.set(CALL_230, 5.00, 5.10)
        await step(broker)
        if order.status is Status.FILLED:
            filled = new
        assert {order.status, new.status} in ({Status.FILLED, Status.REMOVED}, {Status.CANCELLED, Status.FILLED})
    assert filled is not None
    assert broker.book.quantity(CALL_230) == 16


async def test_cancelling_a_replacement_leaves_the_original_working(broker):
    order, _ = broker.desk.place(ticket("-4.00"))
    await step(broker)
    new = broker.desk.replace(order.order_id, ticket("-4.10"))
    broker.desk.cancel(new.order_id)
    await step(broker)
    assert (order.status, new.status) == (Status.LIVE, Status.CANCELLED)


async def test_a_queued_order_can_be_replaced_and_cancelled(broker, world):
    world.now_ns = from_et(MONDAY, 18)
    order, _ = broker.desk.place(ticket("-4.00"))
    new = broker.desk.replace(order.order_id, ticket("-4.10"))
    await step(broker)
    assert (order.status, new.status) == (Status.CANCELLED, Status.RECEIVED)
    broker.desk.cancel(new.order_id)
    await step(broker)
    assert new.status is Status.CANCELLED


async def test_a_stop_waits_for_its_trigger_and_a_stop_limit_keeps_its_limit(broker, world):
    broker.desk.place(ticket("-5.10", Leg(CALL_230, BTO, 2)))
    await step(broker)
    stop, _ = broker.desk.place(ticket(None, Leg(CALL_230, STC, 1), order_type=OrderType.STOP, trigger="4.00"))
    both, _ = broker.desk.place(ticket("3.90", Leg(CALL_230, STC, 1), order_type=OrderType.STOP_LIMIT, trigger="4.00"))
    await step(broker)
    assert (stop.status, both.status) == (Status.LIVE, Status.LIVE)
    world.set(CALL_230, 3.50, 3.60)
    await step(broker)
    assert (stop.status, both.status) == (Status.FILLED, Status.LIVE)
    assert stop.legs[0].fills[0].price == D("3.5")
    world.set(CALL_230, 3.95, 4.05)  # back above the limit: triggered once is triggered
    await step(broker)
    assert both.status is Status.FILLED


async def test_a_debit_spread_stop_watches_the_net(broker, world):
    spread = (Leg(CALL_230, BTO, 1), Leg(CALL_240, STO, 1))
    broker.desk.place(ticket("-3.10", *spread))
    await step(broker)
    close = (Leg(CALL_230, STC, 1), Leg(CALL_240, BTC, 1))
    stop, _ = broker.desk.place(ticket(None, *close, order_type=OrderType.STOP, trigger="2.00"))
    await step(broker)
    assert stop.status is Status.LIVE
    world.set(CALL_230, 3.50, 3.60)
    await step(broker)
    assert stop.status is Status.FILLED
    assert broker.book.holdings() == {}


async def test_the_in_flight_status_can_be_shown(world):
    broker = Brokerage(world, TOKEN, in_flight=True)
    seen = []
    broker.desk.emit = lambda kind, data: seen.append(data["status"]) if kind == "Order" else None
    broker.desk.place(ticket("-5.10"))
    await step(broker)
    assert seen == ["Received", "Routed", "In Flight", "Live", "Filled"]


async def test_behaviors_of_the_paper_interface(broker):
    never, _ = broker.desk.place(ticket("-5.10", behavior="never"))
    no, _ = broker.desk.place(ticket("-5.10", behavior="reject"))
    for _ in range(3):
        await step(broker)
    assert (never.status, no.status) == (Status.LIVE, Status.REJECTED)


async def test_a_strict_close_behind_a_trigger_is_rejected_when_there_is_nothing_to_close(broker, world):
    trigger = ticket("-5.10")
    children = [
        ticket("9.00", Leg(CALL_240, STC, 1), strict=True),
        ticket(None, Leg(CALL_240, STC, 1), order_type=OrderType.STOP, trigger="1.00", strict=True),
    ]
    group, _ = broker.complexes.place("OTOCO", trigger, children)
    await step(broker)
    assert [order.status for order in group.orders] == [Status.REJECTED] * 2
    assert broker.book.quantity(CALL_240) == 0


async def test_an_expired_trigger_takes_its_children_with_it(broker, world):
    group, _ = broker.complexes.place(
        "OTO", ticket("-1.00"), [ticket("9.00", Leg(CALL_230, STC, 1), time_in_force="GTC")]
    )
    await step(broker)
    world.now_ns = from_et(MONDAY, 16)
    await broker.on_step(world.now_ns)
    assert (group.trigger.status, group.orders[0].status) == (Status.EXPIRED, Status.CANCELLED)
    assert group.terminal_ns == world.now_ns


async def test_a_step_at_another_time_than_the_worlds_is_a_mistake(broker):
    with pytest.raises(ValueError, match="the world stands at"):
        await broker.on_step(1)


async def test_a_stock_order_in_extended_hours_needs_to_ask_for_it(broker, world):
    world.now_ns = from_et(MONDAY, 17)
    buy = Leg("AAPL", BTO, 10)
    plain, _ = broker.desk.place(ticket("-231.00", buy))
    extended, accepted = broker.desk.place(ticket("-231.00", buy, time_in_force="Ext"))
    assert accepted.warnings == []
    await step(broker)
    assert (plain.status, extended.status) == (Status.RECEIVED, Status.FILLED)
    with pytest.raises(Refused, match="preflight") as refused:
        broker.desk.place(ticket("-5.10", time_in_force="Ext"))
    assert refused.value.problems[0].code == "extended_hours_not_supported"


def test_no_status_follows_an_end_and_every_other_has_a_way_out():
    assert not TERMINAL & set(NEXT)
    assert set(NEXT) | TERMINAL == set(Status)


def test_a_forbidden_change_of_status_breaks_an_invariant(broker):
    order, _ = broker.desk.place(ticket("-5.10"))
    with pytest.raises(InvariantBroken, match="cannot go from Received to Filled"):
        order.become(Status.FILLED, 0)


SPREAD = (Leg(CALL_230, BTO, 1), Leg(CALL_240, STO, 1))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (ticket(None), "order_must_have_price"),
        (ticket("-5.10", order_type=OrderType.MARKET), "order_must_omit_price"),
        (ticket(None, order_type=OrderType.STOP), "order_must_have_stop_trigger"),
        (ticket(None, *SPREAD, order_type=OrderType.MARKET), "multi_leg_market_orders_not_supported"),
        (ticket("-5.10", *SPREAD, SPREAD[0]), "duplicate_leg_symbol"),
        (ticket("-5.10", SPREAD[0], Leg("AAPL", STO, 100)), "invalid_legs"),
        (ticket("-5.10", SPREAD[0], Leg(option(240, root="MSFT"), STO, 1)), "legs_must_share_underlying"),
        (ticket("0"), "invalid_price"),
        (ticket("-3.105", *SPREAD), "invalid_price_increment"),
        (ticket("-5.10", order_type=OrderType.STOP_LIMIT, trigger="5.12"), "invalid_price_increment"),
        (ticket("-230.015", Leg("AAPL", BTO, 1)), "invalid_price_increment"),
        (ticket(None, order_type=OrderType.STOP, trigger="6.00", time_in_force="GTC"), "gtc_opening_stop"),
    ],
)
def test_form_and_price_are_checked_before_anything_else(broker, asked, code):
    with pytest.raises(Refused) as refused:
        broker.desk.place(asked)
    assert any(problem.code.startswith(code) for problem in refused.value.problems)
    assert broker.desk.orders == {}


GOOD = {
    "time-in-force": "Day",
    "order-type": "Limit",
    "price": "5.10",
    "price-effect": "Debit",
    "legs": [{"instrument-type": "Equity Option", "symbol": CALL_230, "action": "Buy to Open", "quantity": 1}],
}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"legs": []}, "legs"),
        ({"legs": [5]}, "legs[0]"),
        ({"legs": [GOOD["legs"][0] | {"quantity": 1.5}]}, "legs[0].quantity"),
        ({"legs": [GOOD["legs"][0] | {"quantity": "many"}]}, "legs[0].quantity"),
        ({"legs": [GOOD["legs"][0] | {"action": "Buy"}]}, "legs[0].action"),
        ({"legs": [GOOD["legs"][0] | {"symbol": "AAPL"}]}, "legs[0].symbol"),
        ({"legs": [GOOD["legs"][0] | {"instrument-type": "Future"}]}, "legs[0].instrument-type"),
        ({"price": "cheap"}, "price"),
        ({"price": "-1"}, "price"),
        ({"price-effect": None}, "price-effect"),
        ({"order-type": "Whenever"}, "order-type"),
        ({"time-in-force": "Forever"}, "time-in-force"),
    ],
)
def test_a_body_that_is_no_order_names_the_field(change, field):
    assert parse_ticket(GOOD).price == D("-5.10")
    with pytest.raises(MalformedRequest) as refused:
        parse_ticket(GOOD | change)
    assert refused.value.domain == field


async def test_a_stock_position_that_flips_keeps_its_books_straight(broker, world):
    for price, action in (("-230.02", BTO), ("230.00", STO)):
        quantity = 10 if action is BTO else 25
        broker.desk.place(ticket(price, Leg("AAPL", action, quantity)))
        await step(broker)
    position = broker.book.positions["AAPL"]
    assert (position.quantity, position.average_open_price) == (-15, D("230.0"))
    assert position.realized_today == D("-0.20")
    assert broker.desk.standing().short_stock == 15 * D("230.01")


def placed(broker, *arguments, **fields):
    return broker.desk.place(ticket(*arguments, **fields))[0]


async def test_a_gtd_order_works_until_the_close_of_its_date(broker):
    order = placed(broker, "-1.00", time_in_force="GTD", gtc_date=date(2026, 3, 3))
    await step(broker, 24 * 3600)
    assert order.status is Status.LIVE
    await step(broker, 6 * 3600)
    assert order.status is Status.EXPIRED


@pytest.mark.parametrize(("force", "until"), [("GTD", None), ("GTD", MONDAY), ("Day", date(2026, 3, 9))])
def test_a_gtd_order_needs_a_date_in_the_future_and_no_other_carries_one(broker, force, until):
    with pytest.raises(Refused) as refused:
        placed(broker, "-1.00", time_in_force=force, gtc_date=until)
    assert [problem.code for problem in refused.value.problems] == ["invalid_gtc_date"]


async def test_an_ioc_order_ends_at_its_first_meeting_with_the_market(broker):
    order = placed(broker, "-1.00", time_in_force="IOC")
    await step(broker)
    assert order.status is Status.CANCELLED


def test_a_stop_trigger_off_the_grid_is_refused_though_there_is_no_price(broker):
    with pytest.raises(Refused) as refused:
        placed(broker, None, order_type=OrderType.STOP, trigger="7.03")
    assert [problem.code for problem in refused.value.problems] == ["invalid_price_increment"]

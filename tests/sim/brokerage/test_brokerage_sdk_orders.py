"""The unmodified tastytrade SDK places, watches, replaces and cancels orders at the simulated broker."""

from decimal import Decimal as D

import pytest
from tastytrade import Account
from tastytrade.order import (
    AdvancedInstructions,
    InstrumentType,
    Leg,
    LimitOrder,
    MarketOrder,
    OCOOrder,
    OrderAction,
    OrderStatus,
    OrderTimeInForce,
    OrderType,
    OTOCOOrder,
    OTOOrder,
    StopOrder,
)
from tastytrade.utils import TastytradeError

from tests.sim.brokerage.fake_world import CALL_230, CALL_240, MONDAY, step

BTO, STO = OrderAction.BUY_TO_OPEN, OrderAction.SELL_TO_OPEN
BTC, STC = OrderAction.BUY_TO_CLOSE, OrderAction.SELL_TO_CLOSE
STRICT = AdvancedInstructions(strict_position_effect_validation=True)


def leg(symbol, action, quantity=1):
    kind = InstrumentType.EQUITY_OPTION if len(symbol) == 21 else InstrumentType.EQUITY
    return Leg(instrument_type=kind, symbol=symbol, action=action, quantity=quantity)


def limit(price, *legs, **fields):
    return LimitOrder(legs=list(legs), price=D(price), **fields)


async def test_a_limit_order_walks_from_received_to_filled_and_becomes_a_position(account, session, broker):
    order = limit("-5.10", leg(CALL_230, BTO, 2), external_identifier="qm-1")
    answer = await account.place_order(session, order, dry_run=False)
    assert answer.order.status is OrderStatus.RECEIVED
    assert answer.order.price == D("-5.10")
    assert answer.order.external_identifier == "qm-1"
    assert answer.fee_calculation.total_fees == D("-2.25")
    assert answer.buying_power_effect.change_in_buying_power == D("-1022.25")
    await step(broker)
    placed = await account.get_order(session, answer.order.id)
    assert placed.status is OrderStatus.FILLED
    assert placed.average_fill_price() == D("5.1")
    assert placed.legs[0].remaining_quantity == 0
    (position,) = await account.get_positions(session, include_marks=True)
    assert (position.symbol, position.quantity, position.quantity_direction) == (CALL_230, 2, "Long")
    assert (position.average_open_price, position.mark_price, position.mark) == (D("5.1"), D("5.05"), D("1010"))
    balance = await account.get_balances(session)
    assert balance.cash_balance == D(100_000) - D("1020") - D("2.25")
    assert balance.net_liquidating_value == balance.cash_balance + D("1010")


async def test_a_dry_run_changes_nothing(account, session, broker):
    answer = await account.place_order(session, limit("-5.10", leg(CALL_230, BTO)), dry_run=True)
    assert answer.order.status is OrderStatus.RECEIVED
    assert broker.desk.orders == {}
    assert await account.get_live_orders(session) == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (limit("5.10", leg(CALL_230, BTO)), "cant_buy_for_credit"),
        (limit("-5.10", leg(CALL_230, STO)), "cant_sell_for_debit"),
        (limit("-5.12", leg(CALL_230, BTO)), "invalid_price_increment"),
        (limit("-5.10", leg(CALL_230, BTO, 500)), "margin_check_failed"),
        (limit("-1.00", leg("NOPE", BTO)), "instrument_validation_failed"),
        (limit("-1.00", leg("AAPL  260227C00230000", BTO)), "instrument_validation_failed"),
        (limit("5.00", leg(CALL_230, STC), advanced_instructions=STRICT), "cannot_close_against_more_than"),
        (MarketOrder(legs=[leg(CALL_230, BTO)], time_in_force=OrderTimeInForce.GTC), "gtc_market_orders_not_supported"),
        (limit("-1.00", leg(CALL_230, BTO), time_in_force=OrderTimeInForce.OVERNIGHT), "time-in-force"),
    ],
)
async def test_refusals_carry_the_brokers_code(account, session, broker, order, code):
    for dry_run in (True, False):
        with pytest.raises(TastytradeError, match=f"^{code}"):
            await account.place_order(session, order, dry_run=dry_run)
    assert broker.desk.orders == {}


async def test_a_close_without_position_silently_opens_unless_strict(account, session, broker):
    answer = await account.place_order(session, limit("5.00", leg(CALL_230, STC)), dry_run=False)
    assert answer.order.legs[0].action is STO
    await step(broker)
    assert broker.book.quantity(CALL_230) == -1


async def test_a_second_closing_order_is_refused_while_the_first_works(account, session, broker):
    await account.place_order(session, limit("-5.10", leg(CALL_230, BTO)), dry_run=False)
    await step(broker)
    close = limit("9.00", leg(CALL_230, STC), advanced_instructions=STRICT)
    await account.place_order(session, close, dry_run=False)
    with pytest.raises(TastytradeError, match="cannot_close_against_more_than_existing_position"):
        await account.place_order(session, close, dry_run=True)


async def test_the_same_order_posted_twice_is_two_orders(account, session):
    order = limit("-4.00", leg(CALL_230, BTO), external_identifier="twin")
    first = await account.place_order(session, order, dry_run=False)
    second = await account.place_order(session, order, dry_run=False)
    assert first.order.id != second.order.id
    live = await account.get_live_orders(session)
    assert [o.external_identifier for o in live] == ["twin", "twin"]


async def test_cancel_is_asked_for_first_and_ends_with_the_next_step(account, session, broker):
    answer = await account.place_order(session, limit("-4.00", leg(CALL_230, BTO)), dry_run=False)
    await step(broker)
    await account.delete_order(session, answer.order.id)
    assert (await account.get_order(session, answer.order.id)).status is OrderStatus.CANCEL_REQUESTED
    await step(broker)
    ended = await account.get_order(session, answer.order.id)
    assert (ended.status, ended.cancellable) == (OrderStatus.CANCELLED, False)
    with pytest.raises(TastytradeError, match="cannot_update_order"):
        await account.delete_order(session, answer.order.id)


async def test_replace_makes_a_new_order_linked_to_the_old(account, session, broker):
    answer = await account.place_order(session, limit("-4.00", leg(CALL_230, BTO)), dry_run=False)
    await step(broker)
    new = await account.replace_order(session, answer.order.id, limit("-5.10", leg(CALL_230, BTO)))
    assert new.id != answer.order.id
    assert (new.status, new.replaces_order_id) == (OrderStatus.CONTINGENT, answer.order.id)
    await step(broker)
    old = await account.get_order(session, answer.order.id)
    assert (old.status, old.edited, old.replacing_order_id) == (OrderStatus.CANCELLED, True, new.id)
    assert (await account.get_order(session, new.id)).status is OrderStatus.FILLED
    assert broker.book.quantity(CALL_230) == 1


async def test_history_is_read_through_all_its_pages(account, session):
    for _ in range(7):
        await account.place_order(session, limit("-4.00", leg(CALL_230, BTO)), dry_run=False)
    one_page = await account.get_order_history(session, per_page=3, start_date=MONDAY)
    everything = await account.get_order_history(session, per_page=3, page_offset=None, start_date=MONDAY)
    assert (len(one_page), len({o.id for o in everything})) == (3, 7)
    filled = await account.get_order_history(session, start_date=MONDAY, statuses=[OrderStatus.FILLED])
    assert filled == []


async def test_a_spread_fills_at_its_net_price_in_ratio(account, session, broker):
    spread = limit("-3.10", leg(CALL_230, BTO, 2), leg(CALL_240, STO, 2))
    answer = await account.place_order(session, spread, dry_run=False)
    assert answer.buying_power_effect.is_spread
    await step(broker)
    placed = await account.get_order(session, answer.order.id)
    assert placed.status is OrderStatus.FILLED
    assert placed.average_fill_price() == D("3.1")  # positive = paid, opposite to the price convention
    assert broker.book.holdings() == {CALL_230: 2, CALL_240: -2}


async def test_an_otoco_brackets_its_fill_and_one_child_ends_the_other(account, session, broker, world):
    bracket = OTOCOOrder(
        trigger_order=limit("-5.10", leg(CALL_230, BTO)),
        take_profit=limit("8.00", leg(CALL_230, STC), time_in_force=OrderTimeInForce.GTC),
        stop_loss=StopOrder(legs=[leg(CALL_230, STC)], stop_trigger=D("3.00"), time_in_force=OrderTimeInForce.GTC),
    )
    assert (await account.place_complex_order(session, bracket, dry_run=True)).complex_order.type == "OTOCO"
    answer = await account.place_complex_order(session, bracket, dry_run=False)
    group = answer.complex_order
    assert {o.status for o in [group.trigger_order, *group.orders]} == {OrderStatus.CONTINGENT}
    assert group.take_profit.complex_order_tag == "OTOCO::oco-1-order"
    await step(broker)
    group = await account.get_complex_order(session, group.id)
    assert group.trigger_order.status is OrderStatus.FILLED
    assert {o.status for o in group.orders} == {OrderStatus.LIVE}
    world.set(CALL_230, 2.90, 3.00)
    await step(broker)
    (group,) = await account.get_live_complex_orders(session)
    ended = {o.order_type: o.status for o in group.orders}
    assert ended == {OrderType.STOP: OrderStatus.FILLED, OrderType.LIMIT: OrderStatus.CANCELLED}
    assert group.terminal_at is not None
    assert broker.book.holdings() == {}


async def test_cancelling_a_waiting_bracket_ends_all_three(account, session, broker):
    bracket = OTOCOOrder(
        trigger_order=limit("-4.00", leg(CALL_230, BTO)),
        take_profit=limit("8.00", leg(CALL_230, STC)),
        stop_loss=StopOrder(legs=[leg(CALL_230, STC)], stop_trigger=D("3.00")),
    )
    group = (await account.place_complex_order(session, bracket, dry_run=False)).complex_order
    await step(broker)
    await account.delete_complex_order(session, group.id)
    await step(broker)
    group = await account.get_complex_order(session, group.id)
    assert {o.status for o in [group.trigger_order, *group.orders]} == {OrderStatus.CANCELLED}


async def test_an_oco_closes_a_position_once(account, session, broker, world):
    await account.place_order(session, limit("-5.10", leg(CALL_230, BTO)), dry_run=False)
    await step(broker)
    pair = OCOOrder(
        take_profit=limit("6.00", leg(CALL_230, STC), advanced_instructions=STRICT),
        stop_loss=StopOrder(legs=[leg(CALL_230, STC)], stop_trigger=D("3.00"), advanced_instructions=STRICT),
    )
    await account.place_complex_order(session, pair, dry_run=False)
    world.set(CALL_230, 6.10, 6.20)
    await step(broker)
    await step(broker)
    statuses = sorted(o.status for o in broker.desk.orders.values())
    assert statuses == ["Cancelled", "Filled", "Filled"]
    assert broker.book.holdings() == {}


async def test_an_oto_child_starts_after_its_trigger(account, session, broker):
    pair = OTOOrder(trigger_order=limit("-5.10", leg(CALL_230, BTO)), orders=[limit("8.00", leg(CALL_230, STC, 1))])
    group = (await account.place_complex_order(session, pair, dry_run=False)).complex_order
    await step(broker)
    group = await account.get_complex_order(session, group.id)
    assert [o.status for o in (group.trigger_order, *group.orders)] == [OrderStatus.FILLED, OrderStatus.LIVE]


async def test_single_account_and_unknown_account(session, account):
    assert (await Account.get(session, account.account_number)).nickname == "Simulator"
    with pytest.raises(TastytradeError, match="not_permitted"):
        await Account.get(session, "5WT99999")


async def raw(session, method, path, **fields):
    await session.refresh()
    return await session._client.request(method, f"/accounts/5WT00001{path}", **fields)


async def test_an_edit_changes_the_price_and_keeps_the_rest(account, session, broker):
    first = limit("-4.00", leg(CALL_230, BTO, 2), external_identifier="kept")
    order = (await account.place_order(session, first, dry_run=False)).order
    await step(broker)
    body = {"price": "5.10", "price-effect": "Debit"}
    trial = await raw(
        session, "POST", f"/orders/{order.id}/dry-run", json=body | {"order-type": "Limit", "time-in-force": "Day"}
    )
    assert trial.json()["data"]["order"]["price"] == "5.1"
    edited = (await raw(session, "PATCH", f"/orders/{order.id}", json=body)).json()["data"]
    assert (edited["replaces-order-id"], edited["external-identifier"], edited["size"]) == (order.id, "kept", 2)
    await step(broker)
    assert broker.book.quantity(CALL_230) == 2


async def test_api_versions_are_held_to(session):
    old = await raw(session, "GET", "/orders/live", headers={"Accept-Version": "20240101"})
    assert (old.status_code, old.json()["error"]["code"]) == (406, "406")
    new = {"Accept-Version": "20261012"}
    assert (await raw(session, "GET", "/orders", headers=new)).status_code == 400
    assert (await raw(session, "GET", "/orders", headers=new, params={"start-date": "2026-03-02"})).status_code == 200
    assert (await raw(session, "GET", "/orders", params={"start-date": "soon"})).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/orders/7", 404),
        ("/orders/seven", 404),
        ("/complex-orders/7", 404),
        ("/transactions/7", 404),
        ("/balances/EUR", 404),
    ],
)
async def test_what_does_not_exist_is_not_found(session, path, status):
    assert (await raw(session, "GET", path)).status_code == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "complex-order"),
        ({"type": "PAIRS"}, "type"),
        ({"type": "OCO", "orders": [{}]}, "orders"),
        ({"type": "OTO", "orders": [{}]}, "trigger-order"),
        ({"type": "OCO", "orders": [{}, {}], "trigger-order": {}}, "trigger-order"),
    ],
)
async def test_a_complex_body_that_does_not_fit_names_the_field(session, body, field):
    answer = await raw(session, "POST", "/complex-orders", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["errors"][0]["domain"] == field


async def test_a_body_that_is_not_json_is_refused(session):
    answer = await raw(session, "POST", "/orders", content=b"{")
    assert answer.json()["error"]["errors"] == [{"domain": "body", "reason": "is not JSON"}]

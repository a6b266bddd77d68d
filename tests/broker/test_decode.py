"""tastytrade's JSON as it has been seen: every trap of the wire read right, nothing invented, nothing crashing."""

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.broker import decode
from qmterm.core.orders import Action, OrderState

CALL = "AAPL  260417C00230000"

ORDER = {
    "id": 272985726,
    "account-number": "5YZ55555",
    "time-in-force": "GTC",
    "order-type": "Limit",
    "size": 2,
    "underlying-symbol": "AAPL",
    "price": "5.1",
    "price-effect": "Debit",
    "value-effect": "Debit",  # without a value: the SDK dies of it
    "status": "Live",
    "user-id": 99,  # an integer: the SDK dies of it
    "received-at": "2026-03-02T14:25:43.220+00:00",
    "updated-at": 1772461543220,
    "external-identifier": "qm-1",
    "legs": [
        {
            "instrument-type": "Equity Option",
            "symbol": CALL,
            "quantity": "2",
            "remaining-quantity": 1,
            "action": "Buy to Open",
            "fills": [
                {
                    "fill-id": "24_TW::X",
                    "quantity": 1,
                    "fill-price": "5.05",
                    "filled-at": "2026-03-02T14:25:44.001+00:00",
                    "ext-group-fill-id": "0",
                }
            ],
        }
    ],
}


def changed(**changes):
    body = copy.deepcopy(ORDER)
    body.update({name.replace("_", "-"): value for name, value in changes.items()})
    return body


def test_an_order_is_read_whole():
    order, fault = decode.order(ORDER)
    assert fault is None
    assert (order.broker_id, order.external_id, order.state) == ("272985726", "qm-1", OrderState.LIVE)
    assert (order.net_price, order.remaining) == (Decimal("-5.1"), (1,))
    assert order.received_ns == order.updated_ns == 1_772_461_543_220_000_000
    (fill,) = order.fills
    assert (fill.fill_id, fill.action, fill.quantity) == ("24_TW::X", Action.BUY_TO_OPEN, 1)
    assert (fill.price, fill.time_ns) == (Decimal("5.05"), 1_772_461_544_001_000_000)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Received", OrderState.RECEIVED),
        ("In Flight", OrderState.ROUTED),
        ("Cancelled", OrderState.CANCELLED),
        ("Cancel Requested", OrderState.CANCEL_REQUESTED),
        ("Partially Removed", OrderState.REMOVED),
        ("Contingent", OrderState.CONTINGENT),
    ],
)
def test_the_brokers_words_are_ours(word, state):
    assert decode.order(changed(status=word))[0].state is state


def test_every_status_the_sdk_knows_is_known_here():
    from tastytrade.order import OrderStatus

    assert {status.value for status in OrderStatus} <= set(decode.STATES)


def test_a_status_nobody_knows_counts_as_working_and_is_said():
    order, fault = decode.order(changed(status="Paused"))
    assert order.state is OrderState.LIVE
    assert "unknown status 'Paused'" in fault


@pytest.mark.parametrize(
    ("price", "effect", "net"),
    [("5.10", "Credit", "5.10"), ("5.10", "Debit", "-5.10"), (1.25, "Debit", "-1.25"), ("-5.10", None, "-5.10")],
)
def test_the_sign_is_the_effects(price, effect, net):
    assert decode.order(changed(price=price, price_effect=effect))[0].net_price == Decimal(net)


def test_a_market_order_has_no_price_rather_than_zero():
    assert decode.order(changed(price=None))[0].net_price is None


def test_one_execution_of_two_legs_under_one_id_is_two_fills():
    legs = copy.deepcopy(ORDER["legs"]) * 2
    legs[1] = {**legs[1], "symbol": "AAPL  260417C00240000", "action": "Sell to Open"}
    first, second = decode.order(changed(legs=legs))[0].fills
    assert first.fill_id != second.fill_id
    alone = copy.deepcopy(legs)
    alone[0]["fills"] = []
    assert decode.order(changed(legs=alone))[0].fills[0].fill_id == second.fill_id  # the same later as now


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"id": None}, "id is missing"),
        ({"status": None}, "status is missing"),
        ({"legs": []}, "no legs"),
        ({"legs": "two"}, "not a list"),
        ({"legs": [None]}, "not a list"),
        ({"legs": [{**ORDER["legs"][0], "action": "Borrow"}]}, "unknown action"),
        ({"legs": [{**ORDER["legs"][0], "quantity": "many"}]}, "not a number"),
        ({"legs": [{**ORDER["legs"][0], "fills": [{"fill-id": "x"}]}]}, "missing"),
        ({"updated_at": "yesterday"}, "not a time"),
        ({"price": "NaN"}, "not a number"),
    ],
)
def test_what_trading_needs_and_is_not_there_is_named(change, what):
    with pytest.raises(decode.Unreadable, match=what):
        decode.order(changed(**change))


def test_one_bad_row_costs_that_row_and_completeness():
    rows = decode.orders([ORDER, changed(id=None), changed(id=5)])
    assert [order.broker_id for order in rows.good] == ["272985726", "5"]
    assert rows.missing
    assert len(rows.faults) == 1


def test_orders_in_other_instruments_are_passed_over_without_alarm():
    future = changed(legs=[{**ORDER["legs"][0], "instrument-type": "Future", "action": "Buy"}])
    notional = changed(order_type="Notional Market")
    assert decode.orders([future, notional]) == decode.OrderRows((), (), False)


@pytest.mark.parametrize(("direction", "signed"), [("Long", 3), ("Short", -3), ("Zero", 0)])
def test_a_position_is_signed_by_its_direction(direction, signed):
    body = {"symbol": CALL, "quantity": "3", "quantity-direction": direction, "average-open-price": "1.5",
            "multiplier": 100, "mark-price": "1.7"}  # fmt: skip
    position = decode.position(body)
    assert (position.quantity, position.average_open_price) == (signed, Decimal("1.5"))
    assert (position.multiplier, position.mark) == (100, Decimal("1.7"))


def test_a_direction_nobody_knows_is_not_taken_for_long():
    with pytest.raises(decode.Unreadable, match="Sideways"):
        decode.position({"symbol": CALL, "quantity": 3, "quantity-direction": "Sideways"})


def test_a_balance_in_debt_is_negative():
    body = {"cash-balance": "120.5", "cash-balance-effect": "Debit", "net-liquidating-value": "80.25",
            "derivative-buying-power": "0"}  # fmt: skip
    balance = decode.balance(body)
    assert (balance.cash, balance.net_liquidating_value) == (Decimal("-120.5"), Decimal("80.25"))
    with pytest.raises(decode.Unreadable, match="net-liquidating-value is missing"):
        decode.balance({"cash-balance": "1"})


def test_a_dry_run_tells_cost_fees_and_warnings():
    body = {
        "buying-power-effect": {"change-in-buying-power": "1021.12", "change-in-buying-power-effect": "Debit"},
        "fee-calculation": {"total-fees": "2.25", "total-fees-effect": "Debit"},
        "warnings": [{"code": "tif.next_valid_session", "message": "Tomorrow."}],
    }
    estimate = decode.dry_run(body)
    assert (estimate.buying_power_change, estimate.fees) == (Decimal("-1021.12"), Decimal("-2.25"))
    assert estimate.warnings == ("tif.next_valid_session: Tomorrow.",)


RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
PATHS = [(name,) for name in ORDER]
PATHS += [("legs", 0, name) for name in ORDER["legs"][0]]
PATHS += [("legs", 0, "fills", 0, name) for name in ORDER["legs"][0]["fills"][0]]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1754-01-01"])
def test_a_time_beyond_64_bits_of_nanoseconds_is_not_a_time(text):
    with pytest.raises(decode.Unreadable, match="not a time"):
        decode.time_ns(text)


def test_a_reason_is_kept_without_what_steers_a_terminal():
    order, _ = decode.order({**ORDER, "reject-reason": "no\x1b[2J \ud83d money"})
    assert order.reject_reason == "no [2J   money"


@pytest.mark.parametrize("text", ["1E+999999999", "-1E+999999999", "1000000001"])
def test_a_quantity_nobody_can_hold_is_named(text):
    with pytest.raises(decode.Unreadable, match="not possible"):
        decode.whole(text)


@given(path=st.sampled_from(PATHS), value=RUBBISH)
def test_rubbish_anywhere_is_read_or_named_and_never_crashes(path, value):
    body = copy.deepcopy(ORDER)
    target = body
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    rows = decode.orders([body])
    assert len(rows.good) <= 1
    for order in rows.good:
        assert order.legs
        assert isinstance(order.state, OrderState)


@given(body=st.dictionaries(st.sampled_from(["symbol", "quantity", "quantity-direction", "mark-price"]), RUBBISH))
def test_rubbish_positions_are_read_or_named(body):
    try:
        position = decode.position(body)
    except decode.Unreadable:
        return
    assert body["quantity-direction"] in ("Long", "Short", "Zero")
    assert abs(position.quantity) <= 1_000_000_000

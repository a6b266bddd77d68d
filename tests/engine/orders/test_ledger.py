"""The ledger's memory: whose order a report is about, what moves it, what is still at risk in it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import (
    TRANSITIONS,
    Action,
    BrokerOrder,
    Fill,
    Leg,
    OrderState,
    Purpose,
    TimeInForce,
    may_become,
)
from qmterm.engine.orders.ledger import CANCEL_AGAIN_S, Ledger, OrderRecord, adopt, new_fills, next_state
from tests.engine.fakes import OCC, entry

STATES = list(OrderState)


def record(state=OrderState.LIVE, **changes):
    return OrderRecord(entry(quantity=4), state, **changes)


def report(state=OrderState.LIVE, fills=(), **changes):
    intent = entry(quantity=4)
    base = BrokerOrder(
        "77", "qm-1", "5WT00001", "NVDA", state, intent.legs, tuple(fills), intent.net_price, "Day", 1, 1
    )
    return replace(base, **changes)


def execution(number, quantity, symbol=OCC):
    return Fill(f"f{number}", "77", symbol, Action.BUY_TO_OPEN, quantity, Decimal("4.10"), number)


@given(st.lists(st.sampled_from(STATES), max_size=12))
def test_no_sequence_of_reports_brings_an_ended_order_back(reports):
    one = record(OrderState.SENT)
    for reported in reports:
        state = next_state(one, reported)
        if state is None:
            continue
        assert may_become(one.state, state)
        if one.state.terminal:
            assert one.state is OrderState.NOT_ACCEPTED  # the one end that may prove wrong
        one.state = state


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_row_and_ends_are_ends(state):
    assert state not in TRANSITIONS[state]
    if state.terminal and state is not OrderState.NOT_ACCEPTED:
        assert TRANSITIONS[state] == frozenset()


def test_the_tag_we_sent_finds_the_order_before_the_brokers_number_does():
    ledger = Ledger()
    ours, other = record(), OrderRecord(entry("qm-2"), OrderState.LIVE, broker_id="77")
    ledger.add(ours)
    ledger.add(other)
    assert ledger.find(report()) is ours
    assert ledger.find(report(external_id=None)) is other
    assert ledger.find(report(external_id="somebody", broker_id="1")) is None


def test_what_is_at_risk_shrinks_with_each_whole_unit_filled_and_ends_with_the_order():
    one = record()
    assert one.worst_loss == 4 * Decimal("415")
    one.fills["f1"] = execution(1, 3)
    assert one.worst_loss == Decimal("415")
    assert one.remaining(OCC) == 1
    one.state = OrderState.CANCELLED
    assert (one.worst_loss, one.remaining(OCC)) == (0, 0)


def test_an_unknown_order_counts_whole():
    assert record(OrderState.UNKNOWN).worst_loss == 4 * Decimal("415")


def test_a_spread_is_filled_by_its_slower_leg():
    short = "NVDA  260417C00185000"
    intent = replace(
        entry(quantity=2), legs=(Leg(OCC, Action.BUY_TO_OPEN, 2), Leg(short, Action.SELL_TO_OPEN, 4)), quantity=2
    )
    one = OrderRecord(intent, OrderState.LIVE)
    one.fills["a"] = execution(1, 2)
    assert one.filled_units == 0
    one.fills["b"] = execution(2, 2, short)
    assert (one.filled_units, one.remaining(short)) == (1, 2)


def test_new_fills_come_oldest_first_and_only_once():
    one = record()
    one.fills["f2"] = execution(2, 1)
    found = list(new_fills(one, report(fills=[execution(3, 1), execution(2, 1), execution(1, 1)])))
    assert [fill.fill_id for fill in found] == ["f1", "f3"]


def test_an_external_debit_counts_its_debit_and_an_external_close_counts_nothing():
    bought = adopt(report(external_id=None), 5, 0.0)
    assert (bought.intent.purpose, bought.worst_loss) == (Purpose.EXTERNAL, 4 * Decimal("415"))
    sold = adopt(report(legs=(Leg(OCC, Action.SELL_TO_CLOSE, 4),), net_price=Decimal("4.00"), external_id=None), 5, 0.0)
    assert sold.worst_loss == 0
    ledger = Ledger()
    ledger.add(sold)
    assert ledger.closing(OCC) == 4


def test_a_number_the_broker_gave_later_finds_the_order_without_a_tag():
    ledger, one = Ledger(), record()
    ledger.add(one)
    assert ledger.find(report(external_id=None)) is None
    ledger.name(one, "77")
    assert one.broker_id == "77"
    assert ledger.find(report(external_id=None)) is one
    assert ledger.find(report(external_id="")) is one
    assert ledger.find(report(external_id="qm-1")) is one


def test_a_tag_on_a_second_order_of_the_broker_is_not_our_order():
    ledger = Ledger()
    ours, neighbour = record(broker_id="5"), OrderRecord(entry("qm-2"), OrderState.LIVE, broker_id="77")
    elsewhere = adopt(report(broker_id="78", external_id="qm-1"), 5, 0.0)
    for one in (ours, neighbour, elsewhere):
        ledger.add(one)
    assert ledger.find(report(broker_id="5")) is ours
    assert ledger.find(report(broker_id="99")) is None  # one of its own, still to be adopted
    assert ledger.find(report(broker_id="78")) is elsewhere  # adopted before, under the same tag
    assert ledger.find(report(broker_id="77")) is None  # the number of another of ours proves nothing against the tag


def test_records_are_found_by_our_id_and_listed_by_what_they_may_still_do():
    ledger = Ledger()
    states = (OrderState.INTENT, OrderState.UNKNOWN, OrderState.FILLED, OrderState.NOT_ACCEPTED)
    for number, state in enumerate(states):
        ledger.add(OrderRecord(entry(f"qm-{number}"), state))
    found = [ledger.get(f"qm-{number}") for number in range(4)]
    assert ledger.get("qm-9") is None
    assert ledger.records == tuple(found)
    assert ledger.working == tuple(found[:2])
    assert ledger.unknown == (found[1],)


def test_an_adopted_order_keeps_all_the_broker_said_of_it():
    order = report(external_id="somebody", received_ns=7, time_in_force="GTC", state=OrderState.ROUTED)
    one = adopt(order, 5, 12.5)
    assert (one.external, one.broker_id, one.state) == (True, "77", OrderState.ROUTED)
    assert (one.known_since, one.worked_from_ns) == (12.5, 7)
    intent = one.intent
    assert (intent.intent_id, intent.created_ns, intent.strategy) == ("ext-77", 7, "external")
    assert (intent.underlying, intent.purpose, intent.plan_id) == ("NVDA", Purpose.EXTERNAL, "")
    assert (intent.legs, intent.quantity, intent.net_price) == (order.legs, 4, Decimal("-4.15"))
    assert intent.time_in_force is TimeInForce.GTC
    assert adopt(report(), 5, 0.0).intent.time_in_force is TimeInForce.DAY


@pytest.mark.parametrize(
    ("word", "force"),
    [("GTC", TimeInForce.GTC), ("GTC Ext", TimeInForce.GTC), ("GTD", TimeInForce.GTD), ("IOC", TimeInForce.IOC),
     ("Ext", TimeInForce.DAY)],
)  # fmt: skip
def test_how_long_an_order_placed_elsewhere_works_is_read_from_the_brokers_word(word, force):
    assert adopt(report(time_in_force=word), 5, 0.0).intent.time_in_force is force


def test_what_the_broker_left_out_of_an_adopted_order_is_told_as_unknown():
    one = adopt(report(received_ns=0, net_price=None), 5, 0.0)
    assert (one.intent.created_ns, one.intent.net_price, one.intent.max_loss) == (5, None, None)
    empty = adopt(report(legs=()), 5, 0.0)
    assert (empty.intent.quantity, empty.intent.max_loss, empty.filled_units) == (0, None, 0)


SHORT_CALL, LONG_CALL, SHARES = "NVDA  260417C00180500", "NVDA  260417C00190000", "NVDA"
SOLD, BOUGHT = Action.SELL_TO_OPEN, Action.BUY_TO_OPEN


@pytest.mark.parametrize(
    ("legs", "price", "most"),
    [
        ([(SHORT_CALL, SOLD, 2)], "3.10", "36100"),
        ([(SHORT_CALL, SOLD, 2)], "0.10", "36100"),
        ([(SHORT_CALL, SOLD, 2)], "0", "36100"),
        ([(SHORT_CALL, SOLD, 2), (LONG_CALL, BOUGHT, 2)], "1.10", "36100"),
        ([(SHORT_CALL, SOLD, 4), (LONG_CALL, BOUGHT, 2)], "1.10", "72200"),
        ([(SHORT_CALL, BOUGHT, 2), (LONG_CALL, SOLD, 4)], "-0.50", "100"),
        ([(SHARES, BOUGHT, 30)], "-180.00", "5400"),
        ([(SHARES, SOLD, 30)], "180.00", "0"),
        ([(SHORT_CALL, Action.SELL_TO_CLOSE, 2)], "3.10", None),
        ([(SHORT_CALL, Action.BUY_TO_CLOSE, 2)], "-3.10", None),
    ],
)
def test_an_adopted_opening_order_counts_its_debit_or_the_strikes_it_sells(legs, price, most):
    order = report(legs=tuple(Leg(*leg) for leg in legs), net_price=Decimal(price), external_id=None)
    found = adopt(order, 5, 0.0).intent.max_loss
    assert found == (None if most is None else Decimal(most))
    assert found is None or type(found) is Decimal


def test_a_cancel_that_led_to_nothing_is_asked_again_after_a_while():
    one = record(cancel_asked=True, cancel_asked_at=100.0)
    assert one.cancelling(100.0, 0)
    assert one.cancelling(100.0 + CANCEL_AGAIN_S - 0.001, 0)
    assert not one.cancelling(100.0 + CANCEL_AGAIN_S, 0)
    assert not record().cancelling(5.0, 0)


def test_a_cancel_that_was_refused_rests_in_market_time():
    one = record(cancel_rests_until_ns=50)
    assert one.cancelling(1e9, 49)
    assert not one.cancelling(1e9, 50)


def test_an_order_is_described_with_its_state_and_what_is_filled():
    one = record()
    one.fills["f1"] = execution(1, 1)
    assert one.describe() == "BUY 4 NVDA 17APR26 175C @ 4.15 db live 1/4"


def test_fills_of_the_same_instant_come_in_the_order_of_their_names():
    same = [replace(execution(number, 1), time_ns=9) for number in (3, 1, 2)]
    assert [fill.fill_id for fill in new_fills(record(), report(fills=same))] == ["f1", "f2", "f3"]


def test_more_filled_than_was_wanted_leaves_nothing_to_come():
    one = record()
    one.fills["f1"] = execution(1, 5)
    assert (one.remaining_units, one.remaining(OCC), one.worst_loss) == (0, 0, 0)


def test_an_order_that_claims_no_loss_has_none_at_risk():
    assert OrderRecord(replace(entry(), max_loss=None), OrderState.LIVE).worst_loss == 0
    assert OrderRecord(replace(entry(), quantity=0), OrderState.LIVE).worst_loss == 0


def test_what_is_being_closed_counts_working_closes_of_that_symbol_only():
    ledger = Ledger()
    for number, (state, action, symbol) in enumerate(
        [
            (OrderState.LIVE, Action.SELL_TO_CLOSE, OCC),
            (OrderState.UNKNOWN, Action.SELL_TO_CLOSE, OCC),
            (OrderState.CANCELLED, Action.SELL_TO_CLOSE, OCC),
            (OrderState.LIVE, Action.BUY_TO_OPEN, OCC),
            (OrderState.LIVE, Action.SELL_TO_CLOSE, LONG_CALL),
        ]
    ):
        intent = replace(entry(f"qm-{number}", quantity=2 + number), legs=(Leg(symbol, action, 2 + number),))
        ledger.add(OrderRecord(intent, state))
    first = ledger.get("qm-0")
    assert ledger.closing(OCC) == 2 + 3
    first.fills["f"] = execution(1, 1)
    assert ledger.closing(OCC) == 1 + 3
    assert ledger.closing(SHORT_CALL) == 0


def test_an_order_nobody_said_more_of_has_no_times():
    one = record()
    times = (one.known_since, one.unknown_since, one.cancel_asked_at, one.cancel_rests_until_ns, one.worked_from_ns)
    assert times == (0, 0, 0, 0, 0)
    assert (one.decided_at, one.scanned_at, one.acknowledged_ms, one.absent_since) == (None, None, None, None)
    assert OrderRecord(replace(entry(), legs=()), OrderState.LIVE).filled_units == 0

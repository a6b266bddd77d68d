"""The ledger's memory: whose order a report is about, what moves it, what is still at risk in it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import TRANSITIONS, Action, BrokerOrder, Fill, Leg, OrderState, Purpose, may_become
from qmterm.engine.orders.ledger import Ledger, OrderRecord, adopt, new_fills, next_state
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

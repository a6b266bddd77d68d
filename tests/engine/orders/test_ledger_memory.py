"""What the ledger remembers of orders that belong together, and all that an order placed elsewhere is adopted with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.clock import NS, et_date
from qmterm.core.orders import Action, BracketRole, BrokerOrder, Fill, OrderKind, OrderState
from qmterm.engine.orders.ledger import Ledger, OrderRecord, adopt
from tests.engine.fakes import OCC, clock_at, entry
from tests.engine.orders.desk_seat import Seat


def record(name, state=OrderState.LIVE, replaces=None, **changes):
    return OrderRecord(replace(entry(name, quantity=4), replaces=replaces), state, **changes)


def report(**changes):
    intent = entry(quantity=4)
    base = BrokerOrder("78", None, "5WT00001", "NVDA", OrderState.LIVE, intent.legs, (), intent.net_price, "Day", 1, 1)
    return replace(base, **changes)


def ledger_of(*records):
    ledger = Ledger()
    for each in records:
        ledger.add(each)
    return ledger


# --- who takes whose place ---


@pytest.mark.parametrize("tag", [None, "", "qm-1"])
def test_a_replacement_whose_answer_was_lost_is_known_by_what_it_replaces(tag):
    new = record("qm-1.1", OrderState.UNKNOWN, replaces="qm-1")
    ledger = ledger_of(record("qm-1", broker_id="77"), new)
    assert ledger.find(report(external_id=tag, replaces="77")) is new
    assert ledger.find(report(external_id="somebody", replaces="77")) is None


def test_a_step_is_numbered_behind_its_first_order_and_on_a_later_day_never_as_one_of_before():
    old, new = record("qm-1"), record("qm-1.1", replaces="qm-1")
    made = old.intent.created_ns
    assert ledger_of(old).next_id(old, made) == "qm-1.1"
    ledger = ledger_of(old, new, record("qm-1.2", replaces="qm-1.1"), record("8.qm-1.1", replaces="qm-1.2"))
    assert ledger.next_id(new, made + 86_400 * NS - 1) == "qm-1.3"
    assert ledger.next_id(new, made + 86_400 * NS) == "1.qm-1.1"
    assert ledger.next_id(new, made + 8 * 86_400 * NS) == "8.qm-1.2"


def test_a_chain_that_bites_its_own_tail_has_an_end():
    records = [record("a", replaces="b"), record("b", replaces="c"), record("c", replaces="b")]
    assert ledger_of(*records).root(records[0]) in records


@pytest.mark.parametrize(
    ("new", "taken"),
    [
        ({"state": OrderState.LIVE, "broker_id": "78"}, True),
        ({"state": OrderState.FILLED, "broker_id": "78"}, True),
        ({"state": OrderState.SENT}, False),  # not at the broker yet
        ({"state": OrderState.REMOVED, "broker_id": "78"}, False),  # called off
    ],
)
def test_a_place_is_taken_by_an_order_that_the_broker_has_and_did_not_call_off(new, taken):
    old, new = record("qm-1", OrderState.CANCELLED, broker_id="77"), record("qm-1.1", replaces="qm-1", **new)
    assert ledger_of(old, new).taken_over(old) is (new if taken else None)


def test_nobody_takes_the_place_of_an_order_that_was_just_cancelled():
    old = record("qm-1", OrderState.CANCELLED, broker_id="77")
    assert ledger_of(old).taken_over(old) is None


def test_an_order_in_no_bracket_is_alone():
    one = record("qm-1")
    assert ledger_of(one, record("qm-2")).bracket(one) == [one]


@pytest.mark.parametrize(
    ("new", "by", "why"),
    [
        ({"state": OrderState.LIVE, "broker_id": "78"}, "78", "replaced by qm-1.1"),
        ({"state": OrderState.REMOVED, "broker_id": "78"}, "78", ""),  # called off: cancelled for its own sake
        ({"state": OrderState.SENT}, "78", "replaced by qm-1.1"),  # its answer is still on the way
        ({"state": OrderState.REJECTED}, "78", "replaced by order 78"),  # that one never was
        ({"state": OrderState.LIVE, "broker_id": "79"}, "78", "replaced by order 78"),  # somebody else's edit
        ({"state": OrderState.LIVE, "broker_id": "78"}, None, ""),
    ],
)
def test_why_an_order_was_cancelled_names_what_took_its_place(new, by, why):
    desk = Seat().desk
    old = record("qm-1", broker_id="77")
    for each in (old, record("qm-1.1", replaces="qm-1", **new)):
        desk.ledger.add(each)
    told = report(broker_id="77", state=OrderState.CANCELLED, replaced_by=by)
    assert desk._replaced_by(old, told, OrderState.CANCELLED) == why
    assert desk._replaced_by(old, told, OrderState.FILLED) == ""


# --- what filled today ---

NOW = clock_at().now()
DAY = et_date(NOW)


def sale(number):
    """One contract for 4.00."""
    return Fill(f"f{number}", "77", OCC, Action.SELL_TO_CLOSE, 1, Decimal(4), NOW)


def sold(ledger):
    return ledger.filled_on(DAY).sold


def test_what_filled_on_a_day_is_summed_up_once_until_something_fills():
    ledger = ledger_of(record("qm-1", fills={"f1": sale(1)}))
    summed = ledger.filled_on(DAY)
    assert ledger.filled_on(DAY) is summed
    ledger.add(record("qm-2"))
    assert ledger.filled_on(DAY) is summed
    ledger.add(record("qm-3", fills={"f3": sale(3)}))
    assert ledger.filled_on(DAY) is not summed


def test_what_the_ledger_counts_of_its_changes_never_comes_again():
    one, ledger = record("qm-1"), Ledger()
    seen = [ledger.changes]
    ledger.add(one)
    seen.append(ledger.changes)
    for number in (1, 2):
        ledger.fill(one, sale(number))
        seen.append(ledger.changes)
        ledger.add(record(f"other-{number}"))
        seen.append(ledger.changes)
    ledger.fill(one, sale(2))  # it has that one
    assert seen == sorted(set(seen))
    assert ledger.changes == seen[-1]


def test_each_order_and_each_fill_that_comes_is_in_the_days_sum():
    ledger, one = Ledger(), record("qm-1")
    assert sold(ledger) == 0
    ledger.add(one)
    ledger.fill(one, sale(1))
    assert sold(ledger) == 400
    ledger.fill(one, sale(2))
    assert sold(ledger) == 800
    for number in (2, 3):  # read from the journal: they come with their fills
        ledger.add(record(f"qm-{number}", fills={"f": sale(number)}))
        assert sold(ledger) == 400 * (number + 1)
    ledger.fill(one, sale(4))
    ledger.add(record("qm-4", fills={"f": sale(5)}))
    assert sold(ledger) == 2400


@pytest.mark.parametrize(("fills", "brought"), [({}, 0), ({"f2": 2, "f3": 3}, 800)])
def test_a_days_sum_that_was_asked_for_knows_of_an_id_that_comes_again(fills, brought):
    ledger = ledger_of(record("qm-1", fills={"f1": sale(1)}))
    assert sold(ledger) == 400
    ledger.add(record("qm-1", fills={name: sale(number) for name, number in fills.items()}))
    assert sold(ledger) == brought


def test_the_fills_of_an_order_whose_id_comes_again_are_those_of_the_newer_record():
    ledger = ledger_of(record("qm-1", fills={"f1": sale(1)}))
    ledger.add(record("qm-1"))
    assert sold(ledger) == 0


# --- what is adopted ---


@pytest.mark.parametrize(
    ("told", "price", "kind"),
    [
        (OrderKind.STOP_LIMIT, "-4.15", OrderKind.STOP_LIMIT),
        (OrderKind.STOP, None, OrderKind.STOP),
        (None, "-4.15", OrderKind.LIMIT),  # a word we do not know: by whether it has a price
        (None, None, OrderKind.MARKET),
    ],
)
def test_the_kind_is_the_brokers_or_read_from_the_price(told, price, kind):
    found = adopt(report(kind=told, net_price=None if price is None else Decimal(price)), 5, 0.0)
    assert found.intent.kind is kind


def test_its_trigger_and_its_last_day_come_with_it():
    found = adopt(report(stop_trigger=Decimal("3.20"), good_until=date(2026, 3, 9)), 5, 0.0).intent
    assert (found.stop_trigger, found.good_until) == (Decimal("3.20"), date(2026, 3, 9))


@pytest.mark.parametrize(("number", "bracket", "role"), [("77", "bracket-77", BracketRole.STOP), (None, None, None)])
def test_only_with_the_number_of_a_bracket_it_has_a_part_in_one(number, bracket, role):
    found = adopt(report(complex_id=number, role=BracketRole.STOP), 5, 0.0)
    assert (found.complex_id, found.intent.role) == (number, role)
    assert found.intent.bracket_id is None if bracket is None else found.intent.bracket_id.endswith(bracket)

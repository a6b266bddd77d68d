"""Orders that belong together: what a bracket counts for before and after its trigger, and how it is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.errors import BrokerError, JournalError
from qmterm.core.orders import Action, BracketRole, OrderKind, OrderState, Purpose, TimeInForce
from qmterm.core.reasons import Reason
from qmterm.core.ticks import TickProgram
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.brackets import ExitTerms, exit_terms, exits_behind
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.fillable import fillable
from qmterm.engine.orders.ledger import Ledger, OrderRecord, adopt
from qmterm.risk.protect import protect
from qmterm.risk.stops import StopRules
from tests.engine.fakes import CASH, OCC, entry, lost
from tests.engine.house import plan
from tests.engine.orders.desk_seat import Seat

TODAY = date(2026, 3, 2)
RULES = StopRules()
TRIGGER, TARGET, STOP = exits_behind(entry(), ExitTerms(Decimal("2.05"), Decimal("9.00")))


def guard(**changes):
    state = protect(replace(plan(), numbers={"iv": 0.4}), "P1", 2, Decimal("4.15"))
    return replace(state, **changes)


@pytest.fixture
def at():
    return Seat()


async def sent(at, *intents):
    records = tuple(at.desk.register(intent) for intent in intents or (TRIGGER, TARGET, STOP))
    await at.desk.send_bracket(records, lambda _record: None)
    return records


def ledger_of(*records):
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    return ledger


# --- what the exits are ---


def test_the_exits_close_for_good_what_the_trigger_opens():
    assert [i.role for i in (TRIGGER, TARGET, STOP)] == list(BracketRole)
    assert {i.bracket_id for i in (TRIGGER, TARGET, STOP)} == {TRIGGER.intent_id}
    assert len({i.intent_id for i in (TRIGGER, TARGET, STOP)}) == 3
    for leaving in (TARGET, STOP):
        assert leaving.reduces
        assert (leaving.time_in_force, leaving.max_loss) == (TimeInForce.GTC, None)
        assert (leaving.legs[0].quantity, leaving.plan_id) == (TRIGGER.legs[0].quantity, TRIGGER.plan_id)
    assert (TARGET.kind, TARGET.net_price, TARGET.reason) == (OrderKind.LIMIT, Decimal("9.00"), Reason.SCALE_OUT)
    assert (STOP.kind, STOP.stop_trigger, STOP.reason) == (OrderKind.STOP, Decimal("2.05"), Reason.PREMIUM_STOP)


def test_exits_behind_an_entry_that_is_good_until_a_day_have_no_such_day():
    dated = replace(entry(), time_in_force=TimeInForce.GTD, good_until=TODAY)
    trigger, *exits = exits_behind(dated, ExitTerms(Decimal("2.05"), Decimal("9.00")))
    assert (trigger.time_in_force, trigger.good_until) == (TimeInForce.GTD, TODAY)
    assert [(each.time_in_force, each.good_until) for each in exits] == [(TimeInForce.GTC, None)] * 2


def test_the_stop_is_half_the_premium_on_the_grid_and_the_target_the_value_at_the_first_level():
    terms = exit_terms(guard(), OCC, RULES, TickProgram.PENNY_ALL, TODAY)
    assert terms.stop == Decimal("2.07")
    assert Decimal(20) < terms.target < Decimal(25)  # the 175 call with the stock at 196
    later = exit_terms(guard(fired=(7.0,)), OCC, RULES, TickProgram.PENNY_ALL, TODAY)
    assert later.target > terms.target


@pytest.mark.parametrize(
    "changes", [{"entry_iv": None}, {"atr": 0.0}, {"sma50": 0.0}, {"fired": RULES.scale_out}, {"entry_premium": 30}]
)
def test_without_what_it_is_worked_out_from_there_is_no_target(changes):
    terms = exit_terms(guard(**changes), OCC, RULES, TickProgram.PENNY_ALL, TODAY)
    assert (terms.target, terms.stop > 0) == (None, True)


def test_what_was_sold_or_is_worth_a_tick_gets_no_exits():
    assert exit_terms(guard(sold=True), OCC, RULES, TickProgram.PENNY_ALL, TODAY) is None
    assert exit_terms(guard(entry_premium=Decimal(0)), OCC, RULES, TickProgram.PENNY_ALL, TODAY) is None
    assert exit_terms(guard(entry_premium=Decimal("0.01")), OCC, RULES, TickProgram.PENNY_ALL, TODAY) is None


# --- what they count for ---


async def test_exits_count_for_nothing_until_the_trigger_has_filled_something(at):
    trigger, target, stop = await sent(at)
    assert (at.desk.ledger.closing(OCC), at.desk.ledger.resting(OCC)) == (0, [])
    assert all(at.desk.ledger.dormant(record) for record in (target, stop))
    await at.desk.on_order(at.broker.fill(trigger.broker_id, 1))
    assert at.desk.ledger.closing(OCC) == 2  # the pair once, not four
    assert at.desk.ledger.closing(OCC, resting=False) == 0
    assert closable(at.book, at.desk.ledger, OCC) == 0
    assert closable(at.book, at.desk.ledger, OCC, resting=False) == 1


async def test_an_exit_that_works_counts_though_its_triggers_fill_was_not_told_yet(at):
    _, target, _ = await sent(at)
    await at.desk.on_order(at.broker.set_state(target.broker_id, OrderState.LIVE))
    assert at.desk.ledger.resting(OCC) == [target]


async def test_of_a_pair_one_may_fill_and_it_never_opens(at):
    trigger, *_ = await sent(at)
    await at.desk.on_order(at.broker.fill(trigger.broker_id, 2))
    (part,) = fillable(at.book, at.desk.ledger)[("atr_matrix", "NVDA")]
    assert (part.units, part.legs) == (2, ((OCC, -1),))


@pytest.mark.parametrize("exits", [(TARGET, STOP), (STOP,), ()])
def test_an_entry_with_exits_behind_it_may_be_sold_again_and_hedges_nothing(exits):
    records = [OrderRecord(intent, OrderState.LIVE) for intent in (TRIGGER, *exits)]
    (part,) = fillable(Book(CASH), ledger_of(*records))[("atr_matrix", "NVDA")]
    assert part.fleeting == bool(exits)


def test_once_its_exits_are_gone_an_entry_is_a_plain_one_again():
    gone = [OrderRecord(intent, OrderState.CANCELLED) for intent in (TARGET, STOP)]
    (part,) = fillable(Book(CASH), ledger_of(OrderRecord(TRIGGER, OrderState.LIVE), *gone))[("atr_matrix", "NVDA")]
    assert not part.fleeting


def test_a_bracket_that_sells_first_is_no_purchase_that_is_sold_again():
    sold = replace(TRIGGER, legs=(replace(TRIGGER.legs[0], action=Action.SELL_TO_OPEN),), net_price=Decimal("4.15"))
    records = [OrderRecord(intent, OrderState.LIVE) for intent in (sold, TARGET, STOP)]
    (part,) = fillable(Book(CASH), ledger_of(*records))[("atr_matrix", "NVDA")]
    assert not part.fleeting


async def test_an_exit_follows_the_size_that_the_broker_says(at):
    trigger, target, stop = await sent(at)
    await at.desk.on_order(at.broker.fill(trigger.broker_id, 1))
    told = at.broker.orders[stop.broker_id]
    await at.desk.on_order(replace(told, legs=(replace(told.legs[0], quantity=1),), state=OrderState.LIVE))
    assert (stop.intent.quantity, stop.remaining(OCC)) == (1, 1)
    assert target.intent.quantity == 2


async def test_both_exits_filling_is_an_alarm(at):
    trigger, target, stop = await sent(at)
    await at.desk.on_order(at.broker.fill(trigger.broker_id, 2))
    await at.desk.on_order(at.broker.fill(stop.broker_id, 2, "2.00"))
    assert any(line[0] == "warn" and "PREMIUM_STOP: the stop that rested" in line[2] for line in at.told)
    assert not any(line[0] == "alarm" for line in at.told)
    await at.desk.on_order(at.broker.fill(target.broker_id, 1, "9.00"))
    assert any(line[0] == "alarm" and "both exits of a bracket filled" in line[2] for line in at.told)


def test_a_bracket_placed_elsewhere_is_adopted_as_one():
    seat = Seat()
    orders = []
    for number, intent in enumerate((TRIGGER, TARGET, STOP)):
        orders.append(seat.broker.orders.setdefault(str(number), _reported(intent, str(number), seat)))
    records = [adopt(order, 0, 0.0) for order in orders]
    ledger = ledger_of(*records)
    assert [r.intent.role for r in records] == list(BracketRole)
    assert all(r.external and r.complex_id == "77" for r in records)
    assert ledger.closing(OCC) == 0
    assert ledger.bracket(records[2]) == records
    records[0].state = OrderState.FILLED
    assert ledger.closing(OCC) == ledger.closing(OCC, resting=False) == 2  # not ours to cancel


def _reported(intent, broker_id, seat):
    from qmterm.core.orders import BrokerOrder

    return BrokerOrder(
        broker_id, None, "A", "NVDA", OrderState.CONTINGENT, intent.legs, (), intent.net_price, "GTC", seat.now,
        seat.now, kind=intent.kind, stop_trigger=intent.stop_trigger, complex_id="77", role=intent.role,
    )  # fmt: skip


def test_an_exit_whose_trigger_is_long_forgotten_counts():
    ledger = ledger_of(OrderRecord(STOP, OrderState.LIVE))
    assert ledger.trigger(ledger.records[0]) is None
    assert ledger.closing(OCC) == 2


# --- how they are sent ---


async def test_all_intents_are_durable_before_the_one_call(at):
    seen = []
    at.broker.before_accept = lambda intent: seen.extend(at.journal.rows)
    await sent(at)
    assert [row for row in seen if row[0] == "intent"] == [("intent", i.intent_id) for i in (TRIGGER, TARGET, STOP)]
    assert at.broker.posts == ["+".join(i.intent_id for i in (TRIGGER, TARGET, STOP))]


async def test_nothing_leaves_when_one_of_them_could_not_be_written(at):
    at.journal.full = True
    with pytest.raises(JournalError):
        await sent(at)
    assert {record.state for record in at.desk.ledger.records} == {OrderState.NOT_SENT}
    assert at.broker.posts == []


async def test_a_refusal_is_for_all_of_them(at):
    def refuse(_intent):
        raise BrokerError("no", "margin_check_failed")

    at.broker.before_accept = refuse
    records = await sent(at)
    assert {record.state for record in records} == {OrderState.REJECTED}


async def test_one_that_is_not_wanted_any_more_holds_all_back(at):
    records = tuple(at.desk.register(intent) for intent in (TRIGGER, TARGET, STOP))
    records[1].cancel_asked = True
    await at.desk.send_bracket(records, lambda _record: None)
    assert {(r.state, r.reason) for r in records} == {(OrderState.NOT_SENT, "USER")}


async def test_a_lost_answer_makes_all_of_them_unknown_until_each_is_found_by_its_tag(at):
    at.broker.after_accept = lost
    records = await sent(at)
    assert {record.state for record in records} == {OrderState.UNKNOWN}
    assert len([line for line in at.told if line[0] == "alarm"]) == 1
    await at.desk.read_back(await at.broker.account_state())
    assert {record.state for record in records} == {OrderState.CONTINGENT}
    assert len({record.complex_id for record in records}) == 1


async def test_a_bracket_that_never_arrived_is_settled_as_not_accepted(at):
    at.broker.before_accept = lost
    records = await sent(at)
    for _ in range(2):
        await at.desk.read_back(await at.broker.account_state())
        at.clock.advance(11)
    assert {record.state for record in records} == {OrderState.NOT_ACCEPTED}


async def test_a_cancel_of_any_of_them_is_one_cancel_of_the_bracket(at):
    import asyncio

    trigger, target, stop = await sent(at)
    answers = await asyncio.gather(*(at.desk.cancel(record, "kill") for record in (trigger, target, stop)))
    assert at.broker.cancels == [f"complex {trigger.complex_id}"]
    assert all(answer.startswith("cancel asked") for answer in answers)
    assert all(record.cancel_asked for record in (trigger, target, stop))


async def test_a_cancel_that_came_to_nothing_may_be_asked_again(at):
    records = await sent(at)
    for record in records:
        at.broker.set_state(record.broker_id, OrderState.CANCELLED)
    assert (await at.desk.cancel(records[2], "x")).startswith("cancel refused")
    assert not any(record.cancel_asked for record in records)
    assert all(record.cancel_rests_until_ns > at.now for record in records)


async def test_an_exit_without_the_brackets_number_is_cancelled_by_its_own(at):
    *_, stop = await sent(at)
    stop.complex_id = None  # known from the journal alone
    await at.desk.cancel(stop, "x")
    assert at.broker.cancels == [stop.broker_id]


async def test_no_order_of_a_bracket_is_replaced(at):
    trigger, *_ = await sent(at)
    await at.desk.on_order(at.broker.set_state(trigger.broker_id, OrderState.LIVE))
    assert not at.desk.replaceable(trigger)


def test_a_target_is_an_exit_so_that_nobody_walks_it():
    assert (TARGET.purpose, STOP.purpose) == (Purpose.EXIT, Purpose.EXIT)
    assert Book(CASH).quantity(OCC) == 0

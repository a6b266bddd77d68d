"""Units of guards, one trade or several in the same contracts: what opens, breaks, stands loose, and whose it is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.guard_units import after_fill, fit, loose_of, opened, recounted, took
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.protect import protect
from tests.engine.fakes import CASH, OCC, clock_at, entry
from tests.engine.house import plan

LOW, HIGH = OCC, "NVDA  260417C00180000"
BTO, STO, STC, BTC = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN, Action.SELL_TO_CLOSE, Action.BUY_TO_CLOSE
SPREAD = Leg(LOW, BTO, 1), Leg(HIGH, STO, 1)
RATIO = Leg(LOW, BTO, 1), Leg(HIGH, STO, 2)
CALL = (Leg(LOW, BTO, 1),)


def guard(name="P1", units=0, legs=SPREAD, **more):
    state = replace(protect(plan(name), name, 0, Decimal("4.15")), opened=units, quantity=units)
    return Guard(legs, clock_at().now(), state, **more)


def of_nothing(_guard):
    return None


def record(name, legs, plan_id="", reason=None):
    intent = replace(entry(name), legs=legs, quantity=legs[0].quantity, plan_id=plan_id, reason=reason)
    return OrderRecord(replace(intent, purpose=Purpose.EXIT), OrderState.LIVE, broker_id=name)


def fill(symbol, action, count):
    return Fill(f"{symbol}{action}{count}", "b", symbol, action, count, Decimal(2), clock_at().now())


def follow(guards, order, *fills):
    """The guards after fills of one order, by position."""
    now = {each.state.position_id: each for each in guards}
    for symbol, action, count in fills:
        changed = after_fill(tuple(now.values()), order, fill(symbol, action, count), of_nothing)
        now |= {each.state.position_id: each for each in changed}
    return {name: (each.state.quantity, each.loose) for name, each in now.items()}


def test_a_unit_is_there_when_every_leg_is():
    half = opened(guard(legs=RATIO), LOW, 3, of_nothing)
    assert (half.state.opened, half.loose) == (0, (3, 0))
    whole = opened(half, HIGH, 5, of_nothing)
    assert (whole.state.opened, whole.state.quantity, whole.loose) == (2, 2, (1, 1))


def test_a_close_takes_what_is_loose_first_then_breaks_units_and_leaves_their_other_legs_loose():
    after, rest = took(guard(units=3, legs=RATIO, loose=(0, 1)), HIGH, 4)
    assert (after.state.quantity, after.loose, rest) == (1, (2, 1), 0)
    after, rest = took(after, LOW, 2)
    assert (after.state.quantity, after.loose, rest) == (1, (0, 1), 0)
    after, rest = took(after, LOW, 5)
    assert (after.state.quantity, after.loose, rest) == (0, (0, 3), 4)


def test_a_close_that_does_not_break_takes_only_what_is_loose():
    after, rest = took(guard(units=3, loose=(1, 0)), LOW, 2, whole=False)
    assert (after.state.quantity, after.loose, rest) == (3, (), 1)


def test_a_goal_shrinks_with_what_is_gone_and_ends_with_it():
    going = guard(units=3, goal=2, reason=Reason.ATR_STOP, attempts=2)
    one, _ = took(going, LOW, 1)
    assert (one.goal, one.reason, one.attempts) == (1, Reason.ATR_STOP, 2)
    done, _ = took(one, LOW, 1)
    assert (done.goal, done.reason, done.attempts) == (0, None, 0)


def test_a_close_that_names_a_trade_takes_no_more_than_that_has_and_the_rest_from_the_others():
    order = record("x", (Leg(LOW, STC, 5),), "P1")
    guards = guard("P0", 4, CALL), guard("P1", 2, CALL)
    assert follow(guards, order, (LOW, STC, 5)) == {"P0": (1, ()), "P1": (0, ())}


def test_two_legs_of_one_close_elsewhere_break_one_unit_not_two():
    order = record("ext-1", (Leg(LOW, STC, 2), Leg(HIGH, BTC, 2)))
    guards = guard("call", 2, CALL), guard("P1", 3), guard("P2", 3)
    after = follow(guards, order, (LOW, STC, 2), (HIGH, BTC, 2))
    assert after == {"call": (2, ()), "P1": (1, ()), "P2": (3, ())}


def test_a_close_of_one_leg_elsewhere_is_of_the_trade_that_is_made_of_it():
    order = record("ext-1", (Leg(LOW, STC, 3),))
    after = follow((guard("P1", 3), guard("call", 2, CALL)), order, (LOW, STC, 3))
    assert after == {"P1": (2, (0, 1)), "call": (0, ())}


def test_an_orphans_closer_takes_no_whole_unit_of_anybodys():
    order = record("o", (Leg(LOW, STC, 2),), "P1", Reason.ORPHAN_LEG)
    guards = guard("call", 2, CALL), guard("P1", 3, loose=(1, 0))
    assert follow(guards, order, (LOW, STC, 2)) == {"call": (2, ()), "P1": (3, ())}


def test_what_somebody_buys_elsewhere_is_guarded_by_the_trade_of_that_contract_alone():
    order = record("ext-1", (Leg(LOW, BTO, 2),))
    guards = guard("P1", 3), guard("idle", 0, CALL), guard("call", 2, CALL)
    assert follow(guards, order, (LOW, BTO, 2)) == {"P1": (3, ()), "idle": (0, ()), "call": (2, ())}  # a trade of ours
    order.external = True
    assert follow(guards, order, (LOW, BTO, 2)) == {"P1": (3, ()), "idle": (0, ()), "call": (4, ())}
    assert follow(guards[:2], order, (LOW, BTO, 2)) == {"P1": (3, ()), "idle": (2, ())}


def ledger_of(*orders):
    """Orders of P1 and how much of each leg they filled."""
    ledger = Ledger()
    for number, fills in enumerate(orders):
        order = record(f"q{number}", tuple(Leg(symbol, action, 9) for symbol, action, _ in fills), "P1")
        made = [fill(*each) for each in fills]
        order.fills.update({each.fill_id: each for each in made})
        ledger.add(order)
    return ledger


@pytest.mark.parametrize(
    ("orders", "stored", "units", "loose"),
    [
        ([[(LOW, BTO, 3), (HIGH, STO, 2)]], guard(), 2, (1, 0)),  # none of it was written
        ([[(LOW, BTO, 3), (HIGH, STO, 3)], [(LOW, STC, 2), (HIGH, BTC, 1)]], guard(units=3), 1, (0, 1)),
        ([[(LOW, BTO, 3), (HIGH, STO, 3)]], took(guard(units=3), LOW, 1)[0], 2, (0, 1)),  # others broke one
        ([[(LOW, STC, 1)]], guard(units=3), 3, ()),  # the entry is of another week: nobody knows what was counted
        ([], guard(units=3, loose=(1, 0)), 3, (1, 0)),
    ],
)
def test_a_restart_counts_what_the_orders_of_the_plan_say_was_missed(orders, stored, units, loose):
    after = recounted(stored, ledger_of(*orders), of_nothing)
    assert (after.state.quantity, after.loose) == (units, loose)
    assert recounted(after, ledger_of(*orders), of_nothing) == after  # once is enough


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ({LOW: 6, HIGH: -4}, {"P1": 2, "P2": 2, "call": 2}),
        ({LOW: 5, HIGH: -4}, {"P1": 1, "P2": 2, "call": 2}),
        ({LOW: 3, HIGH: -4}, {"P1": 0, "P2": 1, "call": 2}),
        ({LOW: 6, HIGH: -3}, {"P1": 1, "P2": 2, "call": 2}),
        ({LOW: -6, HIGH: -4}, {"P1": 0, "P2": 0, "call": 0}),
        ({HIGH: -4}, {"P1": 0, "P2": 0, "call": 0}),
    ],
)
def test_what_the_account_does_not_hold_guards_nothing_and_who_was_going_gives_up_first(held, left):
    book = Book(CASH)
    for symbol, quantity in held.items():
        book.adopt(BrokerPosition(symbol, quantity, Decimal(2), 100), "manual", "", clock_at().now())
    guards = guard("P2", 2), guard("call", 2, CALL), guard("P1", 2, goal=2, reason=Reason.ATR_STOP)
    assert {each.state.position_id: each.state.quantity for each in fit(guards, book)} == left


@pytest.mark.parametrize(("held", "left"), [(-8, [2, 2]), (-7, [1, 2]), (-6, [1, 2]), (-5, [0, 2]), (-4, [0, 2])])
def test_a_unit_gives_up_all_its_contracts_and_no_unit_more_than_is_missing_does(held, left):
    book = Book(CASH)
    for symbol, quantity in ((LOW, 4), (HIGH, held)):
        book.adopt(BrokerPosition(symbol, quantity, Decimal(2), 100), "manual", "", clock_at().now())
    after = fit([guard(name, 2, RATIO) for name in ("P1", "P2")], book)
    assert [each.state.quantity for each in after] == left


def test_no_more_is_loose_than_is_held_beside_whole_units():
    book = Book(CASH)
    for symbol, quantity in ((LOW, 4), (HIGH, -3)):
        book.adopt(BrokerPosition(symbol, quantity, Decimal(2), 100), "manual", "", clock_at().now())
    (after,) = fit([guard(units=3, loose=(2, 2))], book)
    assert (after.state.quantity, after.loose) == (3, (1, 0))


def test_loose_contracts_survive_the_journal_and_an_older_one_knew_none():
    loose = guard(units=2, loose=(0, 1))
    assert Guard.from_dict(loose.to_dict()) == loose
    assert Guard.from_dict({**loose.to_dict(), "loose": None}).loose == ()


STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from([LOW, HIGH]), st.integers(1, 5), st.booleans()), max_size=20)


@given(STEPS)
def test_whole_units_and_loose_contracts_are_all_that_came_and_did_not_go(steps):
    now = guard(legs=RATIO)
    count = {LOW: 0, HIGH: 0}
    for opens, symbol, contracts, whole in steps:
        if opens:
            now, rest = opened(now, symbol, contracts, of_nothing), 0
            count[symbol] += contracts
        else:
            now, rest = took(now, symbol, contracts, whole=whole)
            count[symbol] -= contracts - rest
        held = {leg.symbol: leg.quantity * now.state.quantity + loose_of(now, leg.symbol) for leg in RATIO}
        assert held == count
        assert min(*now.loose, 0) == 0 if now.loose else True
        assert not (rest and whole and count[symbol])  # nothing is left to others while it still has some


def test_what_is_loose_is_shared_by_those_that_have_it_loose():
    book = Book(CASH)
    book.adopt(BrokerPosition(LOW, 3, Decimal(2), 100), "manual", "", clock_at().now())
    after = fit([guard("P1", loose=(2, 0)), guard("P2", loose=(2, 0))], book)
    assert [each.loose for each in after] == [(2, 0), (1, 0)]

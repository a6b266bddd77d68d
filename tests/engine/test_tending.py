"""Which working orders have to go, each with its reason: one after the other, and none in place of another."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from qmterm.core.orders import Action, BracketRole, Fill, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.ladder import Level
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.tending import wanted_gone
from tests.engine.fakes import OCC, clock_at, entry

NOW = clock_at().now()
CLOSING = {"legs": (Leg(OCC, Action.SELL_TO_CLOSE, 2),), "purpose": Purpose.EXIT}
SCALE = CLOSING | {"purpose": Purpose.SCALE_OUT}


def order(name, state=OrderState.LIVE, *, age_s=0, external=False, unwanted=False, spared=False, **of_intent):
    intent = replace(entry(name), **({"plan_id": "P1"} | of_intent))
    record = OrderRecord(intent, state, name, external=external, worked_from_ns=NOW - int(age_s * 1e9))
    record.unwanted, record.spared = unwanted, spared
    return record


def gone(*records, level=Level.NORMAL, latched=None, stale=(), everything=(), reprices=(), refusal=None, barred=None):
    """Names of those to go, and why; an entry has 60 s."""
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    guard = SimpleNamespace(state=SimpleNamespace(latched=latched))
    trader = SimpleNamespace(
        clock=clock_at(),
        ladder=SimpleNamespace(level=level),
        settings=SimpleNamespace(entry_timeout_s=60),
        desk=SimpleNamespace(ledger=ledger),
        guards=SimpleNamespace(of={"P1": guard}.get, stale_exits=lambda: stale),
        closing_refusal=lambda: refusal,
        money_refusal=lambda: barred,
    )
    found = wanted_gone(trader, lambda: everything, lambda record: record.intent.intent_id in reprices)
    return [(record.intent.intent_id, why) for record, why in found]


def test_an_entry_goes_when_its_time_is_over_and_no_moment_sooner():
    assert gone(order("a", age_s=60), order("b", age_s=59)) == [("a", "ENTRY_TIMEOUT")]


def test_what_cannot_be_cancelled_now_keeps_none_after_it():
    waiting = [
        order(state.value, state, unwanted=True) for state in (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN)
    ]
    asked = order("asked", unwanted=True)
    asked.cancels_out = 1
    confirmed = order("confirmed", unwanted=True)
    confirmed.cancel_asked = True
    assert gone(*waiting, asked, confirmed, order("a", unwanted=True)) == [("a", "by you")]


@pytest.mark.parametrize(("since", "external", "goes"), [(15, False, True), (14, False, False), (15, True, False)])
def test_an_order_of_ours_whose_legs_filled_unequally_goes_once_that_is_no_news(since, external, goes):
    legs = Leg(OCC, Action.BUY_TO_OPEN, 2), Leg("NVDA  260417C00180000", Action.SELL_TO_OPEN, 2)
    spread = order("a", legs=legs, external=external)
    spread.fills["f"] = Fill("f", "a", OCC, Action.BUY_TO_OPEN, 1, Decimal(4), NOW - since * 10**9)
    assert gone(spread) == ([("a", "ORPHAN_LEG")] if goes else [])


def test_under_halt_all_go_but_what_a_person_sent_since():
    records = order("a"), order("spared", spared=True), order("b", **CLOSING)
    assert gone(*records, level=Level.HALT) == [("a", "HALT"), ("b", "HALT")]


@pytest.mark.parametrize("level", list(Level))
def test_what_a_kill_or_a_disarm_withdrew_goes_whatever_holds_by_now_once_the_broker_has_named_it(level):
    records = order("a", **CLOSING), order("b", OrderState.SENT, **CLOSING), order("c", OrderState.UNKNOWN, **CLOSING)
    for record in records:
        record.withdrawn = Reason.NOT_ARMED
    assert gone(*records, level=level) == [("a", "HALT" if level is Level.HALT else "NOT_ARMED")]


def test_under_flatten_what_is_in_the_way_goes_beside_what_a_person_cancelled():
    first, second, sent = order("a"), order("b", unwanted=True), order("c", OrderState.SENT)
    every = (first, second, sent)
    assert gone(first, second, sent, level=Level.FLATTEN, everything=every) == [
        ("b", "by you"),
        ("a", Level.FLATTEN.label),
    ]


def test_what_gives_way_to_a_stop_goes_for_its_sake_and_what_a_person_cancelled_for_his():
    gives_way = order("a", unwanted=True)
    gives_way.gives_way = True
    assert gone(gives_way, order("b", unwanted=True)) == [("a", "gives way to a stop"), ("b", "by you")]


def test_entries_of_the_machine_go_where_it_may_only_reduce():
    records = order("theirs", external=True), order("exit", **CLOSING), order("a", reason=Reason.USER), order("b")
    assert gone(*records, level=Level.REDUCE_ONLY) == [
        ("a", Level.REDUCE_ONLY.label),
        ("b", Level.REDUCE_ONLY.label),
    ]


def test_a_persons_entry_works_as_long_as_it_says_and_keeps_none_after_it():
    records = order("a", reason=Reason.USER, age_s=999), order("b", age_s=999)
    assert gone(*records) == [("b", "ENTRY_TIMEOUT")]
    assert gone(*records, barred=Reason.NOT_ARMED) == [("b", "NOT_ARMED")]


@pytest.mark.parametrize(
    ("more", "goes"),
    [
        (SCALE, True),
        (SCALE | {"reason": Reason.USER}, False),
        (SCALE | {"role": BracketRole.TARGET, "bracket_id": "b"}, False),
        (SCALE | {"plan_id": "P2"}, False),
        (CLOSING, False),
    ],
)
def test_only_a_scale_out_of_the_machines_gives_way_to_the_stop_of_its_trade(more, goes):
    assert gone(order("a", **more), latched=Reason.ATR_STOP) == ([("a", "ATR_STOP")] if goes else [])
    assert gone(order("a", **more)) == []


def test_a_stop_that_stood_too_long_goes_once_where_no_replace_will_do_and_the_next_one_may_be_sent():
    one, named, walks = order("a", **CLOSING), order("b", unwanted=True, **CLOSING), order("c", **CLOSING)
    records = one, named, walks
    assert gone(*records, stale=records, reprices={"c"}) == [("b", "by you"), ("a", "re-price")]
    assert gone(*records, stale=records, reprices={"c"}, refusal=Reason.NOT_ARMED) == [("b", "by you")]

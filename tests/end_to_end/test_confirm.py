"""Confirm mode with a person at the screen: nothing leaves unasked, what was approved fills, a close closes."""

from __future__ import annotations

import sqlite3

import pytest

from qmterm.commands.simulator import SimWish
from qmterm.core.orders import Purpose
from qmterm.engine.commands import ApproveProposal, ClosePosition, RejectProposal
from qmterm.journal.audit import audit
from qmterm.journal.state import load_state
from tests.end_to_end.running import until
from tests.end_to_end.seat import seated


def approve(thread, wanted):
    """Press the key on the first proposal that `wanted` names, as it stands on the screen; (proposal, answer)."""

    def pressed():
        shown = next((p for p in thread.snapshot.proposals if wanted(p)), None)
        if shown is None:
            return None
        answer = thread.send(ApproveProposal(shown.proposal_id, str(shown.limit))).result(10)
        return (shown, answer) if answer.ok else None  # the price went meanwhile: look again

    return until(pressed, 40, lambda: log_of(thread))


def log_of(thread) -> str:
    return "\n".join(f"{line.level} {line.kind} {line.text}" for line in thread.snapshot.log[-40:])


@pytest.fixture(scope="module")
def sitting(home, tmp_path_factory):
    seen = {"journal": tmp_path_factory.mktemp("confirm") / "j.sqlite"}
    with seated(home, seen["journal"], SimWish(seed=7, symbols=100, start="2026-03-02T09:30", speed=60)) as thread:
        until(lambda: len(thread.snapshot.proposals) >= 2, 60, lambda: log_of(thread))
        seen["orders_before"] = thread.snapshot.orders
        first, last = thread.snapshot.proposals[0], thread.snapshot.proposals[-1]
        seen["other_limit"] = thread.send(ApproveProposal(first.proposal_id, "-0.01")).result(10)
        seen["reject"] = thread.send(RejectProposal(last.proposal_id)).result(10)
        seen["rejected"] = last

        seen["approved"], seen["approve"] = approve(thread, lambda p: p.purpose == "entry")
        again = ApproveProposal(seen["approved"].proposal_id, str(seen["approved"].limit))
        seen["twice"] = thread.send(again).result(10)

        def filled():
            return any(o.state == "filled" and o.purpose == "entry" for o in thread.snapshot.orders)

        until(filled, 40, lambda: log_of(thread))
        (seen["position"],) = thread.snapshot.positions
        seen["close"] = thread.send(ClosePosition(seen["position"].symbol)).result(10)
        approve(thread, lambda p: p.purpose == "exit")
        until(lambda: not thread.snapshot.positions, 40, lambda: log_of(thread))
        seen["orders"] = thread.snapshot.orders
        seen["header"] = thread.snapshot.header
    seen["body"] = thread.result
    return seen


def test_nothing_leaves_before_a_person_says_so(sitting):
    assert sitting["orders_before"] == ()


def test_only_the_limit_that_was_seen_is_approved(sitting):
    assert not sitting["other_limit"].ok
    assert "not what you saw" in sitting["other_limit"].text


def test_an_approved_proposal_becomes_one_order_and_a_position(sitting):
    assert sitting["approve"].text.startswith("sending BUY")
    assert not sitting["twice"].ok
    assert sitting["position"].quantity >= 1
    entries = [order for order in sitting["orders"] if order.purpose == "entry"]
    assert [order.state for order in entries] == ["filled"]


def test_a_rejected_proposal_never_becomes_an_order(sitting):
    assert sitting["reject"].ok
    underlying = sitting["rejected"].underlying
    assert not any(f" {underlying} " in order.text for order in sitting["orders"])


def test_a_close_is_asked_first_and_leaves_nothing_held(sitting):
    assert sitting["close"].text.startswith("proposed SELL")
    assert sitting["body"].open_positions == 0
    assert len([intent for intent in intents(sitting) if intent.replaces is None]) == 2


def test_the_entry_walks_to_its_fill_and_never_past_what_was_approved(sitting):
    steps = [intent for intent in intents(sitting) if intent.purpose is Purpose.ENTRY]
    prices = [intent.net_price for intent in steps]
    assert prices == sorted(prices, reverse=True)
    assert {intent.worst_price for intent in steps} == {sitting["approved"].limit}
    assert min(prices) >= sitting["approved"].limit
    assert [intent.replaces for intent in steps[1:]] == [intent.intent_id for intent in steps[:-1]]


def test_the_header_says_confirm_and_normal(sitting):
    assert (sitting["header"].mode, sitting["header"].ladder) == ("confirm", "NORMAL")


def test_its_journal_is_sound(sitting):
    found = audit(sitting["journal"])
    assert found.faults == ()
    assert found.positions == {}
    assert found.orders_sent == sitting["body"].orders


def intents(sitting):
    """Every order of the sitting as it was written before it left."""
    with sqlite3.connect(sitting["journal"]) as connection:
        return [order.intent for order in load_state(connection, 7).orders if order.broker_id]

"""Proposals: one question once, answered once, and gone when nobody answered in time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import InvariantBroken
from qmterm.core.orders import Action, Leg, OrderIntent, Purpose
from qmterm.engine.orders.proposals import Proposal, Proposals
from tests.engine.fakes import OCC, clock_at

HIGH = "NVDA  260417C00180000"


def proposal(number=1, purpose=Purpose.ENTRY, underlying="NVDA", expires_at=180.0, alarm=False, symbol=OCC):
    return Proposal(
        f"p{number}", number, expires_at, purpose, "atr_matrix", underlying, (Leg(symbol, Action.BUY_TO_OPEN, 1),), 1,
        Decimal("-4.15"), 4.15, Decimal(416), Decimal(416), "", (), alarm=alarm,
    )  # fmt: skip


def test_only_the_first_taker_gets_it():
    waiting = Proposals(clock_at())
    assert waiting.add(proposal())
    assert waiting.take("p1") is not None
    assert waiting.take("p1") is None
    assert waiting.was_used("p1")
    assert not waiting.was_used("p2")


def test_the_same_question_is_not_asked_twice_but_may_be_asked_again():
    waiting = Proposals(clock_at())
    assert waiting.add(proposal(1))
    assert not waiting.add(proposal(2))
    assert waiting.add(proposal(3, underlying="AMD"))
    assert waiting.add(proposal(4, purpose=Purpose.EXIT))
    waiting.take("p1")
    assert waiting.add(proposal(5))


def test_another_question_never_takes_the_place_of_one_that_waits_under_its_id():
    waiting, first = Proposals(clock_at()), proposal(1)
    assert waiting.add(first)
    assert not waiting.add(proposal(1))
    with pytest.raises(InvariantBroken, match=r"^proposal p1 waits already as another one; nothing was asked$"):
        waiting.add(proposal(1, underlying="AMD"))
    assert waiting.waiting == (first,)


def test_exits_are_told_apart_by_their_contract():
    waiting = Proposals(clock_at())
    assert waiting.add(proposal(1, purpose=Purpose.EXIT))
    assert waiting.add(proposal(2, purpose=Purpose.EXIT, symbol=HIGH))


def closing(number, symbols=(OCC, HIGH), plan_id="m1", **changes):
    """A person's question about a spread; `alarm=True` is a stop's."""
    legs = tuple(Leg(symbol, Action.SELL_TO_CLOSE, 1) for symbol in symbols)
    return replace(proposal(number, purpose=Purpose.EXIT), legs=legs, plan_id=plan_id, **changes)


@pytest.mark.parametrize(
    "other",
    [
        closing(2, symbols=(OCC,)),
        closing(2, symbols=(OCC, "NVDA  260417C00185000")),
        closing(2, plan_id="m2"),
        closing(2, alarm=True),
        replace(closing(2), purpose=Purpose.SCALE_OUT),
    ],
)
def test_a_close_is_another_question_by_any_leg_its_plan_or_who_asks(other):
    waiting = Proposals(clock_at())
    assert waiting.add(closing(1))
    assert waiting.add(other)
    assert len(waiting.waiting) == 2


@pytest.mark.parametrize("alarm", [False, True])
def test_the_same_close_is_one_question_at_any_price_and_in_any_order_of_its_legs(alarm):
    waiting = Proposals(clock_at())
    assert waiting.add(closing(1, alarm=alarm))
    again = closing(2, symbols=(HIGH, OCC), alarm=alarm, net_price=Decimal("1.00"), quantity=2)
    assert not waiting.add(again)


def test_two_typed_entries_of_the_same_legs_are_one_question_but_not_when_they_go_the_other_way():
    waiting, (leg,) = Proposals(clock_at()), proposal().legs
    order = OrderIntent("m1", 0, "manual", "NVDA", Purpose.ENTRY, (leg,), 1, Decimal("-4.15"))
    assert waiting.add(replace(proposal(1), order=order))
    assert not waiting.add(replace(proposal(2), order=order))
    assert waiting.add(replace(proposal(3), order=order, legs=(replace(leg, action=Action.SELL_TO_OPEN),)))


def test_an_unanswered_proposal_goes_at_its_time_and_not_before():
    clock = clock_at()
    waiting, gone = Proposals(clock), []
    waiting.add(proposal())
    clock.advance(179.9)
    waiting.expire(gone.append)
    assert gone == []
    clock.advance(0.1)
    waiting.expire(gone.append)
    assert [p.proposal_id for p in gone] == ["p1"]
    assert waiting.get("p1") is None
    assert not waiting.was_used("p1")


def test_alarms_stand_first_then_the_oldest():
    waiting = Proposals(clock_at())
    for number, alarm in ((1, False), (2, False), (3, True)):
        waiting.add(proposal(number, underlying=f"S{number}", alarm=alarm))
    assert [p.proposal_id for p in waiting.waiting] == ["p3", "p1", "p2"]


def test_what_is_no_longer_wanted_is_withdrawn():
    waiting = Proposals(clock_at())
    waiting.add(proposal(1))
    waiting.add(proposal(2, underlying="AMD"))
    assert [p.proposal_id for p in waiting.withdraw(lambda p: p.underlying == "AMD")] == ["p2"]
    assert [p.proposal_id for p in waiting.waiting] == ["p1"]

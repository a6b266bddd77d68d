"""Proposals: one question once, answered once, and gone when nobody answered in time."""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.orders import Action, Leg, Purpose
from qmterm.engine.orders.proposals import Proposal, Proposals
from tests.engine.fakes import OCC, clock_at


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


def test_exits_are_told_apart_by_their_contract():
    waiting = Proposals(clock_at())
    assert waiting.add(proposal(1, purpose=Purpose.EXIT))
    assert waiting.add(proposal(2, purpose=Purpose.EXIT, symbol="NVDA  260417C00180000"))


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

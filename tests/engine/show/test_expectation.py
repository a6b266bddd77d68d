"""A plan that loses on average says so, on the proposal and in every trail, with the rule that lets it pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qmterm.core.settings.engine import Mode
from qmterm.engine.show.trail import trail_lines
from qmterm.engine.show.wording import expectation
from qmterm.journal.queries import EventRow
from tests.engine.house import opened, plan

LOSING = {"expected_pnl": -143.79, "risk_reward": 5.579, "p_target": 0.0454}
SAID = "expected P/L -143.79 a contract is negative (the target is reached in 5% of cases): R:R 5.6 decides"


def test_a_negative_expectation_is_told_with_its_number_and_the_rule_that_decides():
    (line,) = expectation(LOSING)
    assert line.startswith(SAID)
    assert line.endswith("by [option_choice] min_risk_reward; require_positive_ev is off")


@pytest.mark.parametrize("numbers", [{}, {"expected_pnl": None}, {"expected_pnl": 0.0}, {"expected_pnl": 61.0}])
def test_what_is_not_negative_or_not_known_says_nothing(numbers):
    assert expectation(numbers) == ()


def test_numbers_that_are_not_known_are_left_out():
    (line,) = expectation({"expected_pnl": -1.0})
    assert line.startswith("expected P/L -1.00 a contract is negative: ")
    assert "R:R – decides" in line


@pytest.mark.parametrize(("numbers", "told"), [(LOSING, True), ({**LOSING, "expected_pnl": 20.0}, False)])
async def test_the_proposal_and_its_trail_say_so(numbers, told):
    async with opened(Mode.CONFIRM) as house:
        house.trader.open(replace(plan(), numbers=numbers), 0.0)
        (waiting,) = house.trader.proposals.waiting
        assert any(line.startswith(SAID) for line in waiting.why) is told
        assert any(line.startswith(SAID) for line in house.trader.trail.lines(waiting.plan_id)) is told


@pytest.mark.parametrize(("numbers", "told"), [(LOSING, True), ({}, False), (None, False)])
def test_the_trail_of_a_journal_says_so_too(numbers, told):
    body = {"outcome": "proposed", "plan": {"numbers": numbers}, "numbers": {}}
    lines = trail_lines([EventRow(1, None, 1, 1, "decision", "NVDA", body)])
    assert any(line.startswith(f"  note: {SAID}") for line in lines) is told

"""The hash of what was decided does not depend on when it is asked for."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg
from qmterm.engine.decisions import TOLD_TOGETHER, DecisionHash

LEGS = (Leg("NVDA  260417C00175000", Action.BUY_TO_OPEN, 2), Leg("NVDA  260417C00180000", Action.SELL_TO_OPEN, 2))


@pytest.mark.parametrize("count", [0, 1, TOLD_TOGETHER - 1, TOLD_TOGETHER, 3 * TOLD_TOGETHER + 5])
@pytest.mark.parametrize("asked", [False, True])
def test_it_is_that_of_all_lines_in_their_order(count, asked):
    decisions, lines = DecisionHash(), ""
    for number in range(count):
        decisions.add(number, "NVDA", LEGS[: 1 + number % 2], number, Decimal("-1.20") if number % 3 else None)
        shape = ";".join(f"{leg.symbol},{leg.action.value},2" for leg in LEGS[: 1 + number % 2])
        lines += f"{number}|NVDA|{shape}|{number}|{'-1.20' if number % 3 else None}\n"
        if asked:
            decisions.hexdigest()
    assert decisions.hexdigest() == hashlib.sha256(lines.encode()).hexdigest()

"""The sign of a price that a person typed for a close: received where it is a sale, paid where it buys back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg
from qmterm.engine.orders.closes import _signed
from tests.engine.fakes import OCC

HIGH = "NVDA  260417C00180000"
SALE, BUY_BACK = (Leg(OCC, Action.SELL_TO_CLOSE, 2),), (Leg(OCC, Action.BUY_TO_CLOSE, 2),)
SPREAD = (*BUY_BACK, Leg(HIGH, Action.SELL_TO_CLOSE, 2))


@pytest.mark.parametrize(
    ("legs", "natural", "signed"),
    [
        (SALE, "4.10", "1.25"),
        (SALE, None, "1.25"),
        (BUY_BACK, "-4.20", "-1.25"),
        (BUY_BACK, None, "-1.25"),
        (SPREAD, "0.40", "1.25"),
        (SPREAD, "-0.40", "-1.25"),
        (SPREAD, "0", "-1.25"),
    ],
)
def test_one_leg_goes_by_its_side_and_several_by_what_the_market_pays(legs, natural, signed):
    assert _signed(Decimal("1.25"), legs, None if natural is None else Decimal(natural)) == Decimal(signed)


def test_without_a_limit_there_is_no_price():
    assert _signed(None, SALE, Decimal(4)) is None

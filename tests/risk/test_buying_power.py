"""Buying power: our own Reg-T estimate beside what the plan says, and the broker's dry run beside both."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.orders import DryRun
from qmterm.risk.buying_power import beyond_power, buying_power_effect
from tests.risk.plans import CALL, HIGHER, LOWER_PUT, PUT, plan, quote, quotes

QUOTES = quotes(quote(), quote(HIGHER, 2.0, 2.1), quote(PUT, 1.9, 2.0), quote(LOWER_PUT, 1.0, 1.1))


@pytest.mark.parametrize(
    ("signed", "price", "loss", "spot", "takes"),
    [
        (((CALL, 1),), "-4.15", "416.15", 104.0, "416.15"),
        (((PUT, -1), (LOWER_PUT, 1)), "0.80", "420", 104.0, "420"),  # the plan's fees rule over 500 − 90
        (((PUT, -1), (LOWER_PUT, 1)), "0.80", "300", 104.0, "410"),
        (((PUT, -1),), "1.90", "300", 104.0, "1680"),  # naked: 20 % of the stock less 4 out of the money
        (((PUT, -1),), "1.90", "300", None, "300"),
        (((CALL, -1), ("AAPL", 100)), "-90", "300", 104.0, "300"),
        (((PUT, -1), ("AAPL  260515P00095000", 1)), "0.10", "300", 104.0, "300"),
        (((PUT, -1), ("AAPL  260402P00090000", 1)), "0.10", "300", 104.0, "300"),  # a leg without a quote
    ],
)
def test_the_worse_of_plan_and_estimate_rules(signed, price, loss, spot, takes):
    assert buying_power_effect(plan(*signed, price=price, loss=loss), QUOTES, spot) == Decimal(takes)


def test_an_index_is_charged_as_the_broker_charges_indices():
    occ = "SPX   260402P00100000"
    sold = plan((occ, -1), price="1.90", loss="300", underlying="SPX")
    assert buying_power_effect(sold, quotes(quote(occ, 1.9, 2.0)), 104.0) == Decimal("2200")


def test_a_dry_run_that_takes_more_than_is_left_is_short_by_the_difference():
    answer = DryRun(Decimal(-900), Decimal(-2))
    assert beyond_power(answer, Decimal(400), Decimal(600)) is None
    assert beyond_power(answer, Decimal(400), Decimal(499)) == 1
    assert beyond_power(answer, Decimal(400), None) is None

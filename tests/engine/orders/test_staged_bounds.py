"""What an approved order may pay by the time it leaves, and what an edit makes it pay more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg, OrderKind
from qmterm.core.quotes import Quote
from qmterm.core.ticks import TickProgram
from qmterm.engine.orders import edits
from qmterm.engine.orders.edits import dearer_by
from qmterm.engine.orders.staged import bounded
from tests.engine.fakes import OCC, entry
from tests.engine.orders.test_edit_answers import edit, house, submitted, working

__all__ = ["house"]  # a fixture


def walked(price="-4.10", worst="-4.30"):
    return replace(entry(price=price), worst_price=None if worst is None else Decimal(worst))


def market(ask):
    return {OCC: Quote(OCC, 4.00, ask, 1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("staged", "ask", "program", "price", "worst"),
    [
        (walked(), 4.20, TickProgram.PENNY, "-4.10", "-4.20"),  # it walks no further than to cross now
        (walked(), 4.50, TickProgram.PENNY, "-4.10", "-4.30"),  # nor past what was meant
        (walked(), 4.05, TickProgram.PENNY, "-4.05", "-4.05"),  # nor does it begin beyond it
        (walked(), 4.12, TickProgram.PENNY, "-4.10", "-4.15"),
        (walked(), 4.12, TickProgram.NICKEL, "-4.10", "-4.20"),  # on the contract's own grid
    ],
)
def test_a_walked_order_goes_no_further_than_the_market_is_now(staged, ask, program, price, worst):
    new = bounded(staged, market(ask), program)
    assert new == replace(staged, net_price=Decimal(price), worst_price=Decimal(worst))


@pytest.mark.parametrize(
    ("staged", "quotes"),
    [
        (walked(), {}),  # nobody quotes it
        (walked(worst=None), market(4.05)),
        (replace(walked(), net_price=None), market(4.05)),
    ],
)
def test_any_other_order_stays_as_it_was_meant(staged, quotes):
    assert bounded(staged, quotes, TickProgram.PENNY) is staged


def order(action, price=None, trigger=None):
    kind = OrderKind.LIMIT if price else OrderKind.STOP if trigger else OrderKind.MARKET
    legs = (Leg(OCC, action, 2),)
    made = replace(entry(), legs=legs, kind=kind, net_price=None if price is None else Decimal(price))
    return replace(made, stop_trigger=None if trigger is None else Decimal(trigger))


BUY, SELL = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN


@pytest.mark.parametrize(
    ("old", "new", "more"),
    [
        (order(BUY, "-4.10"), order(BUY, "-4.15"), 10),
        (order(SELL, "4.10"), order(SELL, "4.00"), 20),
        (order(BUY, trigger="4.50"), order(BUY, trigger="4.60"), 20),
        (order(SELL, trigger="3.00"), order(SELL, trigger="2.00"), 0),  # what a sale brings no trigger says
        (order(BUY), order(BUY, "-4.00"), 800),
        (order(SELL), order(SELL, "4.00"), -800),
    ],
)
def test_dearer_is_what_is_paid_beyond_what_was_counted_for_all_units(old, new, more):
    assert dearer_by(old, new) == more


async def test_a_dearer_entry_is_judged_with_a_limit_only_where_it_has_one(house, monkeypatch):
    told, plan = [], edits.manual_plan

    def spy(*args, **more):
        told.append(more["bounded"])
        return plan(*args, **more)

    monkeypatch.setattr(edits, "manual_plan", spy)
    await edit(house, await working(house), "4.15")
    await edit(house, await submitted(house, replace(order(BUY, trigger="4.50"), intent_id="qm-9")), "4.60")
    assert told == [True, False]

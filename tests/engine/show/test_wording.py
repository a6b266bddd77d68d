"""How orders and prices read where there is little room."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.orders import Action, Leg, OrderKind, TimeInForce
from qmterm.engine.show.wording import premium_level, terms_short
from qmterm.risk.protect import protect
from tests.engine.fakes import OCC, entry
from tests.engine.house import plan

GTC = {"time_in_force": TimeInForce.GTC}
STOP = {"kind": OrderKind.STOP, "net_price": None, "stop_trigger": Decimal("3.20")}
STOP_LIMIT = {"kind": OrderKind.STOP_LIMIT, "net_price": Decimal("0.25"), "stop_trigger": Decimal("0.30")}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "4.15 db"),
        (GTC, "4.15 gtc"),
        (STOP, "st 3.20"),
        (STOP | GTC, "st 3.20 gtc"),
        (STOP_LIMIT, "st .30/.25"),
        (STOP_LIMIT | GTC, "st .30/.25 gtc"),
        ({"kind": OrderKind.MARKET, "net_price": None}, "market"),
        (GTC | {"net_price": Decimal("-0.0512")}, "0.0512 gtc"),
        ({"time_in_force": TimeInForce.GTD, "good_until": date(2026, 12, 31)}, "4.15 gtd"),
    ],
)
def test_the_terms_of_a_column_name_every_price(changes, text):
    assert terms_short(replace(entry("o1", 1, "-4.15", OCC), **changes)) == text


def test_a_spread_that_stays_says_whether_it_pays():
    legs = (Leg(OCC, Action.BUY_TO_OPEN, 1), Leg("NVDA  260417C00180000", Action.SELL_TO_OPEN, 1))
    assert terms_short(replace(entry("o1", 1, "-1.85", OCC), legs=legs, **GTC)) == "1.85 db gtc"


def test_a_premium_stop_is_what_was_paid_less_its_share_and_nothing_for_what_was_sold():
    state = protect(plan(), "P1", 1, Decimal("4.15"))
    assert premium_level(state, 0.5) == Decimal("2.07")
    assert premium_level(replace(state, sold=True), 0.5) is None
    assert premium_level(replace(state, entry_premium=Decimal("0.01")), 0.5) is None

"""Which working orders may have to go for a stop: those of ours that open, of this stock or of this trade."""

from __future__ import annotations

from dataclasses import replace

from qmterm.core.orders import Action, Leg, OrderState
from qmterm.engine.orders.exposure import entries_of, openers, rolls_out_of
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from tests.engine.fakes import OCC, entry

HIGH = "NVDA  260417C00180000"
OPENS, CLOSES = Leg(OCC, Action.BUY_TO_OPEN, 1), Leg(OCC, Action.SELL_TO_CLOSE, 1)
ROLL = (CLOSES, Leg(HIGH, Action.BUY_TO_OPEN, 1))


def order(name, *legs, state=OrderState.LIVE, external=False, **more):
    return OrderRecord(replace(entry(name), legs=legs, **({"plan_id": "P1"} | more)), state, name, external=external)


LEDGER = Ledger()
for each in (
    order("buy", OPENS),
    order("roll", *ROLL),
    order("sale", CLOSES),
    order("elsewhere", OPENS, external=True),
    order("gone", OPENS, state=OrderState.CANCELLED),
    order("other trade", OPENS, plan_id="P2"),
    order("other stock", OPENS, underlying="AMD", plan_id="P3"),
):
    LEDGER.add(each)


def names(records):
    return [record.intent.intent_id for record in records]


def test_of_a_stock_it_is_every_order_of_ours_that_opens_something():
    assert names(openers(LEDGER, "NVDA")) == ["buy", "roll", "other trade"]
    assert names(openers(LEDGER, "AMD")) == ["other stock"]


def test_of_an_index_it_is_what_opens_in_any_of_its_roots():
    ledger = Ledger()
    for root in ("SPX", "SPXW", "XSP"):
        ledger.add(order(root, Leg(f"{root:<6}260417C05000000", Action.BUY_TO_OPEN, 1), underlying=root))
    assert names(openers(ledger, "SPX")) == names(openers(ledger, "SPXW")) == ["SPX", "SPXW"]


def test_of_a_trade_it_is_every_order_of_ours_that_opens_more_of_it():
    assert names(entries_of(LEDGER, {"P1", "P9"})) == ["buy", "roll"]
    assert names(entries_of(LEDGER, ())) == []


def test_a_roll_goes_for_the_contract_that_it_closes():
    assert names(rolls_out_of(LEDGER, {OCC})) == ["roll"]
    assert names(rolls_out_of(LEDGER, {HIGH})) == []

"""The parts of working orders in full: legs, units, price and fees to the cent, and who is charged with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from qmterm.core.clock import from_et
from qmterm.core.fees import leg_fees
from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderKind, OrderState, Purpose
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.fillable import fillable, nobody_asks, parts_of
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.worst_case import Part
from tests.engine.fakes import CASH, OCC, clock_at, entry

NOW, DAY = clock_at().now(), date(2026, 3, 2)
HIGH, AMD = "NVDA  260417C00180000", "AMD   260417C00200000"
BUY, SELL = Action.BUY_TO_OPEN, Action.SELL_TO_OPEN
BUY_BACK, SELL_OUT = Action.BUY_TO_CLOSE, Action.SELL_TO_CLOSE


def fees(symbol, action, quantity, price):
    """A whole leg's, however it fills: at once or one by one."""
    price = Decimal(price)
    return max(
        leg_fees(symbol, action, quantity, price, DAY).total, quantity * leg_fees(symbol, action, 1, price, DAY).total
    )


def order(*legs, units, price, name="qm-1", **changes):
    intent = replace(entry(name), legs=tuple(Leg(*leg) for leg in legs), quantity=units, net_price=Decimal(price))
    return OrderRecord(replace(intent, **changes), OrderState.LIVE)


def executed(record, **by_leg):
    for name, quantity in by_leg.items():
        leg = record.intent.legs[int(name[1:])]
        record.fills[name] = Fill(name, "1", leg.symbol, leg.action, quantity, Decimal(1), NOW)
    return record


def test_one_leg_is_one_part_at_its_limit_with_its_fees_a_unit():
    record = order((OCC, BUY, 4), units=4, price="-4.15")
    each = fees(OCC, BUY, 4, "4.15") / 4
    assert parts_of(record) == [Part(((OCC, 1),), 4, Decimal("-4.15"), each)]
    assert parts_of(executed(record, f0=3)) == [Part(((OCC, 1),), 1, Decimal("-4.15"), each)]
    assert parts_of(executed(record, f0=4)) == [Part(((OCC, 1),), 0, Decimal("-4.15"), each)]


def test_a_sale_pays_the_fees_of_its_price():
    record = order((OCC, SELL_OUT, 3), units=3, price="41.50")
    assert parts_of(record) == [Part(((OCC, -1),), 3, Decimal("41.50"), fees(OCC, SELL_OUT, 3, "41.50") / 3)]


def test_of_a_sale_the_sec_takes_its_share_of_the_limit_and_of_a_spread_of_nothing():
    """In 2022 it took 22.90 dollars of a million; in the spring of 2026 it takes nothing."""
    then, day = from_et(date(2022, 6, 1), 11, 0), date(2022, 6, 1)

    def total(price):
        return max(n * leg_fees(OCC, SELL_OUT, 3 // n, Decimal(price), day).total for n in (1, 3))

    (sale,) = parts_of(order((OCC, SELL_OUT, 3), units=3, price="41.50", created_ns=then))
    assert sale.fees == total("41.50") / 3 > total("0") / 3
    (spread,) = parts_of(order((OCC, SELL_OUT, 3), (HIGH, BUY_BACK, 3), units=3, price="41.50", created_ns=then))
    bought = max(n * leg_fees(HIGH, BUY_BACK, 3 // n, Decimal(0), day).total for n in (1, 3))
    assert spread.fees == (total("0") + bought) / 3


def test_a_ratio_keeps_its_legs_in_ratio():
    record = order((OCC, BUY, 2), (HIGH, SELL, 4), units=2, price="-0.50")
    each = (fees(OCC, BUY, 2, "0") + fees(HIGH, SELL, 4, "0")) / 2
    assert parts_of(record) == [Part(((OCC, 1), (HIGH, -2)), 2, Decimal("-0.50"), each)]
    assert parts_of(executed(record, f0=1, f1=2)) == [Part(((OCC, 1), (HIGH, -2)), 1, Decimal("-0.50"), each)]


def apart(symbol, action, left, price):
    unit = fees(symbol, action, max(left, 1), price) / max(left, 1)
    return Part(((symbol, action.sign),), left, -action.sign * Decimal(price), unit)


def test_legs_that_filled_unequally_are_a_part_each():
    record = executed(order((OCC, BUY, 2), (HIGH, SELL, 4), units=2, price="-0.50"), f0=2, f1=2)
    asks = {OCC: Decimal("4.20"), HIGH: Decimal("9")}
    assert parts_of(record, asks.get) == [apart(OCC, BUY, 0, "4.20"), apart(HIGH, SELL, 2, "0")]


@pytest.mark.parametrize(
    ("legs", "units", "price"),
    [
        ([(OCC, BUY, 3)], 2, "-4.15"),  # no whole number a unit
        ([(OCC, BUY, 2)], 0, "-4.15"),
        ([(OCC, BUY, 2)], 2, "0"),  # at the market
        ([(OCC, BUY, 2), (AMD, BUY, 2)], 2, "-4.15"),  # two stocks
    ],
)
def test_what_has_no_ratio_or_no_limit_is_a_part_for_each_leg_at_what_is_asked(legs, units, price):
    record = order(*legs, units=units, price=price)
    asks = {OCC: Decimal("4.20"), AMD: Decimal("7")}
    assert parts_of(record, asks.get) == [apart(s, a, q, asks[s]) for s, a, q in legs]
    assert parts_of(record) == [apart(s, a, q, {OCC: "175", AMD: "200"}[s]) for s, a, q in legs]


def test_shares_without_a_limit_and_an_ask_cost_nothing_that_is_known():
    record = order(("NVDA", BUY, 5), units=5, price="0")
    assert parts_of(record) == [apart("NVDA", BUY, 5, "0")]
    assert parts_of(record, lambda _: Decimal("170")) == [apart("NVDA", BUY, 5, "170")]
    assert nobody_asks("NVDA") is None


def book(*rows):
    made = Book(CASH)
    for symbol, quantity, *owner in rows:
        made.adopt(BrokerPosition(symbol, quantity, Decimal(4), 100), *(owner or ["atr_matrix"]), "P", NOW)
    return made


def ledger(*records):
    made = Ledger()
    for record in records:
        made.add(record)
    return made


def units(found, group=("atr_matrix", "NVDA")):
    return [(part.legs, part.units, part.price) for part in found.get(group, ())]


def close(name, quantity, price, symbol=OCC, **changes):
    action = SELL_OUT if Decimal(price) > 0 else BUY_BACK
    return order((symbol, action, quantity), units=quantity, price=price, name=name, purpose=Purpose.EXIT, **changes)


def test_closes_of_one_position_share_what_is_held_and_the_dearest_comes_first():
    sold, bought = ((OCC, -1),), ((OCC, 1),)
    closes = [close("a", 3, "5.00"), close("b", 3, "4.00"), close("c", 3, "4.50")]
    assert units(fillable(book((OCC, 5)), ledger(*closes))) == [
        (sold, 3, Decimal("4.00")), (sold, 2, Decimal("4.50")),
    ]  # fmt: skip
    covers = [close("a", 2, "-1.00"), close("b", 2, "-9.00")]
    assert units(fillable(book((OCC, -3)), ledger(*covers))) == [
        (bought, 2, Decimal("-9.00")), (bought, 1, Decimal("-1.00")),
    ]  # fmt: skip


def test_of_closes_at_one_price_the_first_name_comes_first_whatever_was_added_first():
    closes = [close("b", 3, "4.00"), close("a", 1, "4.00")]
    assert [n for _, n, _ in units(fillable(book((OCC, 3)), ledger(*closes)))] == [1, 2]


@pytest.mark.parametrize(
    ("held", "wanted", "price", "may_fill"),
    [
        (5, 3, "4.00", [3]), (3, 3, "4.00", [3]), (2, 3, "4.00", [2]), (0, 3, "4.00", []), (-5, 3, "4.00", []),
        (-5, 3, "-4.00", [3]), (-2, 3, "-4.00", [2]), (5, 3, "-4.00", []),
    ],
)  # fmt: skip
def test_a_close_fills_up_to_what_is_held_on_its_side(held, wanted, price, may_fill):
    found = fillable(book((OCC, held)), ledger(close("a", wanted, price)))
    assert [n for _, n, _ in units(found)] == may_fill


def test_a_close_of_two_a_unit_fills_whole_units_only():
    def pairs(name, quantity):
        return order((OCC, SELL_OUT, 2 * quantity), units=quantity, price="8.00", name=name, purpose=Purpose.EXIT)

    found = units(fillable(book((OCC, 5)), ledger(pairs("a", 3))))
    assert found == [(((OCC, -2),), 2, Decimal("8.00"))]
    assert [n for _, n, _ in units(fillable(book((OCC, 5)), ledger(pairs("a", 1), pairs("b", 2))))] == [1, 1]


def test_closes_of_two_contracts_do_not_share():
    both = [close("a", 2, "4.00"), close("b", 2, "4.00", HIGH)]
    found = units(fillable(book((OCC, 2), (HIGH, 2)), ledger(*both)))
    assert found == [(((OCC, -1),), 2, Decimal("4.00")), (((HIGH, -1),), 2, Decimal("4.00"))]


def test_a_close_is_its_holders_and_an_open_its_owners():
    rows = book((OCC, 2, "holder"))
    found = fillable(
        rows, ledger(close("a", 2, "4.00", strategy="somebody"), order((HIGH, BUY, 1), units=1, price="-1"))
    )
    assert sorted(found) == [("atr_matrix", "NVDA"), ("holder", "NVDA")]
    legs = [(OCC, SELL_OUT, 2), (HIGH, BUY_BACK, 2)]
    pair = order(*legs, units=2, price="1.00", purpose=Purpose.EXIT, strategy="somebody")
    assert units(fillable(book((OCC, 2, "holder"), (HIGH, -2, "holder")), ledger(pair)), ("holder", "NVDA")) == [
        (((OCC, -1), (HIGH, 1)), 2, Decimal("1.00"))
    ]
    nobody = fillable(book(), ledger(pair))
    assert sorted(nobody) == [("somebody", "NVDA")]


def test_a_roll_counts_each_leg_on_its_own_side_once_it_came_apart():
    legs = [(OCC, SELL_OUT, 2), (HIGH, BUY, 2)]
    roll = executed(order(*legs, units=2, price="-1.00", purpose=Purpose.EXIT), f1=1)
    found = units(fillable(book((OCC, 1)), ledger(roll), lambda _: Decimal("3")))
    assert found == [(((OCC, -1),), 1, Decimal(0)), (((HIGH, 1),), 1, Decimal(-3))]


def test_what_is_filled_or_over_is_no_part():
    done = executed(order((OCC, BUY, 2), units=2, price="-4"), f0=2)
    over = replace(order((OCC, BUY, 2), units=2, price="-4", name="qm-2"), state=OrderState.CANCELLED)
    assert fillable(book(), ledger(done, over)) == {}


def chained(*records):
    """Each takes the place of the one before it."""
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    return ledger


def test_two_orders_for_one_place_count_once_at_the_dearer_price():
    old = order((OCC, BUY, 4), units=4, price="-4.15")
    new = order((OCC, BUY, 3), units=3, price="-4.20", name="qm-1.1", replaces="qm-1")
    ((part,),) = fillable(Book(CASH), chained(old, new)).values()
    assert (part.legs, part.units, part.price) == (((OCC, 1),), 4, Decimal("-4.20"))


def test_two_orders_for_one_place_whose_legs_filled_unequally_count_every_leg_of_both():
    legs = ((OCC, BUY, 2), (HIGH, SELL, 2))
    old = executed(order(*legs, units=2, price="-1.90"), f0=1)
    new = executed(order(*legs, units=2, price="-1.95", name="qm-1.1", replaces="qm-1"), f0=1)
    ((*parts,),) = fillable(Book(CASH), chained(old, new)).values()
    assert sorted((part.legs[0][0], part.units) for part in parts) == [(OCC, 1), (OCC, 1), (HIGH, 2), (HIGH, 2)]


STOPPED = {"net_price": None, "kind": OrderKind.STOP, "stop_trigger": Decimal("5.00")}


@pytest.mark.parametrize(("ask", "counted"), [("4.20", "-5.00"), ("5.30", "-5.30")])
def test_a_purchase_that_waits_for_its_trigger_is_counted_no_cheaper_than_that(ask, counted):
    record = order((OCC, BUY, 2), units=2, price="-1", **STOPPED)
    (part,) = parts_of(record, lambda _symbol: Decimal(ask))
    assert (part.legs, part.units, part.price) == (((OCC, 1),), 2, Decimal(counted))


def test_the_trigger_of_several_legs_is_no_price_of_one_of_them():
    record = order((OCC, BUY, 2), (HIGH, SELL, 2), units=2, price="-1", **STOPPED)
    assert [part.price for part in parts_of(record, lambda _symbol: Decimal("4.20"))] == [Decimal("-4.20"), 0]

"""What orders may still fill: in ratio while they do, apart once they did not, and closes never beyond the position."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import Action, BracketRole, BrokerPosition, Fill, Leg, OrderKind, OrderState, Purpose
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import risk_book
from qmterm.engine.orders.fillable import fillable, parts_of
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from tests.engine.fakes import CASH, OCC, clock_at, entry

NOW = clock_at().now()
LOW, HIGH = OCC, "NVDA  260417C00180000"
PUT = "NVDA  260417P00170000"
GROUP = ("atr_matrix", "NVDA")


def spread(units=4, price="-2.00", state=OrderState.LIVE, name="s1"):
    legs = (Leg(LOW, Action.BUY_TO_OPEN, units), Leg(HIGH, Action.SELL_TO_OPEN, units))
    return OrderRecord(replace(entry(name, units, price), legs=legs), state)


def close(name, symbol, quantity, price, **more):
    action = Action.SELL_TO_CLOSE if Decimal(price) > 0 else Action.BUY_TO_CLOSE
    legs = (Leg(symbol, action, quantity),)
    intent = replace(entry(name, quantity, price), purpose=Purpose.EXIT, legs=legs, max_loss=None, **more)
    return OrderRecord(intent, OrderState.LIVE)


def fill(record, symbol, quantity):
    leg = next(leg for leg in record.intent.legs if leg.symbol == symbol)
    made = Fill(f"f{len(record.fills)}", "1", symbol, leg.action, quantity, Decimal(1), NOW)
    record.fills[made.fill_id] = made


def ledger_of(*records):
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    return ledger


def held(*rows):
    book = Book(CASH)
    for symbol, quantity in rows:
        book.adopt(BrokerPosition(symbol, quantity, Decimal(4), 100), "atr_matrix", "P", NOW)
    return book


def test_a_spread_fills_in_ratio_with_what_is_left_of_it():
    record = spread()
    fill(record, LOW, 1)
    fill(record, HIGH, 1)
    (part,) = parts_of(record)
    assert (part.legs, part.units, part.price) == (((LOW, 1), (HIGH, -1)), 3, Decimal("-2.00"))
    assert part.fees > 2


def test_what_no_quote_prices_is_worked_out_once_until_the_order_is_another():
    record = spread()
    first = parts_of(record)
    assert parts_of(record) is first
    fill(record, LOW, 1)
    fill(record, HIGH, 1)
    assert [part.units for part in parts_of(record)] == [3]
    record.intent = replace(record.intent, net_price=Decimal("-2.10"))
    assert [part.price for part in parts_of(record)] == [Decimal("-2.10")]
    record.state = OrderState.CANCELLED
    assert {part.units for part in parts_of(record)} == {0}


def test_after_unequal_fills_its_legs_are_apart_at_what_they_might_cost():
    record = spread()
    fill(record, LOW, 2)
    fill(record, HIGH, 1)
    bought, sold = parts_of(record, lambda symbol: Decimal("4.20"))
    assert (bought.legs, bought.units, bought.price) == (((LOW, 1),), 2, Decimal("-4.20"))
    assert (sold.legs, sold.units, sold.price) == (((HIGH, -1),), 3, 0)
    assert parts_of(record)[0].price == -175  # nobody asks: its strike


def test_a_market_order_placed_elsewhere_costs_what_is_asked():
    record = OrderRecord(replace(entry("m", 2, "-4"), net_price=Decimal(0)), OrderState.LIVE)
    assert parts_of(record, lambda symbol: Decimal("4.20"))[0].paid > 420
    shares = replace(record.intent, legs=(Leg("NVDA", Action.BUY_TO_OPEN, 5),), quantity=5)
    assert parts_of(OrderRecord(shares, OrderState.LIVE))[0].price == 0


def test_legs_of_two_roots_are_apart_however_they_filled():
    legs = (Leg("SPX   260417C00175000", Action.BUY_TO_OPEN, 1), Leg("SPXW  260417C00175000", Action.SELL_TO_OPEN, 1))
    record = OrderRecord(replace(entry("i", 1, "-1"), legs=legs), OrderState.LIVE)
    assert len(parts_of(record)) == 2


def test_two_exits_of_a_bracket_close_the_position_once_and_the_dearest_counts():
    book = held((PUT, -2))
    ledger = ledger_of(close("a", PUT, 2, "-1.00"), close("b", PUT, 2, "-9.00"))
    (part,) = fillable(book, ledger)[GROUP]
    assert (part.units, part.price) == (2, Decimal("-9.00"))


def test_a_close_of_nothing_or_of_the_wrong_side_fills_nothing():
    assert fillable(held(), ledger_of(close("a", LOW, 2, "4.00"))) == {}
    assert fillable(held((LOW, -2)), ledger_of(close("a", LOW, 2, "4.00"))) == {}


def test_a_close_placed_elsewhere_belongs_to_whom_it_takes_from():
    parts = fillable(held((LOW, 2)), ledger_of(close("a", LOW, 2, "4.00", strategy="external")))
    assert list(parts) == [GROUP]


def test_a_close_of_several_legs_stays_one_part():
    legs = (Leg(LOW, Action.SELL_TO_CLOSE, 2), Leg(HIGH, Action.BUY_TO_CLOSE, 2))
    record = OrderRecord(replace(entry("c", 2, "1.50"), purpose=Purpose.EXIT, legs=legs), OrderState.LIVE)
    (part,) = fillable(held((LOW, 2), (HIGH, -2)), ledger_of(record))[GROUP]
    assert part.units == 2


def test_what_filled_whole_or_ended_may_fill_no_more():
    done = spread(2, name="d")
    for symbol in (LOW, HIGH):
        fill(done, symbol, 2)
    assert fillable(held(), ledger_of(done, spread(name="c", state=OrderState.CANCELLED))) == {}


def view(book, ledger, **more):
    return risk_book(book, ledger, **({"nlv": CASH, "now_ns": NOW, "buying_power": CASH} | more))


def test_what_is_bought_with_its_exits_behind_it_may_be_sold_before_the_stock_turns():
    bought = replace(entry("b"), bracket_id="b", role=BracketRole.TRIGGER)
    stop = close("b-stop", OCC, 2, "2.00", bracket_id="b", role=BracketRole.STOP)
    stop.state = OrderState.CONTINGENT
    (part,) = view(held(), ledger_of(OrderRecord(bought, OrderState.LIVE), stop)).parts[GROUP]
    assert part.fleeting
    (alone,) = view(held(), ledger_of(OrderRecord(bought, OrderState.LIVE))).parts[GROUP]
    assert not alone.fleeting


def test_a_spread_is_counted_at_its_debit_and_a_broken_one_at_its_naked_leg():
    whole = spread()
    assert view(held(), ledger_of(whole)).risk_by_symbol["NVDA"] < 815
    fill(whole, HIGH, 1)
    book = held((HIGH, -1))
    broken = view(book, ledger_of(whole))
    assert broken.risk_by_symbol["NVDA"] > 17_000
    assert broken.cash < CASH - 4 * 17_500


def test_a_buy_that_closes_takes_cash_and_one_that_sells_does_not():
    book = held((PUT, -2), (LOW, 1))
    assert view(book, ledger_of(close("a", PUT, 2, "-1.00"))).cash < book.cash - 200
    assert view(book, ledger_of(close("b", LOW, 1, "4.00"))).cash == book.cash


def test_orders_made_a_moment_ago_are_remembered_unless_they_never_reached_the_broker():
    made = OrderRecord(replace(entry(), created_ns=NOW - 4_000_000_000), OrderState.CANCELLED)
    assert len(view(held(), ledger_of(made), duplicate_s=5.0).recent) == 1
    assert not view(held(), ledger_of(made), duplicate_s=3.0).recent
    for state in (OrderState.REJECTED, OrderState.NOT_SENT):
        assert not view(held(), ledger_of(replace(made, state=state)), duplicate_s=5.0).recent


def test_day_trades_and_unsettled_sales_are_those_of_today():
    opened = OrderRecord(entry("o"), OrderState.FILLED)
    fill(opened, OCC, 2)
    sold = close("c", OCC, 2, "5.00")
    fill(sold, OCC, 2)
    silent = OrderRecord(entry("n"), OrderState.CANCELLED)  # one without a fill ends no count
    seen = view(held(), ledger_of(silent, opened, sold))
    assert (seen.day_trades, seen.unsettled) == (1, 200)
    tomorrow = view(held(), ledger_of(opened, sold), now_ns=NOW + 86_400_000_000_000)
    assert (tomorrow.day_trades, tomorrow.unsettled) == (0, 0)


def test_of_two_stops_that_take_each_others_place_the_higher_trigger_counts_whichever_came_first():
    def waiting(name, trigger, replaces=None):
        intent = replace(entry(name, 2, "-4"), net_price=None, kind=OrderKind.STOP, stop_trigger=Decimal(trigger))
        return OrderRecord(replace(intent, replaces=replaces), OrderState.LIVE)

    for first, second in (("4.30", "5.10"), ("5.10", "4.30")):
        ledger = ledger_of(waiting("e1", first), waiting("e1.1", second, "e1"))
        (part,) = fillable(held(), ledger, lambda _symbol: Decimal("4.20"))[GROUP]
        assert (part.units, part.price) == (2, Decimal("-5.10"))

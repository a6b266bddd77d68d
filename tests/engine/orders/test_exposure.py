"""The gate's view of the book: no subset of the working orders can make it riskier than it was counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import ROUND_CEILING, Decimal

from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.fees import fill_fees
from qmterm.core.orders import Action, BrokerPosition, Fill, Leg, OrderState, Purpose
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import MINUTE_NS, closable, open_risk, position_risk, risk_book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from tests.engine.fakes import CASH, OCC, clock_at, entry

NOW = clock_at().now()
DAY = date(2026, 3, 2)
CALLS = (OCC, "AMD   260417C00200000", "F     260417C00012000")


def view(book, ledger, **more):
    base = {"nlv": CASH, "now_ns": NOW, "buying_power": CASH}
    return risk_book(book, ledger, **(base | more))


def order(number, symbol, purpose, quantity, price, state=OrderState.LIVE):
    """An entry claims its limit and its fees, as a plan does; an exit claims nothing."""
    opens = purpose is Purpose.ENTRY
    action = Action.BUY_TO_OPEN if opens else Action.SELL_TO_CLOSE
    fees = fill_fees(symbol, action, quantity, price, DAY, 0)
    intent = replace(
        entry(f"o{number}", quantity, str(-price if opens else price), symbol),
        underlying=symbol[:6].strip(),
        purpose=purpose,
        legs=(Leg(symbol, action, quantity),),
        max_loss=price * 100 * quantity + fees if opens else None,
    )
    return OrderRecord(intent, state)


def execute(book, record, quantity, price, number):
    leg = record.intent.legs[0]
    fees = fill_fees(leg.symbol, leg.action, quantity, price, DAY, record.filled(leg.symbol))
    fill = Fill(f"x{number}", "1", leg.symbol, leg.action, quantity, price, NOW, fees)
    record.fills[fill.fill_id] = fill
    book.apply(fill, record.intent.strategy, "P")


prices = st.decimals("0.05", "12", places=2)
positions = st.lists(st.tuples(st.sampled_from(CALLS), st.integers(1, 10), prices), max_size=3)
orders = st.lists(
    st.tuples(st.sampled_from(CALLS), st.booleans(), st.integers(1, 8), prices, st.floats(0, 1), st.floats(0.5, 1)),
    max_size=6,
)


@given(positions, orders)
def test_any_subset_filling_in_any_part_never_exceeds_what_was_counted(held, working):
    book, ledger = Book(CASH), Ledger()
    for symbol, quantity, price in held:
        book.adopt(BrokerPosition(symbol, quantity, price, 100), "atr_matrix", "P", NOW)
    for number, (symbol, opens, quantity, price, _, _) in enumerate(working):
        if opens:
            ledger.add(order(number, symbol, Purpose.ENTRY, quantity, price))
        elif quantity <= closable(book, ledger, symbol):  # the gate caps a close by what is closable
            ledger.add(order(number, symbol, Purpose.EXIT, quantity, price))
    before = view(book, ledger)
    counted = open_risk(book, ledger)
    for number, record in enumerate(ledger.records):
        *_, share, better = working[int(record.intent.intent_id[1:])]
        quantity = round(share * record.intent.quantity)
        if quantity:
            limit = abs(record.intent.net_price)
            price = (limit * Decimal(str(round(better, 2)))).quantize(Decimal("0.01")) if limit > 1 else limit
            if record.intent.purpose is Purpose.EXIT:
                price = max(price, limit)
            execute(book, record, quantity, max(price, Decimal("0.01")), number)
        record.state = OrderState.FILLED if quantity == record.intent.quantity else OrderState.CANCELLED
    after = view(book, ledger)
    assert open_risk(book, ledger) <= counted
    for underlying, risk in after.risk_by_symbol.items():
        assert risk <= before.risk_by_symbol[underlying]
    assert after.risk_by_strategy.get("atr_matrix", 0) <= before.risk_by_strategy.get("atr_matrix", 0)
    assert after.cash >= before.cash  # entries were already spent; exits bring money


@given(orders)
def test_what_is_closable_is_what_no_working_order_closes(working):
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 10, Decimal(4), 100), "s", "P", NOW)
    for number, (_, _, quantity, price, _, _) in enumerate(working):
        if quantity <= closable(book, ledger, OCC):
            ledger.add(order(number, OCC, Purpose.EXIT, quantity, price))
    assert closable(book, ledger, OCC) == 10 - ledger.closing(OCC) >= 0


def test_a_short_call_is_closable_by_buying_and_counts_as_at_twice_its_strike():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, -3, Decimal(4), 100), "external", "", NOW)
    assert closable(book, ledger, OCC) == -3
    assert view(book, ledger).risk_by_symbol["NVDA"] == 3 * (175 - 4) * 100


def test_a_position_by_itself_can_lose_what_it_cost_with_its_fees():
    book = Book(CASH)
    execute(book, order(1, OCC, Purpose.ENTRY, 2, Decimal("4.15")), 2, Decimal("4.15"), 1)
    (position,) = book.positions
    assert position_risk(position) == 830 + position.fees.quantize(Decimal("0.01"), ROUND_CEILING)


def test_an_unknown_order_freezes_its_underlying_and_is_counted_whole():
    book, ledger = Book(CASH), Ledger()
    ledger.add(order(1, OCC, Purpose.ENTRY, 2, Decimal("4.15"), OrderState.UNKNOWN))
    seen = view(book, ledger)
    assert seen.frozen == {"NVDA"}
    assert seen.risk_by_symbol["NVDA"] >= 830
    assert seen.cash <= CASH - 830
    assert seen.option_buying_power == seen.cash
    assert seen.working == {("atr_matrix", "NVDA")}


def test_a_working_exit_frees_nothing_and_only_entries_count_for_the_rate():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 4, Decimal(4), 100), "atr_matrix", "P", NOW)
    alone = view(book, ledger)
    ledger.add(order(1, OCC, Purpose.EXIT, 4, Decimal("4.00")))
    assert view(book, ledger).risk_by_symbol == alone.risk_by_symbol
    assert view(book, ledger).orders_last_minute == 0
    ledger.add(order(2, CALLS[1], Purpose.ENTRY, 1, Decimal("4.00"), OrderState.FILLED))
    assert view(book, ledger).orders_last_minute == 1
    assert view(book, ledger, now_ns=NOW + MINUTE_NS).orders_last_minute == 0


def test_unknown_buying_power_stays_unknown():
    assert view(Book(CASH), Ledger(), buying_power=None).option_buying_power is None


def test_the_gate_sees_which_side_of_each_contract_is_held_or_being_opened():
    book, ledger = Book(CASH), Ledger()
    book.adopt(BrokerPosition(OCC, 2, 4, 100), "atr_matrix", "P", NOW)
    ledger.add(order(1, CALLS[1], Purpose.ENTRY, 1, Decimal("2")))
    ledger.add(order(2, OCC, Purpose.EXIT, 2, Decimal("4")))
    ledger.add(order(3, CALLS[2], Purpose.ENTRY, 1, Decimal("1"), OrderState.FILLED))
    seen = view(book, ledger)
    assert seen.crossed("atr_matrix", OCC, -1) == "is held the other way: close it instead"
    assert seen.crossed("atr_matrix", CALLS[1], -1) == "is being opened the other way"
    assert seen.crossed("atr_matrix", OCC, +1) == seen.crossed("atr_matrix", CALLS[1], +1) == ""
    assert seen.crossed("atr_matrix", CALLS[2], -1) == ""  # its order is over

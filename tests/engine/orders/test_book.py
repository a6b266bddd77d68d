"""The book: cash is the start plus every flow, a fill counts once, averages and gains are exact, signs may turn."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import Action, BrokerPosition, Fill
from qmterm.engine.orders.book import Book
from tests.engine.fakes import CASH, OCC


def fill(number, action, quantity, price, fees="0.00", symbol=OCC):
    return Fill(f"f{number}", "1", symbol, action, quantity, Decimal(price), number, Decimal(fees))


BUY, SELL = Action.BUY_TO_OPEN, Action.SELL_TO_CLOSE


def test_a_buy_takes_premium_and_fees_out_of_cash():
    book = Book(CASH)
    after = book.apply(fill(1, BUY, 2, "4.10", "2.26"), "atr_matrix", "P1")
    assert book.cash == CASH - Decimal("820") - Decimal("2.26")
    assert (after.quantity, after.average, after.fees) == (2, Decimal("4.10"), Decimal("2.26"))


def test_adding_averages_and_closing_in_part_keeps_the_average():
    book = Book(CASH)
    book.apply(fill(1, BUY, 1, "4.00"), "s", "P")
    book.apply(fill(2, BUY, 3, "5.00"), "s", "P")
    assert book.position(OCC).average == Decimal("4.75")
    after = book.apply(fill(3, SELL, 2, "6.00"), "s", "P")
    assert (after.quantity, after.average) == (2, Decimal("4.75"))
    assert book.realized == Decimal("250")


def test_a_close_to_flat_removes_the_position_and_leaves_the_gain_in_cash():
    book = Book(CASH)
    book.apply(fill(1, BUY, 2, "4.00", "2"), "s", "P")
    assert book.apply(fill(2, SELL, 2, "4.50", "0.30"), "s", "P") is None
    assert book.positions == ()
    assert book.cash == CASH + book.realized - book.fees == CASH + Decimal("97.70")


def test_through_zero_the_rest_is_a_new_position_at_the_new_price():
    book = Book(CASH)
    book.apply(fill(1, BUY, 2, "4.00"), "s", "P")
    after = book.apply(fill(9, SELL, 5, "4.50"), "s", "P")
    assert (after.quantity, after.average, after.opened_ns) == (-3, Decimal("4.50"), 9)
    assert book.realized == Decimal("100")


def test_a_short_gains_when_the_price_falls():
    book = Book(CASH)
    book.apply(fill(1, Action.SELL_TO_OPEN, 2, "3.00"), "s", "P")
    book.apply(fill(2, Action.BUY_TO_CLOSE, 1, "1.00"), "s", "P")
    assert book.realized == Decimal("200")
    assert book.position(OCC).unrealized(Decimal("2.00")) == Decimal("100")


def test_a_fill_that_was_counted_before_changes_nothing():
    book = Book(CASH)
    book.already_counted(["f1"])
    book.apply(fill(1, BUY, 2, "4.10"), "s", "P")
    assert (book.cash, book.positions, book.fill_count) == (CASH, (), 0)


def test_shares_have_no_multiplier():
    book = Book(CASH)
    book.apply(fill(1, BUY, 10, "178.00", symbol="NVDA"), "s", "P")
    assert book.cash == CASH - 1780
    assert book.position("NVDA").value(Decimal("180")) == 1800


def test_the_brokers_word_replaces_quantity_and_average_but_not_the_owner():
    book = Book(CASH)
    book.apply(fill(1, BUY, 2, "4.10"), "atr_matrix", "P1")
    book.adopt(BrokerPosition(OCC, 3, Decimal("4.20"), 100), "external", "", 5)
    held = book.position(OCC)
    assert (held.quantity, held.average, held.strategy, held.plan_id) == (3, Decimal("4.20"), "atr_matrix", "P1")
    book.adopt(BrokerPosition(OCC, 0, Decimal(0), 100), "external", "", 6)
    assert book.positions == ()


SYMBOLS = (OCC, "AMD   260417P00200000", "NVDA")
executions = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS),
        st.sampled_from(list(Action)),
        st.integers(1, 20),
        st.decimals("0.01", "30", places=2),
        st.decimals("0", "9", places=2),
    ),
    max_size=25,
)


@given(executions)
def test_whatever_is_traded_cash_is_the_flows_and_worth_is_cash_plus_what_is_held(rows):
    book = Book(CASH)
    flows, held, paid = Decimal(0), dict.fromkeys(SYMBOLS, 0), Decimal(0)
    for number, (symbol, action, quantity, price, fees) in enumerate(rows):
        one = fill(number, action, quantity, price, fees, symbol)
        book.apply(one, "s", "P")
        book.apply(one, "s", "P")  # a second witness
        flows -= action.sign * quantity * price * (1 if symbol == "NVDA" else 100) + 0
        flows -= fees
        held[symbol] += action.sign * quantity
        paid += fees
    assert book.cash == CASH + flows
    assert {s: book.quantity(s) for s in SYMBOLS} == held
    assert (book.fees, book.fill_count) == (paid, len(rows))


@given(executions, st.decimals("0.01", "30", places=2))
def test_realized_plus_unrealized_minus_fees_is_the_change_of_worth(rows, mark):
    """At any one mark for everything, the two ways of counting a profit agree (to rounding of averages)."""
    book = Book(CASH)
    for number, (symbol, action, quantity, price, fees) in enumerate(rows):
        book.apply(fill(number, action, quantity, price, fees, symbol), "s", "P")
    worth = book.cash + sum((p.value(mark) for p in book.positions), Decimal(0))
    gain = book.realized + sum((p.unrealized(mark) for p in book.positions), Decimal(0)) - book.fees
    assert abs(worth - CASH - gain) < Decimal("1e-9")

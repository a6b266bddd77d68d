"""Lots: first in first out, fees to the cent, and the books balance whatever the fills."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import NS, from_et
from qmterm.core.orders import Action, Fill
from qmterm.risk.lots import Lots
from qmterm.risk.profit import Earlier, accounts, fees_of_day

OCC = "NVDA  260417C00175000"
PUT = "NVDA  260417P00170000"
DAY = date(2026, 3, 2)
START = from_et(DAY, 10)
CENTS = st.integers(1, 5000).map(lambda cents: Decimal(cents) / 100)


def fill(number, action, quantity, price, fees="0.00", symbol=OCC, at=START):
    return Fill(f"f{number}", "1000", symbol, action, quantity, Decimal(price), at + number * NS, Decimal(fees))


def filled(*fills, strategy="atr_matrix", trade="P1"):
    lots = Lots()
    for execution in fills:
        lots.apply(execution, strategy, trade)
    return lots


fill_sequences = st.lists(
    st.tuples(
        st.sampled_from([OCC, PUT, "NVDA"]),
        st.sampled_from(list(Action)),
        st.integers(1, 20),
        CENTS,
        st.integers(0, 2000).map(lambda cents: Decimal(cents) / 100),
        st.sampled_from(["atr_matrix", "covered_call"]),
        st.sampled_from(["P1", "P2", ""]),
    ),
    max_size=40,
)


@given(rows=fill_sequences, marks=st.tuples(CENTS, CENTS, CENTS))
def test_realised_plus_unrealised_less_fees_is_cash_that_moved_plus_marks(rows, marks):
    lots, cash, held = Lots(), Decimal(0), {OCC: 0, PUT: 0, "NVDA": 0}
    mark = dict(zip(held, marks, strict=True))
    for number, (symbol, action, quantity, price, fees, strategy, trade) in enumerate(rows):
        execution = fill(number, action, quantity, price, fees, symbol)
        lots.apply(execution, strategy, trade)
        cash += execution.cash_flow
        held[symbol] += action.sign * quantity
    for symbol, quantity in held.items():
        assert lots.quantity(symbol) == quantity
        assert len({lot.quantity > 0 for lot in lots.of(symbol)}) <= 1  # never long and short at once
    books = accounts(lots, mark.get, DAY, Decimal(0))
    worth = sum((mark[s] * q * (1 if s == "NVDA" else 100) for s, q in held.items()), Decimal(0))
    assert books.total.net == cash + worth
    assert books.total.fees == sum((row[4] for row in rows), Decimal(0))
    for groups in (books.strategies.values(), [trade.profit for trade in books.trades]):
        assert sum((group.net for group in groups), Decimal(0)) == books.total.net


def test_the_oldest_lot_is_closed_first_and_its_fees_go_with_it():
    lots = filled(
        fill(1, Action.BUY_TO_OPEN, 2, "4.00", "2.26"),
        fill(2, Action.BUY_TO_OPEN, 1, "5.00", "1.13"),
        fill(3, Action.SELL_TO_CLOSE, 1, "6.00", "0.14"),
    )
    (closing,) = lots.closings
    assert (closing.open_fill, closing.close_fill) == ("f1", "f3")
    assert closing.realized == Decimal(200)
    assert (closing.open_fees, closing.close_fees) == (Decimal("1.13"), Decimal("0.14"))
    assert [(lot.fill_id, lot.quantity, lot.price, lot.fees) for lot in lots.of(OCC)] == [
        ("f1", 1, Decimal("4.00"), Decimal("1.13")),
        ("f2", 1, Decimal("5.00"), Decimal("1.13")),
    ]


def test_a_cent_that_does_not_divide_stays_with_the_rest():
    lots = filled(
        fill(1, Action.BUY_TO_OPEN, 3, "1.00", "0.10"),
        *(fill(n, Action.SELL_TO_CLOSE, 1, "1.00", "0.01") for n in (2, 3, 4)),
    )
    assert [closing.open_fees for closing in lots.closings] == [Decimal("0.03"), Decimal("0.04"), Decimal("0.03")]
    assert sum(c.fees for c in lots.closings) == Decimal("0.13")


def test_a_fill_seen_twice_counts_once():
    once = fill(1, Action.BUY_TO_OPEN, 2, "4.00")
    assert filled(once, once).quantity(OCC) == 2


def test_what_went_through_zero_is_a_new_lot_of_the_one_who_did_it():
    lots = filled(fill(1, Action.BUY_TO_OPEN, 2, "4.00", "2.00"))
    lots.apply(fill(2, Action.SELL_TO_OPEN, 5, "3.00", "5.00"), "other", "P9")
    (lot,) = lots.of(OCC)
    assert (lot.quantity, lot.strategy, lot.trade, lot.fees) == (-3, "other", "P9", Decimal("3.00"))
    assert lots.closings[0].strategy == "atr_matrix"


def test_what_the_broker_adds_has_no_fill_and_what_it_takes_has_no_price():
    lots = filled(fill(1, Action.BUY_TO_OPEN, 2, "4.00", "2.26"))
    assert not lots.align(OCC, 2, Decimal("4.00"), START, "external", "")
    assert lots.align(OCC, 3, Decimal("4.10"), START, "external", "")
    assert lots.of(OCC)[1].fill_id == ""
    assert lots.align(OCC, 0, Decimal(0), START, "external", "")
    assert lots.quantity(OCC) == 0
    assert [closing.realized for closing in lots.closings] == [None, None]
    assert accounts(lots, lambda _s: None, DAY, Decimal(0)).total.unpriced == 2


@given(start=st.integers(-20, 20), end=st.integers(-20, 20))
def test_lots_always_sum_to_what_the_book_says(start, end):
    lots = Lots()
    for quantity in (start, end):
        lots.align(OCC, quantity, Decimal(1), START, "external", "")
        assert lots.quantity(OCC) == quantity


def test_a_lot_without_a_mark_makes_the_sum_unknown_and_says_how_many_it_waits_for():
    lots = filled(fill(1, Action.BUY_TO_OPEN, 2, "4.00"), fill(2, Action.BUY_TO_OPEN, 1, "2.00", symbol=PUT))
    books = accounts(lots, {OCC: Decimal("4.50")}.get, DAY, Decimal(0))
    assert (books.total.unrealized, books.total.unmarked, books.total.net) == (None, 1, None)


def test_the_day_counts_what_ended_today_and_its_own_fees():
    yesterday = from_et(date(2026, 2, 27), 10)
    fills = (
        fill(1, Action.BUY_TO_OPEN, 2, "4.00", "2.26", at=yesterday),
        fill(2, Action.SELL_TO_CLOSE, 1, "5.00", "0.14"),
        fill(3, Action.BUY_TO_OPEN, 1, "2.00", "1.13", symbol=PUT),
    )
    books = accounts(filled(*fills), lambda _s: Decimal("4.00"), DAY, fees_of_day(fills, DAY))
    assert (books.day.realized, books.day.fees) == (Decimal(100), Decimal("1.27"))
    assert books.total.fees == Decimal("3.53")


def test_a_trade_that_ended_before_today_is_no_longer_listed_but_stays_in_its_strategy():
    yesterday = from_et(date(2026, 2, 27), 10)
    lots = filled(
        fill(1, Action.BUY_TO_OPEN, 1, "4.00", at=yesterday), fill(2, Action.SELL_TO_CLOSE, 1, "5.00", at=yesterday)
    )
    books = accounts(lots, lambda _s: None, DAY, Decimal(0))
    assert books.trades == ()
    assert books.strategies["atr_matrix"].realized == Decimal(100)


@given(rows=fill_sequences, cut=st.integers(0, 40))
def test_folding_earlier_days_away_changes_no_sum(rows, cut):
    whole, folded, earlier = Lots(), Lots(), Earlier()
    for number, (symbol, action, quantity, price, fees, strategy, trade) in enumerate(rows):
        execution = fill(number, action, quantity, price, fees, symbol)
        whole.apply(execution, strategy, trade)
        folded.apply(execution, strategy, trade)
    earlier.fold(folded, START + cut * NS)
    marks = {OCC: Decimal(2), PUT: Decimal(3), "NVDA": Decimal(170)}
    expected = accounts(whole, marks.get, DAY, Decimal(0))
    ours = accounts(folded, marks.get, DAY, Decimal(0), earlier)
    assert ours.total == expected.total
    assert {k: v for k, v in ours.strategies.items() if v.closed_lots or v.open_lots} == expected.strategies
    held = {(t.strategy, t.trade): t.profit for t in expected.trades if t.lots}
    assert {(t.strategy, t.trade): t.profit for t in ours.trades if t.lots} == held

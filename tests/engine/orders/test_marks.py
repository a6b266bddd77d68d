"""Marks: the mid when it is fresh and two-sided, else the last good one with a flag; NLV to the cent."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.orders import BrokerPosition
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.marks import EQUITY_EVERY_NS, Marks
from qmterm.market.quality.quotes import FRESH_S
from tests.engine.fakes import CASH, OCC, TableQuotes, clock_at


class Sink:
    def __init__(self):
        self.rows = []

    def mark(self, symbol, mark, flag, time_ns):
        self.rows.append(("mark", symbol, mark, flag))

    def equity(self, time_ns, nlv, cash, realized, unrealized):
        self.rows.append(("equity", nlv))


class Desk:
    def __init__(self, quantity=2, average="4.10"):
        self.clock, self.quotes, self.book = clock_at(), TableQuotes(), Book(CASH)
        self.book.adopt(BrokerPosition(OCC, quantity, Decimal(average), 100), "s", "P", 1)
        self.marks = Marks(self.book, self.quotes, self.clock)

    def see(self, bid, ask):
        self.quotes.set(OCC, bid, ask, self.clock.now())
        self.marks.update()
        return self.marks.of(OCC)


def test_a_fresh_two_sided_quote_gives_its_mid():
    desk = Desk()
    assert (desk.see(4.20, 4.31).price, desk.marks.of(OCC).flag) == (Decimal("4.255"), "")
    assert desk.marks.unrealized == Decimal("31.00")
    assert desk.marks.nlv == CASH + Decimal("851.00")


def test_never_quoted_is_its_cost_and_says_so():
    desk = Desk()
    desk.marks.update()
    assert (desk.marks.of(OCC).price, desk.marks.of(OCC).flag) == (Decimal("4.10"), "no quote")


def test_an_old_quote_keeps_the_last_good_mark_flagged_with_its_own_time():
    desk = Desk()
    good = desk.see(4.20, 4.30)
    desk.clock.advance(FRESH_S + 1)
    desk.marks.update()
    assert desk.marks.of(OCC) == type(good)(good.price, "stale", good.time_ns)
    assert desk.see(4.40, 4.50).flag == ""


def test_a_side_that_vanished_keeps_the_last_good_mark():
    desk = Desk()
    desk.see(4.20, 4.30)
    gone = desk.see(0.0, 4.30)
    assert (gone.price, gone.flag) == (Decimal("4.25"), "one-sided")


def test_a_crossed_quote_is_no_mark():
    desk = Desk()
    desk.see(4.20, 4.30)
    assert desk.see(4.50, 4.40).flag == "crossed"


def test_marks_of_the_last_run_come_back_as_stale():
    desk = Desk()
    desk.marks.restore({OCC: (Decimal("3.90"), "", 5)})
    desk.marks.update()
    assert (desk.marks.of(OCC).price, desk.marks.of(OCC).flag) == (Decimal("3.90"), "stale")
    assert desk.marks.nlv == CASH + 780


def test_marks_are_kept_before_the_equity_that_uses_them_and_once_a_minute():
    desk, sink = Desk(), Sink()
    desk.see(4.20, 4.30)
    desk.marks.keep(sink)
    assert sink.rows == [("mark", OCC, Decimal("4.25"), ""), ("equity", CASH + 850)]
    desk.see(4.40, 4.50)
    desk.marks.keep(sink)
    assert len(sink.rows) == 2  # the minute is not over
    desk.clock.advance(EQUITY_EVERY_NS / 1e9)
    desk.see(4.40, 4.50)
    desk.marks.keep(sink)
    assert sink.rows[2:] == [("mark", OCC, Decimal("4.45"), ""), ("equity", CASH + 890)]
    desk.marks.keep(sink, force=True)
    assert sink.rows[4:] == [("equity", CASH + 890)]  # an unchanged mark is not written again


@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 2000), st.integers(0, 200)), min_size=1, max_size=8),
)
def test_nlv_is_cash_plus_marks_to_the_cent_however_many_positions(rows):
    clock, quotes, book = clock_at(), TableQuotes(), Book(CASH)
    expected = CASH
    for number, (quantity, bid_cents, width) in enumerate(rows):
        symbol = f"NVDA  260417C{(100 + number) * 1000:08d}"
        if quantity == 0:
            continue
        book.adopt(BrokerPosition(symbol, quantity, Decimal(1), 100), "s", "P", 1)
        ask_cents = bid_cents + width + 1
        quotes.set(symbol, bid_cents / 100, ask_cents / 100, clock.now())
        expected += Decimal(quantity * 100 * (bid_cents + ask_cents)) / 200
    marks = Marks(book, quotes, clock)
    marks.update()
    assert marks.nlv == expected


def test_a_garbage_quote_moves_no_mark_and_so_hits_no_premium_stop():
    """4.10 paid, then a fresh 0.05 x 3.90: its mid of 1.98 would have sold at 0.05."""
    clock = clock_at()
    quotes = TableQuotes()
    book = Book(CASH, [Position(OCC, 4, Decimal("4.10"), "atr_matrix", "plan-1", clock.now())])
    marks = Marks(book, quotes, clock)
    quotes.set(OCC, 4.00, 4.20, clock.now())
    marks.update()
    quotes.set(OCC, 0.05, 3.90, clock.now())
    marks.update()
    mark = marks.of(OCC)
    assert (mark.price, mark.flag) == (Decimal("4.10"), "wide")

"""A sold option that nothing covers is seen from the ledger alone, unless a person made it so."""

from datetime import date
from decimal import Decimal

from qmterm.core.fees import FeeBreakdown
from qmterm.core.orders import Action
from qmterm.drill.cover import alone
from qmterm.sim.brokerage.book import Book
from qmterm.sim.brokerage.orders import Fill, OrderLeg, OrderType, SimOrder, Status

LOW, HIGH = "AAPL  260417C00230000", "AAPL  260417C00235000"
OPEN = (LOW, Action.BUY_TO_OPEN), (HIGH, Action.SELL_TO_OPEN)
CLOSE = (LOW, Action.SELL_TO_CLOSE), (HIGH, Action.BUY_TO_CLOSE)


class Day:
    """Orders and fills of one day."""

    def __init__(self):
        self.book = Book(Decimal(100_000))
        self.orders = {}

    def order(self, legs, fills, status, tag="qm-1", quantity=3):
        """One order, `fills` contracts of each leg."""
        number = len(self.orders) + 1
        made = [OrderLeg(symbol, action, quantity) for symbol, action in legs]
        self.orders[number] = SimOrder(
            number, made, OrderType.LIMIT, "Day", Decimal(-2), None, 1, 1, date(2026, 3, 2), status, tag
        )
        for leg, filled in zip(made, fills, strict=True):
            if filled:
                leg.fills.append(Fill(f"{number}-{leg.symbol}", filled, Decimal(2), 1))
                self.book.trade(leg.symbol, leg.action, filled, Decimal(2), FeeBreakdown(), 1, order_id=number)
        return self

    def alone(self, withdrawn=()):
        return alone(self.orders, self.book.transactions, withdrawn)


def test_a_whole_spread_is_covered():
    assert Day().order(OPEN, (3, 3), Status.FILLED).alone() == []


def test_a_sold_leg_that_filled_alone_is_named_with_its_order():
    (text,) = Day().order(OPEN, (1, 3), Status.CANCELLED).alone()
    assert text.startswith("AAPL 2026-04-17 C: 2 sold without cover; order 1 Cancelled: Buy to Open 1 of 3")


def test_a_close_that_took_the_cover_only_is_seen():
    day = Day().order(OPEN, (3, 3), Status.FILLED).order(CLOSE, (2, 0), Status.EXPIRED, "qm-2")
    assert len(day.alone({"qm-2"})) == 1  # it expired: no cancel of a person's ended it


def test_what_works_and_would_close_it_counts_as_done():
    day = Day().order(OPEN, (0, 3), Status.CANCELLED)
    assert day.order(CLOSE[1:], (0,), Status.LIVE, "qm-2").alone() == []


def test_an_order_that_a_person_cancelled_is_the_persons():
    day = Day().order(OPEN, (0, 3), Status.CANCELLED)
    assert day.alone({"qm-1"}) == []
    assert day.alone(None) == []  # nobody counted who cancelled


def test_a_cover_that_was_sold_elsewhere_is_the_persons_too():
    day = Day().order(OPEN, (3, 3), Status.FILLED)
    assert day.order(CLOSE[:1], (3,), Status.FILLED, None).alone() == []


def test_a_cover_that_was_sold_elsewhere_before_the_rest_filled_is_the_persons_too():
    day = Day().order(OPEN, (3, 0), Status.LIVE).order(CLOSE[:1], (3,), Status.FILLED, None)
    later = day.orders[1].legs[1]
    later.fills.append(Fill("late", 3, Decimal(2), 2))
    day.book.trade(HIGH, Action.SELL_TO_OPEN, 3, Decimal(2), FeeBreakdown(), 2, order_id=1)
    assert day.alone() == []
    assert len(Day().order(OPEN, (3, 0), Status.LIVE).order(OPEN, (0, 6), Status.REJECTED).alone()) == 1


def test_what_a_person_left_and_is_closed_since_hides_nothing_later():
    day = Day().order(OPEN, (0, 3), Status.CANCELLED, "qm-1").order(CLOSE[1:], (3,), Status.FILLED, "qm-2")
    assert day.alone({"qm-1"}) == []
    assert len(day.order(OPEN, (0, 3), Status.REJECTED, "qm-3").alone({"qm-1"})) == 1

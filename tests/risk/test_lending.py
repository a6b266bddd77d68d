"""Who covers whom in the worst case: what may go away covers nothing, the first to expire covers first, shares last."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.risk.worst_case import Worst, worst_loss
from tests.risk.test_worst_case import FAR, LATE, NEAR, held, option, part

LATER_PUT = option("P", 105, LATE)


@pytest.mark.parametrize(
    ("book", "orders", "shares", "dollars"),
    [
        # a later put that an order may sell covers nothing: 9,800 for the bare one and the 400 it cost
        ([held(option("P", 100), -1, "2"), held(LATER_PUT, 1, "4")], [part("3", 1, (LATER_PUT, -1))], [], "10200"),
        # two of three: one still covers
        (
            [held(option("P", 100), -1, "2"), held(LATER_PUT, 3, "4")],
            [part("3", 2, (LATER_PUT, -1))], [], "1000",
        ),
        # what may be bought back is no cover yet: the later call stays lent
        ([held(NEAR, -1, "2"), held(FAR, 1, "4")], [part("-3", 1, (NEAR, 1))], [], "500"),
        # orders of options and of shares on one day add up
        ([], [part("-2", 1, (NEAR, 1)), part("-95", 100, ("AAPL", 1))], [], "9700"),
        # an empty lot lends nothing and hides no other
        ([held(NEAR, -1, "2")], [], [held("AAPL", 0, "90"), held("AAPL", 100, "90")], "8800"),
    ],
)  # fmt: skip
def test_what_may_go_away_covers_nothing(book, orders, shares, dollars):
    assert worst_loss(book, orders, shares) == Worst(Decimal(dollars).quantize(Decimal("0.01")))


def test_what_expires_first_covers_first_and_shares_last():
    """The call of May covers April's; June's needs the shares."""
    may, june = option("C", 100, "260501"), option("C", 100, "260619")
    book = [held(NEAR, -1, "2"), held("AAPL", 100, "90"), held(may, 1, "3"), held(june, -1, "4")]
    assert worst_loss(book) == Worst(Decimal("8700.00"))  # 100 in April, 8,600 in June


def test_of_calls_that_expire_together_the_lower_strike_covers_first():
    lower, higher = option("C", 95, LATE), option("C", 110, LATE)
    assert worst_loss([held(NEAR, -1, "2"), held(lower, 2, "6"), held(higher, 1, "1")]) == Worst(Decimal("1100.00"))


def test_half_a_hundred_shares_covers_no_call():
    found = worst_loss([held(NEAR, -2, "2")], [], [held("AAPL", 150, "90")])
    assert found.slope == pytest.approx(100)
    assert worst_loss([held(NEAR, -1, "2")], [], [held("AAPL", 99, "90")]).slope == pytest.approx(100)


def test_shares_of_others_lose_for_us_and_gain_for_them():
    ours = [held(NEAR, -1, "2"), held(option("P", 100), 1, "5")]
    assert worst_loss(ours, [], [held("AAPL", 100, "90")]) == Worst(Decimal("300.00"))


def test_the_far_price_is_twice_the_highest_known_and_two_dollars_at_least():
    assert worst_loss([held(option("C", 1), -1, "0.2")]).dollars == 80
    assert worst_loss([held("AAPL", -10, "0.5")]).dollars == 15
    assert worst_loss([], [part("0.5", 10, ("AAPL", -1))]).dollars == 15
    assert worst_loss([], [part("90", 10, ("AAPL", -1))]).dollars == 900


def test_a_loss_without_end_also_says_what_is_lost_at_the_worst_strike():
    assert worst_loss([held(NEAR, -1, "2")]) == Worst(Decimal("9800.00"), 100.0, Decimal("-200.00"))
    assert worst_loss([held("AAPL", -1, "90")]) == Worst(Decimal("90.00"), 1.0, Decimal("-90.00"))
    two = worst_loss([held(NEAR, -1, "2"), held(option("P", 100, LATE), 1, "3")])
    assert two == Worst(Decimal("10100.00"), 100.0, Decimal("100.00"))


def test_a_part_of_a_cent_is_lost_whole():
    assert worst_loss([held(NEAR, 1, "2", "0.004")]).dollars == Decimal("200.01")
    assert worst_loss([held(NEAR, 1, "2", "0.00001")]).dollars == 200  # what binary fractions lose is none

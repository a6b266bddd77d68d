"""The worst case over every subset of fills equals what counting them one by one gives, and covers what it must."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.instruments import parse_option
from qmterm.risk.worst_case import Holding, Part, Worst, _closed_by, one_expiry, with_filled, worst_loss

STRIKES = (90, 95, 100, 105)
CONDOR = (("C", 100, -1), ("C", 105, 1), ("P", 95, -1), ("P", 90, 1))
EARLY, LATE = "260417", "260515"


def option(right, strike, expiry=EARLY):
    return f"AAPL  {expiry}{right}{strike * 1000:08d}"


def held(symbol, quantity, cost="2", fees="0"):
    return Holding(symbol, quantity, Decimal(cost), Decimal(fees))


def part(price, units=1, /, *legs):
    return Part(tuple(legs), units, Decimal(price))


def loss_at(holdings, parts, filled, spot):
    """Dollars lost at one price at the end when this many units of each part filled; shares nothing with the code."""

    def worth(symbol):
        contract = parse_option(symbol)
        return 100 * max(Decimal(0), contract.right.sign * (spot - contract.strike))

    total = sum((h.cost * 100 - worth(h.symbol)) * h.quantity + h.fees for h in holdings)
    for one, units in zip(parts, filled, strict=True):
        total += units * (one.fees - one.price * 100 - sum(count * worth(symbol) for symbol, count in one.legs))
    return total


def enumerated(holdings, parts):
    """(dollars, slope) of the worst subset at the worst price, each fill and each price tried."""
    worst, steepest = Decimal(-(10**9)), 0
    for filled in product(*(range(one.units + 1) for one in parts)):
        far, farther = (loss_at(holdings, parts, filled, Decimal(spot)) for spot in (1000, 1001))
        steepest = max(steepest, farther - far)
        worst = max(worst, *(loss_at(holdings, parts, filled, Decimal(spot)) for spot in (0, *STRIKES)))
    return worst, steepest


symbols = st.builds(option, st.sampled_from("CP"), st.sampled_from(STRIKES))
prices = st.decimals("0.05", "9", places=2)
holdings = st.dictionaries(symbols, st.tuples(st.integers(-2, 2).filter(bool), prices), max_size=4).map(
    lambda rows: [Holding(symbol, quantity, cost, Decimal("0.65")) for symbol, (quantity, cost) in rows.items()]
)
parts = st.lists(
    st.builds(
        Part,
        st.dictionaries(symbols, st.sampled_from((-2, -1, 1, 2)), min_size=1, max_size=3).map(
            lambda legs: tuple(legs.items())
        ),
        st.integers(1, 2),
        st.decimals("-9", "9", places=2),
        st.just(Decimal("1.15")),
    ),
    max_size=4,
)


@settings(max_examples=150)
@given(holdings, parts)
def test_with_one_expiry_it_is_exactly_the_worst_of_all_subsets(book, orders):
    found = worst_loss(book, orders)
    dollars, slope = enumerated(book, orders)
    assert found.slope == pytest.approx(float(slope))
    if not found.unbounded:
        assert abs(found.dollars - dollars) <= Decimal("0.01")
        assert found.dollars >= dollars
    else:
        assert found.dollars >= dollars


@given(holdings, parts, st.integers(0, 3))
def test_an_order_can_only_add_to_the_worst_case_and_more_of_it_never_takes_away(book, orders, which):
    if which >= len(orders):
        return
    without = worst_loss(book, orders[:which] + orders[which + 1 :])
    with_it = worst_loss(book, orders)
    assert not without.worse_than(with_it)


def best_cover(longs, shorts, cash):
    """The least that a settled book of two expiries can lose: every way to lend its later longs to the nearer date."""
    best = None
    for lent in product((False, True), repeat=len(longs)):
        total, slope = cash, 0
        for day in (EARLY, LATE):
            mine = [(s, 1) for s, use in zip(longs, lent, strict=True) if day in s and not (use and day == LATE)]
            if day == EARLY:
                mine += [(s, 1) for s, use in zip(longs, lent, strict=True) if LATE in s and use]
            mine += [(s, -1) for s in shorts if day in s]
            spots = (0, *STRIKES, 1000, 1001)
            losses = [loss_at([], [Part(tuple(mine), 1, Decimal(0))], (1,), Decimal(spot)) for spot in spots] or [0]
            total += max(losses[:-2])
            slope += max(0, losses[-1] - losses[-2])
        if best is None or (slope, total) < best:
            best = (slope, total)
    return best


both = st.builds(option, st.sampled_from("CP"), st.sampled_from(STRIKES), st.sampled_from((EARLY, LATE)))


@given(
    st.dictionaries(both, st.integers(-2, 2).filter(bool), max_size=3),
    st.lists(st.tuples(both, st.sampled_from((-1, 1)), st.integers(1, 2)), max_size=3),
)
def test_with_two_expiries_it_is_never_below_the_best_cover_of_any_subset(book, orders):
    found = worst_loss(
        [Holding(symbol, quantity, Decimal(2)) for symbol, quantity in book.items()],
        [part("2" if side < 0 else "-2", units, (symbol, side)) for symbol, side, units in orders],
    )
    for filled in product(*(range(units + 1) for _, _, units in orders)):
        after = dict(book)
        for (symbol, side, _), units in zip(orders, filled, strict=True):
            after[symbol] = after.get(symbol, 0) + side * units
        cash = 200 * (sum(book.values()) + sum(o[1] * units for o, units in zip(orders, filled, strict=True)))
        longs = [symbol for symbol, count in after.items() for _ in range(max(0, count))]
        shorts = [symbol for symbol, count in after.items() for _ in range(max(0, -count))]
        slope, dollars = best_cover(longs, shorts, Decimal(cash))
        assert found.slope >= float(slope) - 1e-6
        assert found.unbounded or found.dollars >= dollars


def test_nothing_held_loses_nothing():
    assert worst_loss([]) == Worst(Decimal("0.00"))


@pytest.mark.parametrize(
    ("book", "orders", "dollars", "unbounded"),
    [
        ([held(option("C", 100), 2, "3", "1.30")], [], "601.30", False),
        ([held(option("P", 100), -1, "3")], [], "9700", False),
        ([held(option("C", 100), -1, "3")], [], "9700", True),  # at twice the strike
        ([held(option("C", 100), 1, "3"), held(option("C", 105), -1, "1")], [], "200", False),
        # closing only the bought leg leaves the sold one naked
        (
            [held(option("C", 100), 1, "3"), held(option("C", 105), -1, "1")],
            [part("2", 1, (option("C", 100), -1))],
            "10500", True,
        ),
        # the whole spread in one order opens nothing
        (
            [held(option("C", 100), 1, "3"), held(option("C", 105), -1, "1")],
            [part("1.50", 1, (option("C", 100), -1), (option("C", 105), 1))],
            "200", False,
        ),
        # a condor loses on one side only
        (
            [],
            [part("1.50", 2, *((option(right, strike), side) for right, strike, side in CONDOR))],
            "700", False,
        ),
        # its legs apart: the sold call may fill alone
        (
            [],
            [part("2", 1, (option("C", 100), -1)), part("-1", 1, (option("C", 105), 1))],
            "10800", True,
        ),
        ([held("AAPL", 100, "90"), held(option("C", 100), -1, "2")], [], "8800", False),
        ([held("AAPL", 50, "90"), held(option("C", 100), -1, "2")], [], "4300", True),
        ([held("AAPL", -10, "90")], [], "900", True),
        # shares that an order may sell cover nothing
        (
            [held("AAPL", 100, "90"), held(option("C", 100), -1, "2")],
            [part("95", 100, ("AAPL", -1))],
            "9300", True,
        ),
    ],
)  # fmt: skip
def test_known_books(book, orders, dollars, unbounded):
    found = worst_loss(book, orders)
    assert (found.dollars, found.unbounded) == (Decimal(dollars).quantize(Decimal("0.01")), unbounded)


NEAR, FAR = option("C", 100), option("C", 100, LATE)


def test_a_long_covers_a_short_that_ends_first_and_never_the_other_way():
    assert worst_loss([held(NEAR, -1, "2"), held(FAR, 1, "4")]).dollars == 200
    assert worst_loss([held(NEAR, 1, "2"), held(FAR, -1, "4")]).unbounded
    put, later = option("P", 100), option("P", 95, LATE)
    assert worst_loss([held(put, -1, "3"), held(later, 1, "2")]).dollars == 400


def test_what_covers_is_lent_once():
    one = [held(NEAR, -1, "2"), held(FAR, 1, "4"), held(option("C", 105), -1, "1")]
    assert worst_loss(one).unbounded
    assert not worst_loss([*one, held("AAPL", 100, "90")]).unbounded


def test_two_spreads_of_different_expiries_add_up():
    spreads = [
        held(option("C", 100, day), -1, "2") for day in (EARLY, LATE)
    ] + [held(option("C", 105, day), 1, "1") for day in (EARLY, LATE)]  # fmt: skip
    assert worst_loss(spreads).dollars == 800


def test_a_calendar_opens_and_closes_as_one():
    assert worst_loss([], [part("-2", 3, (NEAR, -1), (FAR, 1))]).dollars == 600
    standing = [held(NEAR, -3, "2"), held(FAR, 3, "4")]
    assert worst_loss(standing, [part("1", 3, (NEAR, 1), (FAR, -1))]).dollars == 600
    assert worst_loss(standing, [part("3", 3, (FAR, -1))]).unbounded  # the later leg alone
    reverse = part("2", 1, (NEAR, 1), (FAR, -1))
    assert worst_loss([], [reverse]).unbounded


def test_a_longs_leg_that_ends_before_the_sold_one_covers_nothing_inside_one_order():
    ladder = part("-1", 1, (option("C", 105, "260320"), 1), (NEAR, -1), (FAR, 1))
    assert worst_loss([], [ladder]).dollars == 100


def test_shares_of_another_strategy_cover_only_as_far_as_they_are_needed():
    shares = [held("AAPL", 300, "90")]
    assert worst_loss([], [], shares).dollars == 0
    assert worst_loss([held(NEAR, -1, "2")], [], shares).dollars == 8800
    assert worst_loss([], [part("2", 3, (NEAR, -1))], shares).dollars == 27000
    assert worst_loss([held(NEAR, -4, "2")], [], shares).unbounded
    assert worst_loss([held(option("P", 100), -1, "2")], [], shares).dollars == 9800


def test_what_has_filled_is_held_at_what_it_cost():
    spread = part("-2", 3, (option("C", 100), 1), (option("C", 105), -1))
    after = with_filled((), spread)
    assert [(h.symbol, h.quantity) for h in after] == [(option("C", 100), 3), (option("C", 105), -3)]
    assert worst_loss(after).dollars == 600
    more = with_filled(after, part("-3", 1, (option("C", 100), 1)))
    assert worst_loss(more).dollars == 900
    assert with_filled((), part("-95", 100, ("AAPL", 1))) == (held("AAPL", 100, "95"),)
    paid = with_filled([held(NEAR, 1, "2", "0.65")], part("-3", 1, (NEAR, 1)))
    assert paid == (held(NEAR, 2, "2.5", "0.65"),)


def test_with_several_expiries_the_answer_is_not_called_exact():
    assert one_expiry([held("AAPL", 100, "90"), held(NEAR, 1)], [part("1", 1, (option("P", 90), 1))])
    assert not one_expiry([held(NEAR, 1)], [part("1", 1, (FAR, -1))])


def test_a_price_in_a_part_of_shares_is_dollars_a_share():
    buy = part("-95", 100, ("AAPL", 1))
    assert (buy.multiplier, buy.paid) == (1, 95)
    assert worst_loss([], [buy]).dollars == 9500


def test_worse_means_more_dollars_or_a_steeper_end():
    base = Worst(Decimal(100))
    assert Worst(Decimal("100.01")).worse_than(base)
    assert not Worst(Decimal("100.01")).worse_than(base, by=Decimal(1))
    assert Worst(Decimal(50), 100.0).worse_than(base)
    assert not base.worse_than(base)


def test_a_steeper_end_is_worse_from_a_hair_on_and_any_slope_has_no_bound():
    flat, hair = Worst(Decimal(100)), Worst(Decimal(100), 1e-6)
    assert not hair.worse_than(flat)  # what binary fractions lose is no slope
    assert Worst(Decimal(100), 2e-6).worse_than(flat)
    assert Worst(Decimal(1), 0.5).unbounded
    assert not flat.unbounded


def test_a_put_covers_no_call_and_takes_no_cover_away():
    put, latest = option("P", 100, LATE), option("C", 100, "260619")
    found = worst_loss([held(NEAR, -1, "2"), held(put, 1, "3"), held(latest, 1, "4")])
    assert (found.dollars, found.unbounded) == (500, False)  # 400 − 200 for the calls, 300 for the put
    call, later = option("C", 100, LATE), option("P", 100, "260619")
    found = worst_loss([held(option("P", 100), -1, "2"), held(call, 1, "3"), held(later, 1, "4")])
    assert (found.dollars, found.unbounded) == (500, False)


@pytest.mark.parametrize(
    ("change", "quantity", "closed"),
    [
        (-2, 5, 2), (-5, 5, 5), (-7, 5, 5), (2, 5, 0), (0, 5, 0), (-2, 0, 0), (2, 0, 0), (0, 0, 0),
        (2, -5, -2), (5, -5, -5), (7, -5, -5), (-2, -5, 0), (0, -5, 0), (-1, 1, 1), (1, -1, -1),
    ],
)  # fmt: skip
def test_a_change_closes_what_stands_against_it_and_no_more(change, quantity, closed):
    assert _closed_by(change, quantity) == closed


def test_an_order_that_sells_more_than_is_held_is_looked_at_where_it_goes_short():
    """Three near calls held for 600; two orders of two against a later two cost 200 more, and cover what they sell."""
    assert worst_loss([held(NEAR, 3, "2")], [part("-1", 2, (NEAR, -2), (FAR, 2))]) == Worst(Decimal("800.00"))


def test_what_may_be_sold_again_at_any_time_loses_what_it_cost_at_every_price_and_covers_nothing():
    bear = [held(option("C", 95), -1, "3"), held(option("C", 100), 1, "1")]  # loses 300 at 100 and above
    bought = part("-5", 2, (option("C", 90), 1))
    assert worst_loss(bear, [bought]).dollars == 800  # 1000 paid less the 200 of the spread, at 0
    assert worst_loss(bear, [replace(bought, fleeting=True)]).dollars == 1300
    assert worst_loss([held(option("C", 95), -1, "3")], [replace(bought, fleeting=True)]).unbounded
    assert worst_loss([], [replace(bought, fleeting=True)]).dollars == 1000
    shares = Part((("AAPL", 1),), 100, Decimal(-95), fleeting=True)
    assert worst_loss(bear, [shares]).dollars == 300 + 9500


def test_a_single_share_that_was_sold_counts_at_twice_its_price():
    assert worst_loss([held("AAPL", -1, "98")]) == Worst(Decimal("98.00"), 1.0, Decimal("-98.00"))


def test_a_call_covered_by_lent_shares_counts_no_more_for_a_bare_one_beside_it():
    """The shares lose 4,600 whatever happens; the bare call of another day counts to twice its strike, 10,600."""
    covered, bare = held(option("C", 100), -1, "4"), held(option("C", 110, LATE), -1, "4")
    found = worst_loss([covered, bare], [], [held("AAPL", 100, "50")])
    assert (found.dollars, found.within) == (Decimal("15200.00"), Decimal("4200.00"))


@pytest.mark.parametrize("as_held", [True, False])
def test_a_call_and_a_put_that_cannot_both_end_worthless_lose_less_than_was_paid(as_held):
    """Guts: the call's strike lies below the put's, so one of them is worth the distance at least."""
    call, put = option("C", 95), option("P", 105)
    if as_held:
        found = worst_loss((held(call, 1, "8"), held(put, 1, "8")))
    else:
        found = worst_loss((), (part("-16", 1, (call, 1), (put, 1)),))
    assert (found.dollars, found.slope) == (Decimal(600), 0.0)

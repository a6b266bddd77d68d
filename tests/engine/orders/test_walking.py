"""The schedule of a walked price: on the grid, toward the market, never past the worst."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.matching import natural_price, net_mid
from qmterm.core.orders import Action, Leg
from qmterm.core.quotes import Quote
from qmterm.core.ticks import TickProgram, on_tick
from qmterm.engine.orders.walking import Grid, furthest, next_price, start_price

CALL, HIGHER = "NVDA  260417C00175000", "NVDA  260417C00180000"
BUY, SELL = (Leg(CALL, Action.BUY_TO_OPEN, 1),), (Leg(CALL, Action.SELL_TO_CLOSE, 1),)
SPREAD = (Leg(CALL, Action.BUY_TO_OPEN, 1), Leg(HIGHER, Action.SELL_TO_OPEN, 1))


def quotes(bid, ask, symbol=CALL):
    return {symbol: Quote(symbol, float(bid), float(ask), 10, 10, 0, 0)}


def grid(legs=BUY, program=TickProgram.PENNY):
    return Grid(legs, program)


@pytest.mark.parametrize(
    ("legs", "bid", "ask", "worst", "start"),
    [
        (BUY, "4.10", "4.20", "-4.20", "-4.15"),
        (BUY, "4.10", "4.15", "-4.15", "-4.10"),  # the mid is between two ticks: ours is the lower
        (SELL, "4.10", "4.15", "4.10", "4.15"),
        (BUY, "4.10", "4.20", "-4.12", "-4.12"),  # the market is past what we would pay
        (SELL, "0.00", "0.05", "0.01", None),  # no market of two sides, no mid
    ],
)
def test_a_walk_starts_at_the_mid_rounded_in_our_favour(legs, bid, ask, worst, start):
    expected = None if start is None else Decimal(start)
    assert start_price(grid(legs), quotes(bid, ask), Decimal(worst)) == expected


@pytest.mark.parametrize(
    ("legs", "price", "ticks", "after"),
    [
        (BUY, "-2.98", 1, "-2.99"),
        (BUY, "-2.99", 1, "-3.00"),
        (BUY, "-3.00", 1, "-3.05"),
        (SELL, "3.05", 1, "3.00"),
        (SELL, "3.00", 1, "2.99"),
        (SELL, "0.01", 3, "0.01"),  # a price below one tick is none
        (BUY, "-1.00", 3, "-1.03"),
        (SPREAD, "-0.01", 1, "-0.02"),
        (SPREAD, "0.01", 1, "-0.01"),  # zero has no side
    ],
)
def test_a_step_lands_on_the_grid_of_the_price_it_leads_to(legs, price, ticks, after):
    assert grid(legs).toward(Decimal(price), ticks) == Decimal(after)


def test_an_index_spread_steps_by_nickels():
    legs = (Leg("SPXW  260417C05000000", Action.BUY_TO_OPEN, 1), Leg("SPXW  260417C05010000", Action.SELL_TO_OPEN, 1))
    assert grid(legs).toward(Decimal("-1.00"), 1) == Decimal("-1.05")


INDEX_SOLD = tuple(Leg(f"SPXW  260417{one}", Action.SELL_TO_CLOSE, 1) for one in ("P05000000", "C06000000"))
INDEX = (Leg("SPXW  260417C05000000", Action.BUY_TO_OPEN, 1), Leg("SPXW  260417C05010000", Action.SELL_TO_OPEN, 1))


@pytest.mark.parametrize(
    ("legs", "price", "ours", "theirs"),
    [
        (SPREAD, "-1.234", "-1.23", "-1.24"),
        (SPREAD, "1.234", "1.24", "1.23"),
        (SPREAD, "0.004", "0.01", "-0.01"),  # zero has no side
        (SPREAD, "-0.004", "-0.01", "-0.01"),
        (INDEX, "-1.23", "-1.20", "-1.25"),
        (INDEX, "1.23", "1.25", "1.20"),
        (INDEX, "0.02", "0.05", "-0.05"),
        (INDEX_SOLD, "0.02", "0.05", "0.05"),  # what is only sold is never paid for
        (BUY, "-3.02", "-3.00", "-3.05"),
        (SELL, "3.02", "3.05", "3.00"),
        (BUY, "-0.004", "-0.01", "-0.01"),  # a price below one tick is none
        (SELL, "0.004", "0.01", "0.01"),
    ],
)
def test_a_price_off_the_grid_becomes_the_nearest_that_is_no_worse_for_one_side(legs, price, ours, theirs):
    steps = grid(legs)
    assert (steps.ours(Decimal(price)), steps.theirs(Decimal(price))) == (Decimal(ours), Decimal(theirs))


def test_a_strangle_that_is_sold_stops_one_step_above_nothing():
    assert grid(INDEX_SOLD).toward(Decimal("0.10"), 3) == Decimal("0.05")


def test_shares_walk_by_cents_and_below_a_dollar_by_hundredths_of_them():
    shares = grid((Leg("NVDA", Action.SELL_TO_CLOSE, 100),))
    assert shares.ours(Decimal("178.004")) == Decimal("178.01")
    assert shares.toward(Decimal("178.01"), 2) == Decimal("177.99")
    assert shares.toward(Decimal("1.50"), 1) == Decimal("1.49")
    assert shares.toward(Decimal("0.5010"), 1) == Decimal("0.5009")


def test_a_leg_that_nobody_quotes_leaves_the_walk_without_a_start():
    assert start_price(grid(SPREAD), quotes("4.10", "4.20"), Decimal("-2.00")) is None


def test_an_entry_goes_to_the_natural_price_and_not_past_its_worst():
    market = quotes("4.00", "4.40")
    assert furthest(grid(), 1, market, Decimal("-4.30")) == Decimal("-4.30")
    assert furthest(grid(), 1, market, Decimal("-4.60")) == Decimal("-4.40")
    assert furthest(grid(), 1, {}, Decimal("-4.60")) is None


def test_an_exit_goes_one_tick_beyond_the_natural_price():
    assert furthest(grid(SELL), 1, quotes("4.00", "4.40"), None) == Decimal("3.95")


def test_a_walk_that_has_arrived_makes_no_step():
    assert next_price(grid(), Decimal("-4.30"), Decimal("-4.30"), 1) is None
    assert next_price(grid(), Decimal("-4.35"), Decimal("-4.30"), 1) is None
    assert next_price(grid(), Decimal("-4.25"), Decimal("-4.30"), 5) == Decimal("-4.30")


CENTS = st.integers(min_value=5, max_value=900)


@given(
    bid=CENTS,
    wide=st.integers(min_value=1, max_value=200),
    moves=st.lists(st.integers(min_value=-60, max_value=60), max_size=12),
    ticks=st.integers(min_value=1, max_value=4),
    slip=st.integers(min_value=0, max_value=100),
    legs=st.sampled_from([BUY, SELL, SPREAD]),
    program=st.sampled_from(list(TickProgram)),
)
def test_every_walk_is_monotone_on_the_grid_and_within_its_worst(bid, wide, moves, ticks, slip, legs, program):
    def market(moved):
        low = max(1, bid + moved)
        found = quotes(Decimal(low) / 100, Decimal(low + wide) / 100)
        return found | quotes(Decimal(max(1, low // 2)) / 100, Decimal(max(2, low // 2 + wide)) / 100, HIGHER)

    steps = grid(legs, program)
    natural, mid = natural_price(legs, market(0)), net_mid(legs, market(0))
    worst = steps.ours(mid + (natural - mid) * slip / 100)
    price = start_price(steps, market(0), worst)
    walked = [price]
    for moved in moves:
        bound = furthest(steps, 1, market(moved), worst)
        assert bound >= worst
        following = next_price(steps, price, bound, ticks)
        if following is not None:
            walked.append(following)
            price = following
    assert walked == sorted(walked, reverse=True)
    assert len(set(walked)) == len(walked)
    assert all(one >= worst and one != 0 for one in walked)
    assert all(one % Decimal("0.01") == 0 if len(legs) > 1 else on_tick(program, abs(one)) for one in walked)

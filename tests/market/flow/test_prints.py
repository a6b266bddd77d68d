"""Side, kind and direction of single prints; the golden rows; quotes that were not in force."""

import numpy as np
import pytest

from qmterm.market.flow.conditions import Conditions, Kind
from qmterm.market.flow.prints import Side, classify, premiums
from qmterm.market.flow.score import opening, vol_oi
from tests import golden
from tests.market.flow.made import prints

NAN = float("nan")


def one(price, bid, ask, condition=209, age=0, size=1):
    kinds, sides, directions = classify(prints((0, price, size, 1, condition, 0, bid, ask, age)), Conditions())
    return Kind(kinds[0]), Side(sides[0]), int(directions[0])


@pytest.mark.parametrize("row", golden.rows("flow"), ids=lambda row: f"{row['condition']}")
def test_golden(row):
    price, bid, ask = float(row["price"]), float(row["bid"]), float(row["ask"])
    size, interest, volume = int(row["size"]), int(row["open_interest"]), int(row["day_volume"])
    made = prints((0, price, size, 1, int(row["condition"]), 0, bid, ask))
    kinds, sides, _ = classify(made, Conditions())
    assert Side(sides[0]).name == row["side"]
    assert Kind(kinds[0]).name == row["kind"]
    golden.assert_close("flow", premiums(made)[0], row["premium"])
    assert vol_oi(volume, interest) == (float(row["vol_oi"]) if row["vol_oi"] else None)
    assert (opening(size, volume, interest) == "certain") == (row["size_gt_oi"] == "1")


def test_the_places_a_price_can_stand():
    found = [one(price, 2.4, 2.5)[1].name for price in (2.39, 2.40, 2.41, 2.45, 2.47, 2.50, 2.51)]
    assert found == ["BELOW_BID", "BID", "BIDISH", "MID", "ASKISH", "ASK", "ABOVE_ASK"]


def test_only_regular_and_iso_prints_at_a_side_say_who_was_in_a_hurry():
    assert one(2.5, 2.4, 2.5)[2] == 1
    assert one(2.6, 2.4, 2.5, condition=219)[2] == 1
    assert one(2.4, 2.4, 2.5)[2] == -1
    assert one(2.47, 2.4, 2.5)[2] == 0
    for condition in (227, 229, 231, 232, 237, 247, 204, 210):
        kind, side, direction = one(2.5, 2.4, 2.5, condition=condition)
        assert (side, direction) == (Side.ASK, 0), kind


@pytest.mark.parametrize(
    ("bid", "ask", "age"),
    [(0.0, 0.05, 0), (NAN, NAN, 0), (2.4, 2.5, 1_001), (2.4, 2.5, -1), (2.6, 2.5, 0)],
    ids=["no bid", "no quote", "old quote", "quote after the trade", "crossed"],
)
def test_without_the_quote_of_that_second_the_side_is_unknown(bid, ask, age):
    assert one(2.5, bid, ask, age=age)[1:] == (Side.NA, 0)


def test_a_quote_of_exactly_a_second_still_counts():
    assert one(2.5, 2.4, 2.5, age=1_000)[1] is Side.ASK


def test_in_a_locked_market_nobody_crossed_a_spread():
    assert one(2.5, 2.5, 2.5)[1:] == (Side.MID, 0)


def test_prints_without_a_quote_time_have_no_side():
    made = prints((0, 2.5, 1, 1, 209, 0, 2.4, 2.5))
    made.quote_ns[:] = 0
    _, sides, _ = classify(made, Conditions())
    assert sides.tolist() == [Side.NA]
    assert sides.dtype == np.int8

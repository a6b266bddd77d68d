"""Legs of the golden rows, and random ones for the property tests."""

import json

from hypothesis import strategies as st

from qmterm.quant.book.legs import Leg, LegKind

STRIKES = [80.0, 90.0, 95.0, 100.0, 105.0, 110.0, 125.0]


def golden_legs(row):
    return [Leg(LegKind(kind), *numbers) for kind, *numbers in json.loads(row["legs"])]


@st.composite
def one_leg(draw, kinds="CPS"):
    kind = LegKind(draw(st.sampled_from(kinds)))
    quantity = draw(st.integers(-4, 4).filter(bool))
    if kind is LegKind.STOCK:
        return Leg(kind, quantity, 0.0, draw(st.integers(8000, 12000)) / 100)
    return Leg(kind, quantity, draw(st.sampled_from(STRIKES)), draw(st.integers(1, 2500)) / 100)


def some_legs(kinds="CPS", most=5):
    return st.lists(one_leg(kinds), min_size=1, max_size=most)

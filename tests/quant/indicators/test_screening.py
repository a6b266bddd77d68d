"""Filter and sort equal plain Python over the rows; unknown numbers meet no condition."""

import operator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.indicators.features import last_features
from qmterm.quant.indicators.screening import Condition, passing, top
from tests.quant.panels import random_panel

FEATURES = last_features(random_panel(symbols=200, bars=120))
SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
MARKET = [
    Condition("close", ">=", 5.0),
    Condition("dollar_volume20", ">=", 1e6),
    Condition("close", ">", "sma20"),
    Condition("sma20", ">=", "sma50"),
    Condition("pos20", ">", 50.0),
    Condition("atr_pct", ">=", 2.0),
]


def value(name, row):
    return getattr(FEATURES, name)[row] if isinstance(name, str) else name


@given(
    conditions=st.lists(
        st.builds(
            Condition,
            st.sampled_from(["close", "sma20", "rsi14", "pos20"]),
            st.sampled_from(sorted(SIGNS)),
            st.sampled_from(["close", "sma50", "ema10", 50.0, 30.0]),
        ),
        max_size=4,
    ),
    by=st.sampled_from(["rsi14", "macd_hist", "atr_pct"]),
    limit=st.sampled_from([None, 0, 1, 7, 50, 1000]),
    descending=st.booleans(),
)
def test_top_rows_are_those_of_plain_python(conditions, by, limit, descending):
    rows = [
        row
        for row in range(len(FEATURES))
        if all(SIGNS[c.sign](value(c.left, row), value(c.right, row)) for c in conditions)
    ]
    np.testing.assert_array_equal(np.flatnonzero(passing(FEATURES, conditions)), rows)
    known = [row for row in rows if not np.isnan(value(by, row))]
    known.sort(key=lambda row: -value(by, row) if descending else value(by, row))
    assert top(FEATURES, conditions, by=by, limit=limit, descending=descending).tolist() == known[:limit]


def test_equal_values_stay_in_the_panels_order_even_across_the_limit():
    tied = replace(FEATURES, rsi14=np.repeat([30.0, 70.0], 100))
    assert top(tied, by="rsi14", limit=3).tolist() == [100, 101, 102]
    assert top(tied, by="rsi14", limit=102, descending=False).tolist() == [*range(102)]


def test_a_market_screen_finds_some_but_not_all():
    found = top(FEATURES, MARKET, by="rsi14")
    assert 0 < len(found) <= 50
    assert (np.diff(FEATURES.rsi14[found]) <= 0).all()


def test_unknown_numbers_pass_neither_side():
    short = last_features(random_panel(symbols=3, bars=10, ragged=False))
    assert not passing(short, [Condition("sma20", ">", 0.0)]).any()
    assert not passing(short, [Condition("sma20", "<=", 0.0)]).any()
    assert top(short, by="sma20").size == 0


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(BadInput, match="no feature 'sma21'; known are close, volume"):
        top(FEATURES, by="sma21")
    with pytest.raises(BadInput, match="no feature 'price'"):
        passing(FEATURES, [Condition("close", ">", "price")])
    with pytest.raises(BadInput, match="'=' is not one of"):
        passing(FEATURES, [Condition("close", "=", 1.0)])
    with pytest.raises(BadInput, match="limit must not be negative"):
        top(FEATURES, by="close", limit=-1)

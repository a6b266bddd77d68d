"""One quote and a column of them are judged by the same rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.market.quality.codes import CODES, QuoteCode, code_name, code_of
from qmterm.market.quality.quotes import doubt, mids, quote_codes

NOW = 1_772_460_000 * NS
PRICES = st.one_of(st.sampled_from([0.0, 0.05, 0.1, 1.0, 3.0, float("nan"), float("inf")]), st.floats(0, 500))
AGES = st.sampled_from([-5.0, 0.0, 1.0, 59.9, 60.0, 60.1, 900.0])


@given(PRICES, PRICES, AGES, st.booleans())
def test_one_quote_and_a_column_give_the_same_answer(bid, ask, age_s, stamped):
    time_ns = NOW - int(age_s * NS) if stamped else 0
    one = doubt(Quote("X", bid, ask, 1, 1, time_ns, time_ns), NOW)
    many = quote_codes(np.array([bid]), np.array([ask]), np.array([time_ns]), NOW)
    assert CODES[many[0]] is one


@given(PRICES, PRICES, AGES)
def test_nothing_crossed_locked_stale_or_one_sided_ever_passes(bid, ask, age_s):
    if doubt(Quote("X", bid, ask, 1, 1, NOW - int(age_s * NS), NOW), NOW) is None:
        assert 0 < bid < ask < float("inf")
        assert age_s <= 60
        assert ask - bid <= max(0.10, 0.5 * (bid + ask) / 2) + 1e-9


@pytest.mark.parametrize(
    ("bid", "ask", "age_s", "reason"),
    [
        (1.0, 1.1, 1, None),
        (1.0, 0.0, 1, Reason.NO_QUOTE),
        (0.0, 1.1, 1, Reason.ZERO_BID),
        (float("nan"), 1.1, 1, Reason.ZERO_BID),
        (1.2, 1.1, 99, Reason.CROSSED),
        (1.1, 1.1, 99, Reason.LOCKED),
        (1.0, 9.0, 99, Reason.STALE_QUOTE),
        (1.0, 9.0, 1, Reason.WIDE_SPREAD),
        (0.05, 0.15, 1, None),  # a dime is never wide
    ],
)
def test_the_first_doubt_that_applies_is_the_answer(bid, ask, age_s, reason):
    assert doubt(Quote("X", bid, ask, 1, 1, NOW - age_s * NS, NOW), NOW) is reason


def test_every_code_has_the_reason_of_its_name_and_comes_back():
    assert len(CODES) == len(QuoteCode)
    assert code_name(0) == ""
    for code in QuoteCode:
        assert code_of(code.reason) is code
        assert code.reason is None or code.reason.value == code.name == code_name(code)


def test_a_locked_market_has_a_mid_to_look_at_and_is_refused_all_the_same():
    bid, ask = np.array([2.0, 2.0, 0.05]), np.array([2.0, 1.9, 3.9])
    middle, crossed, wide = mids(bid, ask)
    assert middle[0] == 2.0
    assert np.isnan(middle[1:]).all()
    assert crossed.tolist() == [False, True, False]
    assert wide.tolist() == [False, False, True]
    codes = quote_codes(bid, ask, np.full(3, NOW), NOW)
    assert codes.tolist() == [QuoteCode.LOCKED, QuoteCode.CROSSED, QuoteCode.WIDE_SPREAD]

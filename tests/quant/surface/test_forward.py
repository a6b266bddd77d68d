"""The forward comes from put-call parity, and is not believed where it contradicts the known dividends."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.surface.forward import dividend_forward, forwards, implied_forward, implied_yield
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.status import SurfaceStatus
from tests import golden
from tests.quant.surface.chains import RATE, SPOT, YEARS, YIELD, chain, forward_of

HALF = 0.02


def quoted(columns, half=HALF):
    return np.maximum(columns.value - half, 0.0), columns.value + half


@pytest.mark.parametrize("row", golden.rows("surface", what="implied_forward"), ids=lambda row: row["value"])
def test_golden_implied_forward(row):
    given_ = json.loads(row["inputs"])
    forward = implied_forward(given_["K"], given_["call"], given_["put"], given_["T"], given_["r"])
    golden.assert_close("surface", forward, row["value"])


@pytest.mark.parametrize("row", golden.rows("surface", what="implied_yield"), ids=lambda row: row["value"])
def test_golden_implied_yield(row):
    given_ = json.loads(row["inputs"])
    golden.assert_close("surface", implied_yield(given_["F"], given_["S"], given_["T"], given_["r"]), row["value"])


def test_a_golden_forward_comes_out_of_quotes_too():
    given_ = json.loads(golden.rows("surface", what="implied_forward")[0]["inputs"])
    ladder = Ladder.arrange(given_["T"], given_["K"], [True, False])
    mids = np.array([given_["call"], given_["put"]])
    found = forwards(ladder, 100.1, given_["r"], mids - 0.05, mids + 0.05)
    golden.assert_close("surface", found.forward[0], golden.rows("surface", what="implied_forward")[0]["value"])
    golden.assert_close("surface", found.dividend_yield[0], golden.rows("surface", what="implied_yield")[0]["value"])
    assert found.strikes.tolist() == [1]


@given(
    rate=st.floats(-0.01, 0.1),
    dividend_yield=st.floats(-0.05, 0.08),
    vol=st.floats(0.1, 0.8),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_forward_of_a_flat_chain_is_exact(rate, dividend_yield, vol, shuffle):
    columns = chain(vol, rate=rate, dividend_yield=dividend_yield)
    order = list(range(columns.years.size))
    shuffle.shuffle(order)
    columns = columns.take(np.array(order))
    found = forwards(columns.ladder(), SPOT, rate, *quoted(columns))
    np.testing.assert_allclose(found.forward, forward_of(YEARS, rate, dividend_yield), rtol=1e-12)
    np.testing.assert_allclose(found.dividend_yield, dividend_yield, atol=1e-10)
    assert (found.status == SurfaceStatus.OK).all()
    assert (found.strikes >= 3).all()  # a low volatility leaves the first expiry few bids


def test_the_median_of_the_five_nearest_strikes_ignores_two_wild_quotes():
    columns = chain(years=YEARS[1:2])
    bid, ask = quoted(columns)
    forward = forward_of(YEARS[1:2])
    ladder = columns.ladder()
    near = np.argsort(np.abs(ladder.strike - forward))[:5]
    for wrong in near[:2]:
        bid[ladder.call[wrong]] += 0.4
        ask[ladder.call[wrong]] += 0.4
    np.testing.assert_allclose(forwards(ladder, SPOT, RATE, bid, ask).forward, forward, rtol=1e-12)
    bid[ladder.call[near[2]]] += 0.4
    ask[ladder.call[near[2]]] += 0.4
    assert forwards(ladder, SPOT, RATE, bid, ask).forward[0] > forward[0] + 0.3


def test_only_two_sided_quotes_take_part():
    columns = chain(years=YEARS[2:3])
    bid, ask = quoted(columns)
    ladder = columns.ladder()
    near = np.argsort(np.abs(ladder.strike - forward_of(YEARS[2])))
    bad = ladder.call[near[:6]]
    bid[bad[0]] = np.nan
    ask[bad[1]] = np.nan
    bid[bad[2]] = 0.0
    bid[bad[3]] = ask[bad[3]] + 0.01  # crossed
    ask[bad[4]] = ask[bad[4]] + 50.0  # no mid in such a spread
    ask[bad[5]] = np.inf
    found = forwards(ladder, SPOT, RATE, bid, ask)
    np.testing.assert_allclose(found.forward, forward_of(YEARS[2:3]), rtol=1e-12)
    assert found.strikes[0] == 5


@pytest.mark.parametrize("pairs", [1, 2, 3, 4])
def test_fewer_than_five_pairs_are_enough(pairs):
    columns = chain(years=YEARS[:2], strikes=np.linspace(95, 105, pairs))
    found = forwards(columns.ladder(), SPOT, RATE, *quoted(columns))
    assert found.strikes.tolist() == [pairs, pairs]
    np.testing.assert_allclose(found.forward, forward_of(YEARS[:2]), rtol=1e-12)


def test_without_a_pair_the_dividends_give_the_forward():
    columns = chain()
    bid, ask = quoted(columns)
    bid[(columns.years == YEARS[1]) & columns.is_call] = np.nan
    found = forwards(columns.ladder(), SPOT, RATE, bid, ask, present_value=[0.0, 0.5, 0.5, 0.5, 1.0])
    assert found.status.tolist() == [0, SurfaceStatus.NO_QUOTE, 0, 0, 0]
    assert found.forward[1] == pytest.approx((SPOT - 0.5) * np.exp(RATE * YEARS[1]), rel=1e-14)
    assert found.dividend_yield[1] == pytest.approx(-np.log(1 - 0.5 / SPOT) / YEARS[1], rel=1e-9)
    assert np.isnan(found.parity_forward[1])
    assert found.strikes[1] == 0


def test_a_yield_far_from_the_dividends_flags_hard_to_borrow_and_is_not_used():
    columns = chain(dividend_yield=0.35)
    found = forwards(columns.ladder(), SPOT, RATE, *quoted(columns))
    assert found.hard_to_borrow.all()
    assert (found.status == SurfaceStatus.HARD_TO_BORROW).all()
    np.testing.assert_allclose(found.forward, forward_of(YEARS, RATE, 0.0), rtol=1e-12)
    np.testing.assert_allclose(found.dividend_yield, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.parity_yield, 0.35, atol=1e-9)


@pytest.mark.parametrize(
    ("dividend_yield", "rejected"), [(0.099, False), (0.101, True), (-0.099, False), (-0.101, True)]
)
def test_the_gap_is_ten_points_either_way(dividend_yield, rejected):
    columns = chain(dividend_yield=dividend_yield)
    found = forwards(columns.ladder(), SPOT, RATE, *quoted(columns, 1e-5))
    assert (found.hard_to_borrow == rejected).all()


def test_wide_quotes_are_not_called_hard_to_borrow():
    columns = chain(years=[1 / 365])
    mids = columns.value + np.where(columns.is_call, 0.0, 0.06)  # half a cent of slack would not do it
    found = forwards(columns.ladder(), SPOT, RATE, np.maximum(mids - 0.05, 0), mids + 0.05)
    assert found.status.tolist() == [SurfaceStatus.WIDE_SPREAD]
    np.testing.assert_allclose(found.forward, SPOT * np.exp(RATE / 365))
    assert not found.hard_to_borrow.any()


@pytest.mark.parametrize("spot", [np.nan, 0.0, -5.0, np.inf])
def test_without_a_spot_nothing_can_be_believed(spot):
    columns = chain()
    found = forwards(columns.ladder(), spot, RATE, *quoted(columns))
    assert (found.status == SurfaceStatus.BAD_INPUT).all()
    assert np.isnan(found.dividend_yield).all()
    assert np.isnan(found.forward).all()
    np.testing.assert_allclose(found.parity_forward, forward_of(YEARS), rtol=1e-12)


def test_an_expiry_without_a_rate_is_alone_in_having_no_forward():
    columns = chain()
    found = forwards(columns.ladder(), SPOT, [RATE, np.nan, RATE, RATE, RATE], *quoted(columns))
    assert found.status.tolist() == [0, SurfaceStatus.BAD_INPUT, 0, 0, 0]
    assert np.isnan(found.forward).tolist() == [False, True, False, False, False]


def test_an_empty_chain_has_no_forwards():
    found = forwards(Ladder.arrange([], [], np.zeros(0, bool)), SPOT, RATE, [], [])
    assert found.forward.size == found.status.size == found.strikes.size == 0


@given(
    numbers=st.lists(
        st.one_of(st.floats(), st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e308, 1e-300])), min_size=6, max_size=6
    )
)
def test_single_formulas_answer_anything_without_a_warning(numbers):
    a, b, c, d, e, f = numbers
    with np.errstate(all="raise"):
        implied_forward(a, b, c, d, e)
        implied_yield(a, b, c, d)
        dividend_forward(a, b, c, d)
        ladder = Ladder.arrange([0.1, 0.1], [100.0, 100.0], [True, False])
        forwards(ladder, a, b, [c, d], [e, f], 0.0)


def test_unknown_prices_are_unknown_forwards():
    assert np.isnan(implied_forward(100, np.nan, 3, 0.1, 0.04))
    assert np.isnan(implied_yield([0.0, -1.0, np.nan, 100.0], 100, [0.1, 0.1, 0.1, 0.0], 0.04)).all()
    assert np.isnan(dividend_forward([10.0, 0.0, np.nan], 0.1, 0.04, [10.0, 0.0, 0.0])).all()
    assert float(implied_yield(forward_of(0.5), SPOT, 0.5, RATE)) == pytest.approx(YIELD)

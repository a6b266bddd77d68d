"""The expected move equals the golden rows; with one price missing there is none."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.quant.surface.expected_move import one_deviation, quoted_move, weighted_move
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.status import SurfaceStatus
from tests import golden
from tests.quant.surface.chains import YEARS, chain, forward_of

STRIKES = np.array([90.0, 95.0, 100.0, 105.0, 110.0])


@pytest.mark.parametrize("row", golden.rows("surface", what="expected_move_1sd"), ids=lambda row: row["value"])
def test_golden_one_deviation(row):
    given_ = json.loads(row["inputs"])
    golden.assert_close("surface", one_deviation(given_["S"], given_["iv"], given_["T"]), row["value"])


@pytest.mark.parametrize("row", golden.rows("surface", what="expected_move_weighted"), ids=lambda row: row["value"])
def test_golden_weighted_move(row):
    given_ = json.loads(row["inputs"])
    move = weighted_move(given_["straddle"], given_["strangle1"], given_["strangle2"])
    golden.assert_close("surface", move, row["value"])


def five_strikes(**changes):
    """Calls 12, 8, 5, 3, 2 and puts 1, 2, 4, 7, 11 at 90 … 110."""
    calls, puts = np.array([12.0, 8.0, 5.0, 3.0, 2.0]), np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    strike, is_call = np.tile(STRIKES, 2), np.repeat([True, False], 5)
    mids = np.r_[calls, puts]
    bid, ask = mids - 0.1, mids + 0.1
    for number in changes.get("without_bid", ()):
        bid[number] = 0.0
    return quoted_move(Ladder.arrange(0.1, strike, is_call), changes.get("forward", 100.4), bid, ask)


def test_the_move_is_the_straddle_and_two_strangles_around_the_forward():
    found = five_strikes()
    assert found.status.tolist() == [SurfaceStatus.OK]
    assert found.move.tolist() == [pytest.approx(0.6 * (5 + 4) + 0.3 * (3 + 2) + 0.1 * (2 + 1))]


@pytest.mark.parametrize(
    ("forward", "inside"), [(97.4, False), (97.5, False), (97.6, True), (102.5, True), (102.6, False)]
)
def test_the_straddle_is_at_the_strike_nearest_the_forward(forward, inside):
    # Two strikes are needed on both sides, so only 100 will do; between two the lower one is taken.
    found = five_strikes(forward=forward)
    assert (found.status[0] == SurfaceStatus.OK) == inside
    assert found.status[0] in (SurfaceStatus.OK, SurfaceStatus.NOT_BRACKETED)


@pytest.mark.parametrize("contract", [2, 7, 3, 6, 4, 5])
def test_one_price_missing_and_there_is_no_move(contract):
    found = five_strikes(without_bid=[contract])
    assert found.status.tolist() == [SurfaceStatus.NO_QUOTE]
    assert np.isnan(found.move).all()


@pytest.mark.parametrize("contract", [0, 1, 8, 9])
def test_options_in_the_money_are_not_needed(contract):
    assert five_strikes(without_bid=[contract]).status.tolist() == [SurfaceStatus.OK]


@pytest.mark.parametrize("forward", [np.nan, np.inf, 0.0, -1.0])
def test_without_a_forward_there_is_no_move(forward):
    found = five_strikes(forward=forward)
    assert found.status.tolist() == [SurfaceStatus.BAD_INPUT]
    assert np.isnan(found.move).all()


def test_every_expiry_has_its_own_move():
    columns = chain(years=YEARS)
    found = quoted_move(columns.ladder(), forward_of(YEARS), columns.value - 1e-3, columns.value + 1e-3)
    assert (found.status == SurfaceStatus.OK).all()
    assert (np.diff(found.move) > 0).all()
    alone = chain(years=YEARS[3:4])
    single = quoted_move(alone.ladder(), forward_of(YEARS[3]), alone.value - 1e-3, alone.value + 1e-3)
    assert single.move[0] == pytest.approx(found.move[3], rel=1e-12)


def test_too_few_strikes_or_none():
    columns = chain(years=[0.1], strikes=[100.0])
    found = quoted_move(columns.ladder(), 100.0, columns.value, columns.value)
    assert found.status.tolist() == [SurfaceStatus.NOT_BRACKETED]
    assert quoted_move(Ladder.arrange([], [], np.zeros(0, bool)), 100.0, [], []).move.size == 0


@given(spot=st.floats(allow_nan=True), vol=st.floats(allow_nan=True), years=st.floats(allow_nan=True))
def test_a_deviation_is_known_for_positive_inputs_only_and_never_warns(spot, vol, years):
    with np.errstate(all="raise"):
        move = float(one_deviation(spot, vol, years))
    assert np.isnan(move) == (not (spot > 0 and vol > 0 and years > 0))

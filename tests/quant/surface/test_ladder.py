"""A ladder puts call and put of a strike side by side, whatever order the contracts come in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.errors import BadInput
from qmterm.quant.surface.ladder import Ladder
from tests.quant.surface.chains import STRIKES, YEARS, chain


def test_rows_are_strikes_by_expiry_in_order():
    ladder = chain().ladder()
    assert ladder.expiries == YEARS.size
    assert ladder.rows == YEARS.size * STRIKES.size
    np.testing.assert_array_equal(ladder.years, YEARS)
    np.testing.assert_array_equal(ladder.strike, np.tile(STRIKES, YEARS.size))
    np.testing.assert_array_equal(np.diff(ladder.starts), STRIKES.size)


@given(st.randoms(use_true_random=False), st.integers(0, 360))
def test_any_order_and_any_missing_contract_gives_the_same_neighbours(random, kept):
    columns = chain()
    numbers = list(range(columns.years.size))
    random.shuffle(numbers)
    part = columns.take(np.array(numbers[:kept], dtype=int))
    ladder = part.ladder()
    for contracts, right in ((ladder.call, True), (ladder.put, False)):
        listed = contracts >= 0
        np.testing.assert_array_equal(part.is_call[contracts[listed]], right)
        np.testing.assert_array_equal(part.strike[contracts[listed]], ladder.strike[listed])
        np.testing.assert_array_equal(part.years[contracts[listed]], ladder.years[ladder.expiry[listed]])
    assert (ladder.call >= 0).sum() + (ladder.put >= 0).sum() == kept
    np.testing.assert_array_equal(ladder.strike[ladder.row], part.strike)
    assert (np.diff(ladder.years) > 0).all()
    assert all((np.diff(ladder.strike[a:b]) > 0).all() for a, b in zip(ladder.starts, ladder.starts[1:], strict=False))


def test_contracts_without_time_or_strike_are_in_no_row():
    ladder = Ladder.arrange(
        [0.1, 0.0, -1.0, np.nan, np.inf, 0.1, 0.1], [100.0, 100, 100, 100, 100, 0, np.nan], [True] * 7
    )
    assert ladder.row.tolist() == [0, -1, -1, -1, -1, -1, -1]
    assert ladder.call.tolist() == [0]
    assert ladder.put.tolist() == [-1]


def test_of_equal_contracts_the_first_counts():
    ladder = Ladder.arrange(0.1, [100.0, 100.0, 100.0, 100.0], [False, True, True, False])
    assert (ladder.call.tolist(), ladder.put.tolist(), ladder.row.tolist()) == ([1], [0], [0, 0, 0, 0])


def test_morning_and_evening_expiry_of_one_date_stay_apart():
    ladder = Ladder.arrange([0.1, 0.1 + 6.5 / 8760], 100.0, True)
    assert ladder.expiries == 2


def test_an_empty_chain_has_no_rows():
    ladder = Ladder.arrange([], [], np.zeros(0, dtype=bool))
    assert (ladder.expiries, ladder.rows, ladder.contracts) == (0, 0, 0)
    assert ladder.calls(np.empty(0)).size == 0
    assert ladder.by_expiry(np.empty(0)).size == 0
    assert ladder.starts.tolist() == [0]


def test_values_of_a_side_that_is_not_listed_are_unknown():
    ladder = Ladder.arrange(0.1, [90.0, 95.0, 95.0, 105.0], [False, True, False, True])
    values = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(ladder.calls(values), [np.nan, 2, 4])
    np.testing.assert_array_equal(ladder.puts(values), [1, 3, np.nan])
    forward = np.array([100.0])
    np.testing.assert_array_equal(ladder.outside(values, forward), [1, 3, 4])
    np.testing.assert_array_equal(ladder.outside(values, np.array([110.0])), [1, 3, np.nan])
    np.testing.assert_array_equal(ladder.either(values, np.array([110.0])), [1, 3, 4])


def test_a_column_of_the_expiry_is_read_once():
    columns = chain()
    ladder = columns.ladder()
    np.testing.assert_array_equal(ladder.by_expiry(columns.years * 2), YEARS * 2)


def test_a_column_of_another_length_is_named():
    ladder = chain().ladder()
    with pytest.raises(BadInput, match="argument iv has shape"):
        ladder.column("iv", [0.3, 0.4])
    with pytest.raises(BadInput, match="argument rate has shape"):
        ladder.expiry_column("rate", [0.3, 0.4])
    with pytest.raises(BadInput, match="argument rate is not a number"):
        ladder.expiry_column("rate", "high")

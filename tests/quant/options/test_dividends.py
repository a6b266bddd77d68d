"""Dividend tables: what counts, what it is worth, and what is refused by name."""

import json

import numpy as np
import pytest

from qmterm.core.errors import BadInput
from qmterm.quant.options.dividends import DividendTable
from tests import golden


def test_present_values_are_the_golden_ones():
    rows = golden.rows("american_dividends")
    for row in rows:
        table = DividendTable.shared([(day / 365, cash) for day, cash in json.loads(row["dividends"])])
        worth = float(table.present_value(float(row["r"]), float(row["days"]) / 365))
        assert worth == pytest.approx(float(row["pv_dividends"]), abs=1e-12)


def test_past_dividends_and_those_after_expiry_count_for_nothing():
    table = DividendTable.shared([(-0.1, 1.0), (0.0, 1.0), (0.2, 2.0), (0.5, 4.0), (0.7, 8.0)])
    assert table.present_value(0.0, [0.1, 0.2, 0.5, 0.6, 0.7]).tolist() == [0.0, 2.0, 6.0, 6.0, 14.0]
    assert table.any_before([0.1, 0.2]).tolist() == [False, True]


def test_schedules_are_sorted_and_padded_by_option():
    table = DividendTable.by_option([[(0.5, 1.0), (0.2, 2.0)], [(0.3, 3.0)], []])
    assert table.rows == 3
    assert table.times[0].tolist() == [0.2, 0.5]
    assert table.amounts[0].tolist() == [2.0, 1.0]
    assert table.present_value(0.0, 1.0 * np.ones(3)).tolist() == [3.0, 3.0, 0.0]
    assert table.take(np.array([2, 0])).present_value(0.0, np.ones(2)).tolist() == [0.0, 3.0]
    assert table.take(np.array([False, True, False])).rows == 1


def test_a_shared_schedule_serves_any_number_and_shape_of_options():
    table = DividendTable.shared([(0.5, 1.0)])
    assert table.present_value(0.02, np.full((2, 3), 1.0)).shape == (2, 3)
    assert table.take(np.array([0, 1, 2])) is table
    assert DividendTable.none().present_value(0.02, np.ones(4)).tolist() == [0.0] * 4


def test_a_table_does_not_follow_later_changes_of_the_callers_arrays():
    times = np.array([[0.1, 0.2]])
    table = DividendTable(times, np.array([[1.0, 2.0]]))
    times[:] = 9.0
    assert table.times.tolist() == [[0.1, 0.2]]


@pytest.mark.parametrize(
    ("times", "amounts", "named"),
    [
        ([[np.nan]], [[1.0]], "time"),
        ([[np.inf]], [[1.0]], "time"),
        ([[0.1]], [[np.nan]], "amount"),
        ([[0.1]], [[-0.5]], "negative"),
        ([[0.1, 0.2]], [[0.5]], "shape|both"),
        ([0.1], [0.5], "both"),
        ([["soon"]], [[0.5]], "dividends.times"),
    ],
)
def test_bad_tables_are_refused_by_name(times, amounts, named):
    with pytest.raises(BadInput, match=named):
        DividendTable(times, amounts)


def test_bad_schedules_and_row_counts_are_refused_by_name():
    with pytest.raises(BadInput, match="entry 0 of schedule 1"):
        DividendTable.by_option([[], [(0.1,)]])
    with pytest.raises(BadInput, match="2 rows for 3 options"):
        DividendTable.by_option([[], []]).present_value(0.0, np.ones(3))

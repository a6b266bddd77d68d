"""The windows of a put's exercise do not depend on what lay in the memory that they are listed in."""

from __future__ import annotations

import numpy as np
import pytest

from qmterm.quant.options.escrowed_lanes import COUNT, RATE, YEARS
from qmterm.quant.options.escrowed_put_windows import list_windows

QUARTERS = np.array([0.04, 0.29, 0.54, 0.79])
MADE = np.full(4, 0.0005)


@pytest.mark.parametrize("memory", [np.nan, np.inf, -1e300, 0.0])
def test_a_first_list_reads_nothing_of_what_lies_there(memory):
    lane, windows = np.full(4096, memory), np.full(4096, memory)
    lane[YEARS], lane[RATE] = 1.0, 0.04
    count = list_windows(lane, 0, False, QUARTERS, np.exp(-0.04 * QUARTERS), MADE, windows)
    assert count == lane[COUNT] == 4  # one before each ex-date

"""What solving an option's price gives: its volatility, the Greeks at that volatility, or why there are none.

The trap: where status is not OK every number is NaN, never 0; ask the status, not the numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray

StatusArray = NDArray[np.int8]


class Solved(NamedTuple):
    """Arrays in the arguments' common shape; units of QUANT.md 3.3 (theta $ per calendar day, vega $ per volatility
    point, rho $ per 1 % of rate), all per share; `status` holds `IvStatus` codes."""

    iv: FloatArray
    status: StatusArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    rho: FloatArray

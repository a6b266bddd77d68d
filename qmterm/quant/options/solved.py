"""What solving an option's price gives: its volatility, the Greeks at that volatility, or why there are none.

The trap: where status is not OK every number is NaN, never 0; ask the status, not the numbers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import FloatArray
from qmterm.core.reasons import Reason

StatusArray = NDArray[np.int8]


class IvStatus(IntEnum):
    """Why there is, or is not, a volatility. The solver gives those it can know; the chain knows quotes and ticks."""

    OK = 0
    NO_QUOTE = 1
    CROSSED = 2
    EXPIRED = 3
    EXPIRING = 4
    ABOVE_MAX = 5
    BELOW_INTRINSIC = 6
    NO_TIME_VALUE = 7
    LOW_VEGA = 8
    NO_CONVERGENCE = 9
    BAD_INPUT = 10
    WIDE_SPREAD = 11

    @property
    def reason(self) -> Reason | None:
        """The program's reason code; None for OK."""
        return None if self is IvStatus.OK else Reason[self.name]


STATUS: tuple[Reason | None, ...] = tuple(status.reason for status in IvStatus)


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

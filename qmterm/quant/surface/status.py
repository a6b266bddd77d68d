"""Why a number of an expiry does not exist, as codes beside the arrays of this room."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qmterm.core.reasons import Reason

StatusArray = NDArray[np.int8]


class SurfaceStatus(IntEnum):
    OK = 0
    NO_QUOTE = 1  # no usable quote or volatility in the expiry
    NOT_BRACKETED = 2  # the listed strikes, deltas or expiries do not reach around the wanted point
    BAD_INPUT = 3
    HARD_TO_BORROW = 4  # the forward lies where borrowed shares cost much: not believed as a dividend yield
    WIDE_SPREAD = 5  # the forward lies off, but within what the quotes leave open
    NEGATIVE_VARIANCE = 6  # total variance falls with time: calendar arbitrage

    @property
    def reason(self) -> Reason | None:
        """The program's reason code; None for OK."""
        return None if self is SurfaceStatus.OK else Reason[self.name]

"""Prices in another unit than the previous close: cents for dollars, or a split that nobody told.

The trap: a service that changes its unit changes it everywhere at once, so that its own bands, day ranges and even its
previous closes agree with the wrong price. What was known before it did so is what it is held against.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray

# Times the previous close, either way, that no stock moves in a day.
FAR = 40.0


def far_off(price: FloatArray, previous_close: FloatArray) -> BoolArray:
    """Prices so far from the previous close that they are in another unit; one that is not known allows everything.

    Bands do not show that: on a stream in cents they are in cents, too.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        known = (previous_close > 0) & (price > 0)
        return np.asarray(known & ((price > FAR * previous_close) | (price * FAR < previous_close)))

"""Options in and out of the lanes of a block: which can be answered, how they are loaded, when a block has settled.

The trap: a step is judged in units of v = σ√T, the width of the distribution; a boundary that is right to a cent on a
wide one is nonsense on a narrow one.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.kernel import piece
from qmterm.quant.options.american_curve import (
    DA,
    DC,
    DX,
    ERROR,
    IN_VOL,
    LANES,
    LOG_SPOT,
    ROW_SIZE,
    SPOT,
    A,
    C,
    V,
    X,
)
from qmterm.quant.options.american_rule import NODES
from qmterm.quant.options.european_lanes import MOST, makes_sense
from qmterm.quant.options.implied_vol import MIN_YEARS, TIME_VALUE_FLOOR
from qmterm.quant.options.solved import IvStatus

# Rows of `numbers`.
PRICE, STOCK, STRIKE, YEARS, RATE, YIELD, VOL = range(7)

# Of v: where a boundary stands still. A price needs less (a step leaves about its square), Greeks near exercise do not.
CURVE_TOLERANCE = 5e-4
CURVE_STILL_GOOD = 2e-2  # what may be left where the rounds end
FAR = 1e5  # in tolerances: no answer at all

_OK = int(IvStatus.OK)
_NO_QUOTE = int(IvStatus.NO_QUOTE)
_EXPIRED = int(IvStatus.EXPIRED)
_EXPIRING = int(IvStatus.EXPIRING)
_ABOVE_MAX = int(IvStatus.ABOVE_MAX)
_BELOW_INTRINSIC = int(IvStatus.BELOW_INTRINSIC)
_NO_TIME_VALUE = int(IvStatus.NO_TIME_VALUE)
_BAD_INPUT = int(IvStatus.BAD_INPUT)


@piece
def price_status(p: float, s: float, k: float, t: float, r: float, q: float, call: bool) -> int:
    """What a price alone says, checked in the order of QUANT.md 3.5; OK when there is something to solve."""
    if not makes_sense(s, k, t, r, q) or np.isinf(p):
        return _BAD_INPUT
    if t <= 0.0:
        return _EXPIRED
    if t < MIN_YEARS:
        return _EXPIRING
    if np.isnan(p):
        return _NO_QUOTE
    if p >= (s if call else k):
        return _ABOVE_MAX
    gain = s - k if call else k - s
    held = s * np.exp(-q * t) - k * np.exp(-r * t)
    value = p - max(0.0, gain, held if call else -held)
    if value < -TIME_VALUE_FLOOR:
        return _BELOW_INTRINSIC
    if value <= TIME_VALUE_FLOOR:
        return _NO_TIME_VALUE
    return _OK


@piece
def is_usable(s: float, k: float, t: float, r: float, q: float, v: float) -> bool:
    """Whether an option has a price at all."""
    return bool(makes_sense(s, k, t, r, q) and t > 0.0 and 0.0 < v <= MOST)


@piece
def load(lane: FloatArray, w: int, s: float, k: float, t: float, r: float, q: float, vol: float, call: bool) -> None:
    """Option as the put on a strike of 1; the right decides which of the put's rates is the market's rate."""
    own = (q if call else r) * t
    other = (r if call else q) * t
    spot = k / s if call else s / k
    lane[SPOT + w] = spot
    lane[LOG_SPOT + w] = np.log(spot)
    # A distribution of no width, or one without end, would only divide by zero.
    lane[V + w] = min(max(vol * np.sqrt(t), 1e-8), 20.0)
    lane[A + w] = own
    lane[C + w] = other
    lane[DA + w] = 0.0 if call else t
    lane[DC + w] = t if call else 0.0
    starts_lower = own < other and other > 0.0
    lane[X + w] = np.log(own / other) if starts_lower else 0.0
    lane[DX + w] = (lane[DA + w] / own - lane[DC + w] / other) if starts_lower else 0.0


@piece
def load_nothing(lane: FloatArray, w: int) -> None:
    """An easy option for a lane without one."""
    load(lane, w, 1.0, 1.0, 0.25, 0.04, 0.0, 0.4, False)


@piece
def unsettled(lane: FloatArray, system: FloatArray, waits: FloatArray) -> None:
    """waits[w] = the largest move of a node that the system asks of each lane, in CURVE_TOLERANCE of v.

    Infinite where a node has no answer.
    """
    for w in range(LANES):
        waits[w] = 0.0
    for k in range(NODES):
        for w in range(LANES):
            step = abs(system[k * ROW_SIZE + ERROR + w]) / (CURVE_TOLERANCE * lane[V + w])
            waits[w] = max(waits[w], step if step < FAR else np.inf)


@piece
def waiting(used: FloatArray, waits: FloatArray) -> int:
    """How many of the lanes in use have a step to make; `waits` becomes 0 in all others."""
    count = 0
    for w in range(LANES):
        waits[w] = waits[w] if (used[w] > 0.0) & (waits[w] > 1.0) else 0.0
        count += 1 if waits[w] > 0.0 else 0
    return count


@piece
def move_curve(lane: FloatArray, curve: FloatArray, system: FloatArray, moved: FloatArray, waits: FloatArray) -> None:
    """One Newton step of the boundaries, `moved` being that of v; never across their start, nor far off.

    Only where `waits` is above 0: what has settled stays, so that no number depends on its neighbours.
    """
    for k in range(NODES):
        for w in range(LANES):
            y = curve[k * LANES + w]
            step = y - system[k * ROW_SIZE + ERROR + w] - system[k * ROW_SIZE + IN_VOL + w] * moved[w]
            step = max(2.0 * y - 0.1 * lane[V + w], min(0.4 * y, step))
            curve[k * LANES + w] = step if (step < 0.0) & (waits[w] > 0.0) else y

"""Which options have an answer under the escrowed model, and the least a price can be (QUANT.md 3.5).

The trap: the least value counts every date at which exercise is known to be possible, not today and expiry alone; a
price below it has no volatility although it passes the European test.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.kernel import piece
from qmterm.quant.options.implied_vol import MIN_YEARS, TIME_VALUE_FLOOR, IvStatus

# Rows of the inputs.
IN_SPOT, IN_STRIKE, IN_YEARS, IN_RATE, IN_YIELD, IN_VOL, IN_PRICE = range(7)
# What is wanted.
PRICES, GREEKS, SOLVE = range(3)
# Rows of what is filled.
OUT_PRICE, OUT_VOL, OUT_DELTA, OUT_GAMMA, OUT_THETA, OUT_VEGA, OUT_RHO = range(7)
OUTPUTS = 7

MOST_GROWTH = 50.0  # |rate|·years: beyond, sums leave the range of numbers

_OK = int(IvStatus.OK)
_NO_QUOTE = int(IvStatus.NO_QUOTE)
_EXPIRED = int(IvStatus.EXPIRED)
_EXPIRING = int(IvStatus.EXPIRING)
_ABOVE_MAX = int(IvStatus.ABOVE_MAX)
_BELOW_INTRINSIC = int(IvStatus.BELOW_INTRINSIC)
_NO_TIME_VALUE = int(IvStatus.NO_TIME_VALUE)
_BAD_INPUT = int(IvStatus.BAD_INPUT)


@piece
def never_exercised(t: float, r: float, q: float, k: float, call: bool, when: FloatArray, cash: FloatArray) -> bool:
    """Whether waiting is always better, so that the option is worth its European value exactly."""
    if not call:
        return r <= 0.0 <= q
    if r < 0.0 or q > 0.0:
        return False
    # Exercise before an ex-date can pay only if all dividends from then on outweigh the interest on the strike.
    to_come = 0.0
    for j in range(when.size - 1, -1, -1):
        if 0.0 < when[j] <= t and cash[j] > 0.0:
            to_come += cash[j] * np.exp(-r * when[j])
            if to_come > k * (np.exp(-r * when[j]) - np.exp(-r * t)):
                return False
    return True


@piece
def lowest_value(
    s: float, f: float, k: float, t: float, r: float, q: float, call: bool, when: FloatArray, cash: FloatArray
) -> float:
    """The best of exercising now, on any ex-date (before it a call, after it a put) or at expiry if nothing moved."""
    sign = 1.0 if call else -1.0
    best: float = max(0.0, sign * (s - k), sign * (f * np.exp(-q * t) - k * np.exp(-r * t)))
    to_come = s - f
    for j in range(when.size):
        if 0.0 < when[j] <= t and cash[j] > 0.0:
            worth = cash[j] * np.exp(-r * when[j])
            left = to_come if call else to_come - worth
            best = max(best, sign * (f * np.exp(-q * when[j]) + left - k * np.exp(-r * when[j])))
            to_come -= worth
    return best


@piece
def admit(numbers: FloatArray, i: int, call: bool, solving: bool, f: float, lowest: float) -> int:
    """The reason why an option has no answer, or OK; f is its escrowed spot, lowest its least value (if solving)."""
    s, k, t = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
    r, q, p = numbers[IN_RATE, i], numbers[IN_YIELD, i], numbers[IN_PRICE, i]
    if not (s > 0.0 and k > 0.0 and np.isfinite(s + k) and np.isfinite(t) and np.isfinite(r + q)):
        return _BAD_INPUT
    if t <= 0.0:
        return _EXPIRED
    if not max(abs(r), abs(q)) * t < MOST_GROWTH:
        return _BAD_INPUT
    if not (f > 0.0 and np.isfinite(f)):  # dividends worth more than the share
        return _BAD_INPUT
    if not solving:
        v = numbers[IN_VOL, i]
        return _OK if v > 0.0 and np.isfinite(v) else _BAD_INPUT
    if np.isinf(p):
        return _BAD_INPUT
    if t < MIN_YEARS:
        return _EXPIRING
    if np.isnan(p):
        return _NO_QUOTE
    if p >= (max(s, f * np.exp(-q * t)) if call else max(k, k * np.exp(-r * t))):
        return _ABOVE_MAX
    value = p - lowest
    if value < -TIME_VALUE_FLOOR:
        return _BELOW_INTRINSIC
    return _NO_TIME_VALUE if value <= TIME_VALUE_FLOOR else _OK

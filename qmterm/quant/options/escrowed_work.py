"""The stages an option goes through under the escrowed model: admission, the search for its volatility, its Greeks.

Options are worked on in chunks; each stage packs those of the chunk that still need it, eight at a time, into the
lattice. A price is Black–Scholes on S − PV(D) plus the premium, extrapolated from lattices of one and two times BASE
steps. The search is Newton's on the whole price, kept in a bracket, first on a small lattice. The trap: all of this is
one array kernel on purpose: the lattice is long, and each kernel that holds it compiles it again.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.normal import cdf, pdf
from qmterm.quant.options.escrowed_lattice import CURVE, FOUND, NEXT_DAY, PREMIUM, SLOPE, premiums
from qmterm.quant.options.escrowed_levels import (
    DAY,
    ESCROWED,
    LANES,
    LATER,
    PARAMETERS,
    RATE,
    SIGN,
    STRIKE,
    VOL,
    YEARS,
    YIELD,
    half_width,
    most_levels,
)
from qmterm.quant.options.implied_vol import MIN_YEARS, TIME_VALUE_FLOOR, IvStatus, StatusArray

PRICES, GREEKS, SOLVE = range(3)
# Rows of the inputs and of what is filled.
IN_SPOT, IN_STRIKE, IN_YEARS, IN_RATE, IN_YIELD, IN_VOL, IN_PRICE = range(7)
OUT_PRICE, OUT_VOL, OUT_DELTA, OUT_GAMMA, OUT_THETA, OUT_VEGA, OUT_RHO = range(7)
OUTPUTS = 7

CHUNK = 64
BASE = 32  # steps of the lattice the bumps use; prices combine it with one of twice as many
ROUGH = 12  # steps of the search's first lattice
MIN_VOL = 1e-4
MAX_VOL = 10.0
VOL_BUMP = 0.01  # of the volatility
RATE_BUMP = 1e-3
MAX_ROUNDS = 40
CLOSE_ENOUGH = 2e-3  # of the volatility: Newton's error after a step goes with its square

# Stages, in the order in which a chunk goes through them.
_ROUGH, _ROUGH_UP, _HALF, _HALF_UP, _FULL, _RATE_UP, _END = range(7)

_OK = int(IvStatus.OK)
_NO_QUOTE = int(IvStatus.NO_QUOTE)
_EXPIRED = int(IvStatus.EXPIRED)
_EXPIRING = int(IvStatus.EXPIRING)
_ABOVE_MAX = int(IvStatus.ABOVE_MAX)
_BELOW_INTRINSIC = int(IvStatus.BELOW_INTRINSIC)
_NO_TIME_VALUE = int(IvStatus.NO_TIME_VALUE)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)
_BAD_INPUT = int(IvStatus.BAD_INPUT)


@piece
def escrowed_spot(s: float, t: float, r: float, when: FloatArray, cash: FloatArray, passed: float) -> float:
    """S less the dividends still to come, seen `passed` years from now; one that went ex meanwhile counts in full."""
    for k in range(when.size):
        if 0.0 < when[k] <= t:
            s -= cash[k] * np.exp(-r * max(0.0, when[k] - passed))
    return s


@piece
def never_exercised(t: float, r: float, q: float, k: float, call: bool, when: FloatArray, cash: FloatArray) -> bool:
    """Whether waiting is always better, so that the option is worth its European value exactly."""
    if not call:
        return r <= 0.0 <= q
    if r < 0.0 or q > 0.0:
        return False
    # Before each ex-date the dividend must outweigh the interest on the strike until the next date to act.
    ahead = t
    paid_ahead = 0.0
    for j in range(when.size - 1, -1, -1):
        if 0.0 < when[j] <= t and cash[j] > 0.0:
            if when[j] == ahead:
                paid_ahead += cash[j]
            else:
                paid_ahead = cash[j]
            if paid_ahead > k * (1.0 - np.exp(-r * (ahead - when[j]))):
                return False
            ahead = when[j]
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
def european(
    f: float, k: float, t: float, r: float, q: float, v: float, sign: float
) -> tuple[float, float, float, float, float]:
    """Value, delta, gamma, vega and rho in natural units."""
    deviation = v * np.sqrt(t)
    d1 = (log(f / k) + (r - q) * t) / deviation + 0.5 * deviation
    share = exp(-q * t)
    bond = k * exp(-r * t)
    n1 = cdf(sign * d1)
    n2 = cdf(sign * (d1 - deviation))
    density = share * pdf(d1)
    return (
        max(0.0, sign * (f * share * n1 - bond * n2)),
        sign * share * n1,
        density / (f * deviation),
        f * density * np.sqrt(t),
        sign * t * bond * n2,
    )


@piece
def admit(numbers: FloatArray, i: int, call: bool, solving: bool, when: FloatArray, cash: FloatArray) -> int:
    """The reason why an option has no answer, or OK."""
    s, k, t = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
    r, q, p = numbers[IN_RATE, i], numbers[IN_YIELD, i], numbers[IN_PRICE, i]
    if not (s > 0.0 and k > 0.0 and np.isfinite(s + k) and np.isfinite(t) and np.isfinite(r + q)):
        return _BAD_INPUT
    if t <= 0.0:
        return _EXPIRED
    f = escrowed_spot(s, t, r, when, cash, 0.0)
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
    value = p - lowest_value(s, f, k, t, r, q, call, when, cash)
    if value < -TIME_VALUE_FLOOR:
        return _BELOW_INTRINSIC
    return _NO_TIME_VALUE if value <= TIME_VALUE_FLOOR else _OK


@piece
def improve(value: float, steepness: float, wanted: float, c: int, vol: FloatArray, bracket: FloatArray) -> float:
    """Newton's next volatility, or the middle of the bracket, which this value narrows."""
    v = vol[c]
    if value > wanted:
        bracket[1, c] = min(bracket[1, c], v)
    else:
        bracket[0, c] = max(bracket[0, c], v)
    moved = v - (value - wanted) / steepness if steepness > 0.0 else np.nan
    if not bracket[0, c] < moved < bracket[1, c]:
        moved = 0.5 * (bracket[0, c] + bracket[1, c])
    return moved


@piece
def report(
    numbers: FloatArray,
    i: int,
    c: int,
    call: bool,
    vol: float,
    seen: float,
    when: FloatArray,
    cash: FloatArray,
    found: FloatArray,
    out: FloatArray,
) -> None:
    """Value and Greeks: the European ones exactly, the premium's from the lattices at a volatility close by."""
    s, k, t = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
    r, q = numbers[IN_RATE, i], numbers[IN_YIELD, i]
    sign = 1.0 if call else -1.0
    f = escrowed_spot(s, t, r, when, cash, 0.0)
    value, delta, gamma, vega, rho = european(f, k, t, r, q, vol, sign)
    exercised = sign * (s - k)
    half = found[_HALF, PREMIUM, c]
    premium = max(0.0, 2.0 * found[_FULL, PREMIUM, c] - half)
    worth = value + premium
    out[OUT_PRICE, i] = max(worth, exercised)
    out[OUT_VOL, i] = vol
    theta = np.nan
    if t > DAY:
        later = escrowed_spot(s, t, r, when, cash, DAY)
        next_value, _, _, _, _ = european(later, k, t - DAY, r, q, vol, sign)
        next_premium = max(0.0, 2.0 * found[_FULL, NEXT_DAY, c] - found[_HALF, NEXT_DAY, c])
        theta = max(next_value + next_premium, exercised) - out[OUT_PRICE, i]
    out[OUT_THETA, i] = theta
    if exercised >= worth:
        out[OUT_DELTA, i] = sign
        out[OUT_GAMMA, i] = 0.0
        out[OUT_VEGA, i] = 0.0
        out[OUT_RHO, i] = 0.0
        return
    delta_all = delta + 2.0 * found[_FULL, SLOPE, c] - found[_HALF, SLOPE, c]
    out[OUT_DELTA, i] = sign * min(max(sign * delta_all, 0.0), 1.0)
    out[OUT_GAMMA, i] = max(0.0, gamma + 2.0 * found[_FULL, CURVE, c] - found[_HALF, CURVE, c])
    out[OUT_VEGA, i] = max(0.0, vega + (found[_HALF_UP, PREMIUM, c] - half) / (VOL_BUMP * seen)) / 100.0
    moved = 0.0
    for j in range(when.size):
        if 0.0 < when[j] <= t:
            moved += when[j] * cash[j] * np.exp(-r * when[j])
    bumped = found[_RATE_UP, PREMIUM, c] - half if found[_FULL, PREMIUM, c] != 0.0 else 0.0
    out[OUT_RHO, i] = (rho + delta * moved + bumped / RATE_BUMP) / 100.0


@array_kernel(small=LANES, parallel_from=4 * CHUNK)
def work(
    low: int,
    high: int,
    mode: int,
    numbers: FloatArray,
    calls: BoolArray,
    times: FloatArray,
    amounts: FloatArray,
    out: FloatArray,
    status: StatusArray,
) -> None:
    """numbers (7, n): IN_… rows, with the European volatility of the price as IN_VOL when solving; times, amounts
    (1 or n, k): the dividends. Fills out (7, n) and status (n,)."""
    dividends = times.shape[1]
    levels = max(most_levels(BASE, 2, dividends), most_levels(ROUGH, 1, dividends))
    nodes = 2 * half_width(2 * BASE) + 1
    parameters = np.empty((PARAMETERS, LANES))
    when = np.empty((LANES, dividends))
    cash = np.empty((LANES, dividends))
    ends = np.empty((LANES, dividends + 3))
    paid = np.empty((LANES, dividends + 3))
    coefficients = np.empty((levels + 1, 4, LANES))
    power = np.empty((nodes, LANES))
    values = np.empty((2, nodes, LANES))
    europeans = np.empty((2, nodes, LANES))
    block = np.empty((FOUND, LANES))
    found = np.zeros((_END, FOUND, CHUNK))
    vol = np.empty(CHUNK)
    seen = np.empty(CHUNK)  # the volatility the lattices were made with
    bracket = np.empty((2, CHUNK))
    searching = np.zeros(CHUNK, np.bool_)
    todo = np.empty(CHUNK, np.int64)
    own = times.shape[0] > 1
    for begin in range(low, high, CHUNK):
        count = min(CHUNK, high - begin)
        found[:] = 0.0
        for c in range(count):
            i = begin + c
            row = i if own else 0
            code = admit(numbers, i, calls[i], mode == SOLVE, times[row], amounts[row])
            status[i] = code
            searching[c] = False
            vol[c] = numbers[IN_VOL, i]
            if code != _OK:
                continue
            bracket[0, c], bracket[1, c] = MIN_VOL, MAX_VOL
            k, t, r, q = numbers[IN_STRIKE, i], numbers[IN_YEARS, i], numbers[IN_RATE, i], numbers[IN_YIELD, i]
            searching[c] = not never_exercised(t, r, q, k, calls[i], times[row], amounts[row])
            if mode == SOLVE:
                if not searching[c] and not vol[c] > 0.0:
                    status[i] = _NO_CONVERGENCE
                if searching[c] and not vol[c] < MAX_VOL:  # the price is above all European ones
                    vol[c] = min(1.0 / np.sqrt(t), 0.5 * MAX_VOL)
                vol[c] = max(vol[c], 2.0 * MIN_VOL)
            seen[c] = vol[c]
        stage = _ROUGH if mode == SOLVE else _HALF
        rounds = 0
        while stage < _END:
            waiting = 0
            for c in range(count):
                if status[begin + c] == _OK and (
                    searching[c] or (stage == _RATE_UP and found[_FULL, PREMIUM, c] != 0.0)
                ):
                    todo[waiting] = c
                    waiting += 1
            steps = ROUGH if stage <= _ROUGH_UP else BASE
            fineness = 2 if stage == _FULL else 1
            for first in range(0, waiting, LANES):
                for lane in range(LANES):
                    c = todo[min(first + lane, waiting - 1)]
                    i = begin + c
                    row = i if own else 0
                    if stage in (_ROUGH, _HALF):
                        seen[c] = vol[c]
                    s, t = numbers[IN_SPOT, i], numbers[IN_YEARS, i]
                    r = numbers[IN_RATE, i] + (RATE_BUMP if stage == _RATE_UP else 0.0)
                    for j in range(dividends):
                        when[lane, j] = times[row, j]
                        cash[lane, j] = amounts[row, j]
                    bump = VOL_BUMP if stage in (_ROUGH_UP, _HALF_UP) else 0.0
                    parameters[ESCROWED, lane] = escrowed_spot(s, t, r, when[lane], cash[lane], 0.0)
                    parameters[LATER, lane] = escrowed_spot(s, t, r, when[lane], cash[lane], DAY)
                    parameters[STRIKE, lane] = numbers[IN_STRIKE, i]
                    parameters[YEARS, lane] = t
                    parameters[RATE, lane] = r
                    parameters[YIELD, lane] = numbers[IN_YIELD, i]
                    parameters[VOL, lane] = seen[c] * (1.0 + bump)
                    parameters[SIGN, lane] = 1.0 if calls[i] else -1.0
                premiums(
                    steps,
                    fineness,
                    parameters,
                    when,
                    cash,
                    ends,
                    paid,
                    coefficients,
                    power,
                    values,
                    europeans,
                    block,
                )
                for lane in range(min(LANES, waiting - first)):
                    for j in range(FOUND):
                        found[stage, j, todo[first + lane]] = block[j, lane]
            if mode == SOLVE and stage in (_ROUGH_UP, _FULL):
                rounds += 1
                left = False
                base = _ROUGH if stage == _ROUGH_UP else _HALF
                for index in range(waiting):
                    c = todo[index]
                    i = begin + c
                    row = i if own else 0
                    s, k, t = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
                    r, q = numbers[IN_RATE, i], numbers[IN_YIELD, i]
                    sign = 1.0 if calls[i] else -1.0
                    f = escrowed_spot(s, t, r, times[row], amounts[row], 0.0)
                    value, _, _, vega, _ = european(f, k, t, r, q, seen[c], sign)
                    premium = found[base, PREMIUM, c]
                    vega += (found[base + 1, PREMIUM, c] - premium) / (VOL_BUMP * seen[c])
                    if stage == _FULL:
                        premium = 2.0 * found[_FULL, PREMIUM, c] - premium
                    value = max(value + max(0.0, premium), sign * (s - k))
                    vol[c] = improve(value, vega, numbers[IN_PRICE, i], c, vol, bracket)
                    if stage == _ROUGH_UP:
                        bracket[0, c], bracket[1, c] = MIN_VOL, MAX_VOL
                    elif abs(vol[c] - seen[c]) <= CLOSE_ENOUGH * seen[c]:
                        searching[c] = False
                    elif rounds > MAX_ROUNDS:
                        status[i] = _NO_CONVERGENCE
                        searching[c] = False
                    else:
                        left = True
                stage = _HALF if left or stage == _ROUGH_UP else _RATE_UP
            elif stage == _FULL and mode == PRICES:
                stage = _END
            else:
                stage += 1
            if stage == _HALF_UP and mode == PRICES:
                stage = _FULL
        for c in range(count):
            i = begin + c
            row = i if own else 0
            if status[i] != _OK:
                for j in range(OUTPUTS):
                    out[j, i] = np.nan
                continue
            report(numbers, i, c, calls[i], vol[c], seen[c], times[row], amounts[row], found, out)

"""Value, Greeks and volatility of options under the escrowed model, one after the other, from the lattice's premiums.

A value is Black–Scholes on S − PV(D) plus the premium; lattices of BASE and twice as many steps extrapolate a put's
premium, which errs with the length of a step. The search for a volatility is Newton's on the whole value, kept in a
bracket, first with a small lattice. The trap: Greeks and search bump the lattice of BASE steps, and only its premium:
the European part is exact, so its derivatives are formulas.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.elementary import exp
from qmterm.quant.kernel import array_kernel, piece
from qmterm.quant.options.escrowed_bounds import (
    IN_PRICE,
    IN_RATE,
    IN_SPOT,
    IN_STRIKE,
    IN_VOL,
    IN_YEARS,
    IN_YIELD,
    OUT_DELTA,
    OUT_GAMMA,
    OUT_PRICE,
    OUT_RHO,
    OUT_THETA,
    OUT_VEGA,
    OUT_VOL,
    OUTPUTS,
    PRICES,
    SOLVE,
    admit,
    lowest_value,
    never_exercised,
)
from qmterm.quant.options.escrowed_dates import MOST_DATES, Dates, dates_premium, make_dates
from qmterm.quant.options.escrowed_lattice import Room, make_room, premium_of
from qmterm.quant.options.escrowed_option import DAY, Escrowed, Premium, escrowed_spot, european, section
from qmterm.quant.options.implied_vol import IvStatus, StatusArray

SMALL = 4  # options done in plain Python while nothing is compiled
PARALLEL_FROM = 128
BASE = 32  # steps of the lattice the bumps use; values combine it with one of twice as many
EXTRAPOLATED = 0.5  # of the step from the coarse lattice to the fine one; all of it would double their noise
ROUGH = 12  # steps of the search's first lattice
LEAST_YEARS = 1e-10
LEAST_DEVIATION = 1e-7  # σ√T
MOST_DEVIATION = 40.0
MIN_VOL = 1e-4
MAX_VOL = 10.0
VOL_BUMP = 0.01  # of the volatility
RATE_BUMP = 1e-3
MAX_ROUNDS = 40
ROUGH_ROUNDS = 4
CLOSE_ENOUGH_AT_EDGE = 1e-5
NEAR = 0.02  # of the volatility: what the rough search has to reach
CLOSE_ENOUGH = 2e-3  # of the volatility: Newton's error after a step goes with its square

_OK = int(IvStatus.OK)
_NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)
_NONE = Premium(0.0, 0.0, 0.0, 0.0)


@section
def escrow(
    numbers: FloatArray, i: int, call: bool, vol: float, rate_bump: float, when: FloatArray, cash: FloatArray
) -> Escrowed:
    """Option i at a volatility and a moved rate."""
    s, t, r = numbers[IN_SPOT, i], numbers[IN_YEARS, i], numbers[IN_RATE, i] + rate_bump
    # Outside these nothing moves any more, and numbers would leave their range.
    years = max(t, LEAST_YEARS)
    vol = min(max(vol, LEAST_DEVIATION / np.sqrt(years)), MOST_DEVIATION / np.sqrt(years))
    return Escrowed(
        escrowed_spot(s, t, r, when, cash, 0.0),
        escrowed_spot(s, t, r, when, cash, DAY),
        numbers[IN_STRIKE, i],
        years,
        r,
        numbers[IN_YIELD, i],
        vol,
        1.0 if call else -1.0,
    )


class Desk(NamedTuple):
    """The arrays both methods work in."""

    room: Room
    dates: Dates


@piece
def by_dates(option: Escrowed) -> bool:
    """Whether only ex-dates can end the option early."""
    return option.sign > 0.0 and option.rate >= 0.0 and option.dividend_yield == 0.0


@piece
def combined(option: Escrowed, half: Premium, full: Premium) -> Premium:
    """The premium two lattices point at: where any moment is one to exercise, they err with the length of a step.

    Not so a call's with dividends, mostly taken just before ex-dates, which are levels of both.
    """
    more = 0.0 if option.sign > 0.0 and option.later != option.spot else EXTRAPOLATED
    return Premium(
        max(0.0, full.value + more * (full.value - half.value)),
        full.slope + more * (full.slope - half.slope),
        full.curve + more * (full.curve - half.curve),
        max(0.0, full.next_day + more * (full.next_day - half.next_day)),
    )


@section
def premiums(
    option: Escrowed, base: int, fine: bool, when: FloatArray, cash: FloatArray, desk: Desk
) -> tuple[Premium, Premium]:
    """The premium from base steps and, if `fine`, from twice as many; calls that only ex-dates can end have one."""
    if by_dates(option):
        most = 1 if base == ROUGH else MOST_DATES
        exact = dates_premium(option, most, False, when, cash, desk.dates)
        if np.isfinite(exact.value):
            return exact, exact
    half = premium_of(option, base, 1, when, cash, desk.room)
    return half, premium_of(option, base, 2, when, cash, desk.room) if fine else half


@piece
def next_vol(value: float, steepness: float, wanted: float, v: float, low: float, high: float) -> float:
    """Newton's next volatility, or the middle of the bracket when it would leave it."""
    moved = v - (value - wanted) / steepness if steepness > 0.0 else np.nan
    return moved if low <= moved <= high else 0.5 * (low + high)


@piece
def most_value(numbers: FloatArray, i: int, option: Escrowed) -> float:
    """What a price can never exceed: a call the share, a put the strike, or their European bounds if these are more."""
    if option.sign > 0.0:
        return float(max(numbers[IN_SPOT, i], option.spot * exp(-option.dividend_yield * option.years)))
    return float(option.strike * max(1.0, exp(-option.rate * option.years)))


@piece
def whole(numbers: FloatArray, i: int, option: Escrowed, premium: float) -> tuple[float, float]:
    """The value with a premium, never less than exercise now, and the European vega."""
    value, _, _, vega, _ = european(option)
    most = most_value(numbers, i, option)
    return min(max(value + premium, option.sign * (numbers[IN_SPOT, i] - option.strike)), most), vega


@section
def search(
    numbers: FloatArray, i: int, call: bool, when: FloatArray, cash: FloatArray, desk: Desk
) -> tuple[float, float, Premium, Premium, int]:
    """The volatility of a price; the one the lattices were made with, half and full; the status."""
    wanted = numbers[IN_PRICE, i]
    v = numbers[IN_VOL, i]
    if not v < MAX_VOL:  # the price is above all European ones
        v = min(1.0 / np.sqrt(numbers[IN_YEARS, i]), 0.5 * MAX_VOL)
    v = max(v, 2.0 * MIN_VOL)
    half = full = _NONE
    slope = 0.0
    for attempt in range(ROUGH_ROUNDS):
        option = escrow(numbers, i, call, v, 0.0, when, cash)
        half, _ = premiums(option, ROUGH, False, when, cash, desk)
        bumped = escrow(numbers, i, call, v * (1.0 + VOL_BUMP), 0.0, when, cash)
        slope = (premiums(bumped, ROUGH, False, when, cash, desk)[0].value - half.value) / (VOL_BUMP * v)
        value, vega = whole(numbers, i, option, half.value)
        moved = next_vol(value, vega + slope, wanted, v, MIN_VOL, MAX_VOL if attempt == 0 else 1.5 * v)
        near = abs(moved - v) <= NEAR * v
        v = moved
        if near:
            break
    low, high = MIN_VOL, MAX_VOL
    before = before_premium = 0.0
    for attempt in range(MAX_ROUNDS):
        option = escrow(numbers, i, call, v, 0.0, when, cash)
        half, full = premiums(option, BASE, True, when, cash, desk)
        premium = combined(option, half, full).value
        value, vega = whole(numbers, i, option, premium)
        if value > wanted:
            high = v
        else:
            low = v
        if attempt > 0:
            slope = (premium - before_premium) / (v - before)
        moved = next_vol(value, vega + slope, wanted, v, low, high)
        # Where the premium takes most of vega away, what is left of it is known less well.
        close = CLOSE_ENOUGH if vega + slope > 0.5 * vega else CLOSE_ENOUGH_AT_EDGE
        if abs(moved - v) <= close * v:
            return moved, v, half, full, _OK
        before, before_premium = v, premium
        v = moved
    return np.nan, v, half, full, _NO_CONVERGENCE


@piece
def missed(whole_premium: float, lattice_premium: float) -> float:
    """The factor from what one lattice finds to the combined premium."""
    return min(max(whole_premium / lattice_premium, 0.5), 2.0) if lattice_premium > 1e-6 else 1.0


@section
def report(
    numbers: FloatArray,
    i: int,
    call: bool,
    vol: float,
    seen: float,
    half: Premium,
    full: Premium,
    when: FloatArray,
    cash: FloatArray,
    desk: Desk,
    out: FloatArray,
) -> None:
    """Value and Greeks: the European ones exactly, the premium's from the lattices, at a volatility close by."""
    option = escrow(numbers, i, call, vol, 0.0, when, cash)
    sign = option.sign
    value, delta, gamma, vega, rho = european(option)
    if by_dates(option) and full.value > 0.0:
        exact = dates_premium(option, MOST_DATES, True, when, cash, desk.dates)
        if np.isfinite(exact.value):
            half = full = exact
            seen = vol
    premium = combined(option, half, full)
    exercised = sign * (numbers[IN_SPOT, i] - option.strike)
    most = most_value(numbers, i, option)
    worth = min(value + premium.value, most)
    out[OUT_PRICE, i] = max(worth, exercised)
    out[OUT_VOL, i] = vol
    out[OUT_THETA, i] = np.nan
    if option.years > DAY:
        tomorrow = Escrowed(
            option.later, option.later, option.strike, option.years - DAY, option.rate, option.dividend_yield, vol, sign
        )
        next_value, _, _, _, _ = european(tomorrow)
        out[OUT_THETA, i] = min(max(next_value + premium.next_day, exercised), most) - out[OUT_PRICE, i]
    if exercised >= worth:
        out[OUT_DELTA, i] = sign
        out[OUT_GAMMA, i] = 0.0
        out[OUT_VEGA, i] = 0.0
        out[OUT_RHO, i] = 0.0
        return
    out[OUT_DELTA, i] = sign * min(max(sign * (delta + premium.slope), 0.0), 1.0)
    out[OUT_GAMMA, i] = max(0.0, gamma + premium.curve)
    dearer = escrow(numbers, i, call, seen, RATE_BUMP, when, cash)
    rho += delta * (dearer.spot - option.spot) / RATE_BUMP  # PV(D) moves with the rate
    if full.value != 0.0:
        wilder = escrow(numbers, i, call, seen * (1.0 + VOL_BUMP), 0.0, when, cash)
        # What a lattice misses of the premium, it misses of the derivatives; the rate's are the rougher ones.
        more = premiums(wilder, BASE, False, when, cash, desk)[0].value - half.value
        vega += missed(premium.value, half.value) * more / (VOL_BUMP * seen)
        more = premiums(dearer, 2 * BASE, False, when, cash, desk)[0].value - full.value
        rho += missed(premium.value, full.value) * more / RATE_BUMP
    out[OUT_VEGA, i] = max(0.0, vega) / 100.0
    out[OUT_RHO, i] = rho / 100.0


@array_kernel(small=SMALL, parallel_from=PARALLEL_FROM)
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
    desk = Desk(make_room(BASE, 2, times.shape[1]), make_dates(times.shape[1]))
    own = times.shape[0] > 1
    for i in range(low, high):
        row = i if own else 0
        when, cash = times[row], amounts[row]
        call = calls[i]
        s, k, t = numbers[IN_SPOT, i], numbers[IN_STRIKE, i], numbers[IN_YEARS, i]
        r, q = numbers[IN_RATE, i], numbers[IN_YIELD, i]
        f = escrowed_spot(s, t, r, when, cash, 0.0)
        lowest = lowest_value(s, f, k, t, r, q, call, when, cash) if mode == SOLVE else 0.0
        code = admit(numbers, i, call, mode == SOLVE, f, lowest)
        vol = seen = numbers[IN_VOL, i]
        half = full = _NONE
        if code == _OK:
            if never_exercised(t, r, q, k, call, when, cash):
                if mode == SOLVE and not vol > 0.0:
                    code = _NO_CONVERGENCE
            elif mode == SOLVE:
                vol, seen, half, full, code = search(numbers, i, call, when, cash, desk)
            else:
                option = escrow(numbers, i, call, vol, 0.0, when, cash)
                half, full = premiums(option, BASE, True, when, cash, desk)
        status[i] = code
        for j in range(OUTPUTS):
            out[j, i] = np.nan
        if code != _OK:
            continue
        if mode == PRICES:
            option = escrow(numbers, i, call, vol, 0.0, when, cash)
            out[OUT_PRICE, i], _ = whole(numbers, i, option, combined(option, half, full).value)
        else:
            report(numbers, i, call, vol, seen, half, full, when, cash, desk, out)

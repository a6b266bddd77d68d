"""The early-exercise premium of calls that only ex-dates can end early (no yield, rate ≥ 0), by quadrature.

Just before an ex-date the call is worth the better of exercise and of holding on, which is a lognormal expectation of
the same at the next date. From the last date backward the premium over the European value is kept at Gauss–Legendre
nodes on either side of the exercise boundary, in y = ln F: above it the premium is a constant less a European put,
below it what later dates are worth. Nothing is sampled across the kink at the boundary, so ex-dates hours before
expiry, where a lattice errs by cents, are as exact as others. The trap: the work grows with the square of the dates;
more than MOST_DATES are the lattice's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmterm.core.bars import FloatArray, IntArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.normal import INV_SQRT_TWO_PI, cdf
from qmterm.quant.options.escrowed_option import DAY, Escrowed, Premium, black, section

MOST_DATES = 6
RULE = 8  # nodes of a panel
PANELS = 12  # on either side of the boundary
WIDTH = 4.0  # standard deviations of the narrower of kernel and premium that a panel may cover
REACH = 5.0  # standard deviations beyond which nothing is looked at
NODES = 2 * PANELS * RULE
BOUNDARY_STEPS = 40
SOON = 1e-8  # years: an ex-date that close to expiry is at expiry

_AT, _WEIGHT = np.polynomial.legendre.leggauss(RULE)

# Rows of what is kept of a date: years to it, cash it is exercised with, premium far above the boundary, the boundary.
TIME, CASH, FAR, BOUNDARY = range(4)


class Dates(NamedTuple):
    """Arrays the dates are worked out in, made once for many options. Dates in order from the last."""

    rows: FloatArray  # (4, k)
    at: FloatArray  # (k, NODES): ln F
    worth: FloatArray  # (k, NODES): premium times weight, less the constant part above the boundary
    counts: IntArray  # (k,)
    work: FloatArray  # (NODES,)


@piece
def make_dates(dividends: int) -> Dates:
    """Room for up to `dividends` ex-dates."""
    kept = min(dividends, MOST_DATES) + 1
    return Dates(
        np.empty((4, dividends + 1)),
        np.empty((kept, NODES)),
        np.empty((kept, NODES)),
        np.empty(kept, np.int64),
        np.empty(NODES),
    )


@section
def list_dates(option: Escrowed, when: FloatArray, cash: FloatArray, dates: Dates) -> int:
    """Keep the dates at which exercise can pay, the last first; how many they are."""
    count = 0
    later = option.years
    to_come = 0.0
    best = 0.0
    for j in range(when.size - 1, -1, -1):
        t = when[j]
        if t <= 0.0 or t > option.years or cash[j] <= 0.0:
            continue
        discount = np.exp(-option.rate * (later - t))
        to_come = to_come * discount + cash[j]
        best *= discount
        later = t
        if j > 0 and when[j - 1] == t:
            continue
        far = to_come - option.strike * (1.0 - np.exp(-option.rate * (option.years - t)))
        # Exercise pays nowhere on this date if it does not pay with the call as deep in the money as can be.
        if far > best:
            best = far
            dates.rows[TIME, count] = t
            dates.rows[CASH, count] = to_come
            dates.rows[FAR, count] = far
            count += 1
    return count


@section
def expected(option: Escrowed, f: float, start: float, j: int, dates: Dates) -> tuple[float, float, float]:
    """The premium at F = f, `start` years from now, that date j leads to, and its first two derivatives in F."""
    gap = dates.rows[TIME, j] - start
    s = option.vol * np.sqrt(gap)
    m = log(f) + option.rate * gap - 0.5 * s * s
    n = dates.counts[j]
    at, worth, work = dates.at[j], dates.worth[j], dates.work
    for k in range(n):
        z = (at[k] - m) / s
        work[k] = exp(-0.5 * z * z)
    total = first = second = 0.0
    for k in range(n):
        z = (at[k] - m) / s
        weighed = worth[k] * work[k]
        total += weighed
        first += weighed * z
        second += weighed * (z * z - 1.0)
    scale = INV_SQRT_TWO_PI / s
    u = (m - dates.rows[BOUNDARY, j]) / s
    far = dates.rows[FAR, j]
    density = far * scale * exp(-0.5 * u * u)
    total = total * scale + far * cdf(u)
    first = first * scale / s + density
    second = second * scale / (s * s) - density * u / s
    discount = exp(-option.rate * gap)
    return discount * total, discount * first / f, discount * (second - first) / (f * f)


@section
def sum_kernels(centres: FloatArray, weights: FloatArray, width: float, means: FloatArray, totals: FloatArray) -> None:
    """Fill totals with the sum of all kernels at each mean (in units of the width). Alone, so that it vectorises."""
    for i in range(means.size):
        totals[i] = 0.0
    for k in range(centres.size):
        centre, weight = centres[k] / width, weights[k]
        for i in range(means.size):
            z = centre - means[i]
            totals[i] += weight * exp(-0.5 * z * z)


@section
def expected_at_nodes(option: Escrowed, j: int, first: int, end: int, dates: Dates) -> None:
    """Fill date j's worth at its nodes first … end with the premium that the date after it leads to."""
    gap = dates.rows[TIME, j - 1] - dates.rows[TIME, j]
    s = option.vol * np.sqrt(gap)
    shift = option.rate * gap / s - 0.5 * s
    at, worth, means = dates.at[j], dates.worth[j], dates.work
    for i in range(first, end):
        means[i] = at[i] / s + shift
    n = dates.counts[j - 1]
    sum_kernels(dates.at[j - 1, :n], dates.worth[j - 1, :n], s, means[first:end], worth[first:end])
    discount = exp(-option.rate * gap)
    boundary, far = dates.rows[BOUNDARY, j - 1] / s, dates.rows[FAR, j - 1]
    for i in range(first, end):
        worth[i] = discount * (worth[i] * INV_SQRT_TWO_PI / s + far * cdf(means[i] - boundary))


@section
def find_boundary(option: Escrowed, j: int, dates: Dates) -> float:
    """ln F from which exercise pays on date j: Newton on a concave rising function, from the left."""
    t, cash = dates.rows[TIME, j], dates.rows[CASH, j]
    left = option.years - t
    sd = option.vol * np.sqrt(left)
    highest = log(option.spot) + (option.rate - 0.5 * option.vol * option.vol) * t + REACH * option.vol * np.sqrt(t)
    lowest = highest - 2.0 * REACH * option.vol * np.sqrt(t)
    f = option.strike - cash
    if left < SOON:  # a dividend at expiry: worth having wherever the share with it is above the strike
        return float(log(f)) if f > 0.0 else -np.inf
    if f <= 0.0:
        return -np.inf
    bond = option.strike * exp(-option.rate * left)
    for _ in range(BOUNDARY_STEPS):
        d = log(f / bond) / sd + 0.5 * sd
        share = cdf(d)
        premium = slope = 0.0
        if j > 0:
            premium, slope, _ = expected(option, f, t, j - 1, dates)
        lacking = f * share - bond * cdf(d - sd) + premium - (f + cash - option.strike)
        rise = 1.0 - share - slope
        if lacking <= 1e-7 * option.strike:
            break
        if rise <= 0.0:
            return float(highest + 1.0)
        f += lacking / rise
        if log(f) > highest:
            return float(highest + 1.0)
    return float(max(log(f), lowest - 1.0))


@section
def place_nodes(option: Escrowed, j: int, low: float, high: float, kernel: float, dates: Dates) -> None:
    """Fill date j's nodes between low and high (ln F), for kernels of that deviation or wider."""
    t = dates.rows[TIME, j]
    boundary = dates.rows[BOUNDARY, j]
    left = max(option.years - t, SOON)
    sd = option.vol * np.sqrt(left)
    bond = option.strike * exp(-option.rate * left)
    at, worth = dates.at[j], dates.worth[j]
    count = 0
    # Above the boundary: less a put, as far up as it is worth anything.
    start, end = max(low, boundary), min(high, log(option.strike) + REACH * sd)
    if end > start:
        panels = int(min(PANELS - 1.0, (end - start) / (WIDTH * min(kernel, sd)))) + 1
        half = 0.5 * (end - start) / panels
        for p in range(panels):
            middle = start + (2 * p + 1) * half
            for k in range(RULE):
                at[count + k] = middle + half * _AT[k]
            count += RULE
        for k in range(count):
            y = at[k]
            worth[k] = -black(exp(y), bond, sd, 1.0, -1.0)
        for p in range(panels):
            for k in range(RULE):
                worth[p * RULE + k] *= half * _WEIGHT[k]
    # Below it: what the next date is worth, as far down as it is worth anything.
    if j > 0:
        gap = dates.rows[TIME, j - 1] - t
        spread = option.vol * np.sqrt(gap)
        floor = dates.rows[BOUNDARY, j - 1]
        if dates.counts[j - 1] > 0:
            for k in range(dates.counts[j - 1]):
                floor = min(floor, dates.at[j - 1, k])
        start, end = max(low, floor - REACH * spread), min(high, boundary)
        if end > start:
            panels = int(min(PANELS - 1.0, (end - start) / (WIDTH * min(kernel, spread)))) + 1
            half = 0.5 * (end - start) / panels
            first = count
            for p in range(panels):
                middle = start + (2 * p + 1) * half
                for k in range(RULE):
                    at[count + k] = middle + half * _AT[k]
                count += RULE
            expected_at_nodes(option, j, first, count, dates)
            for k in range(first, count):
                worth[k] *= half * _WEIGHT[(k - first) % RULE]
    dates.counts[j] = count


@section
def root(option: Escrowed, f: float, start: float, j: int, dates: Dates) -> tuple[float, float, float]:
    """The premium at F = f, `start` years from now, when date j is the next, and its derivatives."""
    gap = dates.rows[TIME, j] - start
    s = option.vol * np.sqrt(gap)
    m = log(f) + option.rate * gap - 0.5 * s * s
    place_nodes(option, j, m - REACH * s, m + REACH * s, s, dates)
    return expected(option, f, start, j, dates)


@section
def dates_premium(
    option: Escrowed, most: int, tomorrow: bool, when: FloatArray, cash: FloatArray, dates: Dates
) -> Premium:
    """The premium of a call without yield at a rate ≥ 0; its value is NaN when more than `most` dates matter.

    tomorrow: whether the premium a day later is wanted, which costs as much again.
    """
    count = list_dates(option, when, cash, dates)
    if count == 0:
        return Premium(0.0, 0.0, 0.0, 0.0)
    if count > most:
        return Premium(np.nan, np.nan, np.nan, np.nan)
    for j in range(count):
        t = dates.rows[TIME, j]
        dates.rows[BOUNDARY, j] = find_boundary(option, j, dates)
        if j + 1 < count:
            middle = log(option.spot) + (option.rate - 0.5 * option.vol * option.vol) * t
            reach = REACH * option.vol * np.sqrt(t)
            kernel = option.vol * np.sqrt(t - dates.rows[TIME, j + 1])
            place_nodes(option, j, middle - reach, middle + reach, kernel, dates)
    j = count - 1
    value, slope, curve = root(option, option.spot, 0.0, j, dates)
    next_day = np.nan
    if tomorrow and option.years > DAY:
        while j >= 0 and dates.rows[TIME, j] <= DAY + 1e-9:
            j -= 1
        next_day = 0.0
        if j >= 0:
            next_day, _, _ = root(option, option.later, DAY, j, dates)
    return Premium(value, slope, curve, next_day)

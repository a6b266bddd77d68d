"""When a put with cash dividends may be exercised, and the points and nodes of those times, for a block of options.

Between two ex-dates waiting for the next one pays once it is near: what the share will drop by outweighs the interest
on the strike. What is left before that is a window. Nothing here depends on the volatility. The trap: windows are
numbered from the last backward in time, window −1 being the stretch after the last ex-date; options with fewer windows
than their block have empty ones of weight 0.
"""

from __future__ import annotations

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.options.escrowed_lanes import (
    COUNT,
    LANES,
    LEFT,
    RATE,
    YEARS,
)
from qmterm.quant.options.escrowed_option import section
from qmterm.quant.options.escrowed_put_rule import (
    AT,
    BASE,
    BEND,
    DISCOUNT,
    EARLY,
    END,
    GROWTH,
    LAST_POINTS,
    LAST_RULE,
    LATE,
    LATE_NODE,
    LOG_BOUNDARY,
    MOST_W,
    MOST_WINDOWS,
    NEXT,
    NODE_AT,
    NODE_BASE,
    NODE_BEND,
    NODE_OVER_ROOT,
    NODE_ROOT,
    NODE_SIZE,
    NODE_WIDTH,
    ORIGIN,
    OVER_ROOT,
    OVER_SPAN,
    OWN_AT,
    OWN_BASE,
    OWN_BEND,
    OWN_OVER_ROOT,
    OWN_POINTS,
    OWN_RULE,
    OWN_SIZE,
    OWN_WEIGHT,
    OWN_WIDTH,
    POINT_SIZE,
    POINTS,
    RULE,
    SHAPE,
    SHIFT,
    SPAN,
    START,
    WEIGHT,
    WIDTH,
    WINDOW_SIZE,
)

SHORTEST = 0.015  # of the time until exercise pays again: a shorter window is none
# What the unknown of the late node usually is: in the last window, the one before, and all others.
USUAL = np.array([0.75, 0.52, 0.42])
_TINY = 1e-12


@section
def list_windows(
    lane: FloatArray,
    w: int,
    same: bool,
    when: FloatArray,
    discounts: FloatArray,
    worths: FloatArray,
    windows: FloatArray,
) -> int:
    """Fill lane w's windows and LEFT; how many there are. At most MOST_WINDOWS dividends may lie before expiry.

    same: the windows there are, at a rate that has moved a little.
    """
    t, r = lane[YEARS + w], lane[RATE + w]
    known = int(lane[COUNT + w]) if same else 0  # before the first list, what lies there is anything
    count = -1  # the stretch after the last ex-date comes first
    following = 0.0  # when exercise pays again
    worth = 0.0  # of a share's dividends until then
    growth = 0.0
    for j in range(when.size, -1, -1):
        at = when[j - 1] if j > 0 else 0.0
        money = worths[j - 1] if j > 0 else 0.0
        if j > 0 and money <= 0.0:
            continue
        discount = discounts[j - 1] if j > 0 else 1.0
        if count < 0:
            lane[LEFT + w] = t - at
            count = 0
            following = at
            growth = discount
        else:
            end = -log(growth + worth) / r
            here = count * WINDOW_SIZE + w
            least = at + SHORTEST * (following - at)
            if (count < known and windows[here + START] == at) if same else end > least:
                windows[here + START] = at
                windows[here + END] = max(end, least)
                windows[here + NEXT] = following
                count += 1
                following = at
                growth = discount
                worth = 0.0
        worth += money
    lane[COUNT + w] = count
    for j in range(count, MOST_WINDOWS):
        here = j * WINDOW_SIZE + w
        windows[here + START] = 0.2 * t
        windows[here + END] = 0.4 * t
        windows[here + NEXT] = 0.6 * t
    return count


@piece
def expect_shape(windows: FloatArray) -> None:
    """The late unknowns of all windows before anything is known; the early ones follow from them."""
    for j in range(MOST_WINDOWS):
        for w in range(LANES):
            windows[j * WINDOW_SIZE + LATE + w] = USUAL[min(j, 2)]
            windows[j * WINDOW_SIZE + EARLY + w] = 0.0


@piece
def shape_at(u: float, end: float, following: float) -> tuple[float, float, float]:
    """(base, width, bend) of a window's boundary at u: ln B = ln B(next) − σ·(base + width·κ(bend))."""
    wait = following - u
    share = max((end - u) / wait, 1e-300)
    distance = min(np.sqrt(max(-2.0 * log(share), 0.0)), MOST_W)
    d2 = distance * distance
    low = (SHAPE[0] + SHAPE[1] * distance) + d2 * (SHAPE[2] + SHAPE[3] * distance)
    high = (SHAPE[4] + SHAPE[5] * distance) + d2 * (SHAPE[6] + SHAPE[7] * distance)
    width = np.sqrt(wait)
    return width * (low + d2 * d2 * high - SHIFT), width, 1.0 / (1.0 + distance) - ORIGIN


@piece
def small_exp(x: float) -> float:
    """eˣ of the interest of a window: to 1e-7 for |x| < 0.15."""
    return 1.0 + x * (1.0 + x * (0.5 + x * (0.16666666666666666 + x * 0.041666666666666664)))


@section
def lay_points(lane: FloatArray, windows: FloatArray, count: int, points: FloatArray) -> None:
    """Fill the points of the last stretch and of `count` windows."""
    for p in range(LAST_POINTS):
        share, weight = LAST_RULE[p]
        row = points[p * POINT_SIZE : (p + 1) * POINT_SIZE]
        for w in range(LANES):
            left = lane[LEFT + w]
            u = lane[YEARS + w] - left + left * share
            row[AT + w] = u
            row[OVER_ROOT + w] = 1.0 / np.sqrt(max(u, _TINY))
            row[WEIGHT + w] = left * weight * exp(-lane[RATE + w] * u)
            row[LOG_BOUNDARY + w] = 0.0
    for j in range(count):
        window = windows[j * WINDOW_SIZE : (j + 1) * WINDOW_SIZE]
        for w in range(LANES):
            window[DISCOUNT + w] = exp(-lane[RATE + w] * window[START + w]) if lane[COUNT + w] > j else 0.0
        for p in range(POINTS):
            share, weight = RULE[p]
            first = (LAST_POINTS + j * POINTS + p) * POINT_SIZE
            row = points[first : first + POINT_SIZE]
            for w in range(LANES):
                start, end = window[START + w], window[END + w]
                length = end - start
                u = start + length * share
                base, width, bend = shape_at(u, end, window[NEXT + w])
                row[AT + w] = u
                row[OVER_ROOT + w] = 1.0 / np.sqrt(u)
                row[WEIGHT + w] = length * weight * window[DISCOUNT + w] * small_exp(-lane[RATE + w] * (u - start))
                row[LOG_BOUNDARY + w] = 0.0
                row[BASE + w] = base
                row[WIDTH + w] = width
                row[BEND + w] = bend


@section
def lay_nodes(
    lane: FloatArray,
    windows: FloatArray,
    count: int,
    nodes: FloatArray,
    own: FloatArray,
    points: FloatArray,
    pairs: FloatArray,
) -> None:
    """Fill the nodes of `count` windows, their own points, and 1/√(time) to all later points."""
    pair = 0
    for number in range(2 * count):
        j = number // 2
        window = windows[j * WINDOW_SIZE : (j + 1) * WINDOW_SIZE]
        node = nodes[number * NODE_SIZE : (number + 1) * NODE_SIZE]
        share_of_window = LATE_NODE if number == 2 * j else 0.0
        for w in range(LANES):
            start, end = window[START + w], window[END + w]
            u = start + (end - start) * share_of_window
            base, width, bend = shape_at(u, end, window[NEXT + w])
            left = lane[YEARS + w] - u
            node[NODE_AT + w] = u
            node[GROWTH + w] = exp(lane[RATE + w] * u)
            node[NODE_BASE + w] = base
            node[NODE_WIDTH + w] = width
            node[NODE_BEND + w] = bend
            node[NODE_ROOT + w] = np.sqrt(left)
            node[NODE_OVER_ROOT + w] = 1.0 / np.sqrt(left)
        for w in range(LANES):
            length = window[END + w] - node[NODE_AT + w]
            node[SPAN + w] = length
            node[OVER_SPAN + w] = 1.0 / np.sqrt(length)
        for p in range(OWN_POINTS):
            share, weight = OWN_RULE[p]
            over_root = 1.0 / np.sqrt(share)
            first = (number * OWN_POINTS + p) * OWN_SIZE
            row = own[first : first + OWN_SIZE]
            for w in range(LANES):
                length = node[SPAN + w]
                after = length * share
                base, width, bend = shape_at(node[NODE_AT + w] + after, window[END + w], window[NEXT + w])
                row[OWN_AT + w] = after
                row[OWN_OVER_ROOT + w] = node[OVER_SPAN + w] * over_root
                row[OWN_WEIGHT + w] = length * weight * small_exp(-lane[RATE + w] * after)
                row[OWN_BASE + w] = base
                row[OWN_WIDTH + w] = width
                row[OWN_BEND + w] = bend
        # Four points at a time: a shorter loop would be unrolled instead of vectorised.
        for p in range(0, LAST_POINTS + POINTS * j, 4):
            four = points[p * POINT_SIZE : (p + 4) * POINT_SIZE]
            over = pairs[(pair + p) * LANES : (pair + p + 4) * LANES]
            for w in range(LANES):
                u = node[NODE_AT + w]
                over[w] = 1.0 / np.sqrt(max(four[AT + w] - u, _TINY))
                over[LANES + w] = 1.0 / np.sqrt(max(four[POINT_SIZE + AT + w] - u, _TINY))
                over[2 * LANES + w] = 1.0 / np.sqrt(max(four[2 * POINT_SIZE + AT + w] - u, _TINY))
                over[3 * LANES + w] = 1.0 / np.sqrt(max(four[3 * POINT_SIZE + AT + w] - u, _TINY))
        pair += LAST_POINTS + POINTS * j

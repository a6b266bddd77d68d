"""The early-exercise premium of an option under the escrowed dividend model, by a trinomial lattice.

The escrowed part F = S − PV(D) is lognormal; exercise at t is worth φ(F + A(t) − K), A(t) the dividends still to come,
each at its value at t (QUANT.md 3.4). The values one step before expiry are Black–Scholes. The same lattice carries
the European value: the difference is the premium, free of the lattice's own error. The trap: only the premium is
meant to be used; the caller adds it to the exact European value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.quant.elementary import exp, log
from qmterm.quant.kernel import piece
from qmterm.quant.options.escrowed_levels import (
    COST,
    MIDDLE,
    SCALE,
    SIDE,
    Layout,
    half_width,
    lay_out,
    most_levels,
)
from qmterm.quant.options.escrowed_option import Escrowed, Premium, black, section
from qmterm.quant.options.escrowed_step import advance

AROUND_STRIKE = 16  # nodes whose last-step value is Black-Scholes; beyond them it is a straight line to 1e-9


class Room(NamedTuple):
    """Arrays the lattice works in, made once for many options."""

    ends: FloatArray
    paid: FloatArray
    coefficients: FloatArray
    power: FloatArray
    values: FloatArray
    europeans: FloatArray


@piece
def make_room(base: int, times: int, dividends: int) -> Room:
    """Room for lattices of up to base·times steps and `dividends` ex-dates."""
    nodes = 2 * half_width(base * times) + 1
    return Room(
        np.empty(dividends + 2),
        np.empty(dividends + 2),
        np.empty((4, most_levels(base, times, dividends))),
        np.empty(nodes),
        np.empty((2, nodes)),
        np.empty((2, nodes)),
    )


@section
def dividend_at_expiry(
    forward: float, strike: float, deviation: float, discount: float, power: FloatArray, values: FloatArray
) -> None:
    """A call whose last dividend comes at its expiry is worth one of that much lower strike there."""
    for k in range(power.size):
        ahead = forward * power[k]
        held = black(ahead, strike, deviation, discount, 1.0) if strike > 0.0 else discount * (ahead - strike)
        values[k] = max(values[k], held)


@section
def end_values(
    option: Escrowed, layout: Layout, middle: int, room: Room, values: FloatArray, europeans: FloatArray
) -> None:
    """The values at the start of the last step: European over that step, or exercise there."""
    nodes = 2 * middle + 1
    sign, strike, step, final = option.sign, option.strike, layout.last_step, layout.final_strike
    deviation = option.vol * np.sqrt(step)
    discount = exp(-option.rate * step)
    forward = exp((option.rate - option.dividend_yield) * step) * layout.last_scale
    power = room.power
    for k in range(nodes):
        europeans[k] = discount * max(0.0, sign * (forward * power[k] - strike))
    at_strike = middle + log(strike / forward) / layout.spacing
    begin = int(min(max(at_strike - AROUND_STRIKE // 2 + 1.0, 0.0), max(0.0, nodes - 1.0 * AROUND_STRIKE)))
    for k in range(begin, min(begin + AROUND_STRIKE, nodes)):
        europeans[k] = black(forward * power[k], strike, deviation, discount, sign)
    scale, cost = room.coefficients[SCALE, layout.levels - 1], room.coefficients[COST, layout.levels - 1]
    for k in range(nodes):
        values[k] = max(europeans[k], scale * power[k] - cost)
    if final < strike:
        dividend_at_expiry(forward, final, deviation, discount, power, values)


@piece
def end_nodes(worth: FloatArray, filled: FloatArray, last: int, up: float, here: float, side: float) -> None:
    """The outermost nodes: the neighbour they lack lies on a straight line in F."""
    beyond = worth[0] - (worth[1] - worth[0]) / up
    filled[0] = here * worth[0] + side * (beyond + worth[1])
    beyond = worth[last] + (worth[last] - worth[last - 1]) * up
    filled[last] = here * worth[last] + side * (beyond + worth[last - 1])


@section
def read(
    middle: int, spacing: float, scale: float, at: float, values: FloatArray, europeans: FloatArray
) -> tuple[float, float, float]:
    """The premium and its first two derivatives in F at F = `at`, from five nodes around the middle, F = `scale`."""
    a = values[middle - 2] - europeans[middle - 2]
    b = values[middle - 1] - europeans[middle - 1]
    c = values[middle] - europeans[middle]
    d = values[middle + 1] - europeans[middle + 1]
    e = values[middle + 2] - europeans[middle + 2]
    first = (a - 8.0 * b + 8.0 * d - e) / 12.0
    second = (16.0 * (b + d) - 30.0 * c - a - e) / 12.0
    y = min(max(log(at / scale) / spacing, -2.0), 2.0)
    slope = (first + y * second) / spacing
    return c + y * (first + 0.5 * y * second), slope / at, (second / (spacing * spacing) - slope) / (at * at)


@section
def premium_of(option: Escrowed, base: int, times: int, when: FloatArray, cash: FloatArray, room: Room) -> Premium:
    """The premium by a lattice of about base·times steps; when, cash (k,): years to the ex-dates, dollars per share."""
    layout = lay_out(option, base, times, when, cash, room.ends, room.paid, room.coefficients)
    middle = half_width(base * times)
    power = room.power
    up = exp(layout.spacing)
    down = 1.0 / up
    power[middle] = 1.0
    for k in range(1, middle + 1):
        power[middle + k] = power[middle + k - 1] * up
        power[middle - k] = power[middle - k + 1] * down
    values, europeans = room.values[0], room.europeans[0]
    next_values, next_europeans = room.values[1], room.europeans[1]
    end_values(option, layout, middle, room, values, europeans)
    next_day = np.nan
    for i in range(layout.levels - 2, -1, -1):
        here, side = room.coefficients[MIDDLE, i], room.coefficients[SIDE, i]
        scale, cost = room.coefficients[SCALE, i], room.coefficients[COST, i]
        # Five nodes are left at the root; before, those that can reach it.
        reach = min(i + 2, middle - 1)
        advance(
            values,
            europeans,
            next_values,
            next_europeans,
            power,
            here,
            side,
            scale,
            cost,
            middle - reach,
            2 * reach + 1,
        )
        if i + 2 >= middle:
            end_nodes(values, next_values, 2 * middle, up, here, side)
            end_nodes(europeans, next_europeans, 2 * middle, up, here, side)
            next_values[0] = max(next_values[0], scale * power[0] - cost)
            next_values[2 * middle] = max(next_values[2 * middle], scale * power[2 * middle] - cost)
        values, next_values = next_values, values
        europeans, next_europeans = next_europeans, europeans
        if i == layout.day_level:
            next_day, _, _ = read(middle, layout.spacing, option.sign * scale, option.later, values, europeans)
    value, slope, curve = read(middle, layout.spacing, option.spot, option.spot, values, europeans)
    return Premium(value, slope, curve, next_day)

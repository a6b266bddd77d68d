"""One level of the escrowed lattice, eight options at once: as loops in kernels, as rows of numpy in plain Python.

The trap: two forms of one thing. The loops vectorise over the lanes (which is why they read one pair of arrays and fill
another); in plain Python they would take a second an option, which the rows do in milliseconds. Both give the same
digits, and a test holds them to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from qmterm.core.bars import FloatArray
from qmterm.quant.options.escrowed_levels import COST, LANES, MIDDLE, SCALE, SIDE


def advance(
    values: FloatArray,
    europeans: FloatArray,
    next_values: FloatArray,
    next_europeans: FloatArray,
    power: FloatArray,
    level: FloatArray,
    up: FloatArray,
    first: int,
    last: int,
    whole: bool,
) -> None:
    """Nodes first … last (rows) of the level before, in the `next_` arrays, from those of the level after.

    `whole`: the nodes beside them, the ends of the lattice, are wanted too, and see a neighbour on a straight line in F.
    """
    side, here = level[SIDE], level[MIDDLE]
    for worth, filled in ((values, next_values), (europeans, next_europeans)):
        filled[first : last + 1] = here * worth[first : last + 1] + side * (
            worth[first - 1 : last] + worth[first + 1 : last + 2]
        )
        if whole:
            lowest, highest = worth[first - 1], worth[last + 1]
            outer = lowest - (worth[first] - lowest) / up
            filled[first - 1] = here * lowest + side * (outer + worth[first])
            outer = highest + (highest - worth[last]) * up
            filled[last + 1] = here * highest + side * (outer + worth[last])
    margin = 1 if whole else 0
    nodes = slice(first - margin, last + margin + 1)
    np.maximum(next_values[nodes], level[SCALE] * power[nodes] - level[COST], out=next_values[nodes])


def loops(
    values: FloatArray,
    europeans: FloatArray,
    next_values: FloatArray,
    next_europeans: FloatArray,
    power: FloatArray,
    level: FloatArray,
    up: FloatArray,
    first: int,
    last: int,
    whole: bool,
) -> None:
    """The same, as kernels do it."""
    for k in range(first, last + 1):
        for lane in range(LANES):
            here, side = level[MIDDLE, lane], level[SIDE, lane]
            held = here * values[k, lane] + side * (values[k - 1, lane] + values[k + 1, lane])
            european = here * europeans[k, lane] + side * (europeans[k - 1, lane] + europeans[k + 1, lane])
            now = level[SCALE, lane] * power[k, lane] - level[COST, lane]
            next_values[k, lane] = held if held > now else now
            next_europeans[k, lane] = european
    if whole:
        for lane in range(LANES):
            for k, inside, way in ((first - 1, first, 1.0 / up[lane]), (last + 1, last, up[lane])):
                here, side = level[MIDDLE, lane], level[SIDE, lane]
                v, e = values[k, lane], europeans[k, lane]
                v_in, e_in = values[inside, lane], europeans[inside, lane]
                held = here * v + side * (v + (v - v_in) * way + v_in)
                now = level[SCALE, lane] * power[k, lane] - level[COST, lane]
                next_values[k, lane] = held if held > now else now
                next_europeans[k, lane] = here * e + side * (e + (e - e_in) * way + e_in)


def _in_kernels(*_: Any) -> Any:
    return loops


overload(advance, strict=False, jit_options={"error_model": "numpy", "fastmath": {"contract"}, "nogil": True})(
    _in_kernels
)

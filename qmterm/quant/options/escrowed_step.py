"""One level of the escrowed lattice: as a loop in kernels, as slices of numpy in plain Python.

The trap: two forms of one thing. The loops vectorise over the nodes (which is why they read one pair of arrays and
fill another, and count upwards from zero); in plain Python they would take a second an option, which the slices do in
milliseconds. A test holds one to the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from qmterm.core.bars import FloatArray


def advance(
    values: FloatArray,
    europeans: FloatArray,
    next_values: FloatArray,
    next_europeans: FloatArray,
    power: FloatArray,
    here: float,
    side: float,
    scale: float,
    cost: float,
    first: int,
    count: int,
) -> None:
    """`count` nodes from `first` of the level before, in the `next_` arrays, from those of the level after."""
    nodes, down, up = (
        slice(first, first + count),
        slice(first - 1, first + count - 1),
        slice(first + 1, first + count + 1),
    )
    next_europeans[nodes] = here * europeans[nodes] + side * (europeans[down] + europeans[up])
    held = here * values[nodes] + side * (values[down] + values[up])
    np.maximum(held, scale * power[nodes] - cost, out=next_values[nodes])


def loops(
    values: FloatArray,
    europeans: FloatArray,
    next_values: FloatArray,
    next_europeans: FloatArray,
    power: FloatArray,
    here: float,
    side: float,
    scale: float,
    cost: float,
    first: int,
    count: int,
) -> None:
    """The same, as kernels do it. Unsigned positions spare the loops the test for negative ones."""
    start = np.uint64(first)
    one = np.uint64(1)
    for k in range(np.uint64(count)):
        node = start + k
        held = here * values[node] + side * (values[node - one] + values[node + one])
        now = scale * power[node] - cost
        next_values[node] = held if held > now else now
    for k in range(np.uint64(count)):
        node = start + k
        next_europeans[node] = here * europeans[node] + side * (europeans[node - one] + europeans[node + one])


def _in_kernels(*_: Any) -> Any:
    return loops


overload(advance, strict=False, jit_options={"error_model": "numpy", "fastmath": {"contract"}, "nogil": True})(
    _in_kernels
)

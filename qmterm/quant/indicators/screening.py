"""Which symbols meet a few conditions on their features, best first: the filter and sort behind a screen.

The trap: a number that is not known (NaN) meets no condition, not even "not above".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.indicators import columns as at
from qmterm.quant.indicators.features import Features

Sign = Literal[">", ">=", "<", "<="]

_COMPARE = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}


class Condition(NamedTuple):
    """A feature against a number or another feature: Condition("close", ">", "sma20")."""

    left: str
    sign: Sign
    right: str | float


def passing(features: Features, conditions: Sequence[Condition]) -> BoolArray:
    """True for each symbol that meets all conditions; BadInput naming an unknown feature or sign."""
    met: BoolArray = np.ones(len(features), dtype=np.bool_)
    one: BoolArray = np.empty(len(features), dtype=np.bool_)
    for left, sign, right in conditions:
        compare = _COMPARE.get(sign)
        if compare is None:
            raise BadInput(f"condition on {left}: {sign!r} is not one of {', '.join(_COMPARE)}")
        compare(_column(features, left), _column(features, right) if isinstance(right, str) else right, out=one)
        met &= one
    return met


def top(
    features: Features,
    conditions: Sequence[Condition] = (),
    *,
    by: str,
    limit: int | None = 50,
    descending: bool = True,
) -> IntArray:
    """Rows that meet all conditions, sorted by a feature; equal ones in the panel's order, unknown ones left out."""
    if limit is not None and limit < 0:
        raise BadInput(f"limit must not be negative, it is {limit}")
    column = _column(features, by)
    rows = np.flatnonzero(passing(features, conditions))
    key = -column[rows] if descending else column[rows]
    known = ~np.isnan(key)
    if not known.all():
        rows, key = rows[known], key[known]
    if limit == 0:
        return rows[:0]
    if limit is not None and rows.size > limit:
        # A full sort of half the market takes longer than all the rest.
        border = np.partition(key, limit - 1)[limit - 1]
        near = np.flatnonzero(key <= border)
        rows, key = rows[near], key[near]
    return rows[np.argsort(key, kind="stable")[:limit]]


def _column(features: Features, name: str) -> FloatArray:
    if name not in at.NAMES:
        raise BadInput(f"no feature {name!r}; known are {', '.join(at.NAMES)}")
    column: FloatArray = getattr(features, name)
    return column

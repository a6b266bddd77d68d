"""Whose missed minutes are read first: what money is in, what somebody looks at, what may be bought next, the rest.

The trap: an option is named by a root, its stock may be spelled otherwise; a Standing holds the stocks' own names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.market.board.table import QuoteTable
from qmterm.market.rest.budget import Priority


@dataclass(frozen=True, slots=True)
class Standing:
    """Which stocks matter now, and why; a stock may be in several classes and counts in the first."""

    held: Sequence[str] = ()  # underlyings of positions and of working orders
    watched: Sequence[str] = ()  # of tickets and proposals, and what is on the screen
    candidates: Sequence[str] = ()  # of the scan, the best first


def repair_order(standing: Standing, rows: IntArray, table: QuoteTable) -> list[tuple[int, Priority]]:
    """These rows with the priority of their calls; among the rest those with most money traded today come first."""
    left = dict.fromkeys(rows.tolist())
    ordered: list[tuple[int, Priority]] = []
    classes = (
        (standing.held, Priority.POSITIONS),
        (standing.watched, Priority.WATCH),
        (standing.candidates, Priority.SCAN),
    )
    for names, priority in classes:
        for name in names:
            row = table.numbers.get(name)
            if row is not None and row in left:
                del left[row]
                ordered.append((row, priority))
    rest = np.fromiter(left, dtype=np.int64, count=len(left))
    traded = np.nan_to_num(table.day_volume[rest] * table.last[rest])
    ordered += [(row, Priority.HISTORY) for row in rest[np.argsort(-traded, kind="stable")].tolist()]
    return ordered

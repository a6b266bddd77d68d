"""Bars of one session from one share count to another, so that rows of two sources can lie in one file.

The trap: a session's file has one day up to which its prices are adjusted. What is put into it, a row of an imported
file or one that a pull must not lose, goes onto that day first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.market.records import Split
from qmterm.tape.quality import BAR_COLUMNS, PRICE_COLUMNS


def rescaled(
    symbols: Any, bars: dict[str, FloatArray], splits: Iterable[Split], day: date, basis: date, target: date
) -> dict[str, FloatArray]:
    """The bars of a session (each symbol once), adjusted for splits up to `basis`, as adjusted up to `target`."""
    low, high = max(day, min(basis, target)), max(basis, target)
    between = {(split.symbol, split.day): split.ratio for split in splits if low < split.day <= high}
    if not between:
        return bars
    place = {name: number for number, name in enumerate(symbols.tolist())}
    factor = np.ones(len(place))
    for (symbol, _), ratio in between.items():
        if symbol in place:
            factor[place[symbol]] *= ratio if target > basis else 1.0 / ratio
    scaled = {name: bars[name] / factor for name in PRICE_COLUMNS} | {"volume": bars["volume"] * factor}
    return {name: scaled[name] for name in BAR_COLUMNS}

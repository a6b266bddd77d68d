"""Prints for tests, one a row of plain words."""

import numpy as np

from qmterm.market.flow.prints import Prints

NS = 1_000_000_000
START = 1_772_463_600 * NS


def prints(*rows):
    """(contract, price, size, exchange, condition, milliseconds, bid, ask[, quote age in ms]) each."""
    full = [(*row, 0) if len(row) == 8 else row for row in rows]
    contract, price, size, exchange, condition, at, bid, ask, age = (list(column) for column in zip(*full, strict=True))
    time_ns = START + np.array(at, dtype=np.int64) * 1_000_000
    return Prints(
        np.array(contract, dtype=np.int64),
        np.array(price, dtype=float),
        np.array(size, dtype=np.int64),
        np.array(exchange, dtype=np.int64),
        np.array(condition, dtype=np.int64).reshape(-1, 1),
        time_ns,
        np.array(bid, dtype=float),
        np.array(ask, dtype=float),
        time_ns - np.array(age, dtype=np.int64) * 1_000_000,
    )


def at(milliseconds):
    return START + milliseconds * 1_000_000

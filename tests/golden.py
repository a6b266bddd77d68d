"""Golden numbers: rows of tests/golden/*.csv, and the tolerance each file is held to.

Each row carries its inputs; they were made by an independent implementation and checked by a second.
"""

from __future__ import annotations

import csv
import json
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent / "golden"


@cache
def _read(name: str) -> tuple[dict[str, str], ...]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def rows(name: str, **where: str) -> list[dict[str, str]]:
    """Rows of a file whose columns equal `where`; never none."""
    found = [row for row in _read(name) if all(row[key] == value for key, value in where.items())]
    assert found, f"golden {name}.csv has no row with {where}"
    return found


def column(name: str, key: str, **where: str) -> np.ndarray:
    """One column as floats, NaN where it is empty."""
    return np.array([float(row[key]) if row[key] else math.nan for row in rows(name, **where)])


def assert_close(name: str, ours: float, golden: float | str, what: str = "") -> None:
    """|Δ| ≤ max(abs, rel·|golden|) of tolerances.csv."""
    (tolerance,) = rows("tolerances", file=name)
    expected = float(golden)
    allowed = max(float(tolerance["abs_tol"]), float(tolerance["rel_tol"]) * abs(expected))
    difference = abs(float(ours) - expected)
    assert difference <= allowed, f"{name} {what}: {ours} is off {expected} by {difference:.3g}, allowed {allowed:.3g}"


class Bars(NamedTuple):
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


def series(parameters: str, n: int = 300) -> Bars:
    """The daily bars that a row's JSON parameters stand for."""
    p = json.loads(parameters)
    i = np.arange(n)
    close = p["base"] + p["drift"] * i + p["a1"] * np.sin(i / p["w1"]) + p["a2"] * np.cos(i / p["w2"])
    open_ = close.copy()
    open_[1:] = close[:-1] + p["go"] * np.sin(p["wo"] * i[1:])
    high = np.maximum(open_, close) + p["h0"] + p["h1"] * np.sin(i / 2) ** 2
    low = np.minimum(open_, close) - p["l0"] - p["l1"] * np.cos(i / 3) ** 2
    return Bars(open_, high, low, close, 1e6 * (1 + 0.5 * np.sin(i / 5) ** 2))

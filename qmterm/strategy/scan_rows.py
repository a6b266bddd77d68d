"""Rows of a scan as plain values: what `qmterm scan --json` prints and a running engine answers (DESIGN.md 10)."""

from __future__ import annotations

import math
from typing import Any

from qmterm.core.bars import FloatArray
from qmterm.strategy.matrix_columns import gate_names
from qmterm.strategy.scanner import ScanResult


def scan_row(result: ScanResult, row: int, age_s: float | None) -> dict[str, Any]:
    """One row of `qmterm scan --json` (DESIGN.md 10); unknown numbers are None."""
    matrix = result.matrix
    return {
        "symbol": result.symbols[row],
        "close": _number(matrix.close, row),
        "sma50": _number(matrix.sma50, row),
        "atr14": _number(matrix.atr14, row),
        "atr_distance": _number(matrix.atr_distance, row),
        "atr_pct_multiple": _number(matrix.atr_pct_multiple, row),
        "strength": _number(matrix.strength, row),
        "confidence": _number(matrix.confidence, row),
        "state": result.state(row).value,
        "failed": list(gate_names(int(matrix.failed[row]))),
        "not_checked": list(gate_names(int(matrix.not_checked[row]))),
        "age_s": age_s,
    }


def _number(column: FloatArray, row: int) -> float | None:
    value = float(column[row])
    return value if math.isfinite(value) else None

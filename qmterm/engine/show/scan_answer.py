"""The latest scan as one document, for `ctl scan` and `qmterm scan`: every row with its price's age and code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qmterm.core.clock import to_et
from qmterm.engine.signals.scanning import Scanning
from qmterm.market.history.volatility import Standing
from qmterm.strategy.scan_rows import scan_row

MOST = 2_000  # rows in one answer of a running engine: more would hold up its loop


def scan_document(
    scanning: Scanning, limit: int | None = None, volatility: Mapping[str, Standing] | None = None
) -> dict[str, Any]:
    """Rows in the scanner's order; `limit` keeps the first ones. Without a scan there are none.

    `volatility`: where the IV30 of symbols whose chains were read stands.
    """
    result, at = scanning.result, scanning.scanned_ns
    if result is None or at is None:
        return {"market_time": None, "symbols": scanning.symbols, "coverage": scanning.covered().to_dict(), "rows": []}
    rows = result.order[:limit].tolist()
    return {
        "market_time": to_et(at).isoformat(timespec="seconds"),
        "symbols": len(result),
        "live": int(result.live.sum()),
        "states": {state.value: count for state, count in result.states.items()},
        "failed": {gate.value: count for gate, count in result.failed.items()},
        "not_checked": {gate.value: count for gate, count in result.not_checked.items()},
        "coverage": scanning.covered().to_dict(),
        "rows": [
            scan_row(result, row, scanning.price_age_s(row))
            | {"code": scanning.price_code(row)}
            | _iv_rank((volatility or {}).get(result.symbols[row]))
            for row in rows
        ],
    }


def _iv_rank(standing: Standing | None) -> dict[str, Any]:
    """Nothing where no chain was read; no rank yet while there are too few observations."""
    if standing is None:
        return {}
    return {"iv_rank": standing.rank, "iv_observations": standing.observations}

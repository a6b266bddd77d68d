"""Option snapshots by date: IV30 and what belongs to it, one row a symbol; and whole chains as they stood.

The trap: a day's rows come one symbol after the other and a run may be restarted in between, so a file is read, grown
and replaced whole; the latest row of a symbol counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.tape.grouped import TornFile, opened, write_whole
from qmterm.tape.layout import SUFFIX

VOLATILITY, CHAINS = "volatility", "chains"


@dataclass(frozen=True, slots=True)
class VolatilityRow:
    """Decimals; NaN where unknown. `atm` are the at-the-money volatilities of the expiries at `dte` calendar days."""

    symbol: str
    iv30: float
    rr25: float  # IV(25Δ call) − IV(25Δ put) of the expiry next to 30 days
    dte: tuple[int, ...]
    atm: tuple[float, ...]
    time_ns: int  # market time the chain was read

    @property
    def expiries(self) -> int:
        return len(self.dte)


def volatility_path(root: Path, day: date) -> Path:
    return root / VOLATILITY / f"{day.isoformat()}{SUFFIX}"


def chain_path(root: Path, day: date, underlying: str) -> Path:
    return root / CHAINS / day.isoformat() / f"{underlying}{SUFFIX}"


def write_volatility(root: Path, day: date, rows: Iterable[VolatilityRow]) -> Path:
    """Add rows to a day's file; a symbol that is there already gets its new row."""
    import pyarrow as pa

    held = {row.symbol: row for row in read_volatility(root, day)} | {row.symbol: row for row in rows}
    kept = [held[symbol] for symbol in sorted(held)]
    table = pa.table(
        {
            "symbol": pa.array([row.symbol for row in kept], pa.string()),
            "iv30": pa.array([row.iv30 for row in kept], pa.float64()),
            "rr25": pa.array([row.rr25 for row in kept], pa.float64()),
            "expiries": pa.array([row.expiries for row in kept], pa.int32()),
            "dte": pa.array([list(row.dte) for row in kept], pa.list_(pa.int32())),
            "atm": pa.array([list(row.atm) for row in kept], pa.list_(pa.float64())),
            "time_ns": pa.array([row.time_ns for row in kept], pa.int64()),
        }
    )
    path = volatility_path(root, day)
    write_whole(path, table)
    return path


def read_volatility(root: Path, day: date) -> tuple[VolatilityRow, ...]:
    """A day's rows; none when there is no readable file."""
    try:
        with opened(volatility_path(root, day)) as file:
            found = file.read().to_pylist()
    except (FileNotFoundError, TornFile):
        return ()
    return tuple(
        VolatilityRow(row["symbol"], row["iv30"], row["rr25"], tuple(row["dte"]), tuple(row["atm"]), row["time_ns"])
        for row in found
    )


def iv30_series(root: Path, days: Sequence[date]) -> dict[str, FloatArray]:
    """IV30 by symbol over these days, oldest first, NaN where a day has none."""
    series: dict[str, FloatArray] = {}
    for place, day in enumerate(days):
        for row in read_volatility(root, day):
            if row.symbol not in series:
                series[row.symbol] = np.full(len(days), np.nan)
            series[row.symbol][place] = row.iv30
    return series


def write_chain(root: Path, day: date, underlying: str, columns: Mapping[str, Any]) -> Path:
    """All rows of a chain; columns of equal length, `occ` among them."""
    import pyarrow as pa

    path = chain_path(root, day, underlying)
    write_whole(path, pa.table({name: pa.array(column) for name, column in columns.items()}))
    return path

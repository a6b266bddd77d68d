"""Small files of the documented layout for replays: two stocks and a few contracts, some minutes of one morning."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qmterm.core.clock import from_et

DAY = date(2026, 3, 2)
BEFORE = date(2026, 2, 27)
MINUTE_NS = 60_000_000_000
OPEN_NS = from_et(DAY, 9, 30)
CALL, PUT = "AAA   260417C00100000", "O:AAA260417P00100000"
MINUTES = 12


def daily(folder: Path, **changes: list) -> Path:
    columns = {
        "symbol": ["AAA", "BBB", "AAA", "BBB"],
        "date": [date(2026, 2, 26), date(2026, 2, 26), BEFORE, BEFORE],
        "open": [99.125, 20.0, 100.0, 20.5],
        "high": [101.0, 21.0, 102.0, 21.0],
        "low": [98.0, 19.5, 99.0, 20.0],
        "close": [100.3333, 20.25, 101.0625, 20.75],
        "volume": [1000.0, 2000.0, 1100.0, 2100.0],
    }
    return _write(folder / "daily.parquet", {**columns, **changes})


def minutes(folder: Path, **changes: list) -> Path:
    """One bar a minute of AAA, every second minute of BBB, from 09:30; shuffled: the order of rows means nothing."""
    rows = [("AAA", n, 101.0 + n / 8) for n in range(MINUTES)] + [("BBB", n, 20.5) for n in range(0, MINUTES, 2)]
    rows = rows[::-1]
    price = [row[2] for row in rows]
    columns = {
        "symbol": [row[0] for row in rows],
        "start_ns": [OPEN_NS + row[1] * MINUTE_NS for row in rows],
        "open": price,
        "high": [value + 0.0625 for value in price],
        "low": [value - 0.0625 for value in price],
        "close": [value + 0.03125 for value in price],
        "volume": [100.0 + row[1] for row in rows],
    }
    return _write(folder / "minutes.parquet", {**columns, **changes})


def option_quotes(folder: Path, **changes: list) -> Path:
    """A call and a put of AAA from 09:32 on; the put is quoted in the first minute only."""
    rows = [(CALL, n) for n in range(2, MINUTES)] + [(PUT, 2)]
    columns = {
        "occ": [row[0] for row in rows],
        "start_ns": [OPEN_NS + row[1] * MINUTE_NS for row in rows],
        "bid": [3.0 + row[1] / 20 for row in rows],
        "ask": [3.2 + row[1] / 20 for row in rows],
        "bid_size": [10.0] * len(rows),
        "ask_size": [20.0] * len(rows),
        "open_interest": [500.0] * len(rows),
    }
    return _write(folder / "options.parquet", {**columns, **changes})


def _write(path: Path, columns: dict[str, list]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: values for name, values in columns.items() if values is not None}
    pq.write_table(pa.table(kept), path)
    return path

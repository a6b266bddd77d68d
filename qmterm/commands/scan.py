"""`qmterm scan --history FILE`: the scanner over a Parquet file of daily bars, as a table or as JSON.

Trap: such a file says nothing about listed options, so that gate is reported as not checked, never as passed.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS
from qmterm.core.errors import BadInput
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.quant.indicators.features import last_features
from qmterm.strategy.scan_rows import scan_row
from qmterm.strategy.scanner import ScanResult, daily_mtf, scan
from qmterm.tape.bars import BarReport, load_daily

COLUMNS = (
    ("SYMBOL", 8),
    ("CLOSE", 10),
    ("SMA50", 10),
    ("ATR14", 8),
    ("DIST", 7),
    ("ATR%x", 7),
    ("STR", 5),
    ("CONF", 5),
    ("STATE", 13),
)


def run(
    history: Path,
    as_of: date | None = None,
    as_json: bool = False,
    matrix: AtrMatrixSettings | None = None,
    scanner: ScannerSettings | None = None,
    limit: int | None = None,
    out: TextIO | None = None,
) -> int:
    """Scan a file and print it; `limit` keeps the first rows, None prints all. Bad files raise BadInput."""
    target = out if out is not None else sys.stdout
    _progress(f"reading {history}")
    file = load_daily(history, as_of)
    panel = file.panel
    _progress(f"scanning {len(panel):,} symbols at {panel.last_session}")
    features = last_features(panel)
    calendar = _calendar(panel)
    result = scan(
        panel,
        features,
        matrix=matrix or AtrMatrixSettings(),
        scanner=scanner or ScannerSettings(),
        mtf=daily_mtf(panel, features, calendar),
    )
    ages = _ages(panel, calendar)
    rows = [scan_row(result, row, ages[row]) for row in result.order[:limit].tolist()]
    if as_json:
        print(json.dumps(_document(panel, result, file.report, rows), allow_nan=False), file=target)
    else:
        _print_table(panel, result, file.report, rows, target)
    return 0


def from_command_line(
    history: Path, as_of: str | None, limit: int | None, config: Path | None, *, as_json: bool
) -> int:
    """`qmterm scan` with the thresholds of the configuration."""
    from qmterm.commands.places import load_settings

    settings, _ = load_settings(config)
    try:
        day = None if as_of is None else date.fromisoformat(as_of)
    except ValueError as error:
        raise BadInput(f"--as-of {as_of!r}: give a date such as 2012-03-01") from error
    return run(history, day, as_json, settings.atr_matrix, settings.scanner, limit)


def _calendar(panel: DailyPanel) -> SessionCalendar:
    """Sessions from the oldest last bar to the year after the panel's end (weekly bars look one session ahead)."""
    oldest: date = panel.days[:, -1].min().astype(object)
    return SessionCalendar.load(date(oldest.year - 1, 1, 1), date(panel.last_session.year + 1, 12, 31))


def _ages(panel: DailyPanel, calendar: SessionCalendar) -> list[float]:
    """Seconds of market time between the close of each row's last bar and the close of the panel's last session."""
    last_days = panel.days[:, -1]
    end = calendar.close_ns(panel.last_session)
    closes = {
        day: calendar.close_ns(session if calendar.is_session(session) else calendar.previous(session))
        for day in np.unique(last_days).tolist()
        for session in (day,)
    }
    return [max(0, end - closes[day]) / NS for day in last_days.tolist()]


def _document(panel: DailyPanel, result: ScanResult, report: BarReport, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "as_of": panel.last_session.isoformat(),
        "symbols": len(panel),
        "bars": {"rows": report.rows, "kept": report.kept, "dropped": dict(report.dropped)},
        "states": {state.value: count for state, count in result.states.items()},
        "failed": {gate.value: count for gate, count in result.failed.items()},
        "not_checked": {gate.value: count for gate, count in result.not_checked.items()},
        "rows": rows,
    }


def _print_table(
    panel: DailyPanel, result: ScanResult, report: BarReport, rows: list[dict[str, Any]], out: TextIO
) -> None:
    print_rows(rows, out)
    states = ", ".join(f"{count} {state.value}" for state, count in sorted(result.states.items()))
    skipped = ", ".join(gate.value for gate in result.not_checked) or "none"
    print(f"{len(rows)} of {len(panel)} symbols at the close of {panel.last_session}: {states}", file=out)
    print(f"{report.sentence()}; gates not checked: {skipped}", file=out)


def print_rows(rows: list[dict[str, Any]], out: TextIO) -> None:
    """One line a symbol; a price that the quality gate refused has its code before the failed gates."""
    heading = " ".join(
        f"{name:<{width}}" if number == 0 else f"{name:>{width}}" for number, (name, width) in _numbered()
    )
    print(f"{heading}  FAILED GATES", file=out)
    for row in rows:
        cells = (
            row["symbol"],
            _cell(row["close"], 2),
            _cell(row["sma50"], 2),
            _cell(row["atr14"], 2),
            _cell(row["atr_distance"], 2),
            _cell(row["atr_pct_multiple"], 2),
            _cell(row["strength"], 2),
            _cell(row["confidence"], 2),
            row["state"],
        )
        line = " ".join(
            f"{cell:<{width}}" if number == 0 else f"{cell:>{width}}"
            for (number, (_, width)), cell in zip(_numbered(), cells, strict=True)
        )
        refused = f"price {row['code']} " if row.get("code") else ""
        print(f"{line}  {refused}{' '.join(row['failed'])}".rstrip(), file=out)


def _numbered() -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(COLUMNS))


def _cell(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _progress(text: str) -> None:
    """A line on stderr, only when a person is watching it."""
    if sys.stderr.isatty():
        print(f"{text} …", file=sys.stderr)

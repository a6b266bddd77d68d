"""Pane 1: what the scanner sees, one row a symbol."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from qmterm.core.settings.screen import AgeSteps
from qmterm.engine.view import ScanRow, Snapshot
from qmterm.ui.formats import age, arrow, count, dropped_zero, fixed, plain
from qmterm.ui.grid import Grid
from qmterm.ui.palette import BOLD, STRUCK, age_marks, aged
from qmterm.ui.pane import fitting
from qmterm.ui.table import Cell, Column

STATE_TONES = {
    "ENTRY_LONG": "gain",
    "ENTRY_SHORT": "loss",
    "SCALE_OUT": "money",
    "OVEREXTENDED": "warn",
    "EXIT": "loss",
    "HOLD": "dim",
    "NO_DATA": "dim",
}


def direction(value: float | None, text: str) -> Cell:
    """A change with its arrow: sign and glyph say what the colour says."""
    tone = "text" if not value else "gain" if value > 0 else "loss"
    return Cell(f"{arrow(value)}{text}" if value else text, tone)


def change(row: ScanRow) -> Cell:
    value = row.change_pct
    return direction(value, fixed(None if value is None else abs(value)))


def note_of(row: ScanRow) -> str:
    """Why the price is refused, else the engine's note, else the gates that failed."""
    if row.code:
        return " ".join(part for part in (f"price {row.code}", plain(row.note)) if part)
    return plain(row.note) or ("no " + ", ".join(row.failed) if row.failed else "")


def scan_columns(steps: AgeSteps, extra_s: Callable[[], float]) -> tuple[Column[ScanRow], ...]:
    def seconds(row: ScanRow) -> float | None:
        return None if row.age_s is None else row.age_s + extra_s()

    def last(row: ScanRow) -> Cell:
        marks = STRUCK if row.code else age_marks(seconds(row), steps)
        return Cell(aged(fixed(row.last), seconds(row), steps), "text", marks)

    def state(row: ScanRow) -> Cell:
        return Cell(row.state, STATE_TONES.get(row.state, "text"), BOLD if row.state.startswith("ENTRY") else 0)

    return (
        Column("symbol", "sym", 6, lambda r: Cell(r.symbol, "symbol"), lambda r: r.symbol, right=False, keep=9),
        Column("last", "last", 9, last, lambda r: r.last, keep=9),
        Column("change", "chg%", 7, change, lambda r: r.change_pct, keep=8),
        Column("distance", "ATRd", 6, lambda r: Cell(fixed(r.atr_distance)), lambda r: r.atr_distance, keep=8),
        Column("multiple", "x%", 6, lambda r: Cell(fixed(r.atr_pct_multiple)), lambda r: r.atr_pct_multiple, keep=1),
        Column("atr_pct", "ATR%", 5, lambda r: Cell(fixed(r.atr_pct, 1)), lambda r: r.atr_pct, keep=4),
        Column("position", "p20", 4, lambda r: Cell(fixed(r.position_20d, 0)), lambda r: r.position_20d, keep=3),
        Column("rvol", "rvol", 5, lambda r: Cell(fixed(r.rvol, 1)), lambda r: r.rvol, keep=4),
        Column(
            "hv",
            "HV",
            5,
            lambda r: Cell(fixed(None if r.hv20 is None else r.hv20 * 100, 1)),
            lambda r: r.hv20,
            keep=2,
        ),
        Column("ivhv", "IV/HV", 5, lambda r: Cell(fixed(r.iv_hv)), lambda r: r.iv_hv, keep=3),
        Column("strength", "str", 4, lambda r: Cell(dropped_zero(r.strength)), lambda r: r.strength, keep=6),
        Column("confidence", "conf", 5, lambda r: Cell(dropped_zero(r.confidence)), lambda r: r.confidence, keep=7),
        Column("rr", "R:R", 5, lambda r: Cell(fixed(r.risk_reward, 1)), lambda r: r.risk_reward, keep=6),
        Column("state", "state", 12, state, lambda r: r.state, right=False, keep=8),
        Column("note", "note", 10, lambda r: Cell(note_of(r), "dim"), None, right=False, keep=5, stretch=True),
        Column("age", "age", 4, lambda r: Cell(age(seconds(r)), "dim"), lambda r: r.age_s, keep=6),
    )


class ScanPane(Grid[ScanRow]):
    name_ = "scan"
    ranking = True

    def columns(self) -> Sequence[Column[ScanRow]]:
        return scan_columns(self.settings.bar_age_s, self.extra_s)

    def row_key(self, row: ScanRow) -> str:
        return row.symbol

    def row_search(self, row: ScanRow) -> str:
        return f"{row.symbol} {row.state} {row.note} {' '.join(row.failed)}"

    def rows_of(self, snapshot: Snapshot) -> Sequence[ScanRow]:
        return snapshot.scan.rows

    def empty(self, snapshot: Snapshot) -> str:
        scan = snapshot.scan
        if snapshot.header.starting:
            return f"starting: {plain(snapshot.header.starting)}"
        if scan.scanned_ns is None:
            return "the first scan has not run yet"
        return f"nothing in sight: {scan.live} of {scan.symbols} symbols have a price"

    def info(self) -> str:
        if self.frame_ is None:
            return ""
        scan = self.frame_.snapshot.scan
        filtered = self.table.filter is not None
        parts = [
            (9 if filtered else 5, self.count_text()),
            (4, f"{scan.live:,}/{scan.symbols:,} live"),
            (8, f"{scan.entries} entries"),
        ]
        if scan.coverage_pct is not None:
            # In tens of seconds: a figure that ticks in a calm market costs attention and bandwidth.
            old = None if scan.oldest_age_s is None else math.ceil(scan.oldest_age_s / 10) * 10
            parts += [(7, f"cov {fixed(scan.coverage_pct, 1)}%"), (6, f"oldest {age(old)}")]
        if scan.skipped:
            reason, number = max(scan.skipped.items(), key=lambda item: item[1])
            parts.append((3, f"skipped: {reason} {count(number)}"))
        if scan.rejected:
            top = sorted(scan.rejected.items(), key=lambda item: -item[1])[:2]
            parts.append((1, "out: " + " ".join(f"{reason} {number}" for reason, number in top)))
        return fitting(parts, self.info_room)

    def subject(self) -> str:
        return self.table.current_key

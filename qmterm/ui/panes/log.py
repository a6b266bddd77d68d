"""Pane 7: what happened, newest last; stays at the end while the cursor is there."""

from __future__ import annotations

from collections.abc import Sequence

from qmterm.engine.view import LogLine, Snapshot
from qmterm.ui.formats import clock, plain
from qmterm.ui.grid import Grid
from qmterm.ui.palette import BOLD, Line
from qmterm.ui.pane import Frame
from qmterm.ui.table import Cell, Column

LEVEL_TONES = {"info": "text", "warn": "warn", "error": "loss", "alarm": "alarm"}
KIND_TONES = {"FILL": "gain", "SIG": "accent", "PLAN": "proposal", "RISK": "warn", "ORD": "symbol"}


def _kind(row: LogLine) -> Cell:
    tone = LEVEL_TONES.get(row.level, "text")
    return Cell(plain(row.kind), KIND_TONES.get(row.kind, "label") if tone == "text" else tone, BOLD)


def _text(row: LogLine) -> Cell:
    text = plain(row.text)
    return Cell(f"! {text}" if row.level in ("error", "alarm") else text, LEVEL_TONES.get(row.level, "text"))


class LogPane(Grid[LogLine]):
    name_ = "log"

    def columns(self) -> Sequence[Column[LogLine]]:
        return (
            Column("time", "time", 8, lambda r: Cell(clock(r.time_ns), "dim"), None, right=False, keep=5),
            Column("kind", "kind", 5, _kind, None, right=False, keep=6),
            Column("text", "what happened", 20, _text, None, right=False, keep=9, stretch=True),
        )

    def row_key(self, row: LogLine) -> str:
        return str(row.seq)

    def row_search(self, row: LogLine) -> str:
        return f"{row.kind} {row.level} {row.text}"

    def rows_of(self, snapshot: Snapshot) -> Sequence[LogLine]:
        return snapshot.log

    def empty(self, snapshot: Snapshot) -> str:
        return "nothing has happened yet"

    def body(self, frame: Frame) -> list[Line]:
        follows = self.table.cursor >= len(self.table.rows) - 1
        self.table.load(self.rows_of(frame.snapshot), frame.now)
        if follows:
            self.table.go(len(self.table.rows) - 1)
        return super().body(frame)

    def info(self) -> str:
        if self.frame_ is None:
            return ""
        follows = self.table.cursor >= len(self.table.rows) - 1
        return f"{self.count_text()} · {'follows' if follows else 'G to follow'}"

    def subject(self) -> str:
        return ""

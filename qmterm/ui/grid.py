"""The line-drawn table: columns with fixed widths, a cursor that follows its row, sort, filter.

Built on Textual's line API instead of DataTable (which re-renders every visible cell for one tick: 100 ms a frame,
measured). It scrolls by its own first line: a ScrollView's virtual size would lay the whole screen out anew whenever
a row comes or goes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine.view import Snapshot
from qmterm.ui.palette import BOLD, CURSOR, IDLE, UNDERLINE, Line, Palette, Span
from qmterm.ui.pane import Frame, Pane
from qmterm.ui.table import Cell, Column, R, Table, visible_columns

GAP = " "


def cell_text(cell: Cell, width: int, right: bool) -> str:
    """Exactly as wide as the column; a number that does not fit shows # instead of a wrong number."""
    text = cell.text
    if len(text) > width:
        return "#" * width if right and any(c.isdigit() for c in text) else f"{text[: width - 1]}…"
    return text.rjust(width) if right else text.ljust(width)


def row_line(
    row: R, columns: Sequence[Column[R]], widths: Sequence[int], *, cursor: bool, active: bool, side: str = ""
) -> Line:
    """One row as spans. With a `side`, only that side's cells carry the cursor."""
    marks = (CURSOR if active else CURSOR | IDLE) if cursor else 0
    spans = [Span("▸" if cursor and active and side != "put" else " ", "accent", marks and BOLD)]
    for column, width in zip(columns, widths, strict=True):
        cell = column.cell(row)
        on = marks if not side or column.group in ("", side) else 0
        spans.append(Span(cell_text(cell, width, column.right) + GAP, cell.tone, cell.marks | on))
    if cursor and active and side == "put":
        spans.append(Span("◂", "accent", BOLD))
    return tuple(spans)


class Grid(Pane, Generic[R]):
    """A pane that is a table. Subclasses name their rows, columns and the words for "nothing here"."""

    ranking = False  # the first row is what one looks at: an untouched cursor stays on it

    def __init__(self, palette: Palette, settings: ScreenSettings) -> None:
        super().__init__(palette, settings)
        self.table: Table[R] = Table(self.row_key, self.row_search, self.columns(), sticks_to_top=self.ranking)
        self.top = 0
        self.side = ""

    # --- what a subclass says ---

    @abstractmethod
    def columns(self) -> Sequence[Column[R]]: ...

    @abstractmethod
    def row_key(self, row: R) -> str: ...

    @abstractmethod
    def row_search(self, row: R) -> str: ...

    @abstractmethod
    def rows_of(self, snapshot: Snapshot) -> Sequence[R]: ...

    @abstractmethod
    def empty(self, snapshot: Snapshot) -> str:
        """The sentence when there are no rows."""

    def banner(self, frame: Frame) -> list[Line]:
        """Lines between the title and the column titles."""
        return []

    # --- drawing ---

    def shown_columns(self) -> tuple[Column[R], ...]:
        return visible_columns(self.table.columns, self.inner_width - 2)

    def indent(self, spare: int) -> int:
        """Columns left free before the rows, out of so many to spare."""
        return 0

    def _widths(self, columns: Sequence[Column[R]]) -> list[int]:
        spare = self.inner_width - 2 - sum(column.width + 1 for column in columns)
        return [column.width + (spare if column.stretch else 0) for column in columns]

    def header_line(self, columns: Sequence[Column[R]], widths: Sequence[int]) -> Line:
        spans = [Span(" ", "label")]
        for column, width in zip(columns, widths, strict=True):
            sorted_by = column.id == self.table.sort
            title = column.title
            if sorted_by:
                title = f"{title[: width - 1]}{'▼' if self.table.descending else '▲'}"
            text = title.rjust(width) if column.right else title.ljust(width)
            spans.append(Span(text + GAP, "accent" if sorted_by else "label", UNDERLINE if sorted_by else 0))
        return tuple(spans)

    def body(self, frame: Frame) -> list[Line]:
        self.table.load(self.rows_of(frame.snapshot), frame.now)
        lines = self.banner(frame)
        rows = self.table.rows
        if not rows:
            sentence = self.empty(frame.snapshot)
            if self.table.filter is not None and self.table.total:
                sentence = f"none of {self.table.total} match {self.table.filter} (esc clears the filter)"
            return [*lines, (), (Span(f"  {sentence}", "dim"),)]
        columns = self.shown_columns()
        widths = self._widths(columns)
        used = 2 + sum(width + 1 for width in widths)
        left: Line = (Span(" " * self.indent(max(0, self.inner_width - used))),)
        lines.append((*left, *self.header_line(columns, widths)))
        height = max(1, self.size.height - 1 - len(lines))
        self._keep_in_view(height)
        for index in range(self.top, min(self.top + height, len(rows))):
            cursor = index == self.table.cursor
            line = row_line(rows[index], columns, widths, cursor=cursor, active=self.active, side=self.side)
            lines.append((*left, *line))
        return lines

    def _keep_in_view(self, height: int) -> None:
        cursor, size = self.table.cursor, len(self.table.rows)
        self.top = max(cursor - height + 1, min(self.top, cursor))
        self.top = max(0, min(self.top, size - height))

    def centre(self) -> None:
        """Put the cursor's row in the middle of the pane."""
        self.top = max(0, self.table.cursor - max(1, self.size.height - 3) // 2)

    # --- keys ---

    def move(self, step: int) -> None:
        self.table.move(step)

    def to_end(self, last: bool) -> None:
        self.table.go(len(self.table.rows) - 1 if last else 0)

    def click_row(self, line: int) -> None:
        """A click on a line of the body puts the cursor there (titles do nothing)."""
        if self.frame_ is not None:
            first = len(self.banner(self.frame_)) + 1
            if line >= first and self.top + line - first < len(self.table.rows):
                self.table.go(self.top + line - first)

    def count_text(self) -> str:
        """`14 of 500 /nv` for the title."""
        shown, total = len(self.table.rows), self.table.total
        text = f"{shown} of {total}" if self.table.filter is not None else str(total)
        return f"{text} {self.table.filter}" if self.table.filter is not None else text

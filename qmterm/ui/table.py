"""Rows of a pane in the order they are drawn, and the row under the cursor; no drawing here.

The trap this guards against is acting on the wrong row: the cursor belongs to a row's key, not to a line number, and
rows change places at most once a second. When the row under the cursor vanishes, or the cursor goes to a line whose
row has just changed, `moved_at` says so and acts wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar

R = TypeVar("R")
SortKey = float | str | int | Decimal | None

# Rows change places at most this often (seconds): a table that reorders five times a second cannot be read.
REORDER_S = 1.0


class Cell(NamedTuple):
    """One cell: its text (shorter than the column is wide), its tone and marks (palette.py)."""

    text: str
    tone: str = "text"
    marks: int = 0


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """`keep`: in a narrow pane the columns with the lowest keep leave first. `group` names a side of the chain."""

    id: str
    title: str
    width: int
    cell: Callable[[R], Cell]
    value: Callable[[R], SortKey] | None = None
    right: bool = True
    keep: int = 5
    group: str = ""
    stretch: bool = False


def visible_columns(columns: Sequence[Column[R]], width: int, gap: int = 1) -> tuple[Column[R], ...]:
    """The columns that fit, in their own order; the least kept leave first (the rightmost of equals).

    Columns of a chain's side leave in pairs, so that calls and puts stay mirrored.
    """
    chosen = list(columns)
    while chosen and sum(column.width + gap for column in chosen) > width:
        least = min(column.keep for column in chosen)
        leaving = [column for column in chosen if column.keep == least]
        for column in leaving if leaving[-1].group else leaving[-1:]:
            chosen.remove(column)
    return tuple(chosen)


@dataclass(frozen=True, slots=True)
class Filter:
    """`/text` keeps rows that contain it (a regular expression where it is one), `/!text` those that do not."""

    text: str
    inverse: bool
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, typed: str) -> Filter | None:
        inverse = typed.startswith("!")
        text = typed.removeprefix("!").strip()
        if not text:
            return None
        try:
            pattern = re.compile(text, re.IGNORECASE)
        except re.error:
            pattern = re.compile(re.escape(text), re.IGNORECASE)
        return cls(text, inverse, pattern)

    def keeps(self, text: str) -> bool:
        return (self.pattern.search(text) is None) is self.inverse

    def __str__(self) -> str:
        return f"/{'!' if self.inverse else ''}{self.text}"


def _sort_key(value: SortKey) -> tuple[int, float, str]:
    """Numbers before words; unknown is handled by the caller."""
    if isinstance(value, str):
        return (1, 0.0, value)
    return (0, float(value or 0), "")


class Table(Generic[R]):
    def __init__(
        self,
        key: Callable[[R], str],
        search: Callable[[R], str],
        columns: Sequence[Column[R]],
        *,
        sticks_to_top: bool = False,
    ) -> None:
        """`sticks_to_top`: a cursor on the first row stays on the first row, whichever that is (a ranking)."""
        self._key = key
        self._search = search
        self._sticks_to_top = sticks_to_top
        self.columns = tuple(columns)
        self.rows: tuple[R, ...] = ()
        self.total = 0
        self.cursor = 0
        self.moved_at = -1e9  # monotonic seconds when the row under the cursor became another one than was seen there
        self._shifted_at = -1e9  # when a line of the table last became another row's by itself
        self.sort: str = ""  # column id, "" = as delivered
        self.descending = True
        self.filter: Filter | None = None
        self.last_filter: Filter | None = None
        self._source: Sequence[R] = ()
        self._ordered_at = -1e9
        self._stale_order = True
        self._held = False  # the order on the screen is older than the rows

    # --- what comes in ---

    def load(self, source: Sequence[R], now: float) -> None:
        """New rows from a snapshot; keeps the cursor on its key."""
        due = self._stale_order or (self._held and now - self._ordered_at >= REORDER_S)
        if source is self._source and not due:
            return
        self._source = source
        self.total = len(source)
        self._held = not due and now - self._ordered_at < REORDER_S
        if self._held:
            fresh = self._in_old_order(source)
        else:
            fresh = self._ordered(source)
            self._ordered_at, self._stale_order = now, False
        self._place(fresh, now)

    def reorder(self, now: float) -> None:
        """Sort or filter changed: apply it at once. Whoever asked for that looks at what comes."""
        shifted_at = self._shifted_at
        self._stale_order = True
        self.load(self._source, now)
        self._shifted_at = shifted_at

    def _ordered(self, source: Sequence[R]) -> list[R]:
        kept = self.filter
        rows = [row for row in source if kept is None or kept.keeps(self._search(row))]
        column = next((column for column in self.columns if column.id == self.sort), None)
        if column is None or column.value is None:
            return rows
        value = column.value
        known_rows = [row for row in rows if value(row) is not None]
        unknown_rows = [row for row in rows if value(row) is None]
        known_rows.sort(key=lambda row: _sort_key(value(row)), reverse=self.descending)
        return known_rows + unknown_rows

    def _in_old_order(self, source: Sequence[R]) -> list[R]:
        by_key = {self._key(row): row for row in source}
        old = [self._key(row) for row in self.rows]
        rows = [by_key.pop(key) for key in old if key in by_key]
        kept = self.filter
        rows.extend(row for row in by_key.values() if kept is None or kept.keeps(self._search(row)))
        return rows

    def _place(self, fresh: Sequence[R], now: float) -> None:
        current = self.current
        at_end = self.cursor >= len(self.rows) - 1
        if [self._key(row) for row in fresh[: len(self.rows)]] != [self._key(row) for row in self.rows]:
            self._shifted_at = now
        self.rows = tuple(fresh)
        if current is None:
            self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
            return
        key = self._key(current)
        if self._sticks_to_top and self.cursor == 0:
            if self.rows and self._key(self.rows[0]) != key:
                self.moved_at = now
            return
        for index, row in enumerate(self.rows):
            if self._key(row) == key:
                self.cursor = index
                return
        self.moved_at = now
        last = len(self.rows) - 1
        self.cursor = max(0, last if at_end else min(self.cursor, last))

    # --- the cursor ---

    @property
    def current(self) -> R | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def current_key(self) -> str:
        row = self.current
        return "" if row is None else self._key(row)

    def move(self, step: int) -> None:
        self.go(self.cursor + step)

    def go(self, index: int) -> None:
        """To a line: a step, a page, an end or a click, which all aim at what stood there a moment ago."""
        self._put(index)
        self.moved_at = self._shifted_at

    def _put(self, index: int) -> None:
        """To a row that is meant by what it is."""
        self.cursor = max(0, min(index, len(self.rows) - 1))
        self.moved_at = -1e9

    def go_to_key(self, key: str) -> bool:
        for index, row in enumerate(self.rows):
            if self._key(row) == key:
                self._put(index)
                return True
        return False

    def find(self, step: int) -> bool:
        """To the next (+1) or previous (−1) row that the last filter keeps, around the end."""
        wanted = self.filter or self.last_filter
        if wanted is None or not self.rows:
            return False
        size = len(self.rows)
        for distance in range(1, size + 1):
            index = (self.cursor + step * distance) % size
            if wanted.keeps(self._search(self.rows[index])):
                self._put(index)
                return True
        return False

    # --- sort and filter ---

    def set_filter(self, typed: str, now: float) -> None:
        self.filter = Filter.parse(typed)
        self.last_filter = self.filter or self.last_filter
        self.reorder(now)

    def set_sort(self, column: str, descending: bool, now: float) -> None:
        self.sort, self.descending = column, descending
        self.reorder(now)

    def sortable(self, shown: Sequence[Column[R]]) -> tuple[str, ...]:
        return tuple(column.id for column in shown if column.value is not None)

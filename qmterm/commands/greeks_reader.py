"""Reads the recognised columns of a table and collects, for each row, what is wrong with it and in which column.

The trap: a cell that could not be read is not an empty one; only the first is told again when the value is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from qmterm.commands import greeks_cells as cells_of
from qmterm.commands.greeks_cells import NumberRule
from qmterm.commands.greeks_columns import Field, says_percent
from qmterm.commands.greeks_read import Table
from qmterm.core.bars import BoolArray, FloatArray

LONGEST_YEARS = 30.0

DOLLARS = NumberRule("dollars per share such as 105.50", least=0.0, most=1e7, above=True)
QUOTE = NumberRule("dollars per share such as 2.35", least=0.0, most=1e7)
RULES: dict[Field, NumberRule] = {
    Field.SPOT: DOLLARS,
    Field.STRIKE: DOLLARS,
    Field.YEARS: NumberRule(
        "years such as 0.25", least=-LONGEST_YEARS, most=LONGEST_YEARS, hint="days belong in a column called days"
    ),
    Field.DAYS: NumberRule("calendar days such as 45", least=-LONGEST_YEARS * 365, most=LONGEST_YEARS * 365),
    Field.PRICE: QUOTE,
    Field.BID: QUOTE,
    Field.ASK: QUOTE,
    Field.VOL: NumberRule(
        "a decimal such as 0.25", least=0.0, most=10.0, above=True, percent=True, hint="25 % is 0.25 or 25%"
    ),
    Field.RATE: NumberRule("a decimal such as 0.04", least=-0.5, most=1.0, percent=True, hint="4 % is 0.04 or 4%"),
    Field.DIVIDEND_YIELD: NumberRule(
        "a decimal such as 0.013", least=-0.5, most=1.0, percent=True, hint="1.3 % is 0.013 or 1.3%"
    ),
}


class ColumnReader:
    """Reads the columns of one table and collects what is wrong with each row."""

    def __init__(self, table: Table, fields: dict[Field, int]) -> None:
        self.table = table
        self.fields = fields
        self.size = len(table.rows)
        self.problems: dict[int, list[str]] = {}
        self.notes: list[str] = []
        self.given: dict[Field, FloatArray] = {}  # the numbers as they stand in the table, NaN where there is none
        numeric = [table.column(position) for field, position in fields.items() if field in RULES]
        self.decimal_comma = table.delimiter != "," and cells_of.decimal_comma(chain.from_iterable(numeric))
        if self.decimal_comma:
            self.notes.append("numbers are read with a decimal comma: 1.234,5 is 1234.5")
        self._ragged: set[int] = set()
        for at, width in enumerate(table.widths):
            if width != len(table.header):
                self._ragged.add(at)
                self.wrong(at, None, f"has {width} cells, the header has {len(table.header)}; {self._width_hint(at)}")

    def _width_hint(self, at: int) -> str:
        if any("\n" in cell for cell in self.table.rows[at]):
            return "is a quotation mark not closed?"
        return "quote cells with commas" if self.table.delimiter == "," else "quote cells with separators"

    def wrong(self, at: int, field: Field | None, what: str) -> None:
        if field is not None and at in self._ragged:
            return  # its cells are not in their columns: what they say means nothing
        where = "" if field is None else f"column {self.name(field)}: "
        self.problems.setdefault(at, []).append(f"{where}{what}")

    def name(self, field: Field) -> str:
        position = self.fields.get(field)
        return field.value if position is None else self.table.header[position]

    def numbers(self, field: Field) -> FloatArray:
        if field not in self.fields:
            return np.full(self.size, np.nan)
        rule, cells = RULES[field], self.cells(field)
        if rule.percent and says_percent(self.name(field)):
            self.notes.append(f"column {self.name(field)!r} is read as percent")
            cells = [cell if cell.strip().endswith("%") or cells_of.blank(cell) else f"{cell}%" for cell in cells]
            if field is Field.VOL:  # 0.25 there is a decimal after all, not a quarter of a percent
                rule = replace(rule, least=0.01, hint="", example="percent such as 25")
        values, wrong = cells_of.numbers(cells, rule)
        self._note(field, wrong)
        self.given[field] = values.copy()
        return values

    def cells(self, field: Field) -> list[str]:
        """The cells of a column, decimal commas made points."""
        found = self.table.column(self.fields[field])
        return [cells_of.with_point(cell) for cell in found] if self.decimal_comma else found

    def forgive(self, field: Field, rows: BoolArray, note: str) -> None:
        """Takes back what is wrong with cells of rows that do not need them, and says how many those are."""
        forgiven = 0
        for at in np.flatnonzero(rows).tolist():
            problems = self.problems.get(at, [])
            kept = [problem for problem in problems if not problem.startswith(f"column {self.name(field)}:")]
            forgiven += len(kept) < len(problems)
            if kept:
                self.problems[at] = kept
            else:
                self.problems.pop(at, None)
        if forgiven:
            self.notes.append(f"{forgiven} row(s) {note}")

    def each(self, field: Field, reader: Callable[[str], cells_of.T]) -> list[cells_of.T | None]:
        if field not in self.fields:
            return [None] * self.size
        found, wrong = cells_of.each(self.table.column(self.fields[field]), reader)
        self._note(field, wrong)
        return found

    def need(self, field: Field, given: Sequence[bool] | BoolArray, what: str) -> None:
        """Every row without it is a bad row, unless its cell was said to be wrong already."""
        for at in np.flatnonzero(~np.asarray(given, dtype=np.bool_)).tolist():
            if not any(f"column {self.name(field)}:" in problem for problem in self.problems.get(at, ())):
                self.wrong(at, field, what)

    def _note(self, field: Field, wrong: dict[int, str]) -> None:
        for at, what in wrong.items():
            self.wrong(at, field, what)

"""A user's table as text cells with the line each row began on, whatever program wrote it.

The trap: a quoted cell may hold line breaks, so the number of a row is not the number of its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qmterm.commands.greeks_columns import is_field
from qmterm.core.errors import BadInput

STDIN = "-"
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows have exactly the header's cells; `width` is how many the file gave (a difference is the row's error)."""

    source: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    widths: list[int]

    def column(self, number: int) -> list[str]:
        return [row[number] for row in self.rows]


def read(file: str) -> Table:
    """The table in a file, or of standard input for `-`; BadInput in a sentence when it is none."""
    source = "standard input" if file == STDIN else file
    return parse(_text(_bytes(file, source), source), source)


def parse(text: str, source: str) -> Table:
    """Header and rows of comma, semicolon or tab separated text; blank lines are no rows."""
    start = text.lstrip("\r\n \t")
    if not start:
        raise BadInput(f"{source} is empty; the first line must name columns: spot,strike,expiry,right,price")
    heading = start.splitlines()[0]
    delimiter = max(DELIMITERS, key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    header: tuple[str, ...] | None = None
    rows: list[list[str]] = []
    lines: list[int] = []
    widths: list[int] = []
    ended = 0
    try:
        for cells in reader:
            line, ended = ended + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, source)
                continue
            width = len(cells)
            if width != len(header):
                cells = [*cells, *[""] * (len(header) - width)][: len(header)]
            rows.append(cells)
            lines.append(line)
            widths.append(width)
    except csv.Error as error:
        raise BadInput(f"{source}: line {reader.line_num}: {error}; is this a CSV file?") from error
    assert header is not None  # there is text that is not blank
    return Table(source, header, rows, lines, widths)


def _header(cells: Sequence[str], source: str) -> tuple[str, ...]:
    """Headings, each once: an empty one gets its number, a second of the same name a suffix (unless it is an input)."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip() or f"column_{number}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1 and is_field(name):
            raise BadInput(f"{source}: line 1: column {name!r} appears twice; rename the one that is not meant")
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(names)


def _bytes(file: str, source: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise BadInput(f"{source}: cannot be read: {error.strerror or error}") from error


def _text(raw: bytes, source: str) -> str:
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{source}: line {line}: not UTF-8 text; save it as CSV in UTF-8") from error

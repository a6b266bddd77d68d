"""A user's table as text cells with the line each row began on, whatever program wrote it.

The trap: a quoted cell may hold line breaks, so the number of a row is not the number of its line; and a quotation
mark that is never closed swallows the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qmterm.commands.greeks_columns import EXAMPLE, is_field
from qmterm.core.errors import BadInput

STDIN = "-"
DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"sep=(.)\Z")  # Excel's own
_MAGIC = {b"PK\x03\x04": "an Excel workbook or a zip file", b"PAR1": "a Parquet file", b"\x1f\x8b": "a gzip file"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows have exactly the header's cells; `width` is how many the file gave (a difference is the row's error)."""

    source: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    widths: list[int]
    delimiter: str
    header_line: int

    def column(self, number: int) -> list[str]:
        return [row[number] for row in self.rows]


def read(file: str) -> Table:
    """The table in a file, or of standard input for `-`; BadInput in a sentence when it is none."""
    source = "standard input" if file == STDIN else file
    return parse(_text(_bytes(file, source), source), source)


def parse(text: str, source: str) -> Table:
    """Header and rows of comma, semicolon, tab or bar separated text; blank lines and `# comments` are no rows."""
    delimiter = _delimiter(text, source)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    header: tuple[str, ...] | None = None
    rows: list[list[str]] = []
    lines: list[int] = []
    widths: list[int] = []
    ended = header_line = named = 0
    try:
        for cells in reader:
            line, ended = ended + 1, reader.line_num
            if _no_row(cells) or (header is None and _SEPARATOR_LINE.match("".join(cells) + delimiter)):
                continue
            if header is None:
                header, header_line = _header(cells, source, line), line
                named = max(number for number, cell in enumerate(cells, start=1) if cell.strip())
                continue
            width = len(cells)
            if width != len(header):
                if not any(cell.strip() for cell in cells[len(header) :]) and width >= named:
                    width = len(header)  # commas at the end of a line mean nothing
                cells = [*cells, *[""] * (len(header) - len(cells))][: len(header)]
            rows.append(cells)
            lines.append(line)
            widths.append(width)
    except csv.Error as error:
        hint = "is this a CSV file, and is every quotation mark closed?"
        raise BadInput(f"{source}: line {ended + 1}: {error}; {hint}") from error
    if header is None:
        raise BadInput(f"{source} is empty; the first line must name columns: {EXAMPLE}")
    return Table(source, header, rows, lines, widths, delimiter, header_line)


def _delimiter(text: str, source: str) -> str:
    """What separates the cells of the heading, the first line that says something."""
    for line in io.StringIO(text):
        separator = _SEPARATOR_LINE.match(line.strip("\r\n"))
        if separator:
            return separator.group(1)
        delimiter = max(DELIMITERS, key=line.count)
        if not _no_row(line.split(delimiter)):
            return delimiter
    raise BadInput(f"{source} is empty; the first line must name columns: {EXAMPLE}")


def _no_row(cells: Sequence[str]) -> bool:
    """Blank, or a comment: `# exported at noon`, but not a row that is numbered `#1`."""
    said = [cell.strip() for cell in cells if cell.strip()]
    return not said or said[0].startswith("# ") or (said[0].startswith("#") and len(said) == 1)


def _header(cells: Sequence[str], source: str, line: int) -> tuple[str, ...]:
    """Headings, each once: an empty one gets its number, a second of the same name a suffix (unless it is an input)."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip() or f"column_{number}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1 and is_field(name):
            raise BadInput(f"{source}: line {line}: column {name!r} appears twice; rename the one that is not meant")
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
    for magic, what in _MAGIC.items():
        if raw.startswith(magic):
            raise BadInput(f"{source}: is {what}; save the table as CSV in UTF-8")
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and b"\0" in raw[:1000]:
        raise BadInput(f"{source}: is no text; save the table as CSV in UTF-8")
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{source}: line {line}: not UTF-8 text; save it as CSV in UTF-8") from error

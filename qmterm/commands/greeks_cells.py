"""Cells of text as numbers, rights and styles; what cannot be read is said, never guessed.

The trap: a volatility of 25 may be meant as 25 %, and 1,500 as one and a half; a wrong answer looks as good as a right
one, so what can be read in two ways is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from qmterm.core.bars import FloatArray

T = TypeVar("T")

BLANK = frozenset({"", "-", "--", "–", "—", "na", "n/a", "#n/a", "nan", "null", "none", "nat", "<empty>"})
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?\Z")
_EUROPEAN = re.compile(r"([$+-]*)(\d+|[1-9]\d{0,2}(?:[. '\u00a0\u202f]\d{3})+)(?:,(\d*))?\s*(%?)\Z")
_LONGEST = 60  # characters of a cell in a message


class Unreadable(ValueError):
    """What is wrong with one cell and what to write instead."""


@dataclass(frozen=True, slots=True)
class NumberRule:
    """The numbers a column may hold; `least` and `most` are what makes sense, `example` what to write."""

    example: str
    least: float
    most: float
    above: bool = False  # the least itself is not allowed
    percent: bool = False  # "25%" is 0.25
    hint: str = ""


def blank(cell: str) -> bool:
    return cell.strip().lower() in BLANK


def shown(cell: str) -> str:
    """A cell in a message: quoted, on one line, not longer than a line."""
    return repr(cell if len(cell) <= _LONGEST else f"{cell[:_LONGEST]}…")


def decimal_comma(cells: Iterable[str]) -> bool:
    """True when some number can only be read with a decimal comma and none only with a decimal point."""
    found = False
    for cell in cells:
        plain = cell.strip().removesuffix("%").strip().removeprefix("$")
        european = _EUROPEAN.match(plain) is not None
        if "," in plain and european and not _GROUPED.match(plain):
            found = True
        elif "." in plain and not european:
            return False
    return found


def with_point(cell: str) -> str:
    """`1.234,50` as `1234.50`; the cell itself where it is no number of that kind."""
    match = _EUROPEAN.match(cell.strip())
    if match is None:
        return cell
    sign, whole, fraction, percent = match.groups()
    return f"{sign}{''.join(filter(str.isdecimal, whole))}.{fraction or '0'}{percent}"


def number(cell: str, rule: NumberRule) -> float:
    """A finite number within its rule; Unreadable otherwise."""
    text = cell.strip()
    percent = text.endswith("%")
    if percent and not rule.percent:
        raise Unreadable(f"{shown(cell)} is a percentage; write {rule.example}")
    plain = text.removesuffix("%").strip().removeprefix("$").strip()
    if _GROUPED.match(plain):
        plain = plain.replace(",", "")
    if percent and "e" not in plain.lower():
        plain = f"{plain}e-2"  # exactly the decimal, which a division would miss by a digit
        percent = False
    try:
        value = math.nan if "_" in plain else float(plain)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        comma = " (a decimal point, not a comma)" if "," in plain else ""
        raise Unreadable(f"{shown(cell)} is not a number; write {rule.example}{comma}")
    return in_range(value / 100.0 if percent else value, cell, rule)


def in_range(value: float, cell: str, rule: NumberRule) -> float:
    if value < rule.least or (rule.above and value == rule.least):
        words = "more than" if rule.above else "at least"
        raise Unreadable(f"{cell.strip()} must be {words} {rule.least:g}; write {rule.example}")
    if value > rule.most:
        raise Unreadable(f"{cell.strip()} is more than {rule.most:g}; {rule.hint or f'write {rule.example}'}")
    return value


def numbers(cells: Sequence[str], rule: NumberRule) -> tuple[FloatArray, dict[int, str]]:
    """(values, what is wrong by position): NaN where a cell is blank or unreadable."""
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        values = np.full(len(cells), np.nan)
    low = values <= rule.least if rule.above else values < rule.least
    doubtful = np.flatnonzero(low | (values > rule.most) | ~np.isfinite(values) | _underscored(cells))
    wrong: dict[int, str] = {}
    for at in doubtful.tolist():
        values[at] = math.nan
        if blank(cells[at]):
            continue
        try:
            values[at] = number(cells[at], rule)
        except Unreadable as error:
            wrong[at] = str(error)
    return values, wrong


def _underscored(cells: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Python reads 1_0 as ten; a table means something else by it."""
    if not any("_" in cell for cell in cells):
        return np.zeros(len(cells), dtype=np.bool_)
    return np.array(["_" in cell for cell in cells])


def each(cells: Sequence[str], reader: Callable[[str], T]) -> tuple[list[T | None], dict[int, str]]:
    """Every cell through `reader`, once for each different text; None where blank or wrong."""
    known: dict[str, T | None] = {}
    errors: dict[str, str] = {}
    for cell in dict.fromkeys(cells):
        known[cell] = None
        if blank(cell):
            continue
        try:
            known[cell] = reader(cell.strip())
        except Unreadable as error:
            errors[cell] = str(error)
    wrong = {at: errors[cell] for at, cell in enumerate(cells) if cell in errors} if errors else {}
    return [known[cell] for cell in cells], wrong


def is_call(cell: str) -> bool:
    word = cell.lower()
    if word in ("c", "call", "calls"):
        return True
    if word in ("p", "put", "puts"):
        return False
    raise Unreadable(f"{shown(cell)} is neither a call nor a put; write C or P")


def is_american(cell: str) -> bool:
    word = cell.lower()
    if word in ("a", "american", "us"):
        return True
    if word in ("e", "european", "eu"):
        return False
    raise Unreadable(f"{shown(cell)} is no exercise style; write american or european")

"""Cells of text as numbers, rights, styles, instants and dividends; what cannot be read is said, never guessed.

The trap: a volatility of 25 may be meant as 25 %, and a wrong answer looks as good as a right one, so it is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.clock import ET, NS, from_et

T = TypeVar("T")

BLANK = frozenset({"", "-", "–", "—", "na", "n/a", "nan", "null", "none", "nat"})
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?\Z")
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})\Z")


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


def number(cell: str, rule: NumberRule) -> float:
    """A finite number within its rule; Unreadable otherwise."""
    text = cell.strip()
    percent = text.endswith("%")
    if percent and not rule.percent:
        raise Unreadable(f"{cell!r} is a percentage; write {rule.example}")
    plain = text.removesuffix("%").strip().removeprefix("$")
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
        raise Unreadable(f"{cell!r} is not a number; write {rule.example}{comma}")
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
    raise Unreadable(f"{cell!r} is neither a call nor a put; write C or P")


def is_american(cell: str) -> bool:
    word = cell.lower()
    if word in ("a", "american", "us"):
        return True
    if word in ("e", "european", "eu"):
        return False
    raise Unreadable(f"{cell!r} is no exercise style; write american or european")


def day_or_instant(cell: str) -> date | int:
    """A date, or an instant in UTC nanoseconds when a time of day is given (New York time without an offset)."""
    match = _US_DATE.match(cell)
    try:
        if match:
            month, day, year = (int(part) for part in match.groups())
            return _plausible(date(year, month, day), cell)
        if len(cell) <= 10:
            return _plausible(date.fromisoformat(cell), cell)
        moment = datetime.fromisoformat(cell)
    except Unreadable:
        raise
    except ValueError:
        raise Unreadable(f"{cell!r} is no date; write it as 2026-04-17") from None
    _plausible(moment.date(), cell)
    if moment.tzinfo is None:
        if moment.time() == time():  # a date as a spreadsheet writes it
            return moment.date()
        moment = moment.replace(tzinfo=ET)
    return int(moment.timestamp()) * NS + moment.microsecond * 1000


def _plausible(day: date, cell: str) -> date:
    if not date(1990, 1, 1) <= day <= date(2099, 12, 31):
        raise Unreadable(f"{cell!r} is no year of listed options; write a date such as 2026-04-17")
    return day


def instant(cell: str) -> int:
    """An instant in UTC nanoseconds; a date alone means 16:00 New York time, the end of its session."""
    found = day_or_instant(cell)
    return found if isinstance(found, int) else from_et(found, 16, 0)


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash amount per share and when the share goes ex: a day, or years from the row's instant."""

    ex: date | float
    amount: float

    def years_from(self, as_of_ns: int) -> float:
        """Years from an instant to the ex-date's open, 09:30 New York; negative when it has passed."""
        if isinstance(self.ex, date):
            return (from_et(self.ex, 9, 30) - as_of_ns) / (timedelta(days=365).total_seconds() * NS)
        return self.ex


_AMOUNT = NumberRule("2026-12-15:0.80", least=0.0, most=1e6)
_WHEN = NumberRule("2026-12-15:0.80", least=-100.0, most=100.0)
_DAYS = NumberRule("20d:0.80", least=-36500.0, most=36500.0)


def dividends(cell: str) -> tuple[Dividend, ...]:
    """`2026-12-15:0.80;2027-03-15:0.80`; years (`0.25:0.80`) or days (`20d:0.80`) instead of a date; or JSON
    `[[days, amount], …]`."""
    if cell.startswith("["):
        return tuple(_json_dividends(cell))
    found: list[Dividend] = []
    for part in re.split(r"[;|\s]+", cell.strip(";| ")):
        when, colon, amount = part.rpartition(":")
        if not colon:
            raise Unreadable(f"{part!r} is no dividend; write 2026-12-15:0.80, several separated by semicolons")
        found.append(Dividend(_ex(when), number(amount, _AMOUNT)))
    return tuple(found)


def _ex(text: str) -> date | float:
    if text.endswith("d"):
        return number(text[:-1], _DAYS) / 365.0
    if "-" in text[1:] or "/" in text:
        found = day_or_instant(text)
        if not isinstance(found, int):
            return found
    return number(text, _WHEN)


def _json_dividends(cell: str) -> list[Dividend]:
    example = "[[20, 0.8], [111, 0.8]] (days, dollars)"
    try:
        pairs = json.loads(cell)
        found = [Dividend(float(days) / 365.0, float(amount)) for days, amount in pairs]
    except (ValueError, TypeError):
        raise Unreadable(f"{cell!r} is no list of dividends; write {example} or 2026-12-15:0.80") from None
    if not all(0.0 <= one.amount < 1e6 and abs(one.years_from(0)) < 100.0 for one in found):
        raise Unreadable(f"{cell!r} has a dividend below 0 or without a number; write {example}")
    return found

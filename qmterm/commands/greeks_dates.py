"""Dates and instants as people and programs write them: ISO, US slashes, German dots, month names.

The trap: 04/05/2026 is April in New York and May in London. Slashes are read as US dates, dots as European ones, and
what could be either beyond that (04-05-2026) is refused.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time

from qmterm.commands.greeks_cells import Unreadable, shown
from qmterm.core.clock import ET, NS, from_et

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_US = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4}|\d{2})\Z")
_DOTS = re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}|\d{2})\Z")
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})\Z")
_DAY_NAME = re.compile(r"(?P<day>\d{1,2})[ -]?(?P<name>[a-z]{3,9})[ '-]*(?P<year>\d{4}|\d{2})\Z")
_NAME_DAY = re.compile(r"(?P<name>[a-z]{3,9})\.?[ -]?(?P<day>\d{1,2})[ ,'-]+(?P<year>\d{4}|\d{2})\Z")
_FORMS = (_US, _DOTS, _YEAR_FIRST, _DAY_NAME, _NAME_DAY)
_MIDNIGHT = re.compile(r"[ T](0?0:00(:00(\.0+)?)?|12:00(:00)? ?am)\Z", re.IGNORECASE)  # as a spreadsheet writes a date
_AFTER = re.compile(r"\s*\(.*\Z")  # thinkorswim: 17 APR 26 (46) 100 (Weeklys)
_WEEKDAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +")
_SERIAL = re.compile(r"[345]\d{4}(\.\d*)?\Z")


def day_or_instant(cell: str) -> date | int:
    """A date, or an instant in UTC nanoseconds when a time of day is given (New York time without an offset)."""
    text = _MIDNIGHT.sub("", _AFTER.sub("", cell.strip()))
    named = _named(text, cell)
    if named is not None:
        return _plausible(named, cell)
    try:
        if len(text) <= 10:
            return _plausible(date.fromisoformat(text), cell)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(_no_date(cell)) from None
    _plausible(moment.date(), cell)
    if moment.tzinfo is None:
        if moment.time() == time():
            return moment.date()
        moment = moment.replace(tzinfo=ET)
    return int(moment.timestamp()) * NS + moment.microsecond * 1000


def _named(text: str, cell: str) -> date | None:
    """The date in one of the forms that ISO does not know; None when it is in none of them."""
    plain = _WEEKDAY.sub("", text.lower())
    for form in _FORMS:
        match = form.match(plain)
        if match is None:
            continue
        parts = match.groupdict()
        month = _MONTHS.get(parts["name"][:3], 0) if "name" in parts else int(parts["month"])
        year = int(parts["year"])
        try:
            return date(year + 2000 if year < 100 else year, month, int(parts["day"]))
        except ValueError:
            raise Unreadable(_no_date(cell, " (slashes mean month/day/year)" if form is _US else "")) from None
    return None


def _no_date(cell: str, more: str = "") -> str:
    if _SERIAL.match(cell):
        return f"{shown(cell)} is a spreadsheet's day number; format the column as a date, such as 2026-04-17"
    return f"{shown(cell)} is no date{more}; write it as 2026-04-17"


def _plausible(day: date, cell: str) -> date:
    if not date(1990, 1, 1) <= day <= date(2099, 12, 31):
        raise Unreadable(f"{shown(cell)} is no year of listed options; write a date such as 2026-04-17")
    return day


def instant(cell: str) -> int:
    """An instant in UTC nanoseconds; a date alone means 16:00 New York time, the end of its session."""
    found = day_or_instant(cell)
    return found if isinstance(found, int) else from_et(found, 16, 0)

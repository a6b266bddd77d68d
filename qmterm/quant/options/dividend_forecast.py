"""The dividends an option will live through: those declared, and those a company's habit promises (QUANT.md 3.2).

Undeclared dividends repeat the last regular amount at the last regular spacing and are marked as estimated. The trap:
a special dividend says nothing about the next one, and a company that has skipped a date may have stopped paying.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

MONTHLY_DAYS = 365.0 / 12.0
# Spacings within this share of a whole 1, 3, 6 or 12 months are that many months; others repeat in days.
MONTHS_TOLERANCE = 0.2
_MONTHS = (1, 3, 6, 12)
# How far past its expected date an undeclared dividend may be before payments count as stopped.
LATE_SHARE = 0.5


class PaidDividend(NamedTuple):
    """A dividend that was paid or declared; $ per share, split-adjusted. `regular` is False for a special one."""

    ex_date: date
    amount: float
    regular: bool = True


class ExpectedDividend(NamedTuple):
    ex_date: date
    amount: float
    estimated: bool  # not declared: shown as "est"


def expected_dividends(
    known: Iterable[PaidDividend], as_of: date, until: date, per_year: int | None = None
) -> list[ExpectedDividend]:
    """Dividends with an ex-date after `as_of` and up to `until`, by date: the declared ones, then estimates.

    `per_year` is the payment frequency where the reference data states one (12, 4, 2 or 1); without it the last two
    regular ex-dates tell the spacing, and a single one promises nothing. Records without a positive amount are left
    out, of records with one ex-date and kind the last given counts.
    """
    usable = {
        (dividend.ex_date, dividend.regular): dividend
        for dividend in known
        if math.isfinite(dividend.amount) and dividend.amount > 0
    }
    declared = [
        ExpectedDividend(dividend.ex_date, dividend.amount, estimated=False)
        for dividend in usable.values()
        if as_of < dividend.ex_date <= until
    ]
    regular = sorted(dividend for dividend in usable.values() if dividend.regular)
    return sorted(declared + _estimates(regular, as_of, until, per_year))


def _estimates(
    regular: Sequence[PaidDividend], as_of: date, until: date, per_year: int | None
) -> list[ExpectedDividend]:
    if not regular:
        return []
    last = regular[-1]
    if per_year is not None and per_year > 0:
        days = max(1.0, float(round(365.0 / per_year)))
    elif len(regular) >= 2:
        days = float((last.ex_date - regular[-2].ex_date).days)
    else:
        return []
    if (as_of - last.ex_date).days > days * (1.0 + LATE_SHARE):
        return []  # the next one is long overdue
    months = _whole_months(days)
    found: list[ExpectedDividend] = []
    step = 1
    while True:
        day = _to_weekday(
            _months_later(last.ex_date, months * step) if months else last.ex_date + timedelta(days=days * step)
        )
        if day > until:
            return found
        if day > as_of and (not found or day > found[-1].ex_date):
            found.append(ExpectedDividend(day, last.amount, estimated=True))
        step += 1


def _whole_months(days: float) -> int:
    """1, 3, 6 or 12 when the spacing is nearly that; 0 when it is something else (weekly payers)."""
    nearest = min(_MONTHS, key=lambda months: abs(days - months * MONTHLY_DAYS))
    return nearest if abs(days / (nearest * MONTHLY_DAYS) - 1.0) <= MONTHS_TOLERANCE else 0


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _to_weekday(day: date) -> date:
    """A Saturday or Sunday becomes the Monday after; nothing goes ex on a weekend."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)

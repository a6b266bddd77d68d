"""Cash dividends in one cell: `2026-12-15:0.80;2027-03-15:0.80`, days, years or JSON.

The trap: `20:0.80` may mean days or years; read as years it would lie after the expiry and be left out without a word,
so a whole number without a unit is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta

from qmterm.commands.greeks_cells import NumberRule, Unreadable, number, shown
from qmterm.commands.greeks_dates import day_or_instant
from qmterm.core.clock import NS, from_et

EXAMPLE = "2026-12-15:0.80"
_AMOUNT = NumberRule(EXAMPLE, least=0.0, most=1e6)
_YEARS = NumberRule(EXAMPLE, least=-100.0, most=100.0)
_DAYS = NumberRule("20d:0.80", least=-36500.0, most=36500.0)
_NOTHING = re.compile(r"\$?0*\.?0*\Z")


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


def dividends(cell: str) -> tuple[Dividend, ...]:
    """`2026-12-15:0.80;2027-03-15:0.80` (also `date=amount` and `amount@date`); days (`20d:0.80`) or years
    (`0.25:0.80`) instead of a date; or JSON, `[[days or "date", amount], …]`. A plain 0 is none."""
    if _NOTHING.match(cell):
        return ()
    if cell.startswith(("[", "{")):
        return tuple(_json(cell))
    joined = re.sub(r"\s+d(?=\s*[:=])", "d", re.sub(r"\s*([:=@])\s*", r"\1", cell))
    return tuple(_pair(part) for part in re.split(r"[;|,\s]+", joined.strip(";|, ")))


def _pair(part: str) -> Dividend:
    amount, at, when = part.partition("@")
    if not at:
        when, at, amount = part.replace("=", ":").rpartition(":")
    if not at:
        raise Unreadable(f"{shown(part)} is no dividend; write {EXAMPLE}, several separated by semicolons")
    return Dividend(_ex(when), number(amount, _AMOUNT))


def _ex(text: str) -> date | float:
    if text.endswith("d"):
        return number(text[:-1], _DAYS) / 365.0
    if "-" in text[1:] or "/" in text or text.count(".") > 1:
        found = day_or_instant(text)
        if isinstance(found, int):
            raise Unreadable(f"{shown(text)} has a time of day; write the ex-date alone, {EXAMPLE}")
        return found
    if text.lstrip("+-").isdecimal():
        raise Unreadable(f"{shown(text)}: days or years? write {text}d:0.80 for days, {text}.0:0.80 for years")
    return number(text, _YEARS)


def _json(cell: str) -> list[Dividend]:
    example = "[[20, 0.8], [111, 0.8]] (days, dollars)"
    try:
        said = json.loads(cell)
        pairs = said.items() if isinstance(said, dict) else said
        found = [
            Dividend(_ex(when) if isinstance(when, str) else float(when) / 365.0, float(amount))
            for when, amount in pairs
        ]
    except Unreadable:
        raise
    except (ValueError, TypeError):
        raise Unreadable(f"{shown(cell)} is no list of dividends; write {example} or {EXAMPLE}") from None
    if not all(0.0 <= one.amount < 1e6 and abs(one.years_from(0)) < 100.0 for one in found):
        raise Unreadable(f"{shown(cell)} has a dividend below 0 or without a number; write {example}")
    return found

"""What the plan does not include: found out once, remembered for the market day, worked around by the callers.

The trap: not every 403 is about the plan. Only those that say NOT_AUTHORIZED come here, and even of these a day too old
for it, or today's bars before the close on the free plan, are refusals of one question; and an endpoint that has
answered today is in the plan, so one 403 of it is a fault of the server until it is repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from enum import StrEnum
from pathlib import Path

import msgspec

from qmterm.core.settings.connections import Plan

ABOUT_ONE_QUESTION = ("timeframe", "before end of day")
REPEATED = 3  # refusals in a row of what has answered before


class Family(StrEnum):
    """Endpoints that a plan has or lacks together."""

    SNAPSHOTS = "snapshots"
    BARS = "bars"
    TRADES = "trades"
    QUOTES = "quotes"
    OPTION_CHAINS = "option chains"
    OPTION_CONTRACTS = "option contracts"
    OPTION_TRADES = "option trades"
    OPTION_QUOTES = "option quotes"
    INDEX_OPTIONS = "index options"
    REFERENCE = "reference data"
    NEWS = "news"
    FINANCIALS = "financials"
    EARNINGS = "earnings dates"
    INDICATORS = "indicators"
    SHORT_INTEREST = "short interest"
    ECONOMY = "Treasury yields"
    STATUS = "market status"


def place_of(host: str, plan: Plan) -> str:
    """Under which name refusals are kept: another service or another plan asks for itself."""
    return f"{host} {plan.value}"


class Refusal(msgspec.Struct, frozen=True):
    day: date
    message: str


class _File(msgspec.Struct):
    """One entry a service and plan, so that another plan asks again."""

    refused: dict[str, dict[Family, Refusal]] = {}


class Entitlements:
    """`place` names the service and the plan. Without `keep_in` it remembers in memory, and for ever."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._refused: dict[Family, Refusal] = {}
        self._answered: set[Family] = set()
        self._in_a_row: dict[Family, int] = {}
        self._path: Path | None = None
        self._today: Callable[[], date] = lambda: date.min

    def keep_in(self, path: Path, today: Callable[[], date]) -> None:
        """Remember over restarts. `today` is the market's day: refusals of another day are asked again."""
        self._path, self._today = path, today
        day = today()
        learned = {family: Refusal(day, refusal.message) for family, refusal in self._refused.items()}
        saved = _read(path).refused.get(self._place, {})
        self._refused = {**{f: r for f, r in saved.items() if r.day == day}, **learned}
        if learned:
            self._write()

    @property
    def refused(self) -> dict[Family, str]:
        """What is known to be missing today, with the service's words."""
        day = self._today()
        return {f: r.message for f, r in self._refused.items() if self._path is None or r.day == day}

    def refusal(self, family: Family) -> str | None:
        """The service's words when it need not be asked again today."""
        found = self._refused.get(family)
        if found is None:
            return None
        if self._path is not None and found.day != self._today():
            del self._refused[family]  # a new day, perhaps a new plan
            return None
        return found.message

    def answered(self, family: Family) -> None:
        self._answered.add(family)
        self._in_a_row.pop(family, None)

    def refuse(self, family: Family, message: str) -> None:
        if any(words in message for words in ABOUT_ONE_QUESTION):
            return
        self._in_a_row[family] = self._in_a_row.get(family, 0) + 1
        if family in self._answered and self._in_a_row[family] < REPEATED:
            return
        self._refused[family] = Refusal(self._today(), message)
        self._write()

    def _write(self) -> None:
        """Best effort: a folder that cannot be written costs one question a start."""
        if self._path is None:
            return
        day = self._today()
        file = _read(self._path)
        others = {place: {f: r for f, r in rows.items() if r.day == day} for place, rows in file.refused.items()}
        others[self._place] = {f: r for f, r in self._refused.items() if r.day == day}
        file.refused = {place: rows for place, rows in others.items() if rows}
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(msgspec.json.encode(file))
            os.replace(unfinished, self._path)


def _read(path: Path) -> _File:
    """The file; an absent or unreadable one knows nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.DecodeError):
        return _File()

"""What a benchmark says: one row for each piece of work, as JSON (DESIGN.md 10) or as lines for people.

The trap: a ratio is only worth something beside the error it was bought with, so a row's `met` judges both.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, TextIO

from qmterm.bench.machine import Machine


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a peer cannot be measured here, and what brings it."""

    why: str
    install: str


@dataclass(frozen=True, slots=True)
class Limit:
    """What a row must reach: at least a ratio, at most an amount (in the row's unit), at most an error."""

    ratio: float | None = None
    most: float | None = None
    error: float | None = None

    def words(self, unit: str) -> str:
        parts: list[str] = []
        if self.ratio is not None:
            parts.append(f"≥ {self.ratio:g}x")
        if self.most is not None:
            parts.append(f"≤ {self.most:g} {unit}")
        if self.error is not None:
            parts.append(f"error ≤ {self.error:g}")
        return ", ".join(parts)

    def reached(self, ratio: float | None, ours: float | None, error: float | None) -> bool | None:
        """None when something it asks for was not measured."""
        asked = [
            (self.ratio, ratio, 1.0),
            (self.most, ours, -1.0),
            (self.error, error, -1.0),
        ]
        found: list[bool | None] = [
            None if value is None else sign * value >= sign * limit for limit, value, sign in asked if limit is not None
        ]
        return False if False in found else None if None in found else True


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `ours` and `peer` are in `unit`; `ratio` says how many times better ours is; None = unknown.

    `max_error` is against the truth or the reference named in `error_of`; `must` None: nothing is asked of this row.
    """

    work: str
    ours: float | None
    unit: str
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None
    max_error: float | None = None
    error_of: str = ""
    must: Limit | None = None
    goal: Limit | None = None
    install: str = ""  # the command that brings a missing peer
    note: str = ""

    @property
    def title(self) -> str:
        return f"{self.work} against {self.peer_name}" if self.peer_name else self.work

    @property
    def met(self) -> bool | None:
        """Whether the must is reached; None when it could not be measured or there is none."""
        return None if self.must is None else self.must.reached(self.ratio, self.ours, self.max_error)

    @property
    def goal_met(self) -> bool | None:
        return None if self.goal is None else self.goal.reached(self.ratio, self.ours, self.max_error)

    def lacking(self, peer: object) -> Row:
        """The row as it is, or with the command that brings the peer when that is `Missing`."""
        if not isinstance(peer, Missing):
            return self
        note = f"{peer.why}; {self.note}" if self.note else peer.why
        return replace(self, install=peer.install, note=note)

    def document(self) -> dict[str, Any]:
        return {
            "work": self.work,
            "ours": _finite(self.ours),
            "unit": self.unit,
            "peer": _finite(self.peer),
            "peer_name": self.peer_name,
            "ratio": _finite(self.ratio),
            "max_error": _finite(self.max_error),
            "error_of": self.error_of,
            "must": None if self.must is None else self.must.words(self.unit),
            "goal": None if self.goal is None else self.goal.words(self.unit),
            "met": self.met,
            "goal_met": self.goal_met,
            "install": self.install or None,
            "note": self.note or None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    bench: str
    machine: Machine
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Every must that could be measured is reached, and there is one; the others are in `not_measured`."""
        judged = [row.met for row in self.rows if row.met is not None]
        return bool(judged) and all(judged)

    def open_musts(self, met: bool | None) -> list[str]:
        """The work and peer of each must that is missed (False) or could not be measured (None)."""
        return [row.title for row in self.rows if row.must is not None and row.met is met]

    def document(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "machine": self.machine.document(),
            "rows": [row.document() for row in self.rows],
            "notes": list(self.notes),
            "missed": self.open_musts(False),
            "not_measured": self.open_musts(None),
            "met": self.met,
        }


def _finite(value: float | None) -> float | None:
    """JSON knows no infinity; an infinite error (something was not answered) is missing there and `met` is false."""
    return value if value is not None and math.isfinite(value) else None


def print_json(report: Report, out: TextIO) -> None:
    print(json.dumps(report.document(), allow_nan=False), file=out)


def print_lines(report: Report, out: TextIO) -> None:
    print(f"bench {report.bench} on {report.machine.sentence()}", file=out)
    for row in report.rows:
        print(file=out)
        for line in _lines(row):
            print(line, file=out)
    print(file=out)
    for note in report.notes:
        print(note, file=out)
    missed, unknown = report.open_musts(False), report.open_musts(None)
    print(f"MISSED: {'; '.join(missed)}" if missed else "every must that was measured is met", file=out)
    if unknown:
        print(f"not measured: {'; '.join(unknown)}", file=out)


def _lines(row: Row) -> list[str]:
    lines = [row.work]
    lines.append(f"  ours   {_amount(row.ours, row.unit)}")
    if row.peer_name:
        ratio = "" if row.ratio is None else f"   ratio {row.ratio:,.4g}x"
        lines.append(f"  peer   {_amount(row.peer, row.unit)}  {row.peer_name}{ratio}")
    if row.max_error is not None:
        lines.append(f"  error  {row.max_error:.2e}  {row.error_of}")
    for word, limit, reached in (("must", row.must, row.met), ("goal", row.goal, row.goal_met)):
        if limit is not None:
            said = "not measured" if reached is None else "met" if reached else "MISSED"
            lines.append(f"  {word}   {limit.words(row.unit)}: {said}")
    if row.install:
        lines.append(f"  install the peer: {row.install}")
    if row.note:
        lines.append(f"  {row.note}")
    return lines


def _amount(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:,.4g} {unit}" if value < 1e4 else f"{value:,.0f} {unit}"

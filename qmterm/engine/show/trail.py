"""The decision trail as lines: signal, filters, sizing, gate, sends, fills, each with its numbers, quotes and ages.

The same for a running engine and for a journal file that is read afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from qmterm.core.clock import to_et
from qmterm.engine.orders.priced import quote_lines
from qmterm.engine.show.wording import expectation


class TrailRow(Protocol):
    """The part of a journal row that is shown."""

    @property
    def time_ns(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


def event_line(kind: str, subject: str, time_ns: int, body: Mapping[str, Any]) -> str:
    """One journal row as a person reads it."""
    text = body.get("text")
    if not isinstance(text, str):
        words = (
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in body.items()
            if isinstance(value, str | int | float) and value != "" and not key.endswith("_ns")
        )
        text = ", ".join(list(words)[:8])
    return f"{to_et(time_ns):%H:%M:%S} {kind} {subject} {text}".rstrip()


def row_lines(row: TrailRow) -> list[str]:
    """The row, below it the numbers that decided and the quotes it was made from."""
    lines = [event_line(row.kind, row.subject, row.time_ns, row.body)]
    if row.kind == "decision":
        lines += _decided(row.body)
    return [*lines, *quote_lines(row.body)]


def trail_lines(rows: Iterable[TrailRow]) -> list[str]:
    """Every row once, in order."""
    return list(dict.fromkeys(line for row in rows for line in row_lines(row)))


def trail_events(rows: Iterable[TrailRow]) -> list[dict[str, object]]:
    """The same rows with all they keep, for programs."""
    return [{"time_ns": row.time_ns, "kind": row.kind, "subject": row.subject, "body": dict(row.body)} for row in rows]


def _decided(body: Mapping[str, Any]) -> list[str]:
    plan, numbers = body.get("plan"), body.get("numbers")
    found = []
    if isinstance(plan, Mapping):
        chosen = plan.get("numbers")
        found.append(("filters", _numbers(chosen)))
        found += [("note", line) for line in expectation(chosen if isinstance(chosen, Mapping) else {})]
    if isinstance(numbers, Mapping):
        caps = {key: value for key, value in numbers.items() if key.startswith("cap_")}
        rest = {key: value for key, value in numbers.items() if key not in caps}
        found += [("sizing", _numbers(caps)), ("gate", _numbers(rest))]
    return [f"  {name}: {text}" for name, text in found if text]


def _numbers(values: object) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items() if not _nested(value))


def _nested(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str))


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)

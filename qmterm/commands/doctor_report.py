"""What a check of `qmterm doctor` says, and how all of them look as a table or as JSON."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

NAME_WIDTH = 24
LEAST_WIDTH, MOST_WIDTH = 60, 140


class State(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """`saw` is what was found, `todo` what a person does about it (empty when nothing)."""

    name: str
    state: State
    saw: str
    todo: str = ""


def ok(name: str, saw: str) -> Check:
    return Check(name, State.OK, saw)


def warn(name: str, saw: str, todo: str) -> Check:
    return Check(name, State.WARN, saw, todo)


def fail(name: str, saw: str, todo: str) -> Check:
    return Check(name, State.FAIL, saw, todo)


def document(groups: Sequence[tuple[str, Sequence[Check]]]) -> dict[str, Any]:
    """The report as other programs read it."""
    checks = [check for _, some in groups for check in some]
    return {
        "ok": not any(check.state is State.FAIL for check in checks),
        "counts": {state.value: sum(check.state is state for check in checks) for state in State},
        "checks": [
            {"group": group, "name": c.name, "state": c.state.value, "saw": c.saw, "todo": c.todo}
            for group, some in groups
            for c in some
        ],
    }


def lines(group: str, checks: Iterable[Check], width: int, colour: bool) -> list[str]:
    """One group as text; what to do stands under the check, indented and marked with an arrow."""
    out = [group]
    for check in checks:
        out += _one(check, width, colour)
    return out


def _one(check: Check, width: int, colour: bool) -> list[str]:
    margin = " " * (8 + NAME_WIDTH)
    saw = textwrap.wrap(check.saw, width - len(margin)) or [""]
    word = f"{check.state.value:<4}"
    if colour:
        word = f"\x1b[{ {State.OK: '32', State.WARN: '33', State.FAIL: '31;1'}[check.state] }m{word}\x1b[0m"
    out = [f"  {word}  {check.name:<{NAME_WIDTH - 1}} {saw[0]}".rstrip()]
    out += [margin + line for line in saw[1:]]
    if check.todo:
        out += textwrap.wrap(
            check.todo, width, initial_indent=f"{margin}→ ", subsequent_indent=f"{margin}  ", break_on_hyphens=False
        )
    return out


def printer(as_json: bool) -> Callable[[str, Sequence[Check]], None]:
    """Prints each group as soon as it is known, so that a slow one does not hold up the rest."""
    if as_json:
        return lambda _group, _checks: None
    width = max(LEAST_WIDTH, min(MOST_WIDTH, shutil.get_terminal_size((100, 24)).columns))
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def show(group: str, checks: Sequence[Check]) -> None:
        print("\n".join(lines(group, checks, width, colour)), flush=True)

    return show

"""What an action is: the row of the one table in actions.py (apart from it, so that verbs and keymap need no table)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qmterm.ui.desk import Desk

Run = Callable[["Desk", Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Action:
    """`pane` "" = everywhere. `word` is the footer's ("" = not there). `takes` names what a verb's argument is."""

    id: str
    keys: tuple[str, ...]
    pane: str
    help: str
    run: Run
    verb: str = ""
    word: str = ""
    takes: str = ""  # symbol | theme | order | position | column | text | ticket | roll | edit | yes
    danger: bool = False  # changes orders or the ladder


def shown_key(key: str) -> str:
    """As a person reads it."""
    names = {"left": "←", "right": "→", "up": "↑", "down": "↓", "escape": "esc", "pagedown": "pgdn", "pageup": "pgup"}
    return names.get(key, key)

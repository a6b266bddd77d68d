"""Which key does what: the action table folded with the user's own keys, clashes reported.

Keys are named by what they print ("a", "K", "?", "/"), else by Textual's name ("enter", "ctrl+r"), so that a layout
or a terminal that reports shift differently does not change their meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from qmterm.ui.action import Action

_NAMED = re.compile(r"(ctrl\+|alt\+|shift\+)*[a-z0-9_]{1,20}")
# Keys that must keep their meaning: they end or confirm things, or a program between us and the keyboard owns them.
RESERVED = frozenset({"ctrl+i", "ctrl+m", "ctrl+left_square_bracket"})


def key_name(key: str, character: str | None) -> str:
    """The name of a key press."""
    if character is not None and len(character) == 1 and character.isprintable() and character != " ":
        return character
    return key


@dataclass(frozen=True, slots=True)
class Keymap:
    """(pane, key) -> action; pane "" is global. A pane's own key goes before a global one."""

    by_key: Mapping[tuple[str, str], Action]
    keys_of: Mapping[str, tuple[str, ...]]  # action id -> keys in force
    problems: tuple[str, ...]  # clashes and unknown names, one sentence each

    def find(self, pane: str, key: str) -> Action | None:
        return self.by_key.get((pane, key)) or self.by_key.get(("", key))


def _valid(key: str) -> bool:
    return (len(key) == 1 and key.isprintable()) or (_NAMED.fullmatch(key) is not None and key not in RESERVED)


def build_keymap(actions: Sequence[Action], own: Mapping[str, Sequence[str]]) -> Keymap:
    """Own keys replace an action's keys; of two actions on one key the first in the table keeps it."""
    problems: list[str] = []
    ids = {action.id for action in actions}
    for wanted in own:
        if wanted not in ids:
            near = get_close_matches(wanted, ids, 1)
            problems.append(f"[ui.keys] {wanted}: no such action" + (f", did you mean {near[0]!r}?" if near else ""))
    by_key: dict[tuple[str, str], Action] = {}
    keys_of: dict[str, tuple[str, ...]] = {}
    for action in sorted(actions, key=lambda action: action.id not in own):
        accepted: list[str] = []
        for key in own.get(action.id, action.keys):
            if not _valid(key):
                problems.append(f'[ui.keys] {action.id} = {key!r} is not a key: use "x", "enter" or "ctrl+x"')
                continue
            holder = by_key.get((action.pane, key))
            if holder is not None:
                problems.append(f"[ui.keys] {key!r} means both {holder.id} and {action.id}; {holder.id} keeps it")
                continue
            by_key[(action.pane, key)] = action
            accepted.append(key)
        keys_of[action.id] = tuple(accepted)
    return Keymap(by_key, keys_of, tuple(problems))

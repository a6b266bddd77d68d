"""Theme files: themes/*.toml, read leniently where that is safe, with failures listed instead of raised.

A user's theme may name only the tones it changes; the rest comes from the defaults of its kind (dark or light).
A file that cannot be read never takes the screen down: the old theme stays and the message says file:line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import tomli

from qmterm.ui.palette import TONES, Theme

DARK: Final[dict[str, str]] = {
    "background": "#0b0f14",
    "dialog": "#10161e",
    "cursor": "#22364a",
    "cursor_idle": "#151d27",
    "text": "#d3dae3",
    "dim": "#6f7c8b",
    "label": "#7f8ea0",
    "rule": "#2b3643",
    "title": "#9aa8b8",
    "accent": "#5fb3ff",
    "symbol": "#e6edf5",
    "strike": "#c3ccd6",
    "money": "#ffd166",
    "gain": "#4cc38a",
    "loss": "#ff7575",
    "stale": "#8a6d4b",
    "warn": "#ffb454",
    "alarm": "#ff716c",
    "good": "#4cc38a",
    "paper": "#5fb3ff",
    "live": "#ff716c",
    "armed": "#ff3b30",
    "auto": "#c792ea",
    "proposal": "#ffd166",
}
LIGHT: Final[dict[str, str]] = {
    "background": "#fbfaf7",
    "dialog": "#f1efe8",
    "cursor": "#dde7f3",
    "cursor_idle": "#edeef0",
    "text": "#22272e",
    "dim": "#76808c",
    "label": "#69737e",
    "rule": "#cfcdc4",
    "title": "#4f5964",
    "accent": "#0a58a6",
    "symbol": "#101418",
    "strike": "#3a424b",
    "money": "#7d5100",
    "gain": "#08663a",
    "loss": "#b3211a",
    "stale": "#a38a63",
    "warn": "#8f4c00",
    "alarm": "#b3140d",
    "good": "#08663a",
    "paper": "#0b62b8",
    "live": "#b3140d",
    "armed": "#b3140d",
    "auto": "#7a2fb5",
    "proposal": "#7d5100",
}
BUILT_IN: Final = Theme("midnight", True, DARK)

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class ThemeProblem:
    """One sentence with file and line, ready for the status line."""

    text: str


def _line_of(source: str, key: str) -> int:
    pattern = re.compile(rf'^\s*"?{re.escape(key)}"?\s*=')
    return next((number for number, line in enumerate(source.splitlines(), 1) if pattern.match(line)), 1)


def read_theme(path: Path) -> Theme | ThemeProblem:
    """One file; the first thing wrong with it ends the reading."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return ThemeProblem(f"{path.name}:1 cannot be read: {error}")
    try:
        table: dict[str, Any] = tomli.loads(source)
    except tomli.TOMLDecodeError as error:
        match = re.search(r"line (\d+)", str(error))
        line = int(match.group(1)) if match else len(source.splitlines())
        return ThemeProblem(f"{path.name}:{line} is not TOML: {error}")
    colours: Any = table.get("colors", {})
    for key in table:
        if key not in ("colors", "dark"):
            return ThemeProblem(
                f"{path.name}:{_line_of(source, key)} unknown key {key!r}: a theme has dark and [colors]"
            )
    dark: Any = table.get("dark", True)
    if not isinstance(dark, bool):
        return ThemeProblem(f"{path.name}:{_line_of(source, 'dark')} dark is true or false, not {dark!r}")
    if not isinstance(colours, dict):
        return ThemeProblem(f"{path.name}:{_line_of(source, 'colors')} [colors] is a table of tones")
    for tone, colour in colours.items():
        line = _line_of(source, tone)
        if tone not in TONES:
            near = get_close_matches(tone, TONES, 1)
            hint = f", did you mean {near[0]!r}?" if near else f"; tones: {', '.join(TONES)}"
            return ThemeProblem(f"{path.name}:{line} unknown tone {tone!r}{hint}")
        if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
            return ThemeProblem(f'{path.name}:{line} {tone} = {colour!r} is not a colour such as "#4cc38a"')
    return Theme(path.stem, dark, {**(DARK if dark else LIGHT), **colours})


class ThemeShelf:
    """The theme folders, the user's own last: its file wins over a shipped one of the same name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def names(self) -> tuple[str, ...]:
        found = {path.stem for folder in self._folders if folder.is_dir() for path in folder.glob("*.toml")}
        return tuple(sorted(found | {BUILT_IN.name}))

    def path(self, name: str) -> Path | None:
        for folder in reversed(self._folders):
            path = folder / f"{name}.toml"
            if "/" not in name and path.is_file():
                return path
        return None

    def load(self, name: str) -> Theme | ThemeProblem:
        path = self.path(name)
        if path is not None:
            return read_theme(path)
        if name == BUILT_IN.name:
            return BUILT_IN
        return ThemeProblem(f"no theme {name!r}; there are {', '.join(self.names())}")

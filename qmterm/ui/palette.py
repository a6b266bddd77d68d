"""What a tone looks like: a theme's colours turned into terminal styles, built once and reused.

Panes never name a colour, only a tone ("gain", "stale"), so a theme can be swapped while running. Without
colour (NO_COLOR) every tone still differs from plain text by bold, dim, underline or reverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.color import Color
from rich.style import Style

# Marks on top of a tone, added together.
BOLD: Final = 1
CURSOR: Final = 2
DIM: Final = 4
STRUCK: Final = 8
REVERSE: Final = 16
UNDERLINE: Final = 32
IDLE: Final = 64  # the cursor of a pane without the focus

# Every tone a theme may colour, with what it is for; `background`, `cursor` and `dialog` are backgrounds.
TONES: Final[Mapping[str, str]] = {
    "background": "everything behind",
    "dialog": "background of a dialog",
    "cursor": "background of the row under the cursor",
    "cursor_idle": "the same in a pane without the focus",
    "text": "numbers and words",
    "dim": "less important words",
    "label": "column titles, field names",
    "rule": "lines between panes",
    "title": "title of a pane",
    "accent": "title of the pane with the focus, key names",
    "symbol": "tickers",
    "strike": "strikes",
    "money": "strike nearest to the spot",
    "gain": "up, profit, buy",
    "loss": "down, loss, sell",
    "stale": "a number too old to trust",
    "warn": "needs attention soon",
    "alarm": "needs attention now",
    "good": "link up, state normal",
    "paper": "the word PAPER",
    "live": "the word LIVE",
    "armed": "real money and armed",
    "auto": "the word AUTO",
    "proposal": "a plan that waits for a person",
}
BACKGROUNDS: Final = frozenset({"background", "dialog", "cursor", "cursor_idle"})

# How a tone is told apart without colour.
_MONO: Final[Mapping[str, int]] = {
    "dim": DIM,
    "label": DIM,
    "rule": DIM,
    "title": BOLD,
    "accent": BOLD,
    "symbol": BOLD,
    "money": BOLD,
    "stale": DIM,
    "warn": BOLD,
    "alarm": REVERSE,
    "paper": BOLD,
    "live": REVERSE,
    "armed": REVERSE,
    "auto": BOLD,
    "proposal": BOLD,
}


class Span(NamedTuple):
    """A run of text in one tone; the unit that is compared from frame to frame."""

    text: str
    tone: str = "text"
    marks: int = 0


Line = tuple[Span, ...]


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def width_of(line: Line) -> int:
    return sum(len(span.text) for span in line)


def spread(left: Line, right: Line, width: int) -> Line:
    """Left part, gap, right part; the right part gives way first, then the left is cut."""
    gap = width - width_of(left) - width_of(right)
    if gap < 1 and right:
        return fit(left, width)
    return fit((*left, Span(" " * max(gap, 0)), *right), width)


def fit(line: Line, width: int) -> Line:
    """Exactly `width` characters: cut with … or padded."""
    have = width_of(line)
    if have == width:
        return line
    if have < width:
        return (*line, Span(" " * (width - have)))
    out: list[Span] = []
    left = width
    for span in line:
        if len(span.text) < left:
            out.append(span)
            left -= len(span.text)
            continue
        cut = span.text[:left]
        out.append(span._replace(text=cut[:-1] + "…" if cut.strip() else cut))
        break
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by tone, "#rrggbb"; every tone is present (files are filled from the defaults)."""

    name: str
    dark: bool
    colours: Mapping[str, str]


class Palette:
    """Styles of one theme. A new theme is a new Palette: caches are keyed by its identity."""

    def __init__(self, theme: Theme, *, mono: bool = False) -> None:
        self.theme = theme
        self.mono = mono
        self._styles: dict[tuple[str, int], Style] = {}

    def style(self, tone: str, marks: int = 0) -> Style:
        key = (tone, marks)
        style = self._styles.get(key)
        if style is None:
            style = self._styles[key] = self._build(tone, marks)
        return style

    def _build(self, tone: str, marks: int) -> Style:
        colours = self.theme.colours
        if self.mono:
            marks |= _MONO.get(tone, 0)
            marks |= REVERSE if marks & CURSOR and not marks & IDLE else 0
        foreground = colours["stale"] if marks & STRUCK else colours["dim"] if marks & DIM else colours[tone]
        background = colours["cursor_idle" if marks & IDLE else "cursor" if marks & CURSOR else "background"]
        return Style(
            color=None if self.mono else Color.parse(foreground),
            bgcolor=None if self.mono else Color.parse(background),
            bold=True if marks & BOLD else None,
            dim=True if self.mono and marks & DIM else None,
            strike=True if marks & STRUCK else None,
            reverse=True if marks & REVERSE else None,
            underline=True if marks & UNDERLINE else None,
        )


def age_marks(seconds: float | None, steps: tuple[float, float, float]) -> int:
    """How an old number looks: dim, then also marked ~ (see `aged`), then struck out."""
    if seconds is None:
        return DIM
    if seconds >= steps[2]:
        return STRUCK
    return DIM if seconds >= steps[0] else 0


def aged(text: str, seconds: float | None, steps: tuple[float, float, float]) -> str:
    """The number, with ~ before it once it is older than the second step."""
    return f"~{text}" if seconds is not None and seconds >= steps[1] and text.strip(" –") else text

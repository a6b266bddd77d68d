"""A pane of the desk: a title rule, its own lines, and what the keys may ask of it.

A pane gets a snapshot each frame and returns nothing; acts read `subject` and friends and talk to the engine's door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual import events
from textual.message import Message

from qmterm.core.settings.screen import ScreenSettings
from qmterm.engine.view import Snapshot
from qmterm.ui.formats import clip
from qmterm.ui.lines import LineWidget
from qmterm.ui.palette import BOLD, Line, Palette, Span

# Pane name -> the digit that shows it. 6 (news) comes with the issue that brings news to the screen.
PANES: Final[dict[str, str]] = {"scan": "1", "chain": "2", "pos": "3", "risk": "4", "orders": "5", "log": "7"}
PANE_WORDS: Final[dict[str, str]] = {
    "scan": "SCAN",
    "chain": "CHAIN",
    "pos": "POSITIONS",
    "risk": "RISK",
    "orders": "ORDERS",
    "log": "LOG",
}

DOT = " · "


@dataclass(frozen=True, slots=True)
class Frame:
    """What every pane is drawn from. `extra_s`: how long the engine has been silent, added to every age."""

    snapshot: Snapshot
    extra_s: float
    now: float  # monotonic


def fitting(parts: Sequence[tuple[int, str]], room: int) -> str:
    """Parts of a title with a dot between them; those of the lowest keep leave until the rest fits."""
    kept = list(parts)
    while len(kept) > 1 and len(DOT.join(text for _, text in kept)) > room:
        kept.remove(min(reversed(kept), key=lambda part: part[0]))
    return DOT.join(text for _, text in kept)


class Pane(LineWidget):
    """Base of all panes: title, focus, left edge."""

    name_: str = ""

    class Clicked(Message):
        """A mouse click, `line` counted in the pane's body (negative: title)."""

        def __init__(self, pane: str, line: int, x: int) -> None:
            super().__init__()
            self.pane = pane
            self.line = line
            self.x = x

    def __init__(self, palette: Palette, settings: ScreenSettings) -> None:
        super().__init__(palette, id=self.name_)
        self.settings = settings
        self.active = False
        self.edge = False  # a rule at the left side: there is a pane to the left
        self.frame_: Frame | None = None
        self.painter = self.redraw

    def extra_s(self) -> float:
        """Seconds to add to every age: how long the engine has been silent."""
        return 0.0 if self.frame_ is None else self.frame_.extra_s

    @property
    def inner_width(self) -> int:
        """Columns for the body, after the edge."""
        return self.size.width - (2 if self.edge else 0)

    # --- drawing ---

    def draw(self, frame: Frame) -> None:
        """Take a snapshot and repaint what it changed."""
        self.frame_ = frame
        if self.size.width and self.size.height:
            lines = [self.title_line(), *self.body(frame)][: self.size.height]
            lines.extend([()] * (self.size.height - len(lines)))
            self.show([self._edged(line, y) for y, line in enumerate(lines)])

    def redraw(self) -> None:
        """The same snapshot again, after the cursor or the focus moved."""
        if self.frame_ is not None:
            self.draw(self.frame_)

    def body(self, frame: Frame) -> list[Line]:
        raise NotImplementedError

    def info(self) -> str:
        """Right side of the title."""
        return ""

    @property
    def info_room(self) -> int:
        """Columns for it, beside the pane's name."""
        return max(0, self.size.width - len(self._head) - 6)

    @property
    def _head(self) -> str:
        return f" {PANES[self.name_]} {PANE_WORDS[self.name_]} "

    def title_line(self) -> Line:
        width, head = self.size.width, self._head
        tone, marks = ("accent", BOLD) if self.active else ("title", 0)
        bar = "━" if self.active else "─"
        rule = "accent" if self.active else "rule"
        info = clip(self.info(), self.info_room)
        tail = f" {info} " if info else ""
        middle = max(0, width - len(head) - len(tail) - 2)
        return (
            Span(bar, rule),
            Span(head, tone, marks),
            Span(bar * middle, rule),
            Span(tail, "label"),
            Span(bar, rule),
        )

    def _edged(self, line: Line, y: int) -> Line:
        if not self.edge or y == 0:
            return line
        return (Span("│ ", "rule"), *line)

    # --- what keys ask; a pane without rows answers nothing ---

    def subject(self) -> str:
        """What `w` asks why about, "" for nothing."""
        return ""

    def move(self, step: int) -> None:
        """Cursor or text by so many lines."""

    def to_end(self, last: bool) -> None:
        """First or last line."""

    def page(self) -> int:
        return max(1, self.size.height - 3)

    def on_click(self, event: events.Click) -> None:
        self.post_message(self.Clicked(self.name_, event.y - 1, event.x))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(3)
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-3)
        self.redraw()

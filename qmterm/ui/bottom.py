"""The three lines at the bottom: what just happened, the command line (or the row's keys), the keys of everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qmterm.engine.view import Snapshot
from qmterm.ui.editor import LineEditor
from qmterm.ui.formats import plain
from qmterm.ui.header import hints_line, status_line
from qmterm.ui.lines import LineWidget
from qmterm.ui.palette import BOLD, REVERSE, Line, Palette, Span, fit, width_of
from qmterm.ui.verbs import Mistake

# How long an answer stands before the latest trouble of the log takes its place (seconds).
NOTICE_S = 8.0
# Hints that stand at the end of the row's line: who knows these finds everything else.
ALWAYS = ("command", "help", "quit")
Hints = Sequence[tuple[str, str]]


@dataclass(slots=True)
class OpenLine:
    """A line being typed: what it is for is in its three functions."""

    editor: LineEditor
    done: Callable[[str], Mistake | None]  # gets the text; a mistake keeps the line open
    typed: Callable[[str], None] = lambda text: None  # after each key
    cancelled: Callable[[], None] = lambda: None
    mistake: Mistake | None = None


class Bottom(LineWidget):
    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="bottom")
        self.open: OpenLine | None = None
        self._notice: tuple[str, str] | None = None
        self._notice_until = 0.0

    def say(self, text: str, tone: str, now: float) -> None:
        self._notice = (text, tone) if text else None
        self._notice_until = now + NOTICE_S

    @property
    def notice(self) -> str:
        return self._notice[0] if self._notice else ""

    def draw(self, snapshot: Snapshot, row_hints: Hints, global_hints: Hints, now: float) -> None:
        width = self.size.width
        if now > self._notice_until:
            self._notice = None
        status = status_line(snapshot, self._notice, width)
        if self.open is None:
            always = [hint for hint in global_hints if hint[1] in ALWAYS]
            others = [hint for hint in global_hints if hint[1] not in ALWAYS]
            end: Line = tuple(span for key, word in always for span in (Span(key, "accent"), Span(f" {word}  ", "dim")))
            rows = hints_line(row_hints, width - width_of(end))
            self.show([status, (*rows, *end), hints_line(others, width)])
        else:
            self.show([status, self._typing(self.open, width), self._under(self.open, width)])

    def _typing(self, line: OpenLine, width: int) -> Line:
        editor = line.editor
        room = max(1, width - len(editor.prefix) - 2)
        start = max(0, editor.cursor - room)
        text = editor.text[start : start + room] + " "
        at = editor.cursor - start
        return fit(
            (
                Span(editor.prefix, "accent", BOLD),
                Span(text[:at]),
                Span(text[at], "text", REVERSE),
                Span(text[at + 1 :]),
            ),
            width,
        )

    def _under(self, line: OpenLine, width: int) -> Line:
        """The mistake under the word it is about, else what tab would offer."""
        editor = line.editor
        if line.mistake is not None:
            column = len(editor.prefix) + line.mistake.column
            message = f"^ {plain(line.mistake.text)}"
            column = max(0, min(column, width - len(message)))
            return fit((Span(" " * column), Span(message, "warn", BOLD)), width)
        if editor.choices:
            return hints_line([("", choice) for choice in editor.choices], width)
        return hints_line([("enter", "does it"), ("tab", "completes"), ("↑", "history"), ("esc", "leaves")], width)

    # --- keys while a line is open ---

    def key(self, name: str) -> None:
        line = self.open
        if line is None:
            return
        outcome = line.editor.key(name)
        line.mistake = None
        if outcome == "cancel":
            self.open = None
            line.cancelled()
        elif outcome == "done":
            line.editor.remember()
            self.open = None
            line.mistake = line.done(line.editor.text)
            if line.mistake is not None and self.open is None:
                self.open = line
        else:
            line.typed(line.editor.text)

"""The three lines at the bottom: what just happened, the command line (or the row's keys), the keys of everywhere.

An answer that is longer than a line takes the lines of the keys while it stands: a reason is never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qmterm.engine.view import Snapshot
from qmterm.ui.editor import LineEditor
from qmterm.ui.formats import plain, wrap
from qmterm.ui.header import hints_line, status_line
from qmterm.ui.layout import BOTTOM_LINES
from qmterm.ui.lines import LineWidget
from qmterm.ui.palette import BOLD, REVERSE, Line, Palette, Span, fit, width_of
from qmterm.ui.verbs import Mistake

# How long an answer stands before the latest trouble of the log takes its place (seconds); a long one as long as it
# takes to read.
NOTICE_S = 8.0
READ_PER_S = 16.0
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


def told_lines(notice: tuple[str, str] | None, width: int) -> list[Line]:
    """An answer in as many lines as it needs, none when there is none."""
    if notice is None:
        return []
    text, tone = notice
    marks = BOLD if tone == "alarm" else 0
    return [(Span(f" {part}", tone, marks),) for part in wrap(plain(text), max(1, width - 1))]


class Bottom(LineWidget):
    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="bottom")
        self.open: OpenLine | None = None
        self._notice: tuple[str, str] | None = None
        self._notice_until = 0.0

    def say(self, text: str, tone: str, now: float) -> None:
        self._notice = (text, tone) if text else None
        self._notice_until = now + self._notice_s

    @property
    def _notice_s(self) -> float:
        return max(NOTICE_S, len(self.notice) / READ_PER_S)

    @property
    def notice(self) -> str:
        return self._notice[0] if self._notice else ""

    def draw(self, snapshot: Snapshot, row_hints: Hints, global_hints: Hints, now: float) -> None:
        width = self.size.width
        if now > self._notice_until:
            self._notice = None
        told = told_lines(self._notice, width)
        status = status_line(snapshot, self._notice, width)
        if self.open is None:
            always = [hint for hint in global_hints if hint[1] in ALWAYS]
            others = [hint for hint in global_hints if hint[1] not in ALWAYS]
            end: Line = tuple(span for key, word in always for span in (Span(key, "accent"), Span(f" {word}  ", "dim")))
            rows = hints_line(row_hints, width - width_of(end))
            hints = [(*rows, *end), hints_line(others, width)]
            self.show([*(told or [status]), *hints][:BOTTOM_LINES])
            return
        if len(told) > 1:  # cut while something is typed: it stands long enough afterwards
            self._notice_until = now + self._notice_s
        under = self._under(self.open, width)
        self.show([*([status] if len(under) == 1 else []), self._typing(self.open, width), *under])

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

    def _under(self, line: OpenLine, width: int) -> list[Line]:
        """The mistake under the word it is about (two lines when it needs them), else what tab would offer."""
        editor = line.editor
        if line.mistake is not None:
            message = f"^ {plain(line.mistake.text)}"
            if len(message) > width:
                return [(Span(part, "warn", BOLD),) for part in wrap(message, width)[:2]]
            column = min(len(editor.prefix) + line.mistake.column, width - len(message))
            return [(Span(" " * column), Span(message, "warn", BOLD))]
        if editor.choices:
            return [hints_line([("", choice) for choice in editor.choices], width)]
        return [hints_line([("enter", "does it"), ("tab", "completes"), ("↑", "history"), ("esc", "leaves")], width)]

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

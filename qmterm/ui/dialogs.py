"""Dialogs: opaque (a translucent one repaints the panes behind it for ever), drawn as lines like everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from qmterm.ui.action import Action, shown_key
from qmterm.ui.formats import plain, wrap
from qmterm.ui.keymap import key_name
from qmterm.ui.lines import LineWidget
from qmterm.ui.palette import BOLD, Line, Palette, Span, fit
from qmterm.ui.pane import PANE_WORDS, Frame

Answer = TypeVar("Answer")
WIDEST = 84
# Keys typed before a dialog could be read do not answer it (seconds).
DEAD_S = 0.3
SCROLL = {"j": 1, "down": 1, "k": -1, "up": -1, "space": 10, "pagedown": 10, "pageup": -10, "g": -9999, "G": 9999}


def boxed(lines: Sequence[Line], title: Line, width: int, height: int, tone: str = "rule") -> list[Line]:
    """A whole screen: the box in its middle, nothing around it."""
    inner = min(WIDEST, width - 4) - 4
    room = max(1, height - 2)
    shown = list(lines[:room])
    left = Span(" " * ((width - inner - 4) // 2))
    top = max(0, (height - len(shown) - 2) // 2)
    head = fit(title, min(sum(len(span.text) for span in title), inner))
    rule = "─" * (inner + 1 - sum(len(span.text) for span in head))
    box: list[Line] = [() for _ in range(top)]
    box.append((left, Span("┌─", tone), *head, Span(f"{rule}┐", tone)))
    box.extend((left, Span("│ ", tone), *fit(line, inner), Span(" │", tone)) for line in shown)
    box.append((left, Span(f"└{'─' * (inner + 2)}┘", tone)))
    return box


class Dialog(ModalScreen[Answer], inherit_bindings=False):
    """One full-screen line widget; a subclass gives title and lines and answers keys."""

    DEFAULT_CSS = """
    Dialog { background: $background; overflow: hidden hidden; }
    Dialog > LineWidget { width: 100%; height: 100%; }
    """

    def __init__(self, palette: Palette, kill: Callable[[str, float], bool]) -> None:
        super().__init__()
        self.palette = palette
        self.canvas = LineWidget(palette, id="canvas")
        self.canvas.painter = self.paint
        self._kill = kill
        self.shown_at = float("inf")
        self.tone = "rule"
        self.closed = False  # answered or swept away: nothing that comes later counts

    def compose(self) -> ComposeResult:
        yield self.canvas

    def on_mount(self) -> None:
        self.call_after_refresh(self._seen)

    def _seen(self) -> None:
        """On the terminal from now on: what was typed before does not count."""
        if self.shown_at == float("inf"):
            self.shown_at = self.app_time()

    def app_time(self) -> float:
        from textual._time import get_time  # the clock of key events

        return get_time()

    # --- what a subclass says ---

    def title_spans(self) -> Line:
        raise NotImplementedError

    def content(self, width: int) -> list[Line]:
        raise NotImplementedError

    def press(self, key: str, at: float) -> None:
        """A key press `at` seconds on the clock of key events."""
        raise NotImplementedError

    def frame(self, frame: Frame) -> None:
        """A new snapshot while the dialog is open."""

    # --- drawing and keys ---

    def paint(self) -> None:
        width, height = self.canvas.size
        if width and height:
            inner = min(WIDEST, width - 4) - 4
            self.canvas.show(boxed(self.content(inner), self.title_spans(), width, height, self.tone))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        key = key_name(event.key, event.character)
        if self._kill(key, event.time):
            self.closed = True
        elif not self.closed:  # a second key of a burst: a second dismissal would take the desk away too
            self.press(key, event.time)

    def finish(self, answer: Answer) -> None:
        """Close with an answer, once."""
        if not self.closed:
            self.closed = True
            self.dismiss(answer)

    def too_soon(self, at: float) -> bool:
        return at < self.shown_at + DEAD_S


class TextDialog(Dialog[None]):
    """Lines to read: a decision trail, help, a long log line."""

    def __init__(self, title: str, lines: Sequence[Line], palette: Palette, kill: Callable[[str, float], bool]) -> None:
        super().__init__(palette, kill)
        self._title = plain(title)
        self._lines = list(lines)
        self._top = 0

    def title_spans(self) -> Line:
        return (Span(f" {self._title} ", "accent", BOLD),)

    def _room(self) -> int:
        return max(1, self.canvas.size.height - 5)

    def content(self, width: int) -> list[Line]:
        room = self._room()
        self._top = max(0, min(self._top, len(self._lines) - room))
        shown: list[Line] = self._lines[self._top : self._top + room]
        more = len(self._lines) - self._top - len(shown)
        hint = "esc closes" + ("  j/k scrolls" if more or self._top else "") + (f"  {more} more below" if more else "")
        return [*shown, (), (Span(hint, "dim"),)]

    def press(self, key: str, at: float) -> None:
        if key in SCROLL:
            self._top += SCROLL[key]
            self.paint()
        elif key in ("escape", "enter", "q", "?", "-", "w", "ctrl+c"):
            self.finish(None)


class LeaveDialog(Dialog[str]):
    """Something is at stake: stop the engine, go on without a screen, or stay (which is what enter means)."""

    def __init__(self, stake: str, palette: Palette, kill: Callable[[str, float], bool]) -> None:
        super().__init__(palette, kill)
        self._stake = plain(stake)

    def title_spans(self) -> Line:
        return (Span(" LEAVE ", "accent", BOLD),)

    def content(self, width: int) -> list[Line]:
        lines: list[Line] = [(Span(text, "warn"),) for text in wrap(f"At stake: {self._stake}.", width)]
        return [
            *lines,
            (),
            (Span(" [ Stay ] ", "text", BOLD), Span("  enter or esc", "dim")),
            (Span(" h", "accent", BOLD), Span("  go on headless: the engine keeps watching stops", "text")),
            (Span(" s", "accent", BOLD), Span("  stop the engine: nothing watches until the next start", "text")),
        ]

    def press(self, key: str, at: float) -> None:
        if key in ("escape", "enter", "q", "ctrl+c"):
            self.finish("stay")
        elif key in ("h", "s") and not self.too_soon(at):
            self.finish("headless" if key == "h" else "stop")


def help_lines(pane: str, actions: Sequence[Action], keys_of: Mapping[str, tuple[str, ...]]) -> list[Line]:
    """Keys of this pane, keys of every pane, verbs: all from the one table."""

    def line(action: Action) -> Line:
        keys = " ".join(shown_key(key) for key in keys_of.get(action.id, ()))
        keys = f"{keys} {keys}" if action.id == "kill" and keys else keys
        verb = f":{action.verb}" + (f" {action.takes.upper()}" if action.takes else "") if action.verb else ""
        return (
            Span(f" {keys:<11} ", "accent", BOLD),
            Span(f"{action.help:<44} ", "warn" if action.danger else "text"),
            Span(verb, "dim"),
        )

    own = [line(action) for action in actions if action.pane == pane and keys_of.get(action.id)]
    everywhere = [line(action) for action in actions if action.pane == "" and keys_of.get(action.id)]
    verbs = [line(action) for action in actions if not keys_of.get(action.id)]
    blank: Line = ()
    title: Line = (Span(f"in {PANE_WORDS[pane].lower()}", "label"),)
    return [
        *([title, *own, blank] if own else []),
        (Span("everywhere", "label"),),
        *everywhere,
        blank,
        (Span("command line only", "label"),),
        *verbs,
        blank,
        (Span("A key may stage, pause or cancel. Only the letter in the confirm dialog sends.", "dim"),),
    ]


def trail_lines(text: str, data: object, width: int = WIDEST - 8) -> list[Line]:
    """An answer of the engine with its data: lists as lines, mappings as name and value, nested ones indented."""
    told = text.split("\n")
    weight = BOLD if len(told) == 1 else 0
    lines: list[Line] = [(Span(part, "text", weight),) for row in told for part in wrap(plain(row), width)]
    if isinstance(data, list | tuple) and list(data) == told:
        return lines  # the same lines twice, once for people and once for programs

    def add(value: object, indent: int) -> None:
        pad = " " * indent
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if isinstance(inner, Mapping | list | tuple):
                    lines.append((Span(f"{pad}{plain(str(name))}", "label"),))
                    add(inner, indent + 2)
                else:
                    lines.append((Span(f"{pad}{plain(str(name)):<18} ", "label"), Span(plain(_value(inner)))))
        elif isinstance(value, list | tuple):
            for inner in value:
                if isinstance(inner, Mapping | list | tuple):
                    add(inner, indent + 2)
                else:
                    lines.extend((Span(f"{pad}{part}"),) for part in wrap(plain(_value(inner)), width - indent))
        elif value is not None:
            lines.append((Span(f"{pad}{plain(_value(value))}"),))

    add(data, 1)
    return lines


def _value(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

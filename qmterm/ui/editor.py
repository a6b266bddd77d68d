"""One line of typed text: cursor, history, completion. Pure state; the desk draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qmterm.ui.formats import plain

HISTORY = 200


@dataclass(slots=True)
class LineEditor:
    """`prefix` is what stands before the text (":", "/", a question). `key` returns "done", "cancel" or ""."""

    prefix: str
    complete: Callable[[str], Sequence[str]] = field(default=lambda text: ())
    history: list[str] = field(default_factory=list)
    text: str = ""
    cursor: int = 0
    choices: tuple[str, ...] = ()
    _back: int = 0  # how far into the history
    _typed: str = ""  # what stood there before going into the history

    def insert(self, text: str) -> None:
        clean = plain(text)
        self.text = self.text[: self.cursor] + clean + self.text[self.cursor :]
        self.cursor += len(clean)
        self.choices = ()

    def key(self, name: str) -> str:
        """One key press by its name; printable ones are one character."""
        if name == "enter":
            return "done"
        if name in ("escape", "ctrl+c") or (name == "backspace" and not self.text):
            return "cancel"
        if name == "tab":
            self._complete()
        elif name == "space":
            self.insert(" ")
        elif len(name) == 1:
            self.insert(name)
        else:
            self._edit(name)
        return ""

    def _edit(self, name: str) -> None:
        text, cursor = self.text, self.cursor
        if name in ("backspace", "ctrl+h"):
            self.text, self.cursor = text[: max(0, cursor - 1)] + text[cursor:], max(0, cursor - 1)
        elif name == "delete":
            self.text = text[:cursor] + text[cursor + 1 :]
        elif name == "ctrl+u":
            self.text, self.cursor = text[cursor:], 0
        elif name == "ctrl+k":
            self.text = text[:cursor]
        elif name == "ctrl+w":
            start = text.rstrip().rfind(" ", 0, cursor) + 1
            self.text, self.cursor = text[:start] + text[cursor:], start
        elif name in ("left", "ctrl+b"):
            self.cursor = max(0, cursor - 1)
        elif name in ("right", "ctrl+f"):
            self.cursor = min(len(text), cursor + 1)
        elif name in ("home", "ctrl+a"):
            self.cursor = 0
        elif name in ("end", "ctrl+e"):
            self.cursor = len(text)
        elif name in ("up", "ctrl+p"):
            self._recall(1)
        elif name in ("down", "ctrl+n"):
            self._recall(-1)
        self.choices = ()

    def _recall(self, step: int) -> None:
        if self._back == 0:
            self._typed = self.text
        self._back = max(0, min(len(self.history), self._back + step))
        self.text = self.history[-self._back] if self._back else self._typed
        self.cursor = len(self.text)

    def _complete(self) -> None:
        """Completes the last word; several candidates complete what they share and are listed."""
        found = tuple(self.complete(self.text[: self.cursor]))
        start = self.text.rfind(" ", 0, self.cursor) + 1
        if not found:
            return
        shared = found[0]
        for other in found[1:]:
            while not other.lower().startswith(shared.lower()):
                shared = shared[:-1]
        word = f"{shared} " if len(found) == 1 else max(shared, self.text[start : self.cursor], key=len)
        self.text = self.text[:start] + word + self.text[self.cursor :]
        self.cursor = start + len(word)
        self.choices = found if len(found) > 1 else ()

    def remember(self) -> None:
        """Put the line into the history, newest last, no doubles in a row."""
        if self.text.strip() and (not self.history or self.history[-1] != self.text):
            self.history.append(self.text)
            del self.history[:-HISTORY]

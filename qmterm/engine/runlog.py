"""What happened, once: a bounded log for the screen, a row in the journal, a line on stderr when headless.

No secret can pass: every text and value goes through the scrubber that knows this run's secrets.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from qmterm.core.clock import Clock
from qmterm.engine.view import LogLine

LINES_KEPT = 500
OWN = ("level", "text")  # what an event always has


class EventSink(Protocol):
    """The part of the journal that takes events without waiting."""

    def note(self, kind: str, subject: str, body: Mapping[str, object], time_ns: int) -> None: ...


class Scrubber:
    """Replaces every known secret in a text."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._secrets = sorted({s for s in secrets if s and len(s) >= 6}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "•••")
        return text

    def value(self, value: object) -> object:
        """The same for a value of any shape."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(key)): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner) for inner in value]
        if isinstance(value, BaseException):
            return self(str(value))
        return value


class RunLog:
    def __init__(
        self,
        clock: Clock,
        scrub: Scrubber | None = None,
        print_line: Callable[[LogLine, Mapping[str, object]], None] | None = None,
    ) -> None:
        self._clock = clock
        self._scrub = scrub or Scrubber()
        self._print = print_line
        self._lines: deque[LogLine] = deque(maxlen=LINES_KEPT)
        self._sink: EventSink | None = None
        self._seq = 0
        self.levels: Counter[str] = Counter()

    def keep_in(self, sink: EventSink) -> None:
        """From now on every line is also a journal event."""
        self._sink = sink

    def write(self, level: str, kind: str, text: str, subject: str = "", /, **numbers: object) -> None:
        """Record one event. `level` is info, warn, error or alarm; `kind` a short word such as ORD or FILL."""
        self._seq += 1
        self.levels[level] += 1
        text = self._scrub(text)
        subject = self._scrub(subject)
        # A number may be called "level" as well (a scale-out's): it must not pass for the event's own.
        body = {f"{key}_" if key in OWN else key: self._scrub.value(value) for key, value in numbers.items()}
        line = LogLine(self._seq, self._clock.now(), level, kind, text, subject)
        self._lines.append(line)
        if self._sink is not None:
            self._sink.note(kind, subject, {"level": level, "text": text, **body}, line.time_ns)
        if self._print is not None:
            self._print(line, body)

    def info(self, kind: str, text: str, subject: str = "", /, **numbers: object) -> None:
        self.write("info", kind, text, subject, **numbers)

    def warn(self, kind: str, text: str, subject: str = "", /, **numbers: object) -> None:
        self.write("warn", kind, text, subject, **numbers)

    def error(self, kind: str, text: str, subject: str = "", /, **numbers: object) -> None:
        self.write("error", kind, text, subject, **numbers)

    def alarm(self, kind: str, text: str, subject: str = "", /, **numbers: object) -> None:
        self.write("alarm", kind, text, subject, **numbers)

    @property
    def lines(self) -> tuple[LogLine, ...]:
        return tuple(self._lines)

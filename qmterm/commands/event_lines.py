"""One line an event on stderr, when there is no screen, written by a thread of its own.

The trap: a terminal can stand still (Ctrl-S, a slow SSH line) or go away (SSH dropped, `| head` ended). The engine
must neither wait for it nor fail with it: lines that cannot be shown are dropped, the journal has them all.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from qmterm.engine.view import LogLine

WAITING_LINES = 5_000
CLOSE_WAIT_S = 2.0


class EventLines:
    def __init__(self, stream: TextIO | None = None) -> None:
        import structlog

        self._stream = stream or sys.stderr
        self.is_terminal = self._stream.isatty()
        self._render = structlog.dev.ConsoleRenderer(colors=self.is_terminal, pad_event_to=0)
        self._queue: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self.not_shown = 0
        self._thread = threading.Thread(target=self._write, name="event-lines", daemon=True)
        self._thread.start()

    def __call__(self, line: LogLine, numbers: Mapping[str, object]) -> None:
        from qmterm.core.clock import to_et

        event = {
            "timestamp": f"{to_et(line.time_ns):%H:%M:%S}",
            "level": line.level,
            "event": f"{line.kind} {line.text}",
        }
        self._put(f"{self._render(None, '', event)}\n")

    def progress(self, text: str) -> None:
        """What the start is doing, on one line that rewrites itself."""
        self._put(f"\r\x1b[2K{text}")

    def close(self) -> None:
        """Show what still waits, but do not wait long for a terminal that stands still."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
            self._thread.join(CLOSE_WAIT_S)

    def _put(self, text: str) -> None:
        try:
            self._queue.put_nowait(text)
        except queue.Full:
            self.not_shown += 1

    def _write(self) -> None:
        gone = False
        while (text := self._queue.get()) is not None:
            missed, self.not_shown = self.not_shown, 0
            if missed:
                text = f"({missed} lines were not shown: the terminal stood still; the journal has them)\n{text}"
            if gone:
                continue
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # the terminal or the pipe's reader went away: nobody is left to be told
                gone = True

"""The terminal, patiently: a terminal that stops reading costs frames, never the event loop.

Textual's own driver queues 30 writes and then blocks the loop (measured: a reader stalled for 8 s froze it for 4.9 s).
Here a thread of ours owns the file descriptor; when more than two frames wait, new frames are dropped whole and a full
repaint follows once the terminal reads again. A terminal that goes away ends the screen, not the program.
"""

from __future__ import annotations

import os
import selectors
import threading
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App

MOST_PENDING: Final = 2
# At the end a stalled terminal gets this long (seconds) to read the sequences that restore it.
LAST_WORDS_S: Final = 1.0


class PatientWriter(threading.Thread):
    """Writes bytes to a file descriptor in order; never blocks the one who hands them over."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True, name="qmterm-terminal")
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._ready = threading.Condition()
        self._writing = False
        self._closing = False
        self.lost = False  # the terminal has gone away

    @property
    def pending(self) -> int:
        """Frames handed over and not yet taken by the terminal."""
        with self._ready:
            return len(self._waiting) + self._writing

    def hand_over(self, data: bytes) -> None:
        with self._ready:
            self._waiting.append(data)
            self._ready.notify()

    def run(self) -> None:
        while True:
            with self._ready:
                while not self._waiting and not self._closing:
                    self._ready.wait()
                if not self._waiting:
                    return
                data = self._waiting.popleft()
                self._writing = True
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                self.lost = True
                return
            finally:
                with self._ready:
                    self._writing = False

    def finish(self) -> None:
        """Let what waits be written, but do not wait for ever: the thread is a daemon and owns no lock."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self.join(LAST_WORDS_S)


class PatientDriver(LinuxDriver):
    """LinuxDriver with our writer and a key thread that notices a terminal that went away."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._patient: PatientWriter | None = None
        # Textual writes to stderr; where that is a file (2>log) the screen still belongs on the terminal.
        self._descriptor = 2 if os.isatty(2) else 1
        self._frame: list[str] = []
        self._framed = False  # between start and stop of the application mode whole frames may be dropped
        self.dropped = False  # a frame was dropped: the next one must repaint everything
        self.bytes_written = 0
        self.on_lost: Callable[[], None] = lambda: None

    @property
    def backlog(self) -> int:
        return 0 if self._patient is None else self._patient.pending

    # --- out ---

    def write(self, data: str) -> None:
        """Collects; a frame leaves at `flush`. Outside frames (start, stop) everything leaves at once."""
        self._frame.append(data)
        if not self._framed:
            self.flush()

    def flush(self) -> None:
        writer = self._patient
        data = "".join(self._frame).encode("utf-8", "replace")
        self._frame.clear()
        if writer is None or not data:
            return
        if self._framed and writer.pending > MOST_PENDING:
            self.dropped = True
            return
        self.bytes_written += len(data)
        writer.hand_over(data)

    def start_application_mode(self) -> None:
        self._patient = PatientWriter(self._descriptor)
        self._patient.start()
        self._framed = False
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._framed = True

    def stop_application_mode(self) -> None:
        self.flush()
        self._framed = False
        super().stop_application_mode()

    def close(self) -> None:
        super().close()
        if self._patient is not None:
            self._patient.finish()

    # --- in ---

    def run_input_thread(self) -> None:
        """Keys from the terminal. End of file or an I/O error means it is gone; the stock driver would spin."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                events = selector.select(0.1)
                if events:
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._app.call_later(self.on_lost)
                        return
                    for message in parser.feed(decode(data)):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

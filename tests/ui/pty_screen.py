"""The screen in a real pseudo-terminal: start it, read what it sends, stall, type, and see how it leaves."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class PtyScreen:
    """`with PtyScreen(80, 24) as screen`: the preview on the fake engine, in its own process."""

    def __init__(self, width: int, height: int, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.master, follower = os.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.before = termios.tcgetattr(follower)
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/ui/preview.py"), *arguments],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env={**inherited, **terminal, **(environment or {})},
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.follower = follower
        self.seen = b""

    def __enter__(self) -> PtyScreen:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        for descriptor in (self.master, self.follower):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def read(self, seconds: float, until: bytes = b"") -> bytes:
        """What arrives within so many seconds, or until `until` is among it."""
        out = b""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    out += os.read(self.master, 65536)
                except OSError:
                    break
                if until and until in self.seen + out:
                    break
            elif self.process.poll() is not None:
                break
        self.seen += out
        return out

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def ended(self, seconds: float) -> int | None:
        """Exit code once it has ended, None if it has not within so many seconds; reads on meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            self.read(0.1)
        self.read(0.2)
        return self.process.poll()

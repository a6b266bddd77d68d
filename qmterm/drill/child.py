"""The owner's end of one life (life.py): born from a nursery that has everything loaded, spoken to through a pipe."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from qmterm.drill.life import Life, Terms, live

_PRELOADED = ["qmterm.drill.life"]


class Child:
    """`heard` gets each message; `over` is set when the process is gone and everything it said was heard."""

    def __init__(
        self, terms: Terms, heard: Callable[[str, Any], None], make: type[Life] = Life, *, fresh: bool = False
    ) -> None:
        """`fresh` pays for a new interpreter and all imports, as a real start does."""
        context = _context("spawn" if fresh else "forkserver")
        if not fresh:
            context.set_forkserver_preload(_PRELOADED)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=live, args=(theirs, terms, make), daemon=True)
        self._heard = heard
        self.over = asyncio.Event()
        self._process.start()
        theirs.close()
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)

    @property
    def killed(self) -> bool:
        """It died of SIGKILL, by its own hand or ours."""
        self._process.join()
        return bool(self._process.exitcode == -signal.SIGKILL)

    @property
    def how_it_ended(self) -> str:
        """For a message, once it is `over`."""
        self._process.join()
        code = self._process.exitcode
        return f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"

    def tell(self, what: str, body: Any = None) -> None:
        with suppress(OSError):  # it may be dead already
            self._pipe.send((what, body))

    def kill(self) -> None:
        """SIGKILL, now."""
        self._process.kill()

    def _read(self) -> None:
        try:
            while self._pipe.poll():
                self._heard(*self._pipe.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self.over.set()


def _context(name: str) -> Any:
    return multiprocessing.get_context(name)  # typed without the one method that every context has

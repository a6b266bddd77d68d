"""What a command is waiting for, on one rewritten line of stderr: only for a terminal, only after a second."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from typing import TextIO

Say = Callable[[str], None]

_QUIET_S = 1.0
_REDRAW_S = 0.25


@contextlib.asynccontextmanager
async def progress(first: str, stream: TextIO | None = None, quiet_s: float = _QUIET_S) -> AsyncIterator[Say]:
    """Yields `say`, which replaces the text; the line is wiped at the end, so that a pipe sees nothing of it."""
    target = stream if stream is not None else sys.stderr
    text = first

    def say(new: str) -> None:
        nonlocal text
        text = new

    async def draw() -> None:
        await asyncio.sleep(quiet_s)
        while True:
            print(f"\r\x1b[2K{text} …", end="", file=target, flush=True)
            await asyncio.sleep(_REDRAW_S)

    if not target.isatty():
        yield say
        return
    drawing = asyncio.create_task(draw(), name="progress line")
    try:
        yield say
    finally:
        drawing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drawing
        print("\r\x1b[2K", end="", file=target, flush=True)

"""The one thread that runs heavy maths, so that the event loop never waits for it (DESIGN.md 4).

The trap: only its calls are in order. A kernel on large arrays spreads over the cores by itself (quant/kernel.py)
and may be called from any thread; what must not overlap goes through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ComputeThread:
    """Runs functions one after the other on a single named thread; close() waits for what runs and drops the rest."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "qmterm-compute")

    def run(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queue a call and return at once."""
        return self._pool.submit(fn, *args, **kwargs)

    async def arun(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Queue a call and await its result; a cancelled wait drops the call if it has not begun."""
        return await asyncio.wrap_future(self._pool.submit(fn, *args, **kwargs))

    def close(self) -> None:
        """Drop queued calls, let the running one end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> ComputeThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""The one thread that runs numba kernels, so that the event loop never waits for them (DESIGN.md 4).

The trap: entering parallel kernels from two threads can abort the whole process. There is one such thread, it
pins numba's threading layer before its first kernel, and small inputs take a serial kernel in place instead.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# tbb and omp survive a second caller, workqueue is always there.
THREADING_LAYERS = ("tbb", "omp", "workqueue")


def pin_threading_layer(threads: int | None = None) -> None:
    """Choose numba's threading layer and thread count; later calls from other places cannot change them."""
    # libgomp reads this once, when it is loaded: without it idle workers spin and steal the event loop's core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import numba

    config: Any = numba.config
    config.THREADING_LAYER_PRIORITY = list(THREADING_LAYERS)
    config.THREADING_LAYER = "default"
    if threads is not None:
        numba.set_num_threads(max(1, min(threads, config.NUMBA_NUM_THREADS)))


class ComputeThread:
    """Runs functions one after the other on a single named thread; close() waits for what runs and drops the rest."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(1, "qmterm-compute", pin_threading_layer, (threads,))

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

"""How every numba kernel of this floor is compiled, kept on disk, and spread over the cores.

Three decorators. `piece`: a building block, plain Python for Python and inlined machine code inside kernels. `kernel`:
a whole compiled function. `array_kernel`: a function (low, high, *arrays) that works on elements low … high; called
with the number of elements it runs as plain Python while that is cheaper than compiling, and over all cores when large.

The traps: kernels made inside a function recompile at every start, so decorate module-level functions only. A loop
vectorises only when it is free of branches and of libm calls: use qmterm.quant.elementary, and np.where-like
selections (`a if c else b` of two cheap values). Pieces must never raise in Python: np.sqrt, not math.sqrt.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.extending import register_jitable

from qmterm.quant.kernel_cache import cache_for

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")

# From this many elements on, an array kernel takes all cores.
PARALLEL_FROM = 20_000
# Up to this many elements, an array kernel that is not compiled yet runs as plain Python.
SMALL = 32
# No more parts than this a core: each costs some 20 µs to hand out, and the last to finish decides.
PARTS_PER_CORE = 4

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def piece(function: F) -> F:
    """A building block: called from Python it is Python, called from a kernel it becomes part of the kernel."""
    registered: F = register_jitable(forceinline=True, **_OPTIONS)(function)
    return registered


def kernel(function: F) -> F:
    """A compiled function, on the caller's thread without the GIL."""
    compiled: F = numba.njit(**_OPTIONS)(function)
    kept = cache_for(function) if function.__module__.startswith("qmterm.") else None
    if kept is not None:
        cast(Any, compiled)._cache = kept
    return compiled


class ArrayKernel(Generic[P]):
    """A function (low, high, *arguments) over elements low … high of its arrays, in three forms of the same source."""

    def __init__(self, function: Callable[..., None], small: int, part: int) -> None:
        self.python = function
        self.compiled = kernel(function)
        self._small = small
        self._part = part

    def __call__(self, size: int, *arguments: Any) -> None:
        """Fill all `size` elements: as Python, compiled, or compiled over all cores."""
        if size <= self._small and not self.is_compiled:
            with np.errstate(all="ignore"):
                self.python(0, size, *arguments)
            return
        if size < self._part:
            self.compiled(0, size, *arguments)
            return
        spread(self.compiled, size, *arguments, least=max(1, self._part // 2))

    @property
    def is_compiled(self) -> bool:
        return bool(cast(Any, self.compiled).signatures)


def array_kernel(
    *, small: int = SMALL, parallel_from: int = PARALLEL_FROM
) -> Callable[[Callable[..., None]], ArrayKernel[...]]:
    """Decorates function(low, high, *arrays); `small` and `parallel_from` suit the cost of one element."""
    return lambda function: ArrayKernel(function, small, parallel_from)


def spread(function: Callable[..., None], size: int, *arguments: Any, least: int = 1) -> None:
    """function(low, high, *arguments) over parts of 0 … size of at least `least`, on all cores; waits for the last.

    Any thread may call it at any time: unlike numba's own parallel loops, it cannot abort the process.
    """
    workers = _cores()
    parts = max(1, min(workers * PARTS_PER_CORE, size // max(1, least)))
    edges = [size * number // parts for number in range(parts + 1)]
    if parts == 1 or workers == 1:
        function(0, size, *arguments)
        return
    waiting: list[Future[None]] = [
        _pool().submit(function, edges[number], edges[number + 1], *arguments) for number in range(1, parts)
    ]
    try:
        function(edges[0], edges[1], *arguments)
        # The caller takes what the others have not begun, from the far end.
        for number in range(parts - 1, 0, -1):
            if waiting[number - 1].cancel():
                function(edges[number], edges[number + 1], *arguments)
    finally:
        # After an error or an interrupt nothing more begins; what has begun writes into our arrays until it ends.
        begun = [future for future in waiting if not future.cancel()]
        for future in begun:
            future.result()


def set_cores(count: int | None) -> None:
    """Use at most this many cores for large inputs; None: all of them."""
    global _limit
    _limit = count


_limit: int | None = None


def _cores() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(available, _limit or available))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, _cores() - 1), "qmterm-kernel")


# A forked child has the pool but none of its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)

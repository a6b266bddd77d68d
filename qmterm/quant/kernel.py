"""How every numba kernel of this floor is compiled: no GIL, cached on disk, at module level.

The trap: kernels made inside a function recompile at every start (3 s), so decorate module-level functions only.
After changing a kernel that another file calls, delete `__pycache__/*.nb*`: numba's cache does not see through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# From this many elements on, a kernel that exists in both forms takes all cores.
PARALLEL_FROM = 20_000

prange = numba.prange


def kernel(function: F) -> F:
    """A serial kernel."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inline_kernel(function: F) -> F:
    """A piece of a kernel, merged into its callers."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function))


def parallel_kernel(function: F) -> F:
    """A kernel over all cores: on the compute thread, or where nothing else runs kernels (core/compute.py)."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", parallel=True)(function))

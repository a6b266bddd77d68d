"""Machine code that is given addresses instead of objects: compiled once, kept on disk, called without a look first.

The trap: nothing is checked on the way in. Only the room that owns the arrays behind the addresses may call it, and
it must hold on to them. numba's own way in, which looks at every argument, costs more than a small frame does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

MachineCode = Callable[[bytes, int, int, int], int]


def machine_code(function: Callable[..., int], *, holds_gil: bool) -> MachineCode:
    """function(text, length, number, address of state) -> int, as machine code.

    With the lock held a call costs less and cannot be kept waiting by other threads; without it, a long one does not
    keep them waiting.
    """
    import numba
    from numba import types as numba_types

    from qmterm.quant.kernel_cache import cache_for

    types: Any = numba_types
    compiled: Any = numba.njit(nogil=not holds_gil, error_model="numpy")(function)
    kept = cache_for(function)
    if kept is not None:
        compiled._cache = kept
    text = numba.typeof(b"")  # type: ignore[no-untyped-call]
    signature = types.int64(text, types.int64, types.int64, types.int64)
    return cast(MachineCode, compiled.compile(signature))

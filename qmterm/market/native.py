"""Machine code that is called with addresses instead of objects: compiled once, kept on disk, called through ctypes.

The trap: nothing is checked on the way in. Only the room that owns the arrays behind the addresses may call it, and
it must hold on to them. numba's own calls check, and cost ten times as much as a small frame does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, cast

_kept: list[Any] = []  # machine code lives as long as its handle


def machine_code(function: Callable[..., int], *, holds_gil: bool) -> Callable[[bytes, int, int, int], int]:
    """function(text, length, number, address of state) -> int, as machine code.

    With the lock held a call costs less and cannot be kept waiting by other threads; without it, a long one does not
    keep them waiting.
    """
    from numba import types as numba_types
    from numba.core.ccallback import CFunc

    from qmterm.quant.kernel_cache import cache_for

    types: Any = numba_types
    signature = types.int64(types.CPointer(types.uint8), types.int64, types.int64, types.CPointer(types.int64))
    compiled: Any = CFunc(function, (signature.args, signature.return_type), {}, {"error_model": "numpy"})
    kept = cache_for(function)
    if kept is not None:
        compiled._cache = kept
    compiled.compile()
    prototype = ctypes.PYFUNCTYPE if holds_gil else ctypes.CFUNCTYPE
    made = prototype(ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(compiled.address)
    _kept.append(compiled)
    return cast(Callable[[bytes, int, int, int], int], made)

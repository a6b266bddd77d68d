"""Machine code that is given addresses instead of objects: compiled once, kept on disk, called without a look first.

The trap: nothing is checked on the way in. Only the room that owns the arrays behind the addresses may call it, and
it must hold on to them. numba's own way in, which looks at every argument, costs more than a small frame does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

MachineCode = Callable[[bytes, int, int, int], int]


class Native:
    """function(text, length, number, address of state) -> int as machine code, once `load` was called.

    With the lock held a call costs less and cannot be kept waiting by other threads; without it, a long one does not
    keep them waiting.
    """

    def __init__(self, module: str, function: str, *, holds_gil: bool) -> None:
        self._module, self._function, self._holds_gil = module, function, holds_gil
        self.run: MachineCode | None = None  # None: not loaded yet, the plain way must do

    def load(self) -> MachineCode:
        """From the disk, or compiled: that takes seconds, so in a thread and not when somebody waits."""
        if self.run is None:
            self.run = self._compiled()
        return self.run

    def _compiled(self) -> MachineCode:
        import numba
        from numba import types as numba_types

        from qmterm.quant.kernel_cache import cache_for

        function = getattr(import_module(self._module), self._function)
        types: Any = numba_types
        dispatcher: Any = numba.njit(nogil=not self._holds_gil, error_model="numpy")(function)
        kept = cache_for(function)
        if kept is not None:
            dispatcher._cache = kept
        text = numba.typeof(b"")  # type: ignore[no-untyped-call]
        return cast(MachineCode, dispatcher.compile(types.int64(text, types.int64, types.int64, types.int64)))

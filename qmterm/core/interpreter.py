"""The interpreter of a process that lives long: its event loop, and when its garbage collector looks.

That is for the whole process: rather while nothing waits than on an order.

By default it looks after every 700 new objects, several times on one order's way.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable

NEW_OBJECTS = 5_000  # so many at most without a look; one takes about a millisecond
WORTH_IT = 300
MIDDLE, OLD = 20, 1_000  # of so many looks at the young one goes on to the middle-aged, one to all


class Collector:
    """The collector's pace; nothing is switched off, so whoever never rests still has it look."""

    def __init__(self) -> None:
        self._looks = 0

    def calm(self) -> None:
        """Fewer looks by itself. To be called again at will."""
        gc.set_threshold(NEW_OBJECTS, 10, 10)

    def rest(self) -> None:
        """Nothing waits at this moment: look now, if there is something new."""
        if gc.get_count()[0] >= WORTH_IT:
            self._looks += 1
            gc.collect(2 if self._looks % OLD == 0 else 1 if self._looks % MIDDLE == 0 else 0)


collector = Collector()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For asyncio.Runner: uvloop, or Python's own where there is none (Windows)."""
    if sys.platform == "win32":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory

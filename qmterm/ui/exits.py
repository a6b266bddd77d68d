"""How a screen ends, for whoever started it. (No textual here: a command may ask without paying for the import.)"""

from __future__ import annotations

from enum import StrEnum


class ScreenExit(StrEnum):
    DETACH = "detach"  # the engine goes on without a screen
    STOP = "stop"  # StopEngine was sent (or the engine had ended): wait for it, then leave
    LOST = "lost"  # the terminal went away or the screen broke: [disconnect] policy decides

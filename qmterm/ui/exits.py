"""How a screen ends, for whoever started it. (No textual here: a command may ask without paying for the import.)"""

from __future__ import annotations

import sys
from enum import StrEnum

from qmterm.core.errors import BadInput


class ScreenExit(StrEnum):
    DETACH = "detach"  # the engine goes on without a screen
    STOP = "stop"  # StopEngine was sent (or the engine had ended): wait for it, then leave
    LOST = "lost"  # the terminal went away or the screen broke: [disconnect] policy decides


def require_terminal() -> None:
    """BadInput where no screen can be drawn: asked before an engine starts that nobody could see."""
    if not sys.stdin.isatty() or not (sys.stderr.isatty() or sys.stdout.isatty()):
        raise BadInput("the screen needs a terminal: run it in one, or use --auto, which needs none")

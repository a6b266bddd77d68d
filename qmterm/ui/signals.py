"""Signals while the screen has the terminal: hang-up ends only the screen, a request to stop stops cleanly.

Plain `signal.signal` and not the loop's own handlers: closing a loop puts the default action back, and the second
hang-up of a dying connection would then kill the engine.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

JOB_CONTROL = tuple(getattr(signal, name) for name in ("SIGTSTP", "SIGCONT") if hasattr(signal, name))
HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)


@contextmanager
def screen_signals(hang_up: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """Call `hang_up` or `stop` (on the main thread, between two steps of it) instead of dying.

    Afterwards the former handlers return, except that a hang-up stays ignored once it has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    acts = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if HANG_UP is not None:
        acts[HANG_UP] = hang_up
    lost = False

    def handle(number: int, _frame: object) -> None:
        nonlocal lost
        came = signal.Signals(number)
        lost = lost or came is HANG_UP
        acts[came]()

    former = {number: signal.signal(number, handle) for number in acts}
    # Textual leaves its own SIGTSTP and SIGCONT handlers behind; a hang-up sends SIGCONT as well, and one that reaches
    # a screen which is gone would end the engine that was told to go on.
    suspended = {number: signal.getsignal(number) for number in JOB_CONTROL}
    try:
        yield
    finally:
        for number, handler in suspended.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number, handler in former.items():
            signal.signal(number, signal.SIG_IGN if lost and number is HANG_UP else handler)

"""Two CPUs for two at work: while orders leave, whoever waits for the disk goes on with a commit beside the loop.

The trap: a system may wake a thread on the CPU of whoever woke it, although another one is idle, and let it wait there
until that one sleeps. The commit of an intent then begins after the whole building of its order: 0.35 ms of an order's
2.6 where this was measured. Linux only; with one CPU, or with both on one thread (drills), nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Collection

HELD_S = 1.0  # after the last order; then both threads go where the system likes again


class Apart:
    """For the loop that makes it and the scribe, or the database's thread. All methods belong to the loop."""

    def __init__(self, disk: Callable[[], int], cpu_now: Callable[[], int] | None = None) -> None:
        """`disk` gives the number of the thread that waits for the disk, which may become another."""
        self._disk = disk
        self._cpu_now = None if disk() == threading.get_native_id() else cpu_now or _cpu_finder()
        self._held: dict[int, tuple[set[int], set[int]]] = {}  # thread -> its CPUs before, and now
        self._known: set[int] = set()  # threads that were there when it began
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """An order is about to be built beside its commit: the loop stays on its CPU, the disk's thread off it."""
        if self._cpu_now is None:
            return
        loop = asyncio.get_running_loop()
        self._until = loop.time() + HELD_S
        if self._timer is None:
            self._timer = loop.call_at(self._until, self._over)
            self._part(self._cpu_now())

    def free(self) -> None:
        """Both go where the system likes again, and with them every thread that was born of the loop meanwhile.

        What somebody else has chosen for one of them meanwhile stays.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for thread, (before, held) in self._held.items():
            _give_back(thread, before, held)
        mine = self._held.get(threading.get_native_id())
        if mine is not None:
            for thread in _threads() - self._known:
                _give_back(thread, *mine)
        self._held = {}

    def _over(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._over)
        else:
            self.free()

    def _part(self, here: int) -> None:
        disk = self._disk()
        try:
            loops, disks = os.sched_getaffinity(0), os.sched_getaffinity(disk)
        except OSError:  # it was only for speed
            return
        if not disks - {here}:
            return
        self._known = _threads()
        if _put(disk, disks - {here}):
            self._held[disk] = disks, disks - {here}
        if len(loops) > 1 and _put(0, {here}):  # one that somebody has put on a CPU stays his
            self._held[threading.get_native_id()] = loops, {here}


def cpus_of(process: int) -> set[int] | None:
    """Where it may run; None where nobody says so."""
    try:
        return os.sched_getaffinity(process) if sys.platform == "linux" else None
    except OSError:
        return None


def give_cpus(process: int, cpus: set[int] | None) -> None:
    """A process that is born of a held loop runs only where the loop is held, and stays there: let it go."""
    if cpus is not None:
        _put(process, cpus)


def _threads() -> set[int]:
    return {thread.native_id for thread in threading.enumerate() if thread.native_id is not None}


def _give_back(thread: int, before: set[int], held: set[int]) -> None:
    try:
        now = os.sched_getaffinity(thread)
    except OSError:  # it has ended
        return
    if now == held:
        _put(thread, before)


def _put(thread: int, cpus: Collection[int]) -> bool:
    try:
        os.sched_setaffinity(thread, cpus)
    except OSError:  # taken away meanwhile, or forbidden
        return False
    return True


def _cpu_finder() -> Callable[[], int] | None:
    """The C library's `sched_getcpu`; None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        finder: Callable[[], int] = ctypes.PyDLL(None).sched_getcpu
    except (AttributeError, OSError):
        return None
    return finder

"""One engine per journal: an operating-system lock on FILE.lock that dies with its process, and what it is made of.

The traps: a pid file would survive kill -9 and lock its owner out of recovery; a kernel lock does not. And the scribe
of a killed engine may still be writing its last batch: it holds the lock too, and the next engine waits for its end.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from qmterm.core.errors import JournalError, QmtermError

LEFT_BEHIND_S = 10.0  # so long a killed engine's last batch may take to reach the disk
LOOK_AGAIN_S = 0.01
# Of /proc/PID/stat after the name (proc(5)): one that was sent SIGKILL is there until its memory is given back.
_FLAGS, _EXITING = 6, 0x4 | 0x400  # it ends; a signal ends it
_PENDING, _KILLED = 28, 1 << 8  # SIGKILL is on its way to it


class ProcessLock(ABC):
    """Held from `acquire` to `release`. The file stays behind when it is released: only the lock means anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or say in one sentence who holds it."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise self.unwritable(error) from error
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int) -> None:
        try:
            free = _try_lock(descriptor)
            patience = time.monotonic() + LEFT_BEHIND_S
            while not free and time.monotonic() < patience and not _alive(_owner(descriptor)):
                time.sleep(LOOK_AGAIN_S)
                free = _try_lock(descriptor)
        except OSError as error:  # a file system without locks (some network mounts)
            raise self.unlockable(error) from error
        if not free:
            owner = _owner(descriptor)
            raise self.in_use(owner or "unknown", runs=_alive(owner))
        # The number is for people; on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))

    @property
    def descriptor(self) -> int:
        """Whoever is given it holds the lock too, until both have let go."""
        if self._descriptor is None:
            raise ValueError(f"nobody holds {self.path}")
        return self._descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing drops the lock
            self._descriptor = None

    # --- in the words of what is locked ---

    @abstractmethod
    def unwritable(self, error: OSError) -> QmtermError: ...

    @abstractmethod
    def unlockable(self, error: OSError) -> QmtermError: ...

    @abstractmethod
    def in_use(self, owner: str, *, runs: bool) -> QmtermError:
        """`owner` is a process's number or "unknown"; one that does not run here may be in another container."""


class JournalLock(ProcessLock):
    def __init__(self, journal: Path) -> None:
        # Beside the file itself, not beside a link to it: two names of one journal must meet at one lock.
        self._journal = Path(os.path.realpath(journal))
        super().__init__(self._journal.with_name(self._journal.name + ".lock"))

    def unwritable(self, error: OSError) -> JournalError:
        return JournalError(
            f"The journal's folder cannot be written: {self.path}: {error.strerror}; "
            "choose another file with --journal or give yourself write permission there"
        )

    def unlockable(self, error: OSError) -> JournalError:
        return JournalError(
            f"The journal {self._journal} cannot be locked ({error.strerror}), so a second engine could write to it; "
            "choose a file on a local disk with --journal"
        )

    def in_use(self, owner: str, *, runs: bool) -> JournalError:
        if runs:
            return JournalError(
                f"The journal {self._journal} is in use by another running engine (process {owner}); "
                "ask it with `qmterm ctl status`, or take another file with --journal"
            )
        return JournalError(
            f"The journal {self._journal} is held, but its engine (process {owner}) does not run here: it is in "
            "another container, or was killed and the process that writes its last rows (qmterm.journal.scribe) has "
            f"not ended within {LEFT_BEHIND_S:g} seconds; end that one, then start again"
        )


def _owner(descriptor: int) -> str:
    """The number of the process that took the lock; empty while it has not said it."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 32).decode("ascii", "replace").strip()


def _alive(owner: str) -> bool:
    """Whether an engine still runs; one that was killed does not, although it is still dying or not yet buried."""
    if sys.platform == "win32" or not owner.isdecimal():
        return True
    try:
        os.kill(int(owner), 0)
        state = Path(f"/proc/{owner}/stat").read_text().rpartition(")")[2].split()
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or a system without /proc
        return True
    if len(state) <= _PENDING:
        return True
    dying = int(state[_FLAGS]) & _EXITING or int(state[_PENDING]) & _KILLED
    return state[0] not in "ZX" and not dying


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        # A byte far past the end, so that the owner's number at the start stays readable.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

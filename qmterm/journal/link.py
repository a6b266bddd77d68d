"""A scribe from the engine's side: its process, and the socket that both talk over."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qmterm.core.errors import JournalError
from qmterm.journal.commits import JournalFile
from qmterm.journal.frames import AT_ONCE, Frames, ready_of
from qmterm.journal.lock import JournalLock

PATIENCE_S = 20.0  # for a scribe to open the file, and for one to end
LOOK_AGAIN_S = 0.002
AWAKE_S = 0.002  # most commits take less, and to be woken takes a tenth of one


class Link:
    """Its process, its socket, and what of our words has not left yet."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        ours: socket.socket,
        answered: Callable[[bytes], object],
        died: Callable[[], object],
    ) -> None:
        self.process = process
        self._socket = ours
        self._answered = answered
        self._died = died
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._unsent = bytearray()
        self._awake_until = 0.0  # the loop's seconds; 0.0: it may sleep
        self.ended = False

    @classmethod
    async def started(
        cls, file: JournalFile, lock: JournalLock, answered: Callable[[bytes], object], died: Callable[[], object]
    ) -> Link:
        """Once it has opened the file; JournalError with its sentence when it cannot."""
        process, ours = _spawned(file, lock)
        ours.setblocking(False)
        scribe = cls(process, ours, answered, died)
        try:
            await scribe._open(file.path)
        except BaseException:
            process.kill()  # it has nothing to write, and one that is stopped or stuck would never end
            await scribe.close()
            raise
        return scribe

    async def _open(self, path: Path) -> None:
        trouble: str | None = f"The process that writes the journal {path} ended before it had begun"
        try:
            async with asyncio.timeout(PATIENCE_S):
                while data := await self._loop.sock_recv(self._socket, AT_ONCE):
                    if (body := next(self._frames.take(data), None)) is not None:
                        trouble = ready_of(body).trouble
                        break
        except TimeoutError:
            trouble = f"The process that writes the journal {path} has not opened it within {PATIENCE_S:g} seconds"
        except OSError:
            pass
        if trouble is not None:
            raise JournalError(trouble)
        self._loop.add_reader(self._socket.fileno(), self._read)

    def send(self, frame: bytes) -> None:
        if self._unsent or self.ended:
            self._unsent += frame
            return
        sent = self._try(frame)
        if sent < len(frame):
            self._unsent += memoryview(frame)[sent:]
            self._loop.add_writer(self._socket.fileno(), self._send_on)

    def _send_on(self) -> None:
        del self._unsent[: self._try(self._unsent)]
        if not self._unsent or self.ended:
            self._loop.remove_writer(self._socket.fileno())

    def stay_awake(self) -> None:
        """The loop is not to sleep before the next answer, for a short time: an order waits for it."""
        if not self._awake_until:
            self._loop.call_soon(self._awake)
        self._awake_until = self._loop.time() + AWAKE_S

    def _awake(self) -> None:
        if self._loop.time() < self._awake_until:
            self._loop.call_soon(self._awake)  # with something to do, the loop only looks whether there is news
        else:
            self._awake_until = 0.0

    def _try(self, data: bytes | bytearray) -> int:
        """How many bytes the system takes now."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._end()
            return 0

    def _read(self) -> None:
        try:
            data = self._socket.recv(AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
        self._awake_until = min(self._awake_until, self._loop.time())
        for body in self._frames.take(data):
            self._answered(body)

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._loop.remove_reader(self._socket.fileno())
            self._read_on()
            self._died()

    def _read_on(self) -> None:
        """What it had answered before it ended counts: a failed send may tell of the end before that is read."""
        with suppress(OSError):
            while data := self._socket.recv(AT_ONCE):
                for body in self._frames.take(data):
                    self._answered(body)

    async def close(self) -> None:
        """It writes what it has been given, closes the file and ends; one that does not (it is stopped) is killed."""
        self.ended = True
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        patience = self._loop.time() + PATIENCE_S
        while self.process.poll() is None:  # no thread waits: those of the loop may all be busy, and rows wait for this
            if self._loop.time() > patience:
                self.process.kill()  # a commit is whole or not there
            await asyncio.sleep(LOOK_AGAIN_S)


def _spawned(file: JournalFile, lock: JournalLock) -> tuple[subprocess.Popen[bytes], socket.socket]:
    try:
        ours, its = socket.socketpair()
    except OSError as error:
        raise _none(file, error) from error
    handed = (its.fileno(), lock.descriptor)
    told = (os.path.abspath(file.path), *map(str, file.identity), *map(str, handed))
    with its:
        try:
            process = subprocess.Popen(
                # -P: not from the folder the engine was started in, where any file may be named like a module.
                [sys.executable, "-P", "-m", "qmterm.journal.scribe", *told],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # it would write over the screen
                pass_fds=handed,
                env=_environment(),
                start_new_session=True,  # keys and hang-ups of the terminal are for the engine
            )
        except OSError as error:
            ours.close()
            raise _none(file, error) from error
    return process, ours


def _environment() -> dict[str, str]:
    """The engine's modules, and none of its secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QMTERM_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def _none(file: JournalFile, error: OSError) -> JournalError:
    return JournalError(f"The journal {file.path} has no process to write it: {error.strerror}")

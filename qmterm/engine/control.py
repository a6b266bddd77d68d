"""The Unix socket: the same commands from a shell (`qmterm ctl …`), one JSON line in, one JSON line out.

Only this user may speak: the socket is mode 0600 and the peer's uid is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from qmterm.core.errors import ConfigError, EngineUnreachable
from qmterm.engine.commands import (
    ApproveProposal,
    Arm,
    CancelOrder,
    ClosePosition,
    Command,
    CommandResult,
    Disarm,
    EditOrder,
    Flatten,
    Kill,
    ListOrders,
    Pause,
    ReadBook,
    ReadFlow,
    Reconcile,
    RejectProposal,
    Resume,
    RollPosition,
    Scan,
    StageTicket,
    Status,
    StopEngine,
    Why,
)

Answer = Callable[[Command], Awaitable[CommandResult]]

SEND = "--send"
Text = Callable[[str, bool], Command]


def _of_text(make: Text) -> Callable[..., Command]:
    """Any number of words as one text; the word --send among them is not of it."""
    return lambda *words: make(" ".join(word for word in words if word != SEND), SEND in words)


# verb -> (command, names of its text arguments)
VERBS: Mapping[str, tuple[Callable[..., Command], tuple[str, ...]]] = {
    "status": (Status, ()),
    "scan": (Scan, ("limit",)),
    "pause": (lambda: Pause("ctl"), ()),
    "resume": (lambda: Resume("ctl"), ()),
    "kill": (lambda: Kill("ctl"), ()),
    "flatten": (lambda: Flatten("ctl"), ()),
    "arm": (lambda until, most: Arm(until=until, max_loss=most, source="ctl"), ("--until", "--max-loss")),
    "disarm": (lambda: Disarm("ctl"), ()),
    "stop": (lambda: StopEngine("ctl"), ()),
    "reconcile": (Reconcile, ()),
    "cancel": (CancelOrder, ("order_id",)),
    "close": (lambda name: ClosePosition(name, send=True), ("position_id",)),
    "approve": (ApproveProposal, ("proposal_id", "limit_seen")),
    "order": (_of_text(StageTicket), ("text…",)),
    "roll": (_of_text(RollPosition), ("text…",)),
    "edit": (EditOrder, ("order_id", "price")),
    "reject": (RejectProposal, ("proposal_id",)),
    "orders": (ListOrders, ("all|working",)),
    "trail": (lambda subject: Why(subject, full=True), ("subject",)),
    "why": (Why, ("subject",)),
    "positions": (lambda: ReadBook("positions"), ()),
    "portfolio": (lambda: ReadBook("portfolio"), ()),
    "expiry": (lambda: ReadBook("expiry"), ()),
    "flow": (lambda *symbols: ReadFlow(tuple(symbol.upper() for symbol in symbols)), ("symbols…",)),
}


def parse_verb(words: list[str]) -> Command:
    """`["cancel", "a320"]` as a command; ConfigError with the right spelling otherwise."""
    if not words or words[0] not in VERBS:
        raise ConfigError(f"ctl knows {', '.join(VERBS)}; got {' '.join(words) or 'nothing'!r}")
    make, names = VERBS[words[0]]
    if names[-1:] == ("symbols…",):  # as many as there are, none too
        return make(*words[1:])
    if names == ("text…",) and len(words) > 1:
        return make(*words[1:])
    if len(words) - 1 != len(names):
        raise ConfigError(f"ctl {words[0]} takes {len(names)} argument(s): {' '.join(names) or 'none'}")
    return make(*words[1:])


class ControlSocket:
    def __init__(self, path: Path, answer: Answer | None = None) -> None:
        self.path = path
        self.answer = answer  # set before open()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Start listening; ConfigError when another engine answers there or the folder cannot be written."""
        if self.path.exists():
            if someone_listens(self.path):
                raise ConfigError(f"another engine listens on {self.path}; stop it first (qmterm ctl stop)")
            self.path.unlink()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            old_mask = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, path=str(self.path))
            finally:
                os.umask(old_mask)
        except OSError as error:
            raise ConfigError(f"cannot listen on {self.path}: {error.strerror or error}") from error

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _same_user(writer):
                return
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._reply(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # the caller left, or sent a line without an end
            return
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, object]:
        try:
            words = msgspec.json.decode(line, type=list[str])
            command = parse_verb(words)
        except (msgspec.DecodeError, ConfigError) as error:
            return {"ok": False, "text": str(error), "data": None}
        if self.answer is None:
            return {"ok": False, "text": "the engine is still starting", "data": None}
        result = await self.answer(command)
        return {"ok": result.ok, "text": result.text, "data": result.data, "refused": result.refused}


def someone_listens(path: Path) -> bool:
    """True when an engine answers at this socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _same_user(writer: asyncio.StreamWriter) -> bool:
    peer = writer.get_extra_info("socket")
    if peer is None or not hasattr(socket, "SO_PEERCRED"):
        return True  # mode 0600 already keeps others out
    _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid) == os.getuid()


def ask(path: Path, words: list[str], timeout_s: float = 30.0) -> dict[str, object]:
    """One request from a shell; EngineUnreachable when no engine answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(str(path))
            client.sendall(msgspec.json.encode(words) + b"\n")
            received = b""
            while not received.endswith(b"\n"):
                part = client.recv(65536)
                if not part:
                    break
                received += part
        except TimeoutError as error:
            raise EngineUnreachable(f"the engine at {path} did not answer within {timeout_s:g} s") from error
        except OSError as error:
            raise EngineUnreachable(f"no engine answers at {path}; is one running?") from error
    reply: dict[str, object] = msgspec.json.decode(received, type=dict[str, object]) if received else {}
    return reply or {"ok": False, "text": "the engine closed the connection", "data": None}

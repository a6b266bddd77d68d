"""The engine's own thread: an asyncio loop that a stalled terminal cannot touch (DESIGN.md 4).

Screen and engine meet at two places only: the snapshot reference and the command queue.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

from qmterm.core.interpreter import loop_factory
from qmterm.engine.commands import Command, CommandResult, StopEngine
from qmterm.engine.view import LogLine, Snapshot

QUEUE_LIMIT = 1000


class Mailbox:
    """Commands from any thread, taken by the engine in order; bounded, and it says so when it is full."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[tuple[Command, Future[CommandResult]]] = asyncio.Queue(QUEUE_LIMIT)
        self.stop_asked = asyncio.Event()  # heard even while nobody takes commands: an engine that is starting

    def post(self, command: Command) -> Future[CommandResult]:
        answer: Future[CommandResult] = Future()
        try:
            self._loop.call_soon_threadsafe(self._put, command, answer)
        except RuntimeError:  # the loop is closed
            answer.set_result(CommandResult(False, "the engine has stopped"))
        return answer

    def _put(self, command: Command, answer: Future[CommandResult]) -> None:
        if isinstance(command, StopEngine):
            self.stop_asked.set()
        try:
            self._queue.put_nowait((command, answer))
        except asyncio.QueueFull:
            answer.set_result(
                CommandResult(False, f"{QUEUE_LIMIT} commands are waiting already; this one was not taken")
            )

    async def take(self) -> tuple[Command, Future[CommandResult]]:
        return await self._queue.get()

    def refuse_rest(self, text: str) -> None:
        """Answer everything still waiting, when the engine ends."""
        while not self._queue.empty():
            _, answer = self._queue.get_nowait()
            answer.set_result(CommandResult(False, text))


class ViewHolder:
    """The latest snapshot; assigning a reference is atomic."""

    def __init__(self) -> None:
        self.latest = Snapshot()


class EngineMain(Protocol):
    def __call__(self, view: ViewHolder, mailbox: Mailbox) -> Awaitable[object]: ...


class EngineThread:
    """Runs `main(view, mailbox)` on a loop of its own; is an EngineDoor."""

    def __init__(self, main: EngineMain, on_end: Callable[[BaseException | None], None] | None = None) -> None:
        self._main = main
        self._on_end = on_end
        self._view = ViewHolder()
        self._mailbox: Mailbox | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.result: object = None
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the engine to end; True when it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def snapshot(self) -> Snapshot:
        return self._view.latest

    def send(self, command: Command) -> Future[CommandResult]:
        if self._mailbox is None or not self._thread.is_alive():
            answer: Future[CommandResult] = Future()
            answer.set_result(CommandResult(False, "the engine is not running"))
            return answer
        return self._mailbox.post(command)

    def _run(self) -> None:
        async def body() -> object:
            self._mailbox = Mailbox(asyncio.get_running_loop())
            self._ready.set()
            try:
                return await self._main(self._view, self._mailbox)
            finally:
                self._mailbox.refuse_rest("the engine has stopped")

        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                self.result = runner.run(body())
        except BaseException as error:  # handed to the main thread, which reports it
            self.error = error
        finally:
            self._ready.set()
            self._view.latest = _last_words(self._view.latest, self.error)
            if self._on_end is not None:
                self._on_end(self.error)


def _last_words(snapshot: Snapshot, error: BaseException | None) -> Snapshot:
    """The final snapshot: stopped, and when it was an error, why as the last log line."""
    log = snapshot.log
    if error is not None:
        text = str(error) or type(error).__name__
        log = (*log, LogLine(len(log) + 1, snapshot.header.market_ns, "error", "STOP", text))
    return replace(snapshot, stopped=True, log=log)

"""Commands on their way: futures that are looked at by the screen's own timer.

No callback runs on the engine's thread and nothing waits: `call_from_thread` would make the engine wait for a screen
whose terminal may have stalled.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

from qmterm.core.errors import QmtermError
from qmterm.engine.commands import Command, CommandResult, EngineDoor

# An answer that takes longer than this (seconds) is mentioned.
SLOW_S = 3.0
Then = Callable[[CommandResult], None]


@dataclass(slots=True)
class _Pending:
    future: Future[CommandResult]
    name: str
    then: Then
    sent_at: float
    mentioned: bool = False


class Answers:
    def __init__(self, door: EngineDoor, say: Callable[[str, str], None]) -> None:
        self._door = door
        self._say = say
        self._pending: list[_Pending] = []

    def ask(self, command: Command, then: Then, now: float) -> bool:
        """Hand a command to the engine; False (and a sentence) when even that failed."""
        name = type(command).__name__
        try:
            future = self._door.send(command)
        except (QmtermError, OSError, RuntimeError) as error:
            self._say(f"{name} did not reach the engine: {error}", "alarm")
            then(CommandResult(False, ""))
            return False
        self._pending.append(_Pending(future, name, then, now))
        return True

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def poll(self, now: float) -> None:
        """Deliver what has arrived; mention what is slow."""
        for pending in [entry for entry in self._pending if entry.future.done()]:
            self._pending.remove(pending)
            pending.then(self._result(pending))
        for pending in self._pending:
            if not pending.mentioned and now - pending.sent_at >= SLOW_S:
                pending.mentioned = True
                self._say(f"{pending.name}: no answer of the engine yet", "warn")

    def _result(self, pending: _Pending) -> CommandResult:
        try:
            error = pending.future.exception(0)
        except CancelledError:
            return CommandResult(False, f"{pending.name} was dropped: the engine is stopping")
        if error is not None:
            return CommandResult(False, f"{pending.name} failed in the engine: {error}")
        return pending.future.result(0)

"""The engine's own thread: commands from any thread get one answer each, also at the end."""

from __future__ import annotations

import asyncio
import threading

from qmterm.engine.commands import CommandResult, Pause, Status, StopEngine
from qmterm.engine.start import start_unless_stopped
from qmterm.engine.thread import QUEUE_LIMIT, EngineThread


async def obedient(view, mailbox):
    while True:
        command, answer = await mailbox.take()
        answer.set_result(CommandResult(True, type(command).__name__))
        if isinstance(command, StopEngine):
            return "over"


def test_commands_from_many_threads_each_get_their_answer():
    thread = EngineThread(obedient)
    thread.start()
    found = []

    def ask():
        found.extend(thread.send(Status()).result(5).text for _ in range(20))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert found == ["Status"] * 80
    assert thread.send(StopEngine()).result(5).ok
    assert thread.join(5)
    assert thread.result == "over"
    assert thread.snapshot.stopped


def test_a_command_after_the_end_is_answered_at_once():
    thread = EngineThread(obedient)
    thread.start()
    thread.send(StopEngine()).result(5)
    thread.join(5)
    assert thread.send(Pause()).result(1).text == "the engine is not running"


def test_what_nobody_took_is_refused_at_the_end_and_a_full_queue_says_so():
    release = threading.Event()

    async def deaf(view, mailbox):
        await asyncio.to_thread(release.wait)

    thread = EngineThread(deaf)
    thread.start()
    answers = [thread.send(Pause()) for _ in range(QUEUE_LIMIT + 1)]
    assert "commands are waiting already" in answers[-1].result(5).text
    release.set()
    assert answers[0].result(5).text == "the engine has stopped"
    assert thread.join(5)


def test_an_engine_that_broke_hands_its_error_over_and_says_why():
    async def broken(view, mailbox):
        raise ValueError("no such account")

    ended = []
    thread = EngineThread(broken, ended.append)
    thread.start()
    assert thread.join(5)
    assert isinstance(thread.error, ValueError)
    assert ended == [thread.error]
    assert thread.snapshot.log[-1].text == "no such account"


def test_a_stop_is_heard_while_the_start_still_loads(monkeypatch):
    """Loading a year of history for the whole market may take a minute: Ctrl-C must not wait for it."""
    started = threading.Event()
    closed = []

    class Journal:
        session_id = 1

        async def end_session(self, summary):
            closed.append(summary)

    class Parts:
        journal = Journal()

        class log:
            @staticmethod
            def warn(*words):
                closed.append(words)

    async def slow_start(parts, progress):
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("qmterm.engine.start.start", slow_start)

    async def main(view, mailbox):
        return await start_unless_stopped(Parts, lambda text: None, mailbox.stop_asked)

    thread = EngineThread(main)
    thread.start()
    assert started.wait(5)
    thread.send(StopEngine("SIGTERM"))
    assert thread.join(5)
    assert (thread.result, thread.error) == (None, None)
    assert {"stopped": "while starting"} in closed

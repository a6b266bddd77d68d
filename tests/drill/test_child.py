"""The pipe between a life in its own process and its owner."""

import asyncio
from pathlib import Path

from qmterm.drill.child import Child
from qmterm.drill.life import Life, Terms

MESSAGES = 40
LONG = 1_000_000  # bytes: more than a socket's buffer takes at once


class Counting(Life):
    """Says how long each message was that it was told; dies of the word `die`."""

    async def run(self) -> None:
        self._listen()
        while True:
            what, body = await self._inbox.get()
            if what == "die":
                raise SystemExit(3)
            self.say("length", len(body))


async def _told(messages: list[tuple[str, bytes]]) -> tuple[list[int], str]:
    said: list[int] = []
    terms = Terms(Path("unused"), "http://unused", 0.0, (), None)
    child = Child(terms, lambda _what, body: said.append(body), Counting)
    for what, body in messages:
        await asyncio.to_thread(child.tell, what, body)
    async with asyncio.timeout(60):
        await child.over.wait()
    return said, child.how_it_ended


def test_messages_longer_than_the_pipes_buffer_arrive_whole():
    messages = [("count", b"x" * LONG) for _ in range(MESSAGES)]
    said, ended = asyncio.run(_told([*messages, ("die", b"")]))
    assert said == [LONG] * MESSAGES
    assert ended == "exit code 3"

"""A stream server in a process of its own, for `qmterm bench stream`: sends given frames at once or at a pace.

Run as a script with a file of frames, one a line. It prints its port, and for each paced run when each frame left
(monotonic nanoseconds, which all processes of a machine share). The trap: it must cost both clients the same, so it
compresses for nobody and builds no frame while it sends.

The channel a client subscribes to says what it gets: T.FLOOD.10 all frames ten times over, T.PACED.500.200 the first
500 frames over and over, 200 a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed


def status(word: str, message: str) -> str:
    return json.dumps([{"ev": "status", "status": word, "message": message}])


async def talk(socket: Any, frames: list[str]) -> None:
    await socket.send(status("connected", "Connected Successfully"))
    await socket.recv()
    await socket.send(status("auth_success", "authenticated"))
    channel = json.loads(await socket.recv())["params"]
    await socket.send(status("success", f"subscribed to: {channel}"))
    _, kind, *numbers = channel.split(".")
    if kind == "FLOOD":
        for _ in range(int(numbers[0])):
            for frame in frames:
                await socket.send(frame)
    else:
        with contextlib.suppress(OSError, EOFError, ConnectionClosed):  # a client that was killed hears no more
            await _pace(socket, frames, int(numbers[0]), int(numbers[1]))
    await socket.wait_closed()


async def _pace(socket: Any, frames: list[str], count: int, per_second: int) -> None:
    sent: list[int] = []
    begin = time.monotonic()
    for number in range(count):
        wait = begin + number / per_second - time.monotonic()
        await asyncio.sleep(max(0.0, wait))
        sent.append(time.monotonic_ns())
        await socket.send(frames[number % len(frames)])
    print(json.dumps(sent), flush=True)


async def main(frames: list[str]) -> None:
    from websockets.asyncio.server import serve

    async with serve(lambda socket: talk(socket, frames), "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        # The end of the parent is the end of us.
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))

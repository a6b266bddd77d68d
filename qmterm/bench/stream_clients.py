"""Two clients of the same stream server, ours and polygon-api-client's: how fast, and how long after each frame left.

The trap: both are measured from the moment a frame is sent to the moment its events are of use: on the board, or
parsed into objects; and both on plain asyncio, one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.board.board import Board
from qmterm.market.board.report import FrameReport
from qmterm.market.board.wire import FrameDecoder
from qmterm.market.stream.socket import MarketStream

_SCRIPT = Path(__file__).with_name("stream_server.py")
_LONGEST_S = 120.0
Client = Callable[[str, int, Callable[[int], bool]], None]  # (channel, port, taken: events -> whether that was all)


class StreamServer:
    """The server process; frames are given once."""

    def __init__(self, frames: list[bytes]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="qmterm-bench-")
        path = Path(self._folder.name) / "frames"
        path.write_bytes(b"\n".join(frames))
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._line())

    def sent(self) -> list[int]:
        """When each frame of the last paced run left."""
        times: list[int] = json.loads(self._line())
        return times

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()
        self._folder.cleanup()


class OurClient:
    """The stream as the engine uses it, on a board that is kept."""

    def __init__(self, symbols: list[str]) -> None:
        self.board = Board(symbols)
        self._decoder = FrameDecoder(self.board, "stocks")

    def __call__(self, channel: str, port: int, taken: Callable[[int], bool]) -> None:
        asyncio.run(self._run(channel, port, taken))

    async def _run(self, channel: str, port: int, taken: Callable[[int], bool]) -> None:
        ended = asyncio.Event()

        def frame(report: FrameReport) -> None:
            if report.events and taken(report.events):
                ended.set()

        settings = PolygonSettings()
        url = f"ws://127.0.0.1:{port}/stocks"
        stream = MarketStream(url, "key", settings, self._decoder, lambda: 0, on_frame=frame)
        stream.want(frozenset({channel}))
        stream.start()
        async with asyncio.timeout(_LONGEST_S):
            await ended.wait()
        await stream.close()


def polygon_client(channel: str, port: int, taken: Callable[[int], bool]) -> None:
    """The official client with parsed objects, as its documents show it."""
    asyncio.run(_polygon(channel, port, taken))


async def _polygon(channel: str, port: int, taken: Callable[[int], bool]) -> None:
    from polygon import WebSocketClient

    logging.getLogger("WebSocketClient").handlers.clear()  # it writes to the screen
    ended = asyncio.Event()

    async def process(messages: Any) -> None:
        if taken(len(messages)):
            ended.set()

    client = WebSocketClient("key", feed=f"127.0.0.1:{port}", market="stocks", secure=False)
    client.subscribe(channel)
    task = asyncio.create_task(client.connect(process, proxy=None, max_size=None))
    async with asyncio.timeout(_LONGEST_S):
        await ended.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def flood_seconds(client: Client, server: StreamServer, times: int, events: int) -> float:
    """Seconds from the first frame taken to the last of all frames sent `times` over."""
    first = last = 0.0
    left = times * events

    def taken(count: int) -> bool:
        nonlocal first, last, left
        last = time.perf_counter()
        first = first or last
        left -= count
        return left <= 0

    client(f"T.FLOOD.{times}", server.port, taken)
    return last - first


def latencies_us(client: Client, server: StreamServer, frames: int, per_second: int) -> list[float]:
    """From each frame's sending to its events being of use."""
    arrived: list[int] = []

    def taken(count: int) -> bool:
        arrived.append(time.monotonic_ns())
        return len(arrived) == frames

    client(f"T.PACED.{frames}.{per_second}", server.port, taken)
    return [(got - sent) / 1_000.0 for got, sent in zip(arrived, server.sent(), strict=True)]

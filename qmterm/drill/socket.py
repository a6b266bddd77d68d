"""The account stream's socket in memory: what the SDK's WebSocket client takes for its network, framed by wsproto."""

from __future__ import annotations

import asyncio
import json
from collections import deque

import httpcore2
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from qmterm.drill.process import Process
from qmterm.sim.brokerage.stream import AccountStream, Listener

DELIVERY_S = 0.01  # constant: frames of one socket keep their order


class MemorySocket(Listener):
    def __init__(self, stream: AccountStream, process: Process) -> None:
        super().__init__()
        self._stream = stream
        self._process = process
        self._framing = Connection(ConnectionType.SERVER)
        self._travelling: deque[bytes] = deque()
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        stream.join(self)

    # --- the server's side ---

    def put(self, text: str) -> None:
        self._deliver(self._framing.send(TextMessage(text)))

    def close(self, code: int) -> None:
        self._stream.leave(self)
        try:
            self._deliver(self._framing.send(CloseConnection(code)))
        except LocalProtocolError:  # the client closed first
            return

    def _deliver(self, data: bytes) -> None:
        # Two timers of one moment come in any order: each lets the oldest frame in, whichever it was set for.
        self._travelling.append(data)
        asyncio.get_running_loop().call_later(DELIVERY_S, self._arrive)

    def _arrive(self) -> None:
        self._waiting.put_nowait(self._travelling.popleft())

    # --- the client's side: a network stream as httpcore has it ---

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._process.alive:
            await self._process.gone()
        return await self._waiting.get()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._process.alive:
            await self._process.gone()
        if self not in self._stream.listening:
            raise httpcore2.WriteError("the socket is closed")
        self._framing.receive_data(buffer)
        for event in self._framing.events():
            if isinstance(event, TextMessage):
                self.put(json.dumps(self._stream.answer(self, event.data)))
            elif isinstance(event, Ping):
                self._deliver(self._framing.send(event.response()))
            elif isinstance(event, CloseConnection):
                self._stream.leave(self)

    async def aclose(self) -> None:
        self._stream.leave(self)

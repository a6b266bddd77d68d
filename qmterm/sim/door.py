"""The listening side of the simulator as something that can be shut for a while: connects are refused meanwhile.

The trap: closing a listener leaves the connections it accepted alive. A service that is gone has none, so they are
dropped too, without a closing handshake.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from qmterm.sim.listener import listen

ANSWER_S = 0.05  # for the answer to who sent us away


class Door:
    def __init__(self, runner: web.AppRunner, listener: socket.socket) -> None:
        self._runner = runner
        self._listener = listener
        self._site: web.SockSite | None = None
        self.port = int(listener.getsockname()[1])

    async def open(self) -> None:
        self._site = web.SockSite(self._runner, self._listener)
        await self._site.start()

    async def shut(self) -> None:
        """Refuse newcomers and drop everybody."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        server = self._runner.server
        for handler in [*server.connections] if server is not None else ():
            if handler.transport is not None:
                handler.transport.abort()

    async def close_when_told(self, away: asyncio.Queue[float]) -> None:
        """Shut for as many seconds as the queue says, each time it does; until cancelled."""
        while True:
            seconds = await away.get()
            await asyncio.sleep(ANSWER_S)
            await self.shut()
            await asyncio.sleep(seconds)
            self._listener = listen(self.port)
            await self.open()

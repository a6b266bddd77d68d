"""Polygon's WebSocket clusters: speak first, authenticate, answer subscriptions, deliver what a step brought.

The trap: one slow reader must not hold the market. Each connection has its own bounded queue and writer; who lets
it fill up is told `slow_consumer` and dropped. In lockstep `flush` waits until everybody has been sent everything.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import msgspec
import numpy as np
from aiohttp import WSMsgType, web

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.sim.faults import STREAM
from qmterm.sim.market import Progress
from qmterm.sim.past import PriceArray
from qmterm.sim.polygon.answers import Context
from qmterm.sim.polygon.distortion import Distortion
from qmterm.sim.polygon.frames import (
    StockQuote,
    frames,
    minute_events,
    quote_events,
    second_events,
    status_frame,
    trade_events,
)
from qmterm.sim.polygon.limits import limit_events
from qmterm.sim.polygon.option_feed import OptionFeed
from qmterm.sim.polygon.subscriptions import CLUSTERS, Subscriptions
from qmterm.sim.session import MinuteBars

AUTH_SECONDS = 10.0
QUEUED_BYTES = 128 * 1024 * 1024
FLUSH_SECONDS = 20.0
CLOSE_SECONDS = 1.0
NEWCOMER_GRACE_SECONDS = 0.5  # max_connections, newcomer refused: how long it may believe it is in


class _Command(msgspec.Struct):
    action: str
    params: str = ""


_command = msgspec.json.Decoder(_Command)


@dataclass(eq=False)
class Connection:
    request: web.Request
    socket: web.WebSocketResponse
    wanted: Subscriptions
    queue: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    queued: int = 0  # bytes waiting
    ready: bool = False
    dropped: bool = False
    sides: PriceArray | None = None  # bids and asks last sent, by symbol number
    masks: dict[str, tuple[int, BoolArray | None]] = field(default_factory=dict)
    options: OptionFeed | None = None
    bands: FloatArray | None = None  # upper bands last sent, by symbol number
    options_version: int = -1
    ending: asyncio.Task[None] | None = None
    muted: bool = False  # says nothing at all, not even the lockstep marker
    distortion: Distortion = field(default_factory=Distortion)

    def send(self, frame: bytes) -> None:
        """Queue a frame, as the faults in force have it."""
        for piece in self.distortion.bent(frame):
            self._queue(piece)

    def _queue(self, frame: bytes) -> None:
        """A reader that lets too much pile up is given up."""
        if self.dropped:
            return
        if self.queued + len(frame) > QUEUED_BYTES:
            self.dropped = True
            return
        self.queued += len(frame)
        self.queue.put_nowait(frame)

    async def write(self) -> None:
        """Send what is queued until cancelled or the socket dies; the queue keeps draining afterwards."""
        while True:
            frame = await self.queue.get()
            try:
                if not self.socket.closed:
                    await self.socket.send_str(frame.decode())
            except (ConnectionError, RuntimeError):
                self.dropped = True
            finally:
                self.queued -= len(frame)
                self.queue.task_done()


class StreamHub:
    """`connections_allowed` per cluster; over it the older socket is closed, or with `refuse_newcomer` the new one."""

    def __init__(self, context: Context, connections_allowed: int = 1, refuse_newcomer: bool = False) -> None:
        self._context = context
        self.connections_allowed = connections_allowed
        self.refuse_newcomer = refuse_newcomer
        self.connections: dict[str, list[Connection]] = {cluster: [] for cluster in CLUSTERS}
        self._last_minute: MinuteBars | None = None
        self._delivered_ns = context.world.now_ns

    def add_routes(self, app: web.Application) -> None:
        for cluster in CLUSTERS:
            app.router.add_get(f"/{cluster}", self.handle)
        app.on_shutdown.append(self._shut)

    async def _shut(self, app: web.Application) -> None:
        for connection in [*self.everybody]:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await connection.socket.close(code=1001, message=b"server is going away")

    @property
    def everybody(self) -> list[Connection]:
        return [connection for group in self.connections.values() for connection in group]

    # --- one connection ---

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, timeout=CLOSE_SECONDS, max_msg_size=8 * 1024 * 1024)
        await socket.prepare(request)
        cluster = request.path.strip("/")
        connection = Connection(
            request, socket, Subscriptions(cluster, self._context.plan, self._context.world.offers(cluster))
        )
        await socket.send_str(status_frame(("connected", "Connected Successfully")).decode())
        writer = asyncio.create_task(connection.write())
        try:
            if await self._authenticate(connection):
                await self._listen(connection)
        finally:
            if connection in self.connections[cluster]:
                self.connections[cluster].remove(connection)
            connection.dropped = True
            writer.cancel()
            while not connection.queue.empty():
                connection.queue.get_nowait()
                connection.queue.task_done()
        return socket

    async def _authenticate(self, connection: Connection) -> bool:
        socket, cluster = connection.socket, connection.wanted.cluster
        try:
            message = await socket.receive(timeout=AUTH_SECONDS)
        except TimeoutError:
            await self._end(connection, "auth_timeout", "No authentication request received.", 1008)
            return False
        if message.type is not WSMsgType.TEXT:
            return False
        command = _parse(message.data)
        if self._context.faults.take(STREAM, cluster, "drop_during_auth"):
            _abort(connection.request)
            return False
        if command is None or command.action != "auth" or command.params != self._context.token:
            await self._end(connection, "auth_failed", "authentication failed", 1008)
            return False
        await socket.send_str(status_frame(("auth_success", "authenticated")).decode())
        group = self.connections[cluster]
        group.append(connection)
        connection.ready = True
        if len(group) > self.connections_allowed:
            text = "Maximum number of connections exceeded."
            if self.refuse_newcomer:
                connection.ending = asyncio.create_task(self._refuse_later(connection, text))
            else:
                await self._end(group[0], "max_connections", text, 1008)
        return True

    async def _refuse_later(self, connection: Connection, text: str) -> None:
        await asyncio.sleep(NEWCOMER_GRACE_SECONDS)
        await self._end(connection, "max_connections", text, 1008)

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                break
            command = _parse(message.data)
            if command is None:
                connection.send(status_frame(("error", "invalid message: expected a JSON object with an action")))
            elif command.action in ("subscribe", "unsubscribe"):
                change = connection.wanted.subscribe if command.action == "subscribe" else connection.wanted.unsubscribe
                answers = change(command.params)
                if answers:
                    connection.send(status_frame(*answers))
            else:
                connection.send(status_frame(("error", f"unknown action: {command.action}")))

    async def _end(self, connection: Connection, status: str, text: str, code: int) -> None:
        connection.dropped = True
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):  # who does not read does not read this either
                await connection.socket.send_str(status_frame((status, text)).decode())
                await connection.socket.close(code=code, message=text.encode())

    # --- delivery ---

    async def deliver(self, progress: Progress) -> None:
        """Queue everything a step brought for everybody who asked for it; gives way between frames."""
        for cluster in ("stocks", "options"):
            for connection in [*self.connections[cluster]]:
                if connection.dropped:
                    if connection.ending is None:
                        slow = self._end(connection, "slow_consumer", "Connection is too slow.", 1008)
                        connection.ending = asyncio.create_task(slow)
                elif not await self._strike(connection):
                    connection.distortion.begin(self._context.faults, cluster)
                    if self._context.world.recorded:
                        self._as_recorded(connection, progress)
                    else:
                        await (self._stocks if cluster == "stocks" else self._options)(connection, progress)
                    for frame in connection.distortion.end():
                        connection.send(frame)
        self._delivered_ns = self._context.world.now_ns
        if progress.minutes:
            self._last_minute = progress.minutes[-1]

    async def _strike(self, connection: Connection) -> bool:
        """Faults of the stream; True when nothing else is to be sent."""
        cluster = connection.wanted.cluster
        faults = self._context.faults
        mute = faults.take(STREAM, cluster, "mute")
        connection.muted = mute is not None and mute.value == 0
        if mute is not None:
            return True
        if faults.take(STREAM, cluster, "not_json"):
            connection.send(b"<html>not json")
        if faults.take(STREAM, cluster, "cut"):
            cut = self._end(connection, "slow_consumer", "Connection is too slow.", 1008)
            connection.ending = asyncio.create_task(cut)
            return True
        slow = faults.take(STREAM, cluster, "slow")
        if slow is not None:
            await asyncio.sleep(slow.value / 1000.0)
        close = faults.take(STREAM, cluster, "close")
        if close is None:
            return False
        if close.value == 1006:
            _abort(connection.request)
        else:
            connection.dropped = True
            await connection.socket.close(code=int(close.value), message=b"fault")
        return True

    def _as_recorded(self, connection: Connection, progress: Progress) -> None:
        """Frames of a recording go out byte for byte to whoever subscribed to anything of their cluster."""
        if any(connection.wanted.symbols.values()):
            for cluster, frame in progress.frames:
                if cluster == connection.wanted.cluster:
                    connection.send(frame)

    async def _stocks(self, connection: Connection, progress: Progress) -> None:
        world, faults = self._context.world, self._context.faults
        for minute in progress.minutes if connection.wanted.of("AM") else ():
            keep = self._mask(connection, "AM")
            if faults.take(STREAM, "stocks", "big_frame"):
                every = [event for part in minute_events(world, minute, keep) for event in part]
                connection.send(msgspec.json.encode(every) + b" " * (1 << 20))
                continue
            copies = 2 if faults.take(STREAM, "stocks", "duplicate_bar") else 1
            late = self._last_minute if faults.take(STREAM, "stocks", "late_bar") else None
            for bars in [minute] if late is None else [minute, late]:
                for events in minute_events(world, bars, keep):
                    for _ in range(copies):
                        connection.send(msgspec.json.encode(events))
                    await asyncio.sleep(0)
        if connection.wanted.of("LULD") and world.invents:
            since, now = self._delivered_ns, world.now_ns
            if connection.bands is None:
                connection.bands = np.zeros(len(world.universe))
            for frame in frames(limit_events(world, self._mask(connection, "LULD"), since, now, connection.bands)):
                connection.send(frame)
        for trades in progress.trades:
            if connection.wanted.of("A"):
                for frame in frames(second_events(world, trades, self._mask(connection, "A"))):
                    connection.send(frame)
            if connection.wanted.of("T"):
                for frame in frames(trade_events(world, trades, self._mask(connection, "T"))):
                    connection.send(frame)
        if connection.wanted.of("Q"):
            for frame in frames(quote_events(world, *self._changed(connection))):
                connection.send(frame)
            burst = faults.take(STREAM, "stocks", "burst")
            for frame in frames(self._again(connection, int(burst.value))) if burst is not None else ():
                connection.send(frame)

    def _mask(self, connection: Connection, kind: str) -> BoolArray | None:
        """Which symbol numbers a channel covers; None for all."""
        version, mask = connection.masks.get(kind, (-1, None))
        if version == connection.wanted.version:
            return mask
        names, universe = connection.wanted.of(kind), self._context.world.universe
        if "*" in names:
            mask = None
        else:
            mask = np.zeros(len(universe), dtype=np.bool_)
            mask[[universe.number[name] for name in names if name in universe.number]] = True
        connection.masks[kind] = (connection.wanted.version, mask)
        return mask

    def _again(self, connection: Connection, count: int) -> list[StockQuote]:
        """Every subscribed quote as it stands, over and over: `count` events."""
        mask = self._mask(connection, "Q")
        sides = np.array(self._context.world.stock_sides())
        quoted = sides[1] > 0
        rows = np.flatnonzero(quoted if mask is None else quoted & mask)
        once = quote_events(self._context.world, rows, sides[0, rows], sides[1, rows])
        return [] if not once else (once * (count // len(once) + 1))[:count]

    def _changed(self, connection: Connection) -> tuple[IntArray, PriceArray, PriceArray]:
        """Symbol numbers, bids and asks of quotes that differ from what this connection heard last."""
        world = self._context.world
        sides = np.array(world.stock_sides())
        if connection.sides is None:
            connection.sides = np.zeros_like(sides)
        mask = self._mask(connection, "Q")
        moved = np.any(sides != connection.sides, axis=0)
        if world.today.any_halted:
            moved &= ~world.today.halted
        rows = np.flatnonzero(moved if mask is None else moved & mask)
        connection.sides[:, rows] = sides[:, rows]
        return rows, sides[0, rows], sides[1, rows]

    async def _options(self, connection: Connection, progress: Progress) -> None:
        wanted, world = connection.wanted, self._context.world
        quotes, trades, bars = (frozenset(wanted.of(kind)) for kind in ("Q", "T", "AM"))
        if not quotes | trades | bars:
            return
        feed = connection.options
        if feed is None or connection.options_version != wanted.version or feed.day != world.today.day:
            connection.options = feed = OptionFeed(world, quotes | trades | bars, feed)
            connection.options_version = wanted.version
        for frame in frames(feed.events(quotes, trades, bars)):
            connection.send(frame)

    async def mark_step(self, step: int) -> None:
        """The lockstep marker: everything of the step was sent before it. Returns once it left the queues."""
        frame = status_frame(("success", f"step {step}"))
        for connection in self.everybody:
            if connection.ready and not connection.muted:
                connection.send(frame)
        await self.flush()

    async def flush(self) -> None:
        for connection in self.everybody:
            try:
                await asyncio.wait_for(connection.queue.join(), FLUSH_SECONDS)
            except TimeoutError:
                await self._end(connection, "slow_consumer", "Connection is too slow.", 1008)


def _parse(text: str) -> _Command | None:
    try:
        return _command.decode(text)
    except msgspec.DecodeError:
        return None


def _abort(request: web.Request) -> None:
    """Drop the connection without a closing handshake, as a broken network does (code 1006 at the other end)."""
    if request.transport is not None:
        request.transport.abort()

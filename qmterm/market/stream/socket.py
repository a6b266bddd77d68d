"""The supervised socket of one cluster: whatever ends a connection, another begins, and the state says which.

The trap: a stream dies in silence. A normal close (1000, 1001) is a drop like any other, and a connection that
answers pings but sends nothing in a session is mute and is replaced.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from qmterm.core.errors import DataAuthError, DataSilent
from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.board.wire import FrameDecoder, FrameReport
from qmterm.market.scrub import Scrub
from qmterm.market.stream import protocol
from qmterm.market.stream.retry import Ending, Retry
from qmterm.market.stream.state import StreamCounters, StreamNotes, StreamState
from qmterm.market.stream.vigil import Patience, Tide, Vigil

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TURN_S = 0.005  # longest stretch of decoding before the loop gets a turn
_QUEUE = 1_024  # frames; beyond it TCP holds the server back
_LOOK_S = 0.25  # how often silence is judged, at least
_LEAST_LOOK_S = 0.02


class _Dropped(Exception):
    """This connection is over."""

    def __init__(self, why: str, ending: Ending = Ending.BROKE) -> None:
        super().__init__(why)
        self.ending = ending


class MarketStream:
    """`run()` until `close()`; data go to the decoder, every frame's report to `on_frame`."""

    def __init__(
        self,
        url: str,
        key: str,
        settings: PolygonSettings,
        decoder: FrameDecoder,
        market_now: Callable[[], int],
        *,
        tide: Callable[[], Tide] = lambda: Tide.BUSY,
        rate: Callable[[], float | None] = lambda: 1.0,
        on_frame: Callable[[FrameReport], None] = lambda report: None,
        on_state: Callable[[StreamState, str], None] = lambda state, why: None,
        monotonic: Callable[[], float] = time.monotonic,
        on_refused: Callable[[], None] = lambda: None,
        record: Callable[[int, bytes], None] | None = None,
        seed: int | None = None,
    ) -> None:
        self._url, self._key, self._settings, self._decoder = url, key, settings, decoder
        self._market_now, self._tide, self._rate, self._monotonic = market_now, tide, rate, monotonic
        self._on_frame, self._on_state = on_frame, on_state
        self._on_refused, self._record = on_refused, record
        self._jitter = random.Random(seed)
        self._scrub = Scrub(key)  # for whatever the server says
        self._retry = Retry(settings, self._jitter)
        self._vigil = Vigil(Patience(settings.canary_silence_s, settings.mute_after_s))
        self._wanted: frozenset[str] = frozenset()
        self._protocol: protocol.StreamProtocol | None = None
        self._changed = asyncio.Event()
        self._stepped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._drops_known = 0  # drops before the last marker
        self.state = StreamState.CONNECTING
        self.counters = StreamCounters()
        self.notes = StreamNotes()
        self.last_frame_s: float | None = None
        self.last_step = -1

    def want(self, channels: frozenset[str]) -> None:
        """Exactly these channels from now on, over every reconnect; SubscriptionLimit when they are too many."""
        protocol.check_wanted(channels, self._settings.options_quote_limit)
        self._wanted = channels
        self._changed.set()

    def listen_for(self, canaries: frozenset[str]) -> None:
        """Their silence in the session means that the stream is mute, as soon as their channels are confirmed."""
        self._vigil.listen_for(canaries)
        self._vigil.confirmed(self.confirmed)

    def forget_refusals(self) -> None:
        """A new day: plans change overnight, so what was refused is asked for again."""
        if self.notes.refused:
            self.notes.refused.clear()
            if self._protocol is not None:
                self._protocol.forget_refusals()
            self._changed.set()

    @property
    def _allowed(self) -> frozenset[str]:
        """What is wanted and was not refused before."""
        return self._wanted - self.notes.refused.keys()

    @property
    def confirmed(self) -> frozenset[str]:
        """Channels the server said it sends on the present connection."""
        return frozenset(self._protocol.confirmed) if self._protocol else frozenset()

    def start(self) -> None:
        """Run in a task of the present loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self.run(), name=f"stream {self._url}")
            self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._become(StreamState.CLOSED, "closed")

    async def wait_step(self, step: int, timeout: float) -> bool:
        """Wait for a lockstep marker; False when a drop took it along (see `resume`).

        DataSilent when it does not come, DataAuthError when the key was refused.
        """
        try:
            async with asyncio.timeout(timeout):
                while self.last_step < step:
                    if self.counters.drops != self._drops_known:
                        return False
                    if self.state is StreamState.REFUSED:
                        raise DataAuthError(f"stream {self._url}: {self.notes.refusal}")
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            raise DataSilent(
                f"stream {self._url}: step {step} did not arrive in {timeout:g} s (at {self.last_step}, {self.state})"
            ) from None
        return True

    async def resume(self, timeout: float) -> None:
        """After a lost marker: wait until the new connection carries everything; the caller fills the hole."""
        await self.wait_settled(timeout)
        self._drops_known = self.counters.drops

    async def wait_settled(self, timeout: float) -> None:
        """Wait until the server confirmed or refused every wanted channel; DataSilent when it does not."""
        try:
            async with asyncio.timeout(timeout):
                while not self._settled:
                    self._stepped.clear()
                    await self._stepped.wait()
        except TimeoutError:
            raise DataSilent(
                f"stream {self._url}: subscriptions not confirmed in {timeout:g} s ({self.state})"
            ) from None

    @property
    def _settled(self) -> bool:
        talk = self._protocol
        return (
            self.state is StreamState.LIVE
            and talk is not None
            and self._wanted <= talk.confirmed | talk.refused.keys() | self.notes.refused.keys()
        )

    async def run(self) -> None:
        """Connect, read, reconnect; returns only when the server refused the key."""
        while True:
            self._become(StreamState.CONNECTING, "")
            began = self._monotonic()
            ending, hung = Ending.BROKE, False
            try:
                await self._connection(self._retry.open_timeout_s(busy=self._tide() is Tide.BUSY))
            except _Dropped as drop:
                why, ending = str(drop), drop.ending
            except (OSError, TimeoutError, WebSocketException) as failure:
                why, hung = self._scrub(_reason(failure)), isinstance(failure, TimeoutError)
            if self.state is StreamState.REFUSED:
                return
            self.counters.drops += 1
            self._stepped.set()
            now, busy = self._monotonic(), self._tide() is Tide.BUSY
            wait = self._retry.wait_s(ending, lived_s=now - began, now_s=now, busy=busy, hung=hung)
            if ending is Ending.CROWDED:
                why = f"{why} Another program uses this key; trying again in {wait:.0f} s"
            self._become(StreamState.BACKOFF, why)
            await asyncio.sleep(wait)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A fault of our own in the reading task must not look like a quiet market: say so, then start it again."""
        failure = None if task.cancelled() else task.exception()
        if failure is None or task is not self._task:
            return
        self.counters.drops += 1
        self._stepped.set()
        self._become(StreamState.BACKOFF, f"internal fault: {type(failure).__name__}; starting again")
        task.get_loop().call_exception_handler({"message": f"stream {self._url} ended", "exception": failure})
        task.get_loop().call_later(self._settings.backoff_max_s, self._start_again, task)

    def _start_again(self, ended: asyncio.Task[None]) -> None:
        if self._task is ended:  # neither closed nor started by somebody else meanwhile
            self._task = None
            self.start()

    # --- one connection ---

    async def _connection(self, open_timeout_s: float) -> None:
        settings = self._settings
        host = urlsplit(self._url).hostname or ""
        async with asyncio.timeout(open_timeout_s) as opening:
            async with connect(
                self._url,
                proxy=None if host in _LOOPBACK else True,
                compression=None,
                max_size=None,
                max_queue=_QUEUE,
                open_timeout=settings.open_timeout_s,
                ping_interval=settings.ping_s,
                ping_timeout=settings.ping_s,
                close_timeout=1.0,
            ) as socket:
                self.counters.connects += 1
                talk = self._protocol = protocol.StreamProtocol(self._key, settings.subscribe_chunk)
                talk.want(self._allowed)
                self._vigil.begin(self._monotonic())
                while talk.phase is not protocol.Phase.READY:
                    self._take(await socket.recv(decode=False), talk)
                    await self._send(socket, talk)
                opening.reschedule(None)
                self._become(StreamState.LIVE, "")
                await self._live(socket, talk)

    async def _live(self, socket: ClientConnection, talk: protocol.StreamProtocol) -> None:
        """Read, send wishes and judge the silence until one of them ends; what it raised is raised."""
        loop = asyncio.get_running_loop()
        reader, watcher = loop.create_task(self._read(socket, talk)), loop.create_task(self._keep_vigil(socket))
        tasks = [reader, watcher, loop.create_task(self._keep_wanted(socket, talk))]
        try:
            await asyncio.wait((reader, watcher), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in (reader, watcher):  # why the server closed tells more than that it was silent
            if not task.cancelled():
                task.result()

    async def _keep_wanted(self, socket: ClientConnection, talk: protocol.StreamProtocol) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            talk.want(self._allowed)
            await self._send(socket, talk)

    async def _keep_vigil(self, socket: ClientConnection) -> None:
        """Ends by raising when the silence has lasted too long."""
        settings = self._settings
        shortest = min((wait for wait in (settings.canary_silence_s, settings.mute_after_s) if wait), default=1.0)
        pause = min(_LOOK_S, max(_LEAST_LOOK_S, shortest / 8))
        asked: asyncio.Future[float] | None = None
        while True:
            await asyncio.sleep(pause)
            now, rate = self._monotonic(), self._rate()
            tide = self._tide() if self._wanted else Tide.STILL
            why = self._vigil.look(now, tide, rate)
            if why:
                why = f"{why} (pings are {'' if _came(asked) else 'not '}answered)"
                self.counters.mutes += 1
                self._become(StreamState.MUTE, why)
                raise _Dropped(why)
            if not self._vigil.doubtful(now, rate):
                asked = None
            elif asked is None:
                with suppress(ConnectionClosed):  # the reader notices
                    asked = asyncio.ensure_future(await socket.ping())
                    asked.add_done_callback(_came)

    async def _read(self, socket: ClientConnection, talk: protocol.StreamProtocol) -> None:
        turn_began = self._monotonic()
        while True:
            self._take(await socket.recv(decode=False), talk)
            now = self._monotonic()
            if now - turn_began > _TURN_S:  # a backlog is read without ever waiting: let the loop have its turn
                await asyncio.sleep(0)
                turn_began = self._monotonic()

    async def _send(self, socket: ClientConnection, talk: protocol.StreamProtocol) -> None:
        # A closed socket is the reader's to notice: frames that came before the close (why it closed) are read first.
        with suppress(ConnectionClosed):
            for message in talk.outgoing():
                await socket.send(message.decode())

    def _take(self, frame: bytes, talk: protocol.StreamProtocol) -> None:
        arrival_ns = self._market_now()
        report = self._decoder.apply(frame, arrival_ns)
        counters = self.counters
        counters.frames += 1
        counters.events += report.events
        counters.late += report.late
        counters.unknown += report.unknown
        counters.malformed += report.malformed
        if report.events:
            now = self.last_frame_s = self._monotonic()
            self._vigil.heard(frame, now)
        if report.statuses:
            for event in talk.handle(report.statuses):
                self._status(event)
            self._vigil.confirmed(talk.confirmed)
        # A server may repeat the key in what it says about it: nothing of the login is kept.
        if (
            self._record is not None
            and talk.phase is protocol.Phase.READY
            and not (report.statuses and self._scrub.finds(frame.decode("utf-8", "replace")))
        ):
            self._record(arrival_ns, frame)
        self._on_frame(report)

    def _status(self, event: protocol.StreamEvent) -> None:
        match event:
            case protocol.StepReached(step):
                self.last_step = max(self.last_step, step)
                self.last_frame_s = self._monotonic()
                self._drops_known = self.counters.drops
                self._stepped.set()
            case protocol.ChannelRefused(channel, message):
                self.notes.refused[channel or "(not named)"] = self._scrub(message)
                self._stepped.set()
                self._on_refused()
            case protocol.Subscribed(channel):
                self.notes.refused.pop(channel, None)
                self._stepped.set()
            case protocol.AuthRefused(message):
                said = self._scrub(message)
                self.notes.refusal = f"the key is not accepted ({said}); check QMTERM_POLYGON_KEY and your plan"
                self._become(StreamState.REFUSED, self.notes.refusal)
                self._stepped.set()
                raise _Dropped(self.notes.refusal)
            case protocol.TooManyConnections(message):
                raise _Dropped(self._scrub(message), Ending.CROWDED)
            case protocol.Noted(word, message) if word in protocol.LEAVING:
                if word == "slow_consumer":
                    self.counters.slow += 1
                raise _Dropped(f"{protocol.LEAVING[word]} ({self._scrub(message) or word})")
            case protocol.Noted(word, message) if word != "success":
                self.notes.last_word = self._scrub(f"{word}: {message}")
            case _:
                pass

    def _become(self, state: StreamState, why: str) -> None:
        if state is StreamState.BACKOFF:
            self.notes.last_drop = why
        if state is not self.state or why:
            self.state = state
            self._on_state(state, why)


def _came(pong: asyncio.Future[float] | None) -> bool:
    return pong is not None and pong.done() and not pong.cancelled() and pong.exception() is None


def _reason(failure: Exception) -> str:
    if isinstance(failure, ConnectionClosed):
        close = failure.rcvd
        return f"the server closed the stream ({close.code} {close.reason})" if close else "the connection broke"
    if isinstance(failure, TimeoutError):
        return "no answer to connect or log in"
    return f"cannot connect ({failure})"

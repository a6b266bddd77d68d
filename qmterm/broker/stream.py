"""The account stream, supervised from outside: one ordered queue, reconnects, and REST re-read after each of them.

The SDK's AlertStreamer never reconnects, dies from one event it cannot validate, and tells nothing apart. So: events
are read raw here, an unreadable one costs a re-read instead of the stream, and silence is broken by heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import httpx2
from httpx2.websockets import HTTPXWSException
from tastytrade import Account
from tastytrade.utils import TastytradeError

from qmterm.broker import decode
from qmterm.broker.alerts import RawAlertStreamer
from qmterm.broker.errors import describe
from qmterm.broker.events import EventQueue
from qmterm.broker.session import BrokerSession
from qmterm.core.errors import BrokerError
from qmterm.core.orders import BrokerEvent
from qmterm.core.settings.broker import TastytradeSettings

HEARTBEAT_S = 20.0
_FAILURES = (HTTPXWSException, httpx2.HTTPError, TastytradeError, OSError, TimeoutError, ValueError, KeyError,
             BrokerError, anyio.BrokenResourceError, anyio.ClosedResourceError)  # fmt: skip


class AccountStream:
    """Runs until closed. `read_all` reads the account over REST and returns everything as events.

    `on_event` sees each event when it arrives, long before somebody takes it from the queue.
    """

    def __init__(
        self,
        session: BrokerSession,
        settings: TastytradeSettings,
        account: str,
        read_all: Callable[[], Awaitable[list[BrokerEvent]]],
        on_event: Callable[[BrokerEvent], None],
        on_fault: Callable[[str], None],
    ) -> None:
        self._session = session
        self._settings = settings
        self._account = account
        self._read_all = read_all
        self._on_event = on_event
        self._on_fault = on_fault
        self._held: list[tuple[BrokerEvent, int | None]] | None = None  # while REST is being read
        self._reread = asyncio.Event()
        self._restart = asyncio.Event()
        self._streamer: RawAlertStreamer | None = None
        self._beats: dict[int, asyncio.Future[None]] = {}
        self._sequence_waits: list[tuple[int, asyncio.Future[None]]] = []
        self._read_waits: list[asyncio.Future[None]] = []
        self._heard = 0.0
        self._answers_heartbeats = False
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.queue = EventQueue()
        self.up = False
        self.tried = asyncio.Event()  # it came up, or the first attempt failed: nobody needs to wait any longer
        self.connects = 0
        self.last_sequence = 0
        self._arrived_sequence = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._supervise(), name="account-stream")
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.up = False
        self.queue.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Only a fault of our own ends the supervisor: say so, and start it again. Silence would look like quiet."""
        if task.cancelled() or self._closed:
            return
        self.up = False
        error = task.exception()
        self._on_fault(f"account stream supervisor failed: {type(error).__name__} {error}; starting it again")
        asyncio.get_running_loop().call_later(self._settings.backoff_max_s, self._start_again)

    def _start_again(self) -> None:
        if not self._closed:
            self.start()

    def suspect(self, why: str) -> None:
        """Another witness saw what this stream did not say: connect anew."""
        self._on_fault(f"account stream restarted: {why}")
        self._restart.set()

    async def wait_sequence(self, sequence: int, timeout: float) -> bool:
        """True once everything up to this server number is in the queue; False after `timeout` real seconds.

        Answers come in order behind events, so a heartbeat's answer proves that no more is on its way; what is
        missing then was lost or said before we connected, and is read back over REST.
        """
        try:
            async with asyncio.timeout(timeout):
                if self.last_sequence < sequence and self.up and self._streamer is not None:
                    await self._echoed(self._streamer)
                    if self.last_sequence < sequence:
                        await self._read_back_now()
                        self._note_sequence(sequence)
                while self.last_sequence < sequence:
                    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._sequence_waits.append((sequence, future))
                    await future
        except (TimeoutError, *_FAILURES):
            return False
        return True

    async def _echoed(self, streamer: RawAlertStreamer) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = streamer.next_number()
        self._beats[number] = future
        try:
            await streamer.beat(number)
            await future
        finally:
            self._beats.pop(number, None)

    async def _read_back_now(self) -> None:
        """Returns after a reading of REST that began after this call."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._read_waits.append(future)
        self._reread.set()
        await future

    # --- supervision ---

    async def _supervise(self) -> None:
        pause = self._settings.backoff_min_s
        while True:
            connects = self.connects
            try:
                await self._live()
            except* _FAILURES as group:
                self._report(group)
            self.up = False
            self.tried.set()
            self._streamer = None
            self._held = None
            if self.connects > connects:
                pause = self._settings.backoff_min_s
            # Jitter: many clients dropped together must not return together.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(self._settings.backoff_max_s, pause * 2)

    def _report(self, group: BaseExceptionGroup[BaseException]) -> None:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, TastytradeError):
            # Most often a token that the server no longer knows; the SDK would use it until its own clock says so.
            self._session.renew()
        self._on_fault(f"account stream lost: {type(first).__name__} {describe(first, self._session.scrub)}")

    async def _live(self) -> None:
        """One connection, from open to its end (always by an exception, or by `suspect`)."""
        self._restart.clear()
        self._reread.clear()
        self._answers_heartbeats = False
        self.last_sequence = self._arrived_sequence = 0  # another server process counts from the start again
        streamer = RawAlertStreamer(self._session, self._message)
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self._settings.stream_open_timeout_s):
                self._held = []
                await stack.enter_async_context(streamer)
                await streamer.subscribe_accounts([Account.model_construct(account_number=self._account)])
            self._heard = loop.time()
            self._streamer = streamer
            await self._read_back()
            self.up = True
            self.connects += 1
            self.tried.set()
            next_beat = loop.time() + HEARTBEAT_S
            while not self._restart.is_set():
                if self._reread.is_set():
                    self._reread.clear()
                    self._held = []
                    await self._read_back()
                if loop.time() >= next_beat:
                    next_beat = loop.time() + HEARTBEAT_S
                    await streamer.beat(streamer.next_number())
                self._check_silence(loop.time())
                await self._pause(min(1.0, max(0.05, next_beat - loop.time())))

    async def _pause(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._reread, self._restart)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _check_silence(self, now: float) -> None:
        silent = now - self._heard
        limit = self._settings.stream_mute_after_s
        if (limit and silent > limit) or (self._answers_heartbeats and silent > 2.5 * HEARTBEAT_S):
            raise TimeoutError(f"no message for {silent:.0f} s")

    async def _read_back(self) -> None:
        """REST first, then what the stream said meanwhile: the last word on each subject is the newest."""
        waits, self._read_waits = self._read_waits, []
        try:
            for event in await self._read_all():
                self._put(event, None)
        finally:
            held, self._held = self._held or [], None
            for event, sequence in held:
                self._put(event, sequence)
            self._note_sequence(self._arrived_sequence)
        for future in waits:
            if not future.done():
                future.set_result(None)

    # --- messages ---

    def _message(self, message: Mapping[str, Any]) -> None:
        self._heard = asyncio.get_running_loop().time()
        if message.get("action") == "heartbeat":
            self._answers_heartbeats = True
            waiting = self._beats.get(int(message.get("request-id") or 0))
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
            return
        sequence = _sequence(message)
        if sequence is not None:
            if self._arrived_sequence and sequence > self._arrived_sequence + 1:
                self._on_fault(
                    f"account stream skipped from message {self._arrived_sequence} to {sequence}; reading back"
                )
                self._reread.set()
            self._arrived_sequence = sequence
        try:
            event = self._decode(str(message["type"]), message.get("data"))
        except decode.Unreadable as error:
            self._on_fault(f"unreadable account event ({message.get('type')}): {error}; reading back")
            self._reread.set()
            event = None
        if event is None:
            if self._held is None:
                self._note_sequence(sequence)
        elif self._held is not None:
            self._held.append((event, sequence))
        else:
            self._put(event, sequence)

    def _decode(self, kind: str, data: Any) -> BrokerEvent | None:
        if kind not in ("Order", "CurrentPosition", "AccountBalance"):
            return None
        if not isinstance(data, Mapping):
            raise decode.Unreadable("the event has no object in it")
        if data.get("account-number") not in (None, self._account):
            return None
        if kind == "CurrentPosition":
            return None if decode.foreign_position(data) else decode.position(data)
        if kind == "AccountBalance":
            return decode.balance(data)
        if decode.foreign(data):
            return None
        order, fault = decode.order(data)
        if fault is not None:
            self._on_fault(fault)
        return order

    def _put(self, event: BrokerEvent, sequence: int | None) -> None:
        self._on_event(event)
        if not self.queue.put(event):
            self._on_fault("the queue of account events is full; reading back")
            self._reread.set()
        self._note_sequence(sequence)

    def _note_sequence(self, sequence: int | None) -> None:
        if sequence is None or sequence <= self.last_sequence:
            return
        self.last_sequence = sequence
        for wanted, future in self._sequence_waits:
            if wanted <= sequence and not future.done():
                future.set_result(None)
        self._sequence_waits = [entry for entry in self._sequence_waits if not entry[1].done()]


def _sequence(message: Mapping[str, Any]) -> int | None:
    value = message.get("ws-sequence")
    return value if isinstance(value, int) and not isinstance(value, bool) else None

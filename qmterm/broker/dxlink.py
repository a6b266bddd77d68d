"""Option quotes from the broker's market data (DXLink), supervised: what a plan without option quotes can live on.

The SDK's streamer never reconnects, leaves by an ExceptionGroup, keeps every event in a queue without end and dies of
a list it cannot divide. So: a connection is made anew whatever ended it, and of each symbol only the newest is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
from anyio.abc import TaskStatus
from httpx2.websockets import HTTPXWSException
from tastytrade import DXLinkStreamer
from tastytrade.dxfeed import Quote
from tastytrade.instruments import Option
from tastytrade.utils import TastytradeError

from qmterm.broker.errors import describe
from qmterm.broker.session import BrokerSession
from qmterm.core.errors import BrokerError
from qmterm.core.settings.broker import TastytradeSettings

CHUNK = 200  # symbols in one message: larger ones than 64 KiB close the socket
SILENT_S = 75.0  # the server says something every 30 s, if only that it is there
STEADY_S = 30.0
_LOOK_S = 1.0
_FAILURES = (HTTPXWSException, httpx2.HTTPError, TastytradeError, OSError, TimeoutError, ValueError, KeyError,
             BrokerError, anyio.BrokenResourceError, anyio.ClosedResourceError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BrokerQuote:
    """Of an OCC symbol; sizes in contracts, `time_ns` 0 when the exchange's time is not known."""

    symbol: str
    bid: float
    ask: float
    bid_size: int
    ask_size: int
    time_ns: int


class _LatestStreamer(DXLinkStreamer):
    """Hands quotes over as they come instead of queueing them; remembers when anything was heard."""

    def __init__(self, session: BrokerSession, on_quotes: Callable[[list[Quote]], None]) -> None:
        super().__init__(session.sdk)
        self._on_quotes = on_quotes
        self.heard_s = asyncio.get_running_loop().time()
        self.unreadable = 0

    async def _reader(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        socket: Any = self._websocket
        receive = socket.receive_json

        async def heard(*arguments: Any, **more: Any) -> Any:
            message = await receive(*arguments, **more)
            self.heard_s = asyncio.get_running_loop().time()
            return message

        socket.receive_json = heard
        await super()._reader(task_status=task_status)

    def _map_message(self, message: list[Any], channel: int) -> None:
        if self._channels_reversed.get(channel) != "Quote" or len(message) != 2 or message[0] != "Quote":
            return
        try:
            quotes = Quote.from_stream(message[1])
        except TastytradeError:  # a list that cannot be divided is lost, not the stream
            self.unreadable += 1
            return
        self._on_quotes(quotes)


class BrokerQuotes:
    """`want` what should be quoted; `on_quote` hears each quote. Nothing is connected while nothing is wanted."""

    def __init__(
        self,
        session: BrokerSession,
        settings: TastytradeSettings,
        on_quote: Callable[[BrokerQuote], None],
        on_fault: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._session, self._settings = session, settings
        self._on_quote, self._on_fault = on_quote, on_fault
        self._wanted: dict[str, str] = {}  # streamer symbol: OCC symbol
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.up = False
        self.connects = 0
        self.latest: dict[str, BrokerQuote] = {}

    def want(self, occs: Iterable[str]) -> None:
        """Exactly these option contracts (OCC symbols) from now on, over every reconnect."""
        wanted = {name: occ for occ in occs if (name := Option.occ_to_streamer_symbol(occ))}
        if wanted == self._wanted:
            return
        self._wanted = wanted
        kept = set(wanted.values())
        self.latest = {occ: quote for occ, quote in self.latest.items() if occ in kept}
        self._changed.set()
        if wanted and self._task is None:
            self._start()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.up = False

    # --- inside ---

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._supervise(), name="broker quotes")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Only a fault of our own ends the supervisor: said, and started again."""
        if task.cancelled() or task is not self._task:
            return
        self.up = False
        self._on_fault(f"broker quotes failed: {type(task.exception()).__name__}; starting again")
        task.get_loop().call_later(self._settings.backoff_max_s, self._again, task)

    def _again(self, ended: asyncio.Task[None]) -> None:
        if self._task is ended:
            self._start()

    async def _supervise(self) -> None:
        loop, tries = asyncio.get_running_loop(), 0
        while True:
            while not self._wanted:
                self._changed.clear()
                await self._changed.wait()
            began = loop.time()
            try:
                await self._live()
            except* _FAILURES as group:
                first: BaseException = group
                while isinstance(first, BaseExceptionGroup):
                    first = first.exceptions[0]
                self._on_fault(f"broker quotes lost: {type(first).__name__} {describe(first, self._session.scrub)}")
            self.up = False
            tries = 0 if loop.time() - began > STEADY_S or not self._wanted else tries + 1
            longest = min(self._settings.backoff_max_s, self._settings.backoff_min_s * 2.0 ** min(tries, 20))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    async def _live(self) -> None:
        """One connection: until it fails, or nothing is wanted any more."""
        streamer = _LatestStreamer(self._session, self._take)
        held: set[str] = set()
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self._settings.stream_open_timeout_s):
                await stack.enter_async_context(streamer)
            self.connects += 1
            while self._wanted:
                self._changed.clear()
                wanted = set(self._wanted)
                for some in _chunks(sorted(held - wanted)):
                    await streamer.unsubscribe(Quote, some)
                for some in _chunks(sorted(wanted - held)):
                    await streamer.subscribe(Quote, some)
                held = wanted
                self.up = True
                await self._until_changed(streamer)

    async def _until_changed(self, streamer: _LatestStreamer) -> None:
        while not self._changed.is_set():
            silent = asyncio.get_running_loop().time() - streamer.heard_s
            if silent > SILENT_S:
                raise TimeoutError(f"no message for {silent:.0f} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()

    def _take(self, quotes: list[Quote]) -> None:
        for quote in quotes:
            occ = self._wanted.get(quote.event_symbol)
            if occ is None:
                continue
            time_ms = max(quote.bid_time, quote.ask_time)
            told = BrokerQuote(
                occ,
                float(quote.bid_price),
                float(quote.ask_price),
                int(quote.bid_size or 0),
                int(quote.ask_size or 0),
                time_ms * 1_000_000 if time_ms > 0 else 0,
            )
            self.latest[occ] = told
            self._on_quote(told)


def _chunks(symbols: list[str]) -> list[list[str]]:
    return [symbols[first : first + CHUNK] for first in range(0, len(symbols), CHUNK)]

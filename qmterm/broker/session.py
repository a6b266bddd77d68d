"""The login and its connections: every REST call to tastytrade goes through `call`, warm, paced, timed and scrubbed.

The traps: the SDK refreshes its 15-minute token inside the first call after expiry and drops idle connections after
5 seconds; both would land on an order, so both are done ahead of time here. It also logs the bearer token at DEBUG.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from tastytrade.utils import TastytradeError

from qmterm.broker import door as doors
from qmterm.broker import errors, straight
from qmterm.broker.errors import Exchange, NotLeft, Scrubber
from qmterm.broker.kept_session import KeptSession
from qmterm.broker.pacing import Pacer, Urgency
from qmterm.core.errors import BrokerAuthError, BrokerError
from qmterm.core.settings.broker import (
    CERT_REST_URL,
    CERT_STREAMER_URL,
    LIVE_REST_URL,
    LIVE_STREAMER_URL,
    TastytradeSettings,
)

T = TypeVar("T")

_LOCAL_HASTE = 100
LONGER = 1.5  # times the patience after a question without an answer
MOST_SILENCES = 8
LOGIN_PAUSED = "login_paused"
REFUSED_PAUSE_S = 300.0  # too many refused logins block the address for hours
STRANGE_PAUSE_S = 15.0  # a page of a proxy in the login's place says nothing of the login: tried again soon, twice
STRANGE_LOGINS = 2
TRIES_TO_LEAVE = 3  # of a request whose token or connection ends while it is held
NOT_LEFT = "not_left"
SDK_MARGIN_S = 60.0  # the SDK refreshes on the caller's time once less than this is left
_LOUD = ("tastytrade", "httpx2", "httpx", "httpcore2", "httpcore", "wsproto")

log = logging.getLogger("qmterm.broker")


def quiet_vendor_logs() -> None:
    """The SDK's logger is set to DEBUG by itself and writes tokens; warnings are all anybody needs of it."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING or logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BrokerSession:
    """One SDK session and the tasks that keep it ready. `call` belongs to the loop that opened it."""

    def __init__(
        self,
        settings: TastytradeSettings,
        secret: str,
        refresh_token: str,
        is_test: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` replaces the network, for REST and stream alike (drills)."""
        quiet_vendor_logs()
        self._settings = settings
        self.rest_url = settings.rest_url or (CERT_REST_URL if is_test else LIVE_REST_URL)
        self.streamer_url = settings.streamer_url or (CERT_STREAMER_URL if is_test else LIVE_STREAMER_URL)
        self.scrub = Scrubber(secret, refresh_token)
        local = is_loopback(self.rest_url) and is_loopback(self.streamer_url)
        self.sdk = KeptSession(
            secret,
            refresh_token,
            is_test=is_test,
            timeout=httpx2.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s),
            limits=httpx2.Limits(
                # A kill's cancels go out side by side: none may wait for a connection that another one holds.
                max_connections=200,
                max_keepalive_connections=20,
                keepalive_expiry=settings.keepalive_s,
            ),
            trust_env=not local,  # a proxy of the environment would swallow loopback
            event_hooks={"request": [errors.on_request], "response": [errors.on_response]},
            transport=transport,
        )
        self.sdk._client.base_url = self.rest_url
        self.sdk.held_up = lambda: self._pause_left_s() > 0
        self._doors = doors.at_connections(self.sdk._client)
        if self._doors:
            straight.past_the_pool(self.sdk._client)
        # Pacing is a courtesy to the vendor; a simulator on this machine in lockstep would only be slowed down.
        self._pacer = Pacer(settings.calls_per_second * (_LOCAL_HASTE if local else 1), settings.burst)
        self._tasks: list[asyncio.Task[None]] = []
        self._last_call = 0.0
        self._silences: dict[str, int] = {}  # questions in a row that had no answer, by path
        self._renew = asyncio.Event()
        self._no_login_until = 0.0
        self._strange_logins = 0  # in a row: refused without the broker's own word
        self.round_trip_ms: float | None = None
        self.refreshes = 0
        self.login_trouble: str | None = None
        self.on_call: Callable[[float, float], None] | None = None  # when each call began and ended, the loop's seconds

    async def open(self) -> None:
        """Get the first token; BrokerAuthError when the login is refused, BrokerError when nobody answers."""
        await self._refresh()
        self._tasks.append(asyncio.create_task(self._keep_token(), name="broker-token"))

    def keep_warm(self, small_call: Callable[[], Awaitable[object]]) -> None:
        """From now on idle connections are used once in a while, so that an order never opens one."""
        self._tasks.append(asyncio.create_task(self._keep_warm(small_call), name="broker-warm"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.sdk._client.aclose()

    # --- calls ---

    async def read(self, doing: str, path: str, **params: Any) -> dict[str, Any]:
        """A question: the whole JSON envelope. BrokerError when it was not answered.

        A token that the broker no longer takes is renewed once and the question asked again.
        """
        try:
            return await self._ask(doing, path, params)
        except BrokerAuthError as error:
            if error.code not in errors.STALE_TOKEN_CODES:
                raise
        await self._refresh()
        return await self._ask(doing, path, params)

    async def _ask(self, doing: str, path: str, params: dict[str, Any]) -> dict[str, Any]:
        await self._pacer.turn(Urgency.QUESTION)
        self._spare_the_login()
        exchange = Exchange("GET", path, self._patience(path))
        try:
            await self._timed(exchange, lambda: self.sdk._get(path, params=params))
        except errors.SDK_ERRORS as error:
            failure = errors.while_reading(error, exchange, doing, self.scrub)
            self._note_refused_login(failure, exchange)
            raise failure from None
        body = errors.body_of(exchange.response)
        return body if isinstance(body, dict) else {}

    async def send(
        self,
        doing: str,
        method: str,
        path: str,
        urgency: Urgency,
        function: Callable[[], Awaitable[object]],
        door: Callable[[], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        """A deed, done at most once: the answer's `data`, read from the body even where the SDK's model rejects it.

        `door` is awaited when all is built and nothing has left; what it raises comes out of here, and nothing leaves.
        BrokerError when certainly nothing happened, OutcomeUnknown for everything else.
        """
        await self._pacer.turn(urgency)
        self._spare_the_login()
        exchange = Exchange(method, path)
        try:
            await self._timed(exchange, function, door)
        except errors.SDK_ERRORS as error:
            answered = exchange.status is not None and exchange.status // 100 == 2
            data = errors.data_of(exchange.response) if answered else None
            if data is None:
                failure = errors.after_send(error, exchange, doing, self.scrub)
                self._note_refused_login(failure, exchange)
                if isinstance(failure, BrokerAuthError):
                    self.renew()
                raise failure from None
            log.warning("%s: the SDK cannot read the answer (%s); read without it", doing, type(error).__name__)
            return data
        return errors.data_of(exchange.response) or {}

    async def _timed(
        self,
        exchange: Exchange,
        function: Callable[[], Awaitable[T]],
        door: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        loop = asyncio.get_running_loop()
        token = errors.current_exchange.set(exchange)
        started, at_most = loop.time(), self._at_most(exchange)
        try:
            # A body that trickles in never trips the client's own time-out, which is per read.
            async with asyncio.timeout(at_most) as limit:
                if door is None:
                    return await function()
                for _ in range(TRIES_TO_LEAVE):
                    exchange.door, exchange.at_wire = self._held(door, limit, at_most), self._doors
                    with contextlib.suppress(NotLeft):  # to be built anew, and asked anew: that may take its time
                        return await function()
                raise BrokerError("what it was built for ended again and again before it could leave", NOT_LEFT)
        finally:
            errors.current_exchange.reset(token)
            self._last_call = loop.time()
            self.scrub.add(self.sdk.session_token)  # the SDK may have renewed it on the way
            if exchange.patience_s is not None:
                self._note_silence(exchange)
            if self.on_call is not None and (door is None or exchange.left_at is not None):
                self.on_call(exchange.left_at or started, self._last_call)
            if exchange.response is not None:
                self.round_trip_ms = (self._last_call - (exchange.left_at or started)) * 1000

    def _held(
        self, door: Callable[[], Awaitable[None]], limit: asyncio.Timeout, at_most: float
    ) -> Callable[[httpx2.Request], Awaitable[None]]:
        """A request at its door waits for the disk, not for the broker: its time begins when it leaves."""

        token = self.sdk.session_token

        async def opened(request: httpx2.Request) -> None:
            limit.reschedule(None)
            await door()
            limit.reschedule(asyncio.get_running_loop().time() + at_most)
            if self.sdk.session_token == token:
                return
            if self._doors:
                raise NotLeft("the token was renewed while the order was held")
            request.headers["Authorization"] = self.sdk._client.headers["Authorization"]

        return opened

    def _patience(self, path: str) -> float:
        """Seconds for a question: longer after each silence, so that a slow broker is readable too."""
        longer = self._settings.question_timeout_s * LONGER ** self._silences.get(path, 0)
        return min(longer, self._settings.read_timeout_s)

    def _note_silence(self, exchange: Exchange) -> None:
        if exchange.response is not None:
            self._silences.pop(exchange.path, None)
        elif exchange.sent:
            self._silences[exchange.path] = min(self._silences.get(exchange.path, 0) + 1, MOST_SILENCES)

    def _at_most(self, exchange: Exchange) -> float:
        if exchange.patience_s is not None:
            return 2 * exchange.patience_s
        return self._settings.connect_timeout_s + 2 * self._settings.read_timeout_s

    # --- token and connections, ahead of time ---

    def renew(self) -> None:
        """Somebody found the token stale: get another one now."""
        self._renew.set()

    def _spare_the_login(self) -> None:
        """BrokerAuthError instead of a call in which the SDK would repeat a login that was refused a moment ago."""
        if self.token_left_s() <= 0:
            self._check_pause()

    def _pause_left_s(self) -> float:
        return self._no_login_until - asyncio.get_running_loop().time()

    def _check_pause(self) -> None:
        left = self._pause_left_s()
        if left > 0:
            raise BrokerAuthError(f"{self.login_trouble}; the next login is tried in {left:.0f} s", LOGIN_PAUSED)

    def _note_refused_login(self, failure: Exception, exchange: Exchange) -> None:
        """A refusal before the request itself left is the answer to the SDK's own login."""
        if isinstance(failure, BrokerAuthError) and not exchange.sent:
            self._refused_login(failure)

    def _refused_login(self, failure: BrokerAuthError) -> None:
        """No login for a while: only the broker's own word is a wrong login, anything else may pass."""
        strange = failure.code not in errors.AUTH_CODES
        self._strange_logins = self._strange_logins + 1 if strange else 0
        pause = STRANGE_PAUSE_S if 0 < self._strange_logins <= STRANGE_LOGINS else REFUSED_PAUSE_S
        self.login_trouble = str(failure)
        self._no_login_until = asyncio.get_running_loop().time() + pause

    async def _refresh(self) -> None:
        self._check_pause()
        exchange = Exchange("POST", "/oauth/token", self._patience("/oauth/token"))
        try:
            await self._timed(exchange, lambda: self.sdk.refresh(force=True))
        except errors.SDK_ERRORS as error:
            failure = self._login_failure(error, exchange)
            self.login_trouble = str(failure)
            if isinstance(failure, BrokerAuthError):
                self._refused_login(failure)
            raise failure from None
        self.scrub.add(self.sdk.session_token)
        self.refreshes += 1
        self.login_trouble = None
        self._no_login_until = 0.0
        self._strange_logins = 0

    def _login_failure(self, error: BaseException, exchange: Exchange) -> BrokerError:
        status = exchange.status
        if status is not None and 400 <= status < 500 and status not in (408, 429):
            codes = errors.codes_of(error) if isinstance(error, TastytradeError) else ()
            return BrokerAuthError(
                f"tastytrade at {self.rest_url} does not accept the login ({', '.join(codes) or f'HTTP {status}'}); "
                "check QMTERM_TT_SECRET and QMTERM_TT_REFRESH, and that they belong to this environment",
                codes[0] if codes else "",
            )
        return BrokerError(
            f"tastytrade at {self.rest_url} does not answer the login ({errors.describe(error, self.scrub)}); "
            "check the network and [tastytrade] rest_url",
            errors.NOT_CONNECTED,
        )

    def token_left_s(self) -> float:
        """Real seconds until the token ends, by the SDK's own clock (the only reason to read that clock here)."""
        return self.sdk.session_expiration - time.time()

    async def _keep_token(self) -> None:
        pause = 1.0
        while True:
            await self._until_due()
            try:
                await self._refresh()
                pause = 1.0
            except BrokerAuthError as error:
                log.error("%s", error)
                await asyncio.sleep(self._pause_left_s())
            except BrokerError as error:
                log.warning("%s", error)
                await asyncio.sleep(pause)
                pause = min(30.0, pause * 2)

    async def _until_due(self) -> None:
        """Wait until the token is near its end, by its own length, or until somebody found it stale."""
        lifetime = self.token_left_s()
        if lifetime > 2 * self._settings.refresh_ahead_s:
            ahead = self._settings.refresh_ahead_s
        elif lifetime > SDK_MARGIN_S:
            ahead = (lifetime + SDK_MARGIN_S) / 2  # a server with short tokens: still before the SDK's own margin
        else:
            ahead = lifetime / 2
        while not self._renew.is_set() and (left := self.token_left_s() - ahead) > 0:
            with contextlib.suppress(TimeoutError):
                # In short steps: a machine that slept must notice soon that time has passed. Not wait_for, which in
                # Python 3.11 can swallow the cancellation that `close` waits for.
                async with asyncio.timeout(min(left, 5.0)):
                    await self._renew.wait()
        self._renew.clear()

    async def _keep_warm(self, small_call: Callable[[], Awaitable[object]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            idle = loop.time() - self._last_call
            if idle < self._settings.warm_every_s:
                await asyncio.sleep(self._settings.warm_every_s - idle)
                continue
            # Two at once: one poll in flight must leave the order a warm connection.
            results = await asyncio.gather(small_call(), small_call(), return_exceptions=True)
            if any(isinstance(result, BrokerError) for result in results):
                await asyncio.sleep(self._settings.warm_every_s)

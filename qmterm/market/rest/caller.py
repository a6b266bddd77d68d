"""How a REST call is made: worker thread, deadline, budget, retries, pages; every failure one of core's errors.

The trap: a call that returns nothing usable must fail. `[]` for bad JSON or a missing page is how the vendor's
client turns a fault into an empty market. Pages are decoded while the next one is on the wire, so a page is first
read for where the next one is, and only then for what it says.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
import urllib3

from qmterm.core.errors import DataAuthError, DataError, DataSilent, NotEntitled, RateLimited
from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.rest.budget import LONGEST_WAIT_S, Priority, RequestBudget, asking
from qmterm.market.rest.entitlements import Entitlements, Family, place_of
from qmterm.market.rest.paging import PageRun, Request
from qmterm.market.rest.vendor import BodyTooSlow, HttpRefusal, Vendor, open_vendor
from qmterm.market.scrub import Scrub

T = TypeVar("T")
# 403 only where it is not the plan's: a proxy or a firewall that turned one call away.
_PASSING = frozenset({403, 408, 429, 499, 500, 502, 503, 504})
# Numbers that no column can hold, and brackets within brackets within brackets.
_UNREADABLE = (msgspec.DecodeError, UnicodeError, ArithmeticError, RecursionError)


class NotFound(DataError):
    """The server knows nothing by that name."""


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """What each page said; not `complete` when there was more than was asked for."""

    parts: list[T]
    complete: bool


class RestCaller:
    """One vendor client behind a small pool of threads."""

    def __init__(
        self, settings: PolygonSettings, key: str, monotonic: Callable[[], float] = time.monotonic, seed: int = 0
    ) -> None:
        self._settings = settings
        self._key = key
        self.scrub = Scrub(key)  # for whatever the server said
        self._monotonic = monotonic
        self._host = urlsplit(settings.rest_url).netloc
        self._pool = ThreadPoolExecutor(settings.rest_threads, thread_name_prefix="polygon-rest")
        self._vendor: Vendor | None = None
        self._opening = threading.Lock()
        self._jitter = random.Random(seed)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="polygon-pages")
        self.budget = RequestBudget(settings.budget_per_minute, monotonic)
        self.entitlements = Entitlements(place_of(self._host, settings.plan))
        self.last_ok_s: float | None = None  # monotonic seconds of the latest good answer

    async def one(
        self,
        endpoint: str,
        request: Request,
        decode: Callable[[bytes], T],
        family: Family | None = None,
        priority: Priority | None = None,
    ) -> T:
        """One call: `request` names the client's method, `decode` turns the body into our words, both off the loop.

        `family` None: a refusal by plan is not remembered. `priority` None: what the task says (`asking_for`).
        """
        return await self._tries(endpoint, lambda vendor: decode(request(vendor.client).data), family, priority)

    async def pages(
        self,
        endpoint: str,
        request: Request,
        decode: Callable[[bytes], T],
        family: Family | None = None,
        most: int | None = None,
    ) -> Pages[T]:
        """All pages (or the first `most`), or an error: a run that breaks on page 3 is not a short list."""
        cap = self._settings.page_cap
        of = asking.get()
        run = PageRun(
            endpoint, request, decode, self._reader, lambda: self.budget.take_now(of), cap if most is None else most
        )
        parts: list[T] = []
        try:
            while True:
                while not run.over:
                    await self._tries(run.where, run, family)
                    while len(run.reading) > 1 and run.reading[0].done():
                        parts.append(await self._read(endpoint, run.reading.popleft()))
                while len(run.reading) > 1:
                    parts.append(await self._read(endpoint, run.reading.popleft()))
                if most is None and not run.is_complete:
                    raise DataError(
                        f"{endpoint} on {self._host} has more than {cap} pages: ask for less "
                        "(fewer expiries, a shorter time) or raise [polygon] page_cap"
                    )
                try:
                    parts.append(await asyncio.wrap_future(run.reading.popleft()))
                    return Pages(parts, complete=run.is_complete)
                except DataError as failure:
                    raise self._scrubbed(failure) from None
                except _UNREADABLE as failure:
                    if not run.is_complete or self._settings.attempts == 1 or not run.read_the_last_again():
                        raise self._unreadable(endpoint, failure) from None
        finally:
            run.cancel()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._reader.shutdown(wait=False, cancel_futures=True)
        if self._vendor is not None:
            self._vendor.close()

    # --- inside ---

    async def _read(self, endpoint: str, reading: Future[T]) -> T:
        try:
            return reading.result() if reading.done() else await asyncio.wrap_future(reading)
        except DataError as failure:
            raise self._scrubbed(failure) from None
        except _UNREADABLE as failure:
            raise self._unreadable(endpoint, failure) from None

    async def _tries(
        self,
        endpoint: str,
        work: Callable[[Vendor], T],
        family: Family | None,
        priority: Priority | None = None,
    ) -> T:
        known = self.entitlements.refusal(family) if family is not None else None
        if known is not None:
            raise NotEntitled(f"{endpoint} on {self._host}: your plan does not include it ({known}; not asked again)")
        for attempt in range(1, self._settings.attempts + 1):
            await self.budget.take(priority)
            try:
                answer = await self._once(endpoint, work, family)
            except _Again as again:
                wait = again.wait_s if again.wait_s is not None else 0.1 * 2**attempt * self._jitter.uniform(0.5, 1.5)
                if isinstance(again.error, RateLimited):
                    if again.wait_s is None:
                        wait = max(wait, self.budget.spacing_s)
                    self.budget.hold(wait)
                if attempt == self._settings.attempts or wait > LONGEST_WAIT_S:
                    raise again.error from None
                await asyncio.sleep(wait)
            else:
                if family is not None:
                    self.entitlements.answered(family)
                return answer
        raise DataError(f"{endpoint} on {self._host}: no attempt allowed ([polygon] attempts)")

    async def _once(self, endpoint: str, work: Callable[[Vendor], T], family: Family | None) -> T:
        call = asyncio.get_running_loop().run_in_executor(self._pool, self._in_thread, work)
        # The door enforces the deadline on connect, read and body; this outer one also covers a wait for a thread.
        outer = 2 * self._settings.deadline_s + self._settings.connect_timeout_s
        try:
            async with asyncio.timeout(outer):  # not wait_for: in Python 3.11 it can swallow a cancellation
                result = await call
        except TimeoutError:
            raise self._silent(endpoint, outer) from None
        except HttpRefusal as refusal:
            error = self._classify(endpoint, refusal)
            if isinstance(error, NotEntitled):
                if family is not None:
                    self.entitlements.refuse(family, _message(refusal.body, self.scrub))
            elif refusal.status in _PASSING:
                raise _Again(error, refusal.retry_after_s) from None
            raise error from None
        except (urllib3.exceptions.ReadTimeoutError, BodyTooSlow):
            raise self._silent(endpoint, self._settings.read_timeout_s) from None
        except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError) as failure:
            raise _Again(self._unreachable(endpoint, failure), None) from None
        except urllib3.exceptions.HTTPError as failure:  # reset, truncated body, broken gzip
            error = DataError(self.scrub(f"{endpoint} on {self._host}: the answer broke off ({failure})"))
            raise _Again(error, None) from None
        except DataError as failure:
            raise self._scrubbed(failure) from None
        except _UNREADABLE as failure:
            raise _Again(self._unreadable(endpoint, failure), None) from None
        self.last_ok_s = self._monotonic()
        return result

    def _in_thread(self, work: Callable[[Vendor], T]) -> T:
        with self._opening:  # the first call pays the import of the vendor's package
            if self._vendor is None:
                self._vendor = open_vendor(self._settings, self._key)
        return work(self._vendor)

    def _classify(self, endpoint: str, refusal: HttpRefusal) -> DataError:
        said = _message(refusal.body, self.scrub)
        where = f"{endpoint} on {self._host}"
        match refusal.status:
            case 401:
                return DataAuthError(f"{where}: the key is not accepted ({said}); check QMTERM_POLYGON_KEY")
            case 403 if _is_about_the_plan(refusal.body):
                return NotEntitled(f"{where}: your plan does not include it ({said})")
            case 404:
                return NotFound(f"{where}: not found ({said}); check the symbol and [polygon] rest_url")
            case 429:
                pause = refusal.retry_after_s
                after = "" if pause is None else f", wants none for {pause:.0f} s"
                return RateLimited(f"{where}: too many calls ({said}{after}); lower [polygon] calls_per_minute")
            case status:
                return DataError(f"{where}: the server failed with {status} ({said}); it is tried again later")

    def _silent(self, endpoint: str, seconds: float) -> DataSilent:
        return DataSilent(f"{endpoint} on {self._host}: no complete answer in {seconds:g} s; is the server well?")

    def _scrubbed(self, failure: DataError) -> DataError:
        """What the reading of an answer raised: it may quote the answer."""
        return type(failure)(self.scrub(str(failure)))

    def _unreadable(self, endpoint: str, failure: Exception) -> DataError:
        return DataError(self.scrub(f"{endpoint} on {self._host}: the answer is not readable ({failure})"))

    def _unreachable(self, endpoint: str, failure: Exception) -> DataError:
        text = self.scrub(str(failure).rsplit(": ", 1)[-1])
        return DataError(f"{endpoint}: cannot reach {self._host} ({text}); check the network and [polygon] rest_url")


class _Again(Exception):
    """A failure that may pass: carries the error to raise when it does not."""

    def __init__(self, error: DataError, wait_s: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class _ErrorBody(msgspec.Struct):
    status: str = ""
    error: str = ""
    message: str = ""


def _error_body(body: str) -> _ErrorBody | None:
    try:
        return msgspec.json.decode(body.encode(), type=_ErrorBody)
    except (msgspec.DecodeError, RecursionError):
        return None


def _is_about_the_plan(body: str) -> bool:
    """Only the service itself says so, and in its own words; a page of whoever stands before it does not."""
    parsed = _error_body(body)
    return parsed is not None and parsed.status == "NOT_AUTHORIZED"


def _message(body: str, scrub: Scrub) -> str:
    """What the server said in words: its JSON message, or the first words of an HTML page."""
    parsed = _error_body(body)
    if parsed is None:
        words = " ".join(scrub(body).split())
        return (words[:80] + "…") if len(words) > 80 else words or "no explanation"
    return scrub(parsed.message or parsed.error or "no explanation")

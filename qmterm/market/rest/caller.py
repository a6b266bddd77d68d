"""How a REST call is made: worker thread, deadline, budget, retries, pages; every failure one of core's errors.

The trap: a call that returns nothing usable must fail. `[]` for bad JSON or a missing page is how the vendor's
client turns a fault into an empty market.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import urllib3

from qmterm.core.errors import DataAuthError, DataError, DataSilent, NotEntitled, RateLimited
from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.rest.budget import RequestBudget
from qmterm.market.rest.vendor import BodyTooSlow, HttpRefusal, Vendor, open_vendor

T = TypeVar("T")
Request = Callable[[Any], Any]
"""Calls one method of the vendor's client with raw=True."""

_PASSING = frozenset({408, 429, 499, 500, 502, 503, 504})
_LONGEST_RETRY_AFTER_S = 15.0  # above this the caller is told instead of kept waiting


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    rows: list[T]
    next_url: str | None


class RestCaller:
    """One vendor client behind a small pool of threads."""

    def __init__(
        self, settings: PolygonSettings, key: str, monotonic: Callable[[], float] = time.monotonic, seed: int = 0
    ) -> None:
        self._settings = settings
        self._key = key
        self._monotonic = monotonic
        self._host = urlsplit(settings.rest_url).netloc
        self._pool = ThreadPoolExecutor(settings.rest_threads, thread_name_prefix="polygon-rest")
        self._vendor: Vendor | None = None
        self._opening = threading.Lock()
        self._jitter = random.Random(seed)
        self.budget = RequestBudget(settings.budget_per_minute, monotonic)
        self.last_ok_s: float | None = None  # monotonic seconds of the latest good answer
        self.round_trip_ms: float | None = None

    async def one(self, endpoint: str, request: Request, decode: Callable[[bytes], T]) -> T:
        """One call: `request` names the client's method, `decode` turns the body into our words, both off the loop."""
        return await self._tries(endpoint, lambda vendor: decode(request(vendor.client).data))

    async def pages(self, endpoint: str, request: Request, decode: Callable[[bytes], Page[T]]) -> list[T]:
        """All pages, or an error: a run that breaks on page 3 is not a short list."""
        page = await self.one(endpoint, request, decode)
        rows = list(page.rows)
        read = 1
        while page.next_url:
            if read >= self._settings.page_cap:
                raise DataError(
                    f"{endpoint} on {self._host} has more than {self._settings.page_cap} pages: ask for less "
                    "(fewer expiries, a shorter time) or raise [polygon] page_cap"
                )
            following = page.next_url
            where = f"{endpoint} (page {read + 1})"
            page = await self._tries(where, partial(_follow, url=following, decode=decode))
            rows += page.rows
            read += 1
        return rows

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._vendor is not None:
            self._vendor.close()

    # --- inside ---

    async def _tries(self, endpoint: str, work: Callable[[Vendor], T]) -> T:
        for attempt in range(1, self._settings.attempts + 1):
            await self.budget.take()
            try:
                return await self._once(endpoint, work)
            except _Again as again:
                wait = again.wait_s if again.wait_s is not None else 0.1 * 2**attempt * self._jitter.uniform(0.5, 1.5)
                if isinstance(again.error, RateLimited):
                    self.budget.hold(wait)
                if attempt == self._settings.attempts or wait > _LONGEST_RETRY_AFTER_S:
                    raise again.error from None
                await asyncio.sleep(wait)
        raise DataError(f"{endpoint} on {self._host}: no attempt allowed ([polygon] attempts)")

    async def _once(self, endpoint: str, work: Callable[[Vendor], T]) -> T:
        start = self._monotonic()
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
            if refusal.status in _PASSING:
                raise _Again(error, refusal.retry_after_s) from None
            raise error from None
        except (urllib3.exceptions.ReadTimeoutError, BodyTooSlow):
            raise self._silent(endpoint, self._settings.read_timeout_s) from None
        except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError) as failure:
            raise _Again(self._unreachable(endpoint, failure), None) from None
        except urllib3.exceptions.HTTPError as failure:  # reset, truncated body, broken gzip
            error = DataError(self._scrub(f"{endpoint} on {self._host}: the answer broke off ({failure})"))
            raise _Again(error, None) from None
        except (msgspec.DecodeError, UnicodeError, ArithmeticError) as failure:  # numbers no column can hold, too
            error = DataError(self._scrub(f"{endpoint} on {self._host}: the answer is not readable ({failure})"))
            raise _Again(error, None) from None
        self.last_ok_s = self._monotonic()
        self.round_trip_ms = (self.last_ok_s - start) * 1e3
        return result

    def _in_thread(self, work: Callable[[Vendor], T]) -> T:
        with self._opening:  # the first call pays the import of the vendor's package
            if self._vendor is None:
                self._vendor = open_vendor(self._settings, self._key)
        return work(self._vendor)

    def _classify(self, endpoint: str, refusal: HttpRefusal) -> DataError:
        said = self._scrub(_message(refusal.body))
        where = f"{endpoint} on {self._host}"
        match refusal.status:
            case 401:
                return DataAuthError(f"{where}: the key is not accepted ({said}); check QMTERM_POLYGON_KEY")
            case 403:
                return NotEntitled(f"{where}: your plan does not include it ({said})")
            case 404:
                return DataError(f"{where}: not found ({said}); check the symbol and [polygon] rest_url")
            case 429:
                return RateLimited(f"{where}: too many calls ({said}); lower [polygon] calls_per_minute")
            case status:
                return DataError(f"{where}: the server failed with {status} ({said}); it is tried again later")

    def _silent(self, endpoint: str, seconds: float) -> DataSilent:
        return DataSilent(f"{endpoint} on {self._host}: no complete answer in {seconds:g} s; is the server well?")

    def _unreachable(self, endpoint: str, failure: Exception) -> DataError:
        text = self._scrub(str(failure).rsplit(": ", 1)[-1])
        return DataError(f"{endpoint}: cannot reach {self._host} ({text}); check the network and [polygon] rest_url")

    def _scrub(self, text: str) -> str:
        for form in {self._key, quote(self._key, safe="")} - {""}:
            text = text.replace(form, "***")
        return "".join(char if char.isprintable() else " " for char in text)  # nothing that steers a terminal


def _follow(vendor: Vendor, url: str, decode: Callable[[bytes], T]) -> T:
    return decode(vendor.follow(url))


class _Again(Exception):
    """A failure that may pass: carries the error to raise when it does not."""

    def __init__(self, error: DataError, wait_s: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class _ErrorBody(msgspec.Struct):
    error: str = ""
    message: str = ""


def _message(body: str) -> str:
    """What the server said in words: its JSON message, or the first words of an HTML page."""
    try:
        parsed = msgspec.json.decode(body.encode(), type=_ErrorBody)
    except msgspec.DecodeError:
        words = " ".join(body.split())
        return (words[:80] + "…") if len(words) > 80 else words or "no explanation"
    return parsed.message or parsed.error or "no explanation"

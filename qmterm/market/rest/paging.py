"""Pages fetched one after the other in one worker thread, and read in another while the next one is on the wire.

The trap: on a fast line the hand-over between loop and thread costs as much as the page. So a thread goes on by itself
for a moment; the budget is asked before every page, and a failure waits for its turn to be dealt with where all are.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import msgspec

from qmterm.market.rest.bodies import Body
from qmterm.market.rest.vendor import Vendor

T = TypeVar("T")
Request = Callable[[Any], Any]
"""Calls one method of the vendor's client with raw=True."""

_RUN_S = 0.05  # what a cancelled caller's thread may still go on; slower pages go back to the loop each
_WAITING = 4  # pages to be read, before the next one is fetched
_head = msgspec.json.Decoder(Body)
_NEXT_URL = re.compile(rb'"next_url"\s*:\s*("(?:[^"\\]|\\.)+")')


class PageRun(Generic[T]):
    """Called with a vendor it fetches some pages, at least one; its caller calls until it is `over`.

    `more` says whether another page may be fetched at once; `most` pages are wanted, `cap` is the limit of anything.
    """

    def __init__(
        self,
        endpoint: str,
        request: Request,
        decode: Callable[[bytes], T],
        reader: ThreadPoolExecutor,
        more: Callable[[], bool],
        most: int,
    ) -> None:
        self._endpoint, self._decode, self._reader, self._more, self._most = endpoint, decode, reader, more, most
        self._fetch: Callable[[Vendor], bytes] = lambda vendor: request(vendor.client).data
        self._following: str | None = None
        self._failure: BaseException | None = None
        self._checks = False
        self.fetched = 0
        self.over = False
        self.reading: deque[Future[T]] = deque()  # no futures of the loop: it need not wake up for every page twice

    @property
    def where(self) -> str:
        return self._endpoint if self.fetched == 0 else f"{self._endpoint} (page {self.fetched + 1})"

    @property
    def is_complete(self) -> bool:
        """No page follows the last one that was fetched."""
        return self._following is None

    def __call__(self, vendor: Vendor) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        until = time.monotonic() + _RUN_S
        self._page(vendor)
        while not self.over and time.monotonic() < until and self._more():
            try:
                self._page(vendor)
            except Exception as failure:  # of the next call, whose name and attempts are its own
                self._failure = failure
                return

    def read_the_last_again(self) -> bool:
        """The last page was no page: it is fetched once more, and must be JSON to its end; False when it was already.

        A body that was cut off before it names the next page looks like the last one.
        """
        if self._checks:
            return False
        self._checks = True
        self.fetched -= 1
        self.over = False
        return True

    def cancel(self) -> None:
        self.over = True
        for future in tuple(self.reading):
            future.cancel()

    def _page(self, vendor: Vendor) -> None:
        body = self._fetch(vendor)
        if self._checks:
            _head.decode(body)
            self._checks = next_page(body) is None
        self.fetched += 1
        self.reading.append(self._reader.submit(self._decode, body))
        self._following = following = next_page(body)
        self.over = following is None or self.fetched >= self._most
        if following is not None:
            self._fetch = lambda vendor: vendor.follow(following)
        if len(self.reading) >= _WAITING:
            self.reading[-_WAITING].exception()  # wait; what went wrong is told where it is taken out


def next_page(body: bytes) -> str | None:
    """Where the next page is, found without reading all of this one; None on the last.

    The key cannot stand inside a text, where its quotes would be escaped.
    """
    found = _NEXT_URL.match(body, max(0, body.rfind(b'"next_url"')))
    return msgspec.json.decode(found[1], type=str) if found is not None else None

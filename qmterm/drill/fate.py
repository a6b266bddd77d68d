"""A real death at a chosen act: the process sends itself SIGKILL before or after the n-th write, send or answer.

Where drill/process.py pretends, this does: nothing runs after it, no cleanup, no flush, and the kernel keeps exactly
what was handed to it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import httpx2

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.drill.process import CrashPoint
from qmterm.journal.writer import Database, commit, open_connection

T = TypeVar("T")

SENT = "http11.send_request_body.complete"  # the HTTP client's own word for "all bytes are with the kernel"


class Fate:
    def __init__(self, point: CrashPoint | None) -> None:
        self._point = point
        self._counts: Counter[str] = Counter()
        self.cancels: dict[str, float] = {}  # path -> perf_counter() when its first cancel had left

    def before(self, act: str) -> None:
        self._counts[act] += 1
        self._perhaps(act, after=False)

    def after(self, act: str) -> None:
        self._perhaps(act, after=True)

    def _perhaps(self, act: str, *, after: bool) -> None:
        if self._point == CrashPoint(act, self._counts[act], after):
            os.kill(os.getpid(), signal.SIGKILL)

    # --- what is watched ---

    async def connect(self, path: Path) -> Database:
        """For Journal.open: the production connection, with its commits counted."""
        return MortalDatabase(await open_connection(path), self)

    def watch(self, broker: TastytradeBroker) -> None:
        """Count what leaves through the production client, and its answers."""
        hooks = broker.client_hooks
        hooks["request"].append(self._leaving)
        hooks["response"].append(self._answered)

    async def _leaving(self, request: httpx2.Request) -> None:
        if not _deed(request):
            return
        self.before("send")

        async def told(name: str, _info: dict[str, Any]) -> None:
            if name == SENT:
                if request.method == "DELETE":
                    self.cancels.setdefault(request.url.path, perf_counter())
                self.after("send")

        request.extensions = {**request.extensions, "trace": told}

    async def _answered(self, response: httpx2.Response) -> None:
        if _deed(response.request):
            self.before("answer")


def _deed(request: httpx2.Request) -> bool:
    return request.method != "GET" and "orders" in request.url.path  # complex ones too


class MortalDatabase:
    """See journal.writer.Database; each commit is a write, also one of many in turn, and dies on its own thread."""

    def __init__(self, inner: Database, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        called: list[Any] = [self._commit if part is commit else part for part in (function, *arguments)]
        result: T = await self._inner.run(*called)
        return result

    def _commit(self, *arguments: Any) -> list[bool]:
        self._fate.before("write")
        written = commit(*arguments)
        self._fate.after("write")
        return written

    async def close(self) -> None:
        await self._inner.close()

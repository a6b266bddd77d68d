"""A real death at a chosen act: the process sends itself SIGKILL before or after the n-th write, send or answer.

Of a write also once it is handed over: its scribe works on alone. At the act "scribe" it is the scribe that dies, with
a write before it and the engine alive.

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
from qmterm.journal.beside import open_beside
from qmterm.journal.commits import AtDisk, Batch, Outcome
from qmterm.journal.database import Database
from qmterm.journal.lock import JournalLock

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

    def meets(self, act: str) -> bool:
        """Whether the point is one more of these acts."""
        self._counts[act] += 1
        return self._point == CrashPoint(act, self._counts[act], after=False)

    def _perhaps(self, act: str, *, after: bool) -> None:
        if self._point == CrashPoint(act, self._counts[act], after):
            os.kill(os.getpid(), signal.SIGKILL)

    # --- what is watched ---

    async def connect(self, path: Path, lock: JournalLock) -> Database:
        """For Journal.open: the engine's own way, with its commits counted."""
        return MortalDatabase(await open_beside(path, lock), self)

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
    """See journal.database.Database; each commit is a write."""

    def __init__(self, inner: Database, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._inner.run(function, *arguments)

    async def commit(self, batch: Batch, at_disk: AtDisk | None) -> list[Outcome]:
        self._fate.before("write")
        if self._fate.meets("scribe"):
            os.kill(self.disk_thread, signal.SIGKILL)
        written = self._inner.commit(batch, at_disk)
        self._fate.before("handed")
        outcomes = await written
        self._fate.after("write")
        return outcomes

    @property
    def disk_thread(self) -> int:
        return self._inner.disk_thread

    async def close(self) -> None:
        await self._inner.close()

"""The broker and the engine's process for benchmarks of orders: this process is the broker, the child the engine."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from qmterm.bench.order_life import OrderLife
from qmterm.core.errors import QmtermError
from qmterm.core.instruments import OptionContract, Right
from qmterm.drill.child import Child
from qmterm.drill.house import TOKEN
from qmterm.drill.life import Terms
from qmterm.drill.market import STOCKS
from qmterm.drill.server import STEP_S, BrokerServer, SteppedMarket
from qmterm.sim.brokerage.app import Brokerage

CASH = Decimal(1_000_000)
STRIKES = 13  # calls on each of the four stocks
EXPIRY = date(2026, 4, 17)
ANSWER_S = 120.0

CONTRACTS = {
    contract.occ: contract
    for stock, spot in STOCKS.items()
    for number in range(STRIKES)
    if (contract := OptionContract(stock, EXPIRY, Right.CALL, Decimal(int(spot) + number)))
}


class OrderHost:
    """`async with`: a broker on loopback, and the engine's process for as long as it is wanted.

    `step_s`: how often the market moves and the broker confirms what was cancelled.
    """

    def __init__(self, step_s: float = STEP_S) -> None:
        self._step_s = step_s
        self._folder = tempfile.TemporaryDirectory(prefix="qmterm-bench-")
        self._said: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._child: Child | None = None
        self._cpus = os.sched_getaffinity(0) if sys.platform == "linux" else set()
        self.symbols = list(CONTRACTS)

    async def __aenter__(self) -> Self:
        self._origin = asyncio.get_running_loop().time()
        self._market = SteppedMarket(Random("bench"), self._origin, CONTRACTS)
        self.brokerage = Brokerage(self._market, TOKEN, CASH, participation=1.0)
        self.server = BrokerServer(self.brokerage, self._market)
        self.server.after_step = self._show_market
        await self.server.open(step_s=self._step_s)
        # A broker of its own for the bare SDK: ours would adopt its orders, and pay for it in both measurements.
        self.bare_server = BrokerServer(Brokerage(self._market, TOKEN, CASH), self._market)
        await self.bare_server.open(stepping=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
        await self.server.close()
        await self.bare_server.close()
        if sys.platform == "linux":
            os.sched_setaffinity(0, self._cpus)
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        self._folder.cleanup()

    async def start(self, *, fresh: bool = False) -> tuple[float, float]:
        """A start of the engine on the same journal; the engine's own seconds of it: all, and without slow calls."""
        journal = Path(self._folder.name) / "journal.sqlite"
        self._said = asyncio.Queue()
        terms = Terms(journal, self.server.url, self._origin, self._market.quotes, None)
        self._child = Child(terms, lambda what, body: self._said.put_nowait((what, body)), OrderLife, fresh=fresh)
        seconds: tuple[float, float] = await self.hear("ready")
        return seconds

    async def apart(self) -> bool:
        """Give the broker a CPU of its own, as one elsewhere takes none of ours; False with one CPU, or without Linux.

        Otherwise it is woken where the bytes of an order come from, before whoever measures looks at the clock. It
        makes way for the journal's scribe there.
        """
        if sys.platform != "linux" or len(self._cpus) < 2:
            return False
        own = max(self._cpus)
        os.sched_setaffinity(0, {own})
        with suppress(OSError):  # not allowed in every container
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        await self.ask("loop on", "there", cpus=self._cpus - {own})
        return True

    async def kill(self) -> None:
        """SIGKILL."""
        if self._child is not None:
            self._child.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(10.0):
                    await self._child.over.wait()
            self._child = None

    async def ask(self, what: str, answer: str, **body: Any) -> Any:
        if self._child is None:
            raise QmtermError("the engine is not started")
        self._child.tell(what, body)
        return await self.hear(answer)

    async def hear(self, wanted: str) -> Any:
        """The next message of that name; QmtermError with what went wrong instead."""
        last = ""
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    what, body = await self._next()
                    if what == wanted:
                        return body
                    if what in ("trouble", "failed"):
                        raise QmtermError(f"the measured engine: {body}")
                    last = str(body) if what == "line" else last
        except TimeoutError:
            raise QmtermError(f"the measured engine did not say {wanted!r} in time; its last word: {last}") from None

    async def _next(self) -> tuple[str, Any]:
        """What it said next; QmtermError when it died instead and had said everything."""
        assert self._child is not None
        said, over = asyncio.ensure_future(self._said.get()), asyncio.ensure_future(self._child.over.wait())
        try:
            await asyncio.wait((said, over), return_when=asyncio.FIRST_COMPLETED)
            if said.done():
                return said.result()
            raise QmtermError(f"the measured engine is gone: {self._child.how_it_ended}")
        finally:
            said.cancel()
            over.cancel()

    def _show_market(self) -> None:
        if self._child is not None:
            self._child.tell("quotes", self._market.quotes)

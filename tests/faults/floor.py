"""The production feed on a real simulator process that is told to fail: a floor to stand on for every fault test.

The simulator moves in steps that the test asks for (a market that stands still can be compared to the last digit),
but the feed does not know: it runs as in life, with its own time-outs, mute watch and reconnects, only shorter ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from typing import Any

import aiohttp
import numpy as np

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, et_date
from qmterm.core.reasons import Reason
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.core.settings.quality import QualitySettings
from qmterm.market.clock import StepClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.quality.gate import FRESH_WITHOUT_FEED_S
from qmterm.market.stream.state import StreamState
from tests.market.fakes import settings
from tests.sim.conftest import Simulator

CALENDAR = SessionCalendar.load(date(2024, 1, 1), date(2028, 12, 31))
RECOVERY_S = 10.0  # issue 4: whole again within this of the service's return
BEAT_S = 0.04  # real seconds between two steps of the market
WATCHED = frozenset({"SPY", "AAPL", "NVDA", "MSFT", "TSLA"})
PATIENCE: dict[str, Any] = {
    "read_timeout_s": 0.6,
    "deadline_s": 1.5,
    "connect_timeout_s": 0.5,
    "open_timeout_s": 1.0,
    "ping_s": 1.0,
    "mute_after_s": 0.8,
    "backoff_min_s": 0.05,
    "backoff_max_s": 0.5,
    "max_connections_wait_s": 0.5,
}


class Floor:
    def __init__(
        self,
        simulator: Simulator,
        http: aiohttp.ClientSession,
        now_ns: int,
        step_s: int,
        quality: QualitySettings | None = None,
        fresh_s: float = 0.0,
        **changes: Any,
    ) -> None:
        self.simulator = simulator
        self._http = http
        self._headers = {"Authorization": f"Bearer {simulator.token}"}
        self.clock = StepClock(now_ns)
        self._market_ns, self._step_ns = now_ns, step_s * NS
        self.states: list[tuple[str, str, str]] = []
        self.words: list[tuple[StreamState, Reason | None]] = []
        chosen = settings(simulator.url, simulator.ws_url, **{**PATIENCE, **changes})
        self.feed = PolygonFeed(
            chosen,
            simulator.token,
            self.clock,
            CALENDAR,
            on_state=self._on_state,
            quality=quality,
            analysis=AnalysisSettings(chain_fresh_s=fresh_s),
        )
        if not fresh_s:  # even at the same instant a chain is read again: what is tested is the reading
            self.feed.chains._cache = None

    def _on_state(self, cluster: str, state: StreamState, why: str) -> None:
        """What became of a stream, and what the gate says then of a stock's price that is some seconds old."""
        self.states.append((cluster, str(state), why))
        if cluster == "stocks":
            later = self.clock.now() + int((FRESH_WITHOUT_FEED_S + 1) * NS)
            self.words.append((state, self.feed.quality.stock("SPY", later)))

    def refused_while_down(self) -> bool:
        """The stream was down, and at every moment of that an older price was refused, and only then."""
        down = [word for state, word in self.words if state is not StreamState.LIVE]
        up = [word for state, word in self.words if state is StreamState.LIVE]
        return bool(down) and set(down) == {Reason.FEED_DOWN} and set(up) == {None}

    @property
    def board(self):
        return self.feed.board

    # --- the simulator ---

    async def ask(self, method: str, path: str, body: object = None) -> dict:
        async with self._http.request(
            method, self.simulator.url + path, json=body, headers=self._headers, timeout=aiohttp.ClientTimeout(120)
        ) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def fault(self, name: str, **more: object) -> None:
        await self.ask("POST", "/sim/faults", {"fault": name, **more})

    async def heal(self) -> None:
        """The service is well again: from here recovery is timed."""
        await self.ask("DELETE", "/sim/faults")

    async def step(self, count: int = 1) -> int:
        """The market moves; the step's number.

        Our clock goes first, or what comes would be stamped ahead of it; of a leap most is, and is held back.
        """
        if count == 1:
            self.clock.set(self._market_ns + self._step_ns)
        answer = await self.ask("POST", "/sim/advance", {"steps": count})
        self._market_ns = answer["now_ns"]
        self.clock.set(self._market_ns)
        return int(answer["step"])

    async def read(self, count: int = 1) -> None:
        """Steps, and all that they brought is on the board."""
        for _ in range(count):
            step = await self.step()
        await self.until(lambda: self.feed._stocks.last_step >= step, what="the step's marker")

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Steps one after the other for as long as this lasts."""

        async def beat() -> None:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):  # the simulator may be away
                    await self.step()
                await asyncio.sleep(BEAT_S)

        task = asyncio.get_running_loop().create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # --- the feed ---

    @property
    def live(self) -> bool:
        """The stream runs and carries all that is wanted."""
        stocks = self.feed._stocks
        return stocks.state is StreamState.LIVE and stocks._wanted <= stocks.confirmed

    async def until(self, fact: Callable[[], object], seconds: float = RECOVERY_S, what: str = "") -> float:
        """Real seconds until something is so; what the feed said when it never is."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not fact():
            assert loop.time() - began < seconds, f"not in {seconds:g} s: {what or fact} {self.states[-6:]}"
            await asyncio.sleep(0.01)
        return loop.time() - began

    async def whole_again(self, seconds: float = RECOVERY_S) -> float:
        """Until the stream is live and the board says what the market says; asserts that it takes no longer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self.moving():
            seen = self.feed._stocks.counters.events
            await self.until(lambda: self.live and self.feed._stocks.counters.events > seen, seconds, "live")
        difference = await self.difference()
        while difference:
            assert loop.time() - began < seconds, f"board and market differ: {difference}"
            difference = await self.difference()
        return loop.time() - began

    async def difference(self) -> list[str]:
        return await self.difference_of(WATCHED)

    async def difference_of(self, names: frozenset[str]) -> list[str]:
        """A step that is read to its end; then where the board's quotes and trades of some names are wrong."""
        step = await self.step()
        stocks = self.feed._stocks
        with suppress(AssertionError):
            await self.until(lambda: stocks.last_step >= step, 1.0, "the step's marker")
        rows = await self.truth()
        wrong = []
        for symbol in sorted(names):
            row, number = rows[symbol], self.board.stocks.numbers[symbol]
            table = self.board.stocks
            quote, trade = row["lastQuote"], row["lastTrade"]
            told = (table.bid[number], table.ask[number], table.last[number])
            true = (quote["p"], quote["P"], trade["p"])
            if not np.allclose(told, true, rtol=0, atol=1e-9):
                wrong.append(f"{symbol}: {told} for {true}")
        return wrong

    async def truth(self) -> dict[str, dict]:
        body = await self.ask("GET", "/v2/snapshot/locale/us/markets/stocks/tickers")
        return {row["ticker"]: row for row in body["tickers"]}

    async def chain(self, underlying: str = "SPY", days: int = 7):
        now = self.clock.now()
        return await self.feed.chains.read(underlying, now, et_date(now), et_date(now) + timedelta(days=days))


@asynccontextmanager
async def floor(simulator: Simulator, watch: frozenset[str] = WATCHED, **changes: Any) -> AsyncIterator[Floor]:
    """A started feed that watches some names and hears them; whatever was switched on is off afterwards."""
    async with aiohttp.ClientSession() as http:
        state = await asyncio.to_thread(simulator.call, "GET", "/sim/state")
        one = Floor(simulator, http, state[1]["now"], state[1]["step_s"], **changes)
        try:
            await one.feed.start()
            one.feed.watch(watch, frozenset())
            await one.feed.settled()
            yield one
        finally:
            await one.feed.close()
            with suppress(aiohttp.ClientError):
                await one.heal()

"""The market as the engine sees it: REST, two streams, board, chains and history behind one object.

The trap: the options socket exists only while contracts are watched (a plan without options would refuse it and
count it), and an option watched before its socket is up must not be forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import et_date
from qmterm.core.errors import DataError, NotEntitled
from qmterm.core.instruments import parse_option
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.core.settings.connections import PolygonSettings
from qmterm.market.analysis.cache import AnalysisCache
from qmterm.market.board.board import Board
from qmterm.market.board.wire import FrameDecoder, FrameReport
from qmterm.market.chains.chains import Chains
from qmterm.market.chains.listed import OptionsListed
from qmterm.market.chains.pricing import warm_up
from qmterm.market.rest.budget import BudgetView, Priority, asking_for
from qmterm.market.rest.client import PolygonRest
from qmterm.market.stream.latency import FeedLatency
from qmterm.market.stream.socket import MarketStream
from qmterm.market.stream.state import StreamState

_RATE_WINDOW_S = 5.0


class PacedClock(Protocol):
    """A market clock that knows its speed (market/clock.py)."""

    @property
    def rate(self) -> float | None: ...

    def now(self) -> int: ...

    def monotonic(self) -> float: ...


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """What the header shows. `state` is the stocks stream's, or "delayed" when it lives on 15 minutes old data."""

    state: str
    why: str
    age_s: float | None  # real seconds since the last frame
    events_per_s: float
    delayed: bool
    latency_ms: tuple[float, float] | None  # p50, p99
    options_state: str | None  # None while no contract is watched
    refused: tuple[str, ...]  # channels and REST families the plan does not include
    events: int
    drops: int
    malformed: int
    unknown: int
    late: int
    budget: BudgetView


class PolygonFeed:
    """Use from one event loop. `symbols` preloads the board; the snapshot adds what it lacks."""

    def __init__(
        self,
        settings: PolygonSettings,
        key: str,
        clock: PacedClock,
        calendar: SessionCalendar,
        *,
        symbols: Iterable[str] = (),
        lockstep: bool = False,
        on_frame: Callable[[FrameReport], None] | None = None,
        on_state: Callable[[str, StreamState, str], None] | None = None,
        rest: PolygonRest | None = None,
        analysis: AnalysisSettings | None = None,
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._on_frame = on_frame
        self._lockstep = lockstep
        self.settings = settings
        self.rest = rest or PolygonRest(settings, key, clock.monotonic)
        self.board = Board(symbols, settings.bar_grace_s)
        self.cache = AnalysisCache(self.rest, clock, analysis or AnalysisSettings(), patient=lockstep)
        self.chains = Chains(self.rest, self.board, calendar, self.cache)
        self.listed = OptionsListed(self.rest)
        self.latency = FeedLatency()
        self._stocks = self._stream("stocks", key, on_state)
        self._options = self._stream("options", key, on_state)
        self._options_on = False
        self._filling: asyncio.Task[None] | None = None
        self._rate_from = (clock.monotonic(), 0)
        self._rate = 0.0
        self.snapshot_refused = ""

    # --- life ---

    async def start(self, progress: Callable[[str], None] | None = None) -> None:
        """Snapshot, yields and the stocks stream. A plan without snapshots starts with an empty board and says so."""
        say = progress or (lambda text: None)
        say("option kernels")
        await asyncio.to_thread(warm_up)
        say("market snapshot")
        await self.load_snapshot()
        say("Treasury yields")
        await self.load_yields()
        say("stream")
        self._stocks.want(frozenset({"AM.*"}))
        self._stocks.start()

    async def load_snapshot(self) -> None:
        """The whole market in one call, onto the board; also the way back after a hole in the stream."""
        now = self._clock.now()
        day = et_date(now)
        if self._calendar.is_session(day):
            bounds = self._calendar.open_ns(day), self._calendar.close_ns(day)
            if bounds[0] != self.board.session_open_ns:
                self.board.start_session(*bounds)
        try:
            with asking_for(Priority.POSITIONS):  # what is held is marked with it
                snapshot = await self.rest.whole_market_snapshot()
        except NotEntitled as refusal:
            self.snapshot_refused = str(refusal)
            return
        self.board.load_snapshot(snapshot, self._clock.now())

    async def load_yields(self) -> None:
        """The Treasury curve for option rates; without it chains use the fallback rate and say so."""
        try:
            month_ago = et_date(self._clock.now()) - timedelta(days=30)
            self.chains.set_yields(await self.rest.treasury_yields(month_ago))
        except DataError:
            self.chains.set_yields(None)

    async def close(self) -> None:
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        await self._stocks.close()
        await self._options.close()
        await self.cache.close()
        self.rest.close()

    # --- what is watched ---

    def watch(self, stocks: frozenset[str], options: frozenset[str]) -> None:
        """Trades and quotes of these tickers and OCC contracts, minute bars of everything; replaces the last wish.

        SubscriptionLimit when the contracts are more than one connection carries; then nothing changes.
        """
        contracts = frozenset(parse_option(occ) for occ in options)
        wanted = frozenset(f"{kind}.{contract.polygon}" for contract in contracts for kind in ("T", "Q"))
        self._options.want(wanted)
        self.board.add_stocks(sorted(stocks - self.board.stocks.numbers.keys()))
        self.board.options.add(sorted(contract.occ for contract in contracts))
        self._stocks.want(frozenset({"AM.*"} | {f"{kind}.{symbol}" for symbol in stocks for kind in ("T", "Q")}))
        if wanted and not self._options_on:
            self._options_on = True
            self._options.start()

    # --- lockstep ---

    async def wait_step(self, step: int, timeout: float = 30.0) -> None:
        """Until every stream read this step's marker, or came back after a drop and the snapshot filled the hole."""
        for stream in (self._stocks, self._options) if self._options_on else (self._stocks,):
            if not await stream.wait_step(step, timeout):
                await stream.resume(timeout)
                await self.load_snapshot()

    async def settled(self, timeout: float = 30.0) -> None:
        """Until the server has confirmed (or refused) all that is wanted: a lockstep run asks before it steps on."""
        await self._stocks.wait_settled(timeout)
        if self._options_on:
            await self._options.wait_settled(timeout)

    # --- how it is doing ---

    def age_s(self) -> float | None:
        """Real seconds since the stocks stream's last frame; None before the first."""
        last = self._stocks.last_frame_s
        return None if last is None else max(0.0, self._clock.monotonic() - last)

    @property
    def status(self) -> FeedStatus:
        stocks, options = self._stocks, self._options
        events = stocks.counters.events + options.counters.events
        delayed = self.rest.delayed or "delayed." in self.settings.ws_url
        state = "delayed" if delayed and stocks.state is StreamState.LIVE else str(stocks.state)
        return FeedStatus(
            state=state,
            why=stocks.notes.refusal or (stocks.notes.last_drop if stocks.state is not StreamState.LIVE else ""),
            age_s=self.age_s(),
            events_per_s=self._events_per_s(events),
            delayed=delayed,
            latency_ms=self.latency.percentiles(),
            options_state=str(options.state) if self._options_on else None,
            refused=tuple(sorted({*stocks.notes.refused, *options.notes.refused, *self.rest.entitlements.refused})),
            events=events,
            drops=stocks.counters.drops + options.counters.drops,
            malformed=stocks.counters.malformed + options.counters.malformed,
            unknown=stocks.counters.unknown + options.counters.unknown,
            late=stocks.counters.late + options.counters.late,
            budget=self.rest.budget.view(),
        )

    # --- inside ---

    def _stream(self, cluster: str, key: str, on_state: Callable[[str, StreamState, str], None] | None) -> MarketStream:
        def state(new: StreamState, why: str) -> None:
            if new is StreamState.LIVE and cluster == "stocks" and self._stocks.counters.drops and not self._lockstep:
                self._filling = asyncio.get_running_loop().create_task(self._fill_hole(), name="fill the stream's hole")
            if on_state is not None:
                on_state(cluster, new, why)

        return MarketStream(
            f"{self.settings.ws_url}/{cluster}",
            key,
            self.settings,
            FrameDecoder(self.board, cluster),
            # In lockstep frames race with the answer that moves the clock: arrivals are the data's own times then.
            (lambda: 0) if self._lockstep else self._clock.now,
            expects_data=self._expects_data,
            on_frame=self._frame,
            on_state=state,
            monotonic=self._clock.monotonic,
        )

    async def _fill_hole(self) -> None:
        """What the stream missed while it was down; when that fails the stream still goes on by itself."""
        with suppress(DataError):
            await self.load_snapshot()

    def _expects_data(self) -> bool:
        """Regular session only, and never in lockstep, where silence means that nobody stepped."""
        return not self._lockstep and self._calendar.phase(self._clock.now()) is Phase.REGULAR

    def _frame(self, report: FrameReport) -> None:
        if report.newest_ns:
            self.latency.add(report.newest_ns, self._clock.now(), self._clock.rate)
        if self._on_frame is not None:
            self._on_frame(report)

    def _events_per_s(self, events: int) -> float:
        """Over a window of some seconds; the first look after it closes moves it on."""
        now = self._clock.monotonic()
        since, before = self._rate_from
        if now - since >= _RATE_WINDOW_S:
            self._rate = (events - before) / (now - since)
            self._rate_from = (now, events)
        elif not self._rate and now > since:
            return (events - before) / (now - since)
        return self._rate

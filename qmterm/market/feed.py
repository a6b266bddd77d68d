"""The market as the engine sees it: REST, two streams, board, chains and history behind one object.

The trap: the options socket exists only while contracts are watched (a plan without options would refuse it and
count it), and an option watched before its socket is up must not be forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import partial

from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, et_date
from qmterm.core.errors import DataError, NotEntitled
from qmterm.core.instruments import parse_option
from qmterm.core.settings.analysis import AnalysisSettings
from qmterm.core.settings.connections import Plan, PolygonSettings
from qmterm.core.settings.quality import QualitySettings
from qmterm.market.analysis.cache import AnalysisCache
from qmterm.market.bars.live import LiveBars, Tell
from qmterm.market.board.board import Board
from qmterm.market.board.trades import TradeTape
from qmterm.market.board.wire import FrameDecoder, FrameReport
from qmterm.market.chains.chains import Chains
from qmterm.market.chains.listed import OptionsListed
from qmterm.market.quality.coverage import Listed
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.records import SnapshotColumns
from qmterm.market.rest.budget import Priority, asking_for
from qmterm.market.rest.client import PolygonRest
from qmterm.market.status import FeedStatus, PacedClock
from qmterm.market.stream import canaries
from qmterm.market.stream.keeper import MinuteKeeper
from qmterm.market.stream.latency import FeedLatency
from qmterm.market.stream.order import Standing
from qmterm.market.stream.rate import EventRate
from qmterm.market.stream.repair import MinuteRepair
from qmterm.market.stream.rotation import Rotation
from qmterm.market.stream.socket import MarketStream
from qmterm.market.stream.state import StreamState
from qmterm.market.stream.vigil import Tide
from qmterm.market.warm_up import warm_up
from qmterm.tape.recorder import FrameRecorder

__all__ = ["DELAY_NS", "FeedStatus", "PacedClock", "PolygonFeed"]

DELAY_NS = 15 * 60 * NS
_TIDES = {Phase.PRE: Tide.THIN, Phase.REGULAR: Tide.BUSY, Phase.POST: Tide.THIN}


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
        recorder: FrameRecorder | None = None,
        analysis: AnalysisSettings | None = None,
        quality: QualitySettings | None = None,
        tell: Tell = lambda symbol, text: None,
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._on_frame = on_frame
        self._lockstep = lockstep
        self._recorder = recorder
        self._wished: frozenset[str] = frozenset()  # stocks whose trades and quotes somebody watches
        self._canaries: tuple[str, ...] = ()
        self.settings = settings
        self.rest = rest or PolygonRest(settings, key, clock.monotonic)
        self.board = Board(symbols, settings.bar_grace_s)
        self.cache = AnalysisCache(self.rest, clock, analysis or AnalysisSettings(), patient=lockstep)
        self.quality = QualityWatch(
            self.board,
            quality,
            delayed=lambda: self.stocks_delayed,
            options_delayed=lambda: self.options_delayed,
            stocks_down=lambda: self._down("stocks"),
            options_down=lambda: self._options_on and self._down("options"),
        )
        self.chains = Chains(self.rest, self.board, calendar, self.quality, self.cache)
        self.listed = OptionsListed(self.rest)
        self.latency = FeedLatency(partial(tell, ""))
        self.option_trades = TradeTape()  # of the watched contracts, for options flow
        self._stock_trades = TradeTape()
        self.bars = LiveBars(self.board, self._stock_trades, tell)
        self._stocks = self._stream("stocks", key, on_state)
        self._options = self._stream("options", key, on_state)
        self._options_on = False
        self._rotation = Rotation(settings.options_quote_limit)
        self._quoted: frozenset[str] = frozenset()  # contracts on the stream now
        self.standing: Callable[[], Standing] = lambda: Standing(watched=sorted(self._wished))
        self.minutes = MinuteRepair(
            self.board,
            self.rest,
            self._read_snapshot,
            lambda: self.standing(),
            # In lockstep waits are the market's: how long the machine takes must not decide what is repaired when.
            (lambda: clock.now() / NS) if lockstep else clock.monotonic,
            settings.budget_per_minute,
            tell,
        )
        self._keeper = MinuteKeeper(
            self.minutes, self.bars, self._stocks, self._market_ns, lambda: self._last_data_ns, self._may_audit
        )
        self._last_data_ns = 0
        self._delays_of: date | None = None  # the day that the delays were seen on
        self._filling: asyncio.Task[None] | None = None
        self._rate = EventRate(clock.monotonic())
        self.snapshot_refused = ""
        self.snapshot_symbols: tuple[str, ...] = ()  # what the vendor's latest whole-market snapshot held

    # --- life ---

    async def start(self, progress: Callable[[str], None] | None = None) -> None:
        """Snapshot, yields and the stocks stream. A plan without snapshots starts with an empty board and says so."""
        say = progress or (lambda text: None)
        say("machine code (compiling, once)")
        await asyncio.to_thread(warm_up)
        say("market snapshot")
        await self.load_snapshot()
        say("Treasury yields")
        await self.load_yields()
        say("stream")
        self._choose_canaries()
        self._want_stocks()
        self._stocks.start()
        if not self._lockstep:
            self._keeper.start()

    async def load_snapshot(self) -> None:
        """The whole market in one call, onto the board; also the way back after a hole in the stream."""
        await self._read_snapshot()

    async def _read_snapshot(self) -> SnapshotColumns | None:
        """`load_snapshot`, and what was read; None where the plan has none."""
        now = self._clock.now()
        day = et_date(now)
        if self._calendar.is_session(day):
            bounds = self._calendar.open_ns(day), self._calendar.close_ns(day)
            if bounds[0] != self.board.session_open_ns:
                self.board.start_session(*bounds)
                self.minutes.start_session(*bounds)
                for stream in (self._stocks, self._options):
                    stream.forget_refusals()
        try:
            with asking_for(Priority.POSITIONS):  # what is held is marked with it
                snapshot = await self.rest.whole_market_snapshot()
        except NotEntitled as refusal:
            self.snapshot_refused = str(refusal)
            self._begin_delays(day, stocks=False)
            return None
        self._begin_delays(day, stocks=snapshot.delayed)
        self.snapshot_symbols = snapshot.symbols
        self.board.load_snapshot(snapshot, self._clock.now())
        self._choose_canaries()
        return snapshot

    def _begin_delays(self, day: date, *, stocks: bool) -> None:
        """Plans change overnight: what was delayed yesterday is only believed to be once it is seen again."""
        if day != self._delays_of:
            self._delays_of = day
            self.rest.stocks_delayed, self.rest.options_delayed = stocks, False
            self.chains.delayed = False

    async def active_symbols(self) -> Listed | None:
        """What the vendor lists as active, from its reference; None when the plan has none of it."""
        try:
            rows = await self.rest.tickers()
        except NotEntitled:
            return None
        return Listed(tuple(rows.ticker), tuple(rows.type))

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
        await self._keeper.close()
        await self._stocks.close()
        await self._options.close()
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
        await self.cache.close()
        self.rest.close()

    # --- what is watched ---

    def watch(self, stocks: frozenset[str], options: frozenset[str], later: Sequence[str] = ()) -> None:
        """Trades and quotes of these tickers and OCC contracts, minute bars of everything; replaces the last wish.

        `later` are contracts wanted as far as there is room, the most wanted first: where they are too many the last
        ones take turns (`rotate`). Nothing that cannot be subscribed is an error here.
        """
        self.board.add_stocks(sorted(stocks - self.board.stocks.numbers.keys()))
        self._wished = stocks
        self._want_stocks()
        self._rotation.wish(options, later)
        self.rotate()

    def rotate(self) -> None:
        """Whose turn it is now; cheap when nothing turns."""
        quoted = self._rotation.at(self._clock.now())
        if quoted == self._quoted:
            return
        contracts = frozenset(parse_option(occ) for occ in quoted)
        self.board.options.add(sorted(contract.occ for contract in contracts))
        self._options.want(frozenset(f"{kind}.{contract.polygon}" for contract in contracts for kind in ("T", "Q")))
        self._quoted = quoted
        if quoted and not self._options_on:
            self._options_on = True
            self._options.start()

    @property
    def lacks_option_quotes(self) -> bool:
        """The plan has no live quotes of contracts, or the server refused them."""
        refused = any(channel.startswith("Q.O:") for channel in self._options.notes.refused)
        return refused or self.settings.plan is not Plan.ADVANCED

    def turn(self) -> None:
        """Once a turn of the owner, before it looks at five-minute closes: watched stocks' trades become bars."""
        self._keeper.turn()

    # --- lockstep ---

    async def wait_step(self, step: int, timeout: float = 30.0) -> None:
        """Until every stream read this step's marker, or came back after a drop and the snapshot filled the hole."""
        for stream in (self._stocks, self._options) if self._options_on else (self._stocks,):
            if not await stream.wait_step(step, timeout):
                await stream.resume(timeout)
                await self.load_snapshot()
        await self._keeper.step(self._clock.now())

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
    def stocks_delayed(self) -> bool:
        """Everything about stocks is 15 minutes old, by the plan. Options have a plan of their own."""
        return self.rest.stocks_delayed or "delayed." in self.settings.ws_url

    @property
    def options_delayed(self) -> bool:
        return self.rest.options_delayed or self.chains.delayed or "delayed." in self.settings.ws_url

    def _down(self, cluster: str) -> bool:
        """In a session and not delivering. In lockstep a step waits for its data, so nothing is ever judged without."""
        stream = self._stocks if cluster == "stocks" else self._options
        return stream.state is not StreamState.LIVE and self._tide(cluster) is Tide.BUSY

    @property
    def status(self) -> FeedStatus:
        stocks, options, ledger = self._stocks, self._options, self.minutes.ledger
        events = stocks.counters.events + options.counters.events
        return FeedStatus(
            state=_state(stocks, delayed=self.stocks_delayed),
            why=stocks.notes.refusal or (stocks.notes.last_drop if stocks.state is not StreamState.LIVE else ""),
            age_s=self.age_s(),
            events_per_s=self._rate.look(events, self._clock.monotonic()),
            delayed=self.stocks_delayed,
            latency_ms=self.latency.percentiles(),
            options_state=_state(options, delayed=self.options_delayed) if self._options_on else None,
            refused=tuple(sorted({*stocks.notes.refused, *options.notes.refused, *self.rest.entitlements.refused})),
            events=events,
            drops=stocks.counters.drops + options.counters.drops,
            malformed=stocks.counters.malformed + options.counters.malformed + self.rest.unreadable,
            unknown=stocks.counters.unknown + options.counters.unknown,
            late=stocks.counters.late + options.counters.late,
            budget=self.rest.budget.view(),
            mutes=stocks.counters.mutes + options.counters.mutes,
            lost_minutes=ledger.lost,
            repaired_minutes=ledger.mended,
            lost_bars=ledger.lost_bars.unknown,
            repaired_by_bars=ledger.lost_bars.by_bars,
            repaired_by_snapshot=ledger.lost_bars.by_snapshot,
            repair_trouble=self.minutes.last_failure if ledger.lost else "",
            bars_checked=self.bars.checked,
            bars_differ=self.bars.differ,
            bars_own=self.bars.own,
            contracts_wanted=self._rotation.wanted,
            recording="" if self._recorder is None else self._recorder.stopped or "on",
        )

    # --- inside ---

    def _choose_canaries(self) -> None:
        """None in lockstep, where silence says nothing and every subscription belongs to the run's result."""
        chosen = () if self._lockstep else canaries.resolve(self.settings.canaries, self.board.stocks)
        if chosen != self._canaries:
            self._canaries = chosen
            self._stocks.listen_for(frozenset(chosen))
            self._want_stocks()

    def _want_stocks(self) -> None:
        listened = canaries.channels(self._canaries, self._stocks.notes.refused)
        watched = {f"{kind}.{symbol}" for symbol in self._wished for kind in ("T", "Q")}
        self._stocks.want(frozenset({"AM.*", "LULD.*"} | watched | listened))

    def _record(self, cluster: str) -> Callable[[int, bytes], None] | None:
        recorder = self._recorder
        if recorder is None:
            return None
        return lambda arrival_ns, frame: recorder.add(cluster, arrival_ns, int(self._clock.monotonic() * NS), frame)

    def _stream(self, cluster: str, key: str, on_state: Callable[[str, StreamState, str], None] | None) -> MarketStream:
        def state(new: StreamState, why: str) -> None:
            if cluster == "stocks" and new in (StreamState.MUTE, StreamState.BACKOFF):
                self.minutes.ledger.went_down(self._last_data_ns or self._market_ns())
            if new is StreamState.LIVE and cluster == "stocks" and self._stocks.counters.drops and not self._lockstep:
                self.minutes.service_is_back()
                self._filling = asyncio.get_running_loop().create_task(self._fill_hole(), name="fill the stream's hole")
            if on_state is not None:
                on_state(cluster, new, why)

        return MarketStream(
            f"{self.settings.ws_url}/{cluster}",
            key,
            self.settings,
            FrameDecoder(self.board, cluster, self.option_trades if cluster == "options" else self._stock_trades),
            # In lockstep frames race with the answer that moves the clock: arrivals are the data's own times then.
            (lambda: 0) if self._lockstep else self._clock.now,
            tide=lambda: self._tide(cluster),
            rate=lambda: self._clock.rate,
            on_frame=self._frame if cluster == "options" else self._stocks_frame,
            on_state=state,
            on_refused=self._want_stocks if cluster == "stocks" else lambda: None,
            record=self._record(cluster),
            monotonic=self._clock.monotonic,
        )

    async def _fill_hole(self) -> None:
        """What the stream missed while it was down; when that fails the stream still goes on by itself."""
        now = self._market_ns()
        with suppress(DataError):
            snapshot = await self._read_snapshot()
            if snapshot is not None:
                self.minutes.check(snapshot, now)

    def _market_ns(self, cluster: str = "stocks") -> int:
        """Of the data that come now: delayed ones are a quarter of an hour old."""
        delayed = self.stocks_delayed if cluster == "stocks" else self.options_delayed
        return self._clock.now() - (DELAY_NS if delayed else 0)

    def _may_audit(self) -> bool:
        return not self.snapshot_refused and self.rest.caller.budget.wait_s <= 0

    def _tide(self, cluster: str) -> Tide:
        """Never busy in lockstep, where silence means that nobody stepped; delayed data live a quarter hour ago."""
        if self._lockstep:
            return Tide.STILL
        return _TIDES.get(self._calendar.phase(self._market_ns(cluster)), Tide.STILL)

    def _stocks_frame(self, report: FrameReport) -> None:
        if report.events:
            self._last_data_ns = self._market_ns()
        self._frame(report)

    def _frame(self, report: FrameReport) -> None:
        if report.newest_ns:
            self.latency.add(report.newest_ns, self._clock.now(), self._clock.rate)
        if self._on_frame is not None:
            self._on_frame(report)


def _state(stream: MarketStream, *, delayed: bool) -> str:
    return "delayed" if delayed and stream.state is StreamState.LIVE else str(stream.state)

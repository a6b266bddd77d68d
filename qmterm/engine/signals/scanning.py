"""The scanner inside the engine: history once a session, then every pass is array maths over the board's prices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import DailyPanel, FloatArray, IntArray
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, Clock, et_date
from qmterm.core.compute import ComputeThread
from qmterm.core.errors import DataError
from qmterm.core.instruments import option_root
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, ScannerSettings
from qmterm.core.signals import Signal, SignalState
from qmterm.engine.orders.underlyings import Daily
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.history_pull import HistoryPull, Progress
from qmterm.market.board.board import Board
from qmterm.market.chains.cash import LOOK_BACK_DAYS
from qmterm.market.history.history import History, PullReport
from qmterm.market.quality.codes import CodeArray, QuoteCode, code_name
from qmterm.market.quality.coverage import Coverage, CoverageView
from qmterm.market.quality.stocks import DAY_NS, SHOWN_ANYWAY
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.records import Split
from qmterm.quant.indicators.features import Features, last_features
from qmterm.strategy.matrix_columns import STATE_CODE
from qmterm.strategy.scanner import ScanResult, daily_mtf, scan
from qmterm.strategy.signals_log import changes

RECENT = 5  # sessions
LEAST_SPLIT = 1.15  # a price so many times off the last close may be a split's (6:5 and what the day adds)


class Scanning:
    def __init__(
        self,
        board: Board,
        history: History,
        calendar: SessionCalendar,
        compute: ComputeThread,
        clock: Clock,
        log: RunLog,
        matrix: AtrMatrixSettings,
        scanner: ScannerSettings,
        sessions: int,
        pull: HistoryPull,
        quality: QualityWatch,
    ) -> None:
        self._board = board
        self._history = history
        self._pull = pull
        self._loaded = 0  # sessions in the panel
        self._calendar = calendar
        self._compute = compute
        self._clock = clock
        self._log = log
        self._matrix = matrix
        self._scanner = scanner
        self._sessions = sessions
        self._quality = quality
        quality.ticker_of = self.ticker
        self._panel: DailyPanel | None = None
        self._features: Features | None = None
        self._mtf: FloatArray | None = None
        self._numbers: IntArray = np.empty(0, dtype=np.int64)
        self._result_numbers = self._numbers  # of the latest result: a reload may order its symbols anew
        self._listed: NDArray[np.int8] = np.empty(0, dtype=np.int8)
        self._row_of: dict[str, int] = {}
        self._ticker_of: dict[str, str] = {}  # BRKB, as its options are named -> BRK.B, as the stock is
        self._before: NDArray[np.int8] | None = None
        self._rescaled = False
        self._splits_day: date | None = None  # splits are known up to and with this day
        self._followed: date | None = None  # and the stops' prices are of this day's shares
        self._learned = self._in_panel = 0  # splits learned in this run; those the panel was made with
        self.on_splits: Callable[[tuple[Split, ...]], None] = lambda splits: None  # hears of all that are known
        self.coverage = Coverage()
        self.codes: CodeArray = np.empty(0, dtype=np.int8)  # the gate's word on each price, in the result's order
        self.result: ScanResult | None = None
        self.scanned_ns: int | None = None
        self.scan_ms: float | None = None
        self.signals = 0

    # --- loading ---

    async def load(self, progress: Progress) -> None:
        """History up to the last completed session, pulled where it is missing, and all indicators.

        When the plan makes the pull long, it goes on behind and the newest sessions that are there are loaded, in
        steps (`outdated` says when). DataError when too little could be had to compute anything.
        """
        last = self._calendar.last_completed(self._clock.now())
        days = self._calendar.last_n(last, self._sessions)
        report = await self._pull.run(days, progress)
        sessions = self._pull.ready_step()
        if report is not None:
            self._judge(report, len(days))
        elif sessions == 0 or (self._of(last) and sessions <= self._loaded):
            return  # too little to look at, or nothing new
        await self._refresh_splits()
        if self._history.unsaved:
            self._log.warn("FEED", f"splits and renames are known in this run only: {self._history.unsaved}")
        self._rescaled = False  # the panel below is made with all of them
        learned = self._learned
        progress(self._pull.text or "indicators")
        panel = await self._history.panel(last, sessions, allow_missing=report is not None and bool(report.failed))
        self._loaded = sessions
        features = await self._compute.arun(last_features, panel)
        mtf = await self._compute.arun(daily_mtf, panel, features, self._calendar)
        self._board.add_stocks(panel.symbols)
        numbers = self._board.stocks.numbers
        if self._panel is None or self._panel.symbols != panel.symbols:
            listed = {s: int(self._listed[r]) for s, r in self._row_of.items() if self._listed[r] >= 0}
            before = {} if self._before is None else {s: int(self._before[r]) for s, r in self._row_of.items()}
            for change in self._history.renames:
                if change.old in before:
                    before.setdefault(change.new, before[change.old])
                    listed.setdefault(change.new, listed.get(change.old, -1))
            self._row_of = {symbol: row for row, symbol in enumerate(panel.symbols)}
            self._numbers = np.array([numbers[symbol] for symbol in panel.symbols], dtype=np.int64)
            self._listed = np.array([listed.get(symbol, -1) for symbol in panel.symbols], dtype=np.int8)
            # A symbol that was known keeps its state: only changes are signals, not a universe that grew by one name.
            known = [before.get(symbol, STATE_CODE[SignalState.NO_DATA]) for symbol in panel.symbols]
            self._before = np.array(known, dtype=np.int8) if before else None
            self._ticker_of = {option_root(s): s for s in panel.symbols if option_root(s) != s}
            # What is held under an old name is judged by the stock that goes on.
            former = {change.old: change.new for change in self._history.renames if change.old not in self._row_of}
            self._ticker_of |= {old: new for old, new in former.items() if new in self._row_of}
        self._panel, self._features, self._mtf, self._in_panel = panel, features, mtf, learned
        self._board.know_previous_closes(self._numbers, np.where(panel.stale == 0, features.close, np.nan))
        self._log.info(
            "SCAN",
            f"{len(panel):,} symbols, {panel.close.shape[1]} bars up to {panel.last_session}",
            symbols=len(panel),
        )

    def _judge(self, report: PullReport, days: int) -> None:
        for day, why in list(report.failed.items())[:3]:
            self._log.warn("FEED", f"no history for {day}: {why}")
        if len(report.failed) > days - self._matrix.min_bars:
            why = next(iter(report.failed.values()))
            raise DataError(
                f"{days - len(report.failed)} of {days} sessions of history could be had, and nothing can be scanned "
                f"with fewer than {self._matrix.min_bars} ([atr_matrix] min_bars); the first missing one says: {why}"
            )

    async def close(self) -> None:
        await self._pull.close()

    @property
    def ready(self) -> bool:
        return self._panel is not None

    @property
    def pulling(self) -> str:
        """How far a history pull behind the engine is: "history 42/300, 52 min left"; empty when there is none."""
        return self._pull.text

    async def new_session(self) -> bool:
        """A new trading day: splits that take effect today make the loaded history a different scale.

        False when they could not be read: ask again.
        """
        return await self._refresh_splits()

    @property
    def splits_known(self) -> bool:
        """Those of today have been read."""
        return self._splits_day == et_date(self._clock.now())

    def stops_follow(self) -> None:
        """The stops' prices have been brought to the shares of the splits that are known."""
        self._followed = self._splits_day

    def names_changed(self) -> None:
        """A symbol trades under a new one: the panel is made anew, the old one's history under the new."""
        self._rescaled = True

    def recent_symbols(self) -> frozenset[str]:
        """Symbols of the panel that traded a few sessions before its end."""
        if self._panel is None:
            return frozenset()
        return frozenset(self._panel.symbols[row] for row in np.flatnonzero(self._panel.stale <= RECENT).tolist())

    def split_ratio(self, symbol: str, after: date, until: date) -> float:
        return self._history.split_ratio(self.ticker(symbol), after, until)

    async def _refresh_splits(self) -> bool:
        today = et_date(self._clock.now())
        try:
            for split in await self._history.refresh_splits():
                self._log.info("FEED", f"split {split.symbol} {split.split_to:g}:{split.split_from:g} on {split.day}")
                self._rescaled = True
                self._learned += 1
            # Dividends are told as they were paid, also those from before the oldest pull.
            await self._history.know_splits_since(et_date(self._clock.now()) - timedelta(days=LOOK_BACK_DAYS))
            self._splits_day = today
        except DataError as error:
            self._log.warn("FEED", f"splits are not known ({error}); history may be unadjusted")
            return False
        finally:
            self.on_splits(self._history.splits)
        return True

    @property
    def outdated(self) -> bool:
        """A session has closed since the history was loaded, more of it has come, or a split has changed its scale."""
        return (
            self._panel is None
            or self._rescaled
            or (self._pull.running and self._pull.ready_step() > self._loaded)
            or self._calendar.last_completed(self._clock.now()) > self._panel.last_session
        )

    def _of(self, session: date) -> bool:
        return self._panel is not None and self._panel.last_session == session

    # --- a pass ---

    def run(self) -> tuple[Signal, ...]:
        """One pass over all symbols; returns those that *became* a signal since the last pass.

        A price that the gate refuses is not looked at: the symbol keeps the state of its last close, and what it
        becomes by that is no signal.
        """
        if self._panel is None or self._features is None:
            return ()
        started = self._clock.monotonic()
        now = self._clock.now()
        codes = self._quality.stocks(now, self._numbers)
        believed = (codes == QuoteCode.OK) | (codes == QuoteCode.DELAYED)
        last = np.where(believed, self._board.stocks.last[self._numbers], np.nan)
        self.result = scan(
            self._panel,
            self._features,
            last,
            matrix=self._matrix,
            scanner=self._scanner,
            mtf=self._mtf,
            options_listed=self._listed,
        )
        state = self.result.matrix.state
        refused = ~np.isin(codes, SHOWN_ANYWAY)
        turned = [change for change in changes(self._before, state) if not refused[change.row]]
        # Once believed again it is compared with what it was when it was last believed.
        held = STATE_CODE[SignalState.NO_DATA] if self._before is None else self._before
        self._before = np.where(refused, held, state).astype(np.int8)
        self.codes, self._result_numbers = codes, self._numbers
        self.coverage.note(
            now, self._panel.symbols, self._features.close, codes, self._board.stocks, absent=self._pull.lacking
        )
        self.scanned_ns = now
        self.scan_ms = (self._clock.monotonic() - started) * 1000
        self.signals += len(turned)
        return tuple(self.result.signal(change.row, now) for change in turned)

    def entries(self, limit: int) -> tuple[Signal, ...]:
        """Symbols that stand in an entry now by a price that is believed, best first."""
        if self.result is None or self.scanned_ns is None:
            return ()
        rows = self.result.entries
        rows = rows[np.isin(self.codes[rows], SHOWN_ANYWAY)][:limit]
        return tuple(self.result.signal(int(row), self.scanned_ns) for row in rows)

    def covered(self) -> CoverageView:
        """The coverage ledger's figures now; price ages are those of today's prices."""
        if self._panel is None:
            self.coverage.note_none(self._pull.lacking)
        return self.coverage.view(self._clock.now(), self._board.session_open_ns - DAY_NS // 2)

    def price_code(self, row: int) -> str:
        """Why the price of a row of the result is refused; "" when it is believed, or the last close stands in."""
        code = int(self.codes[row])
        return "" if code == QuoteCode.NOT_TRADED else code_name(code)

    def price_age_s(self, row: int) -> float | None:
        """Seconds since the price of a row was made; None when its last close of another day stands in."""
        made = int(self._board.stocks.trade_ns[self._result_numbers[row]])
        if not made or self.codes[row] == QuoteCode.NOT_TRADED:
            return None
        return max(0, self._clock.now() - made) / NS

    def learn_options(self, symbol: str, listed: bool) -> None:
        """Remember whether a stock has options; until then the gate says "not checked"."""
        row = self._row_of.get(self.ticker(symbol))
        if row is not None:
            self._listed[row] = 1 if listed else 0

    # --- what the stops ask (exits.Underlyings) ---

    def doubt(self, symbol: str) -> Reason | None:
        """Why no stop may act on this stock's price now; None when it may (late prices are better than none).

        Until the stops follow today's splits, a price as far from the last close as a split would put it is no price
        to sell at: a real fall of that size is left to the position's own mark.
        """
        reason = self._quality.stock(symbol, self._clock.now())
        if reason not in (None, Reason.DELAYED, Reason.NOT_TRADED):
            return reason
        return Reason.SPLIT_UNKNOWN if self._behind_splits and self._may_have_split(symbol) else None

    @property
    def _behind_splits(self) -> bool:
        return self._followed != et_date(self._clock.now())

    def _may_have_split(self, symbol: str) -> bool:
        price, close = self.last(symbol), self.previous_close(symbol)
        if not price or not close:
            return False
        return max(price / close, close / price) >= LEAST_SPLIT

    def ticker(self, symbol: str) -> str:
        """The stock's own spelling of an option root."""
        return self._ticker_of.get(symbol, symbol)

    def five_minute_close(self, symbol: str, since_ns: int) -> float | None:
        """The latest completed 5-minute close, if its bar began after `since_ns`."""
        found = self._board.five_minute_close(self.ticker(symbol), self._clock.now())
        if found is None:
            return None
        close, end_ns = found
        if end_ns - 300_000_000_000 < since_ns:
            return None
        # By the bands of now, not only by those of its end: while it stays the latest it must not come to be believed.
        return close if self._quality.within_bands(self.ticker(symbol), close, self._clock.now()) else None

    def last(self, symbol: str) -> float | None:
        return self._board.last_price(self.ticker(symbol))

    def daily(self, symbol: str, after: date) -> Daily | None:
        # On other shares than the stop's prices it would be taken over as it is, and be divided by a split once more.
        if self._in_panel != self._learned or (self.splits_known and self._behind_splits):
            return None
        row = self._row_of.get(self.ticker(symbol))
        if row is None or self._panel is None or self._features is None or self._panel.last_session <= after:
            return None
        close, sma50, atr = (
            float(column[row]) for column in (self._features.close, self._features.sma50, self._features.atr14)
        )
        if self._panel.stale[row] > 0 or not np.isfinite([close, sma50, atr]).all() or atr <= 0:
            return None
        return Daily(self._panel.last_session, close, sma50, atr)

    def close_on(self, symbol: str, day: date) -> float | None:
        """Dollars a share, as it was that day, at the close of a session of the loaded history."""
        row = self._row_of.get(self.ticker(symbol))
        if row is None or self._panel is None:
            return None
        (at,) = np.nonzero(self._panel.days[row] == np.datetime64(day))
        if not len(at):
            return None
        since = self.split_ratio(symbol, day, et_date(self._clock.now()))
        return float(self._panel.close[row, at[0]]) * since

    def hv20(self, symbol: str) -> float | None:
        row = self._row_of.get(self.ticker(symbol))
        if row is None or self._features is None:
            return None
        value = float(self._features.hv20[row])
        return value if np.isfinite(value) and value > 0 else None

    def daily_closes(self, symbol: str) -> tuple[NDArray[np.datetime64], FloatArray] | None:
        """The dates and closes of a stock's completed sessions, oldest first; None when nothing is known of it."""
        row = self._row_of.get(self.ticker(symbol))
        if row is None or self._panel is None:
            return None
        count = int(self._panel.bars[row])
        if not count:
            return None
        return self._panel.days[row, -count:].copy(), self._panel.close[row, -count:].copy()

    def previous_close(self, symbol: str) -> float | None:
        row = self._row_of.get(self.ticker(symbol))
        if row is None or self._features is None:
            return None
        value = float(self._features.close[row])
        return value if np.isfinite(value) else None

    @property
    def symbols(self) -> int:
        return len(self._panel) if self._panel is not None else 0

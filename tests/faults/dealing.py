"""The strategy's own path on a floor: the scanner over the feed's board, then chains of its entries, then choice.

All of it is production code but the trader, who writes down what reaches him and never holds anything. Thresholds are
loose: what turns a contract down here shall be what happens to the data, not that it is a poor trade.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from qmterm.core.chain import Chain
from qmterm.core.clock import et_date
from qmterm.core.compute import ComputeThread
from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import AtrMatrixSettings, OptionChoiceSettings, ScannerSettings
from qmterm.core.signals import Signal, TradePlan
from qmterm.engine.runlog import RunLog
from qmterm.engine.signals.entries import Entries
from qmterm.engine.signals.history_pull import HistoryPull
from qmterm.engine.signals.scanning import Scanning
from qmterm.market.history.history import History
from qmterm.market.quality.coverage import Listed
from qmterm.strategy.option_choice import OptionChoice, choose
from tests.faults.floor import CALENDAR, Floor

SESSIONS = 60
LOOSE = OptionChoiceSettings(
    dte_min=15,
    dte_max=30,
    dte_target=18,
    delta_min=0.1,
    delta_max=0.9,
    min_open_interest=0,
    min_volume=0,
    max_spread_pct=2.0,
    max_iv_hv=20.0,
    max_theta_burden=1.0,
    min_liquidity_score=0.0,
    min_risk_reward=0.0,
    allow_earnings=True,
    prob_vol="iv",
)
ANYTHING = AtrMatrixSettings(
    min_bars=50,
    entry_min=-5.0,
    entry_max=11.0,
    atr_pct_floor=0.0,
    require_ma_alignment=False,
    min_strength=0.0,
    min_confidence=0.0,
    min_rr=0.0,
)


class Trader:
    """What entries see of the engine's trader: free to trade, and keeping nothing."""

    def __init__(self) -> None:
        self.opened: list[TradePlan] = []
        self.turned_down: list[tuple[str, Reason]] = []
        self.book = SimpleNamespace(positions=())
        self.desk = SimpleNamespace(ledger=SimpleNamespace(working=()))
        self.proposals = SimpleNamespace(waiting=())
        self.lanes = SimpleNamespace(idle=self._nothing)
        self.ticks = SimpleNamespace(learn=self._nothing, of=lambda occ: None)

    def market_open(self) -> bool:
        return True

    def entry_refusal(self) -> None:
        return None

    def open(self, plan: TradePlan, decided_at: float, **_: object) -> SimpleNamespace:
        self.opened.append(plan)
        return SimpleNamespace(approved=True, contracts=1, reason=None)

    def reject(self, symbol: str, reason: Reason, counts: dict[str, float]) -> None:
        self.turned_down.append((symbol, reason))

    @staticmethod
    async def _nothing(*_: object) -> None:
        return None


class Dealing:
    def __init__(self, one: Floor, store: Path, compute: ComputeThread) -> None:
        self._one = one
        log = RunLog(one.clock)
        history = History(one.feed.rest, store, CALENDAR, one.clock)
        pull = HistoryPull(history, one.feed.rest.budget, one.clock, patient=True)
        self.trader = Trader()
        self.scan = Scanning(
            one.board, history, CALENDAR, compute, one.clock, log, ANYTHING,
            ScannerSettings(require_options=False, min_price=0.0, min_dollar_volume=0.0), SESSIONS, pull,
            one.feed.quality,
        )  # fmt: skip
        self.entries = Entries(
            self.trader, self.scan, one.feed.chains, SimpleNamespace(earnings_date=Trader._nothing), one.feed.listed,
            CALENDAR, one.clock, log, LOOSE, 20,
        )  # fmt: skip

    def only(self, symbol: str) -> None:
        """Entries leave every other stock alone from now on."""
        assert self.scan.result is not None
        for other in self.scan.result.symbols:
            if other != symbol:
                self.entries.rest(other, 7 * 86_400.0)

    def signal(self, symbol: str) -> Signal:
        """A long of this stock as the scanner would word it, between a stop and a target that are far away."""
        self.scan.run()
        result = self.scan.result
        assert result is not None
        row = result.symbols.index(symbol)
        spot = self._one.feed.chains.spot(symbol)
        assert spot is not None
        made = result.signal(row, self._one.clock.now())
        targets = (1.1 * spot, 1.2 * spot, 1.3 * spot)
        return replace(made, stop=0.9 * spot, close=spot, targets=targets, horizon_days=3, hv20=None)

    async def chain(self, symbol: str) -> Chain:
        today = et_date(self._one.clock.now())
        first, last = today + timedelta(days=LOOSE.dte_min), today + timedelta(days=LOOSE.dte_max)
        return await self._one.feed.chains.read(symbol, self._one.clock.now(), first, last)

    def choose(self, chain: Chain, signal: Signal) -> OptionChoice:
        return choose(signal, chain, LOOSE, self._one.clock.now())

    async def consider(self) -> tuple[list[str], Counter[str]]:
        """A pass of the scanner and of entries: the contracts it opened, and what was refused by code."""
        self.trader.opened.clear()
        self.scan.run()
        await self.entries.consider()
        return [plan.legs[0].symbol for plan in self.trader.opened], self.entries.rejected

    def enters(self, symbol: str) -> bool:
        """The scanner's latest pass offers this stock."""
        return symbol in {signal.symbol for signal in self.scan.entries(1000)}


@asynccontextmanager
async def dealing(one: Floor, store: Path) -> AsyncIterator[Dealing]:
    compute = ComputeThread()
    made = Dealing(one, store, compute)
    try:
        await made.scan.load(lambda text: None)
        made.scan.run()
        assert made.scan.result is not None
        made.scan.coverage.list(Listed(made.scan.result.symbols))
        yield made
    finally:
        await made.scan.close()
        compute.close()

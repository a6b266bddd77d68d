"""The order half of the engine: production's own rooms, opened and recovered as a real start does.

Left out are market data, strategies and the screen; their place is taken by the drill's market and its script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from time import perf_counter
from types import SimpleNamespace
from typing import cast

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.core.errors import InvariantBroken, JournalError, QmtermError
from qmterm.core.orders import AccountBalance, BrokerOrder, Fill
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import EngineSettings, Mode, OrderSettings
from qmterm.core.settings.risk import RiskSettings
from qmterm.drill.market import DrillClock, DrillMarket
from qmterm.drill.waits import Waits
from qmterm.engine.answering import Answering
from qmterm.engine.arming import Arming
from qmterm.engine.ending import ended
from qmterm.engine.ladder import Ladder, Level
from qmterm.engine.opening import Opened, SessionTerms, open_account, recover, restore_orders
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.ledger import OrderRecord
from qmterm.engine.orders.marks import Marks
from qmterm.engine.oversight import Oversight
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.patience import DiskPatience
from qmterm.engine.runlog import RunLog
from qmterm.engine.trader import Trader
from qmterm.journal.journal import Journal
from qmterm.risk.gate import Gate
from qmterm.risk.stops import StopRules

TOKEN = "drill-token-of-the-simulator"
TURN_S = 0.5
ORDERS = OrderSettings()
NEAR_STOP = 0.08
ENGINE = EngineSettings(mode=Mode.AUTO)
RISK = RiskSettings()
# A small account with narrow limits: a day's few trades reach all of them.
TIGHT = RiskSettings(max_trade_risk=0.03, max_symbol_risk=0.03, max_strategy_risk=0.03, cash_reserve=0.94)
TIGHT_CASH = Decimal(30_000)


class House:
    """One life of the engine. `open` connects, recovers and begins to work; `trouble` is what should not happen."""

    def __init__(
        self,
        clock: DrillClock,
        broker: TastytradeBroker,
        open_journal: Callable[[], Awaitable[Journal]],
        market: DrillMarket,
        log: RunLog,
        trouble: list[str],
        on_found: Callable[[str, float], None] = lambda _fill_id, _at: None,
        risk: RiskSettings | None = None,
        *,
        resting: bool = False,
    ) -> None:
        """`on_found` hears of each fill when it is counted, and when that was (the clock's seconds).

        `resting`: exits rest at the broker, and the stop is near enough to be hit there and here in the same moment.
        """
        self.resting = resting
        self._orders = OrderSettings(resting_exits=True) if resting else ORDERS
        self.clock = clock
        self.broker = broker
        self.log = log
        self.trouble = trouble
        self.began_at: float | None = None
        self.restart_s = 0.0
        self.restart_own_s = 0.0  # of it, what no slow broker and no lagging ledger is to blame for
        self.journal: Journal | None = None
        self._risk = RISK if risk is None else risk
        self._open_journal = open_journal
        self._market = market
        self._on_found = on_found
        self._loops: list[asyncio.Task[None]] = []
        self._waits = Waits()
        broker.on_fault = lambda text: log.warn("ORD", text)
        broker.on_call = self._waits.add

    async def open(self) -> None:
        began, real = self.clock.monotonic(), perf_counter()
        self.began_at = began
        journal = self.journal = await self._open_journal()
        await self.broker.connect()
        terms = SessionTerms("auto", "sim", "sim", "drill")
        opened = await open_account(self.broker, journal, self.clock, terms)
        self.log.keep_in(journal)
        self._furnish(opened, journal)
        await restore_orders(opened, self.trader)
        await recover(opened, self.trader, self.oversight, self.broker.account)
        self.marks.update()
        await self.oversight.begin_day()
        self.lanes.start()
        jobs = {"events": self._listen, "poll": self._poll, "reconcile": self._reconcile, "turn": self._turns}
        self._loops = [asyncio.create_task(self._guarded(name, job)) for name, job in jobs.items()]
        ended = self.clock.monotonic()
        self.restart_s = ended - began + self.clock.beside(real)
        self.restart_own_s = self.restart_s - self._waits.within(began, ended) - self.oversight.settling_s

    def _furnish(self, opened: Opened, journal: Journal) -> None:
        book = self.book = opened.rebuilt.book
        self.marks = Marks(book, self._market, self.clock)
        patience = DiskPatience()
        self.desk = OrderDesk(self.broker, journal, book, self.clock, self.log, self._orders, self._on_fill)
        self.guards = Guards(
            book,
            self.desk.ledger,
            self.marks,
            self._market,
            self._market,
            journal,
            self.clock,
            StopRules(premium_stop=NEAR_STOP) if self.resting else StopRules(),
            self._orders,
            patience=patience,
        )
        self.lanes = Lanes(self._lane_failed)
        self.trader = Trader(
            mode=Mode.AUTO,
            clock=self.clock,
            log=self.log,
            journal=journal,
            book=book,
            marks=self.marks,
            desk=self.desk,
            guards=self.guards,
            gate=Gate(self._risk),
            ladder=Ladder.from_dict(opened.ladder or {}),
            lanes=self.lanes,
            quotes=self._market,
            settings=self._orders,
            market_open=lambda: True,
            real_money_refusal=lambda: None,
        )
        self.oversight = Oversight(
            self.trader, self.broker, journal, ENGINE, self._risk, lambda: 0.0, None, patience=patience
        )
        self.approvals = Approvals(self.trader)
        # The commands of a person need these rooms only; the rest of an engine is not here.
        rooms = SimpleNamespace(
            book=book,
            desk=self.desk,
            ladder=self.trader.ladder,
            trader=self.trader,
            proposals=self.trader.proposals,
            approvals=self.approvals,
            oversight=self.oversight,
            arming=Arming(self.clock, self.log, journal, "drill", patience),
        )
        parts = SimpleNamespace(clock=self.clock, log=self.log, journal=journal, on_trace=self._trace)
        self.person = Answering(cast(Engaged, rooms), cast(Parts, parts), lambda _why: None)

    # --- what keeps running ---

    async def _on_fill(self, record: OrderRecord, fill: Fill, after: Position | None) -> None:
        self._on_found(fill.fill_id, self.clock.monotonic())
        await self.guards.on_fill(record, fill, after)

    async def _lane_failed(self, error: Exception) -> None:
        self._trace(error)
        self.oversight.lane_failed(error)

    def _trace(self, error: Exception) -> None:
        self.trouble.append(f"{type(error).__name__}: {error}")
        self.log.error("ENGINE", f"{type(error).__name__}: {error}")

    async def _guarded(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await job()
                return
            except Exception as error:  # as the engine does: shown, held down, begun again
                self._trace(error)
                level = Level.HALT if isinstance(error, InvariantBroken) else Level.REDUCE_ONLY
                reason = Reason.JOURNAL_TROUBLE if isinstance(error, JournalError) else Reason.INVARIANT
                if not isinstance(error, QmtermError) or isinstance(error, JournalError | InvariantBroken):
                    self.oversight.lower(level, reason, f"{name}: {error}")
                await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async for event in self.broker.events():
            if isinstance(event, BrokerOrder):
                await self.desk.on_order(event)
            elif isinstance(event, AccountBalance):
                self.trader.balance = event
            else:
                self.book.shows(event)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(ORDERS.poll_s)
            if self.desk.ledger.unknown or self.book.behind or self.oversight.proof.pending:
                await self.oversight.read_account()
            else:
                await self.oversight.poll_orders()

    async def _reconcile(self) -> None:
        while True:
            await asyncio.sleep(ORDERS.reconcile_s)
            await self.oversight.settle()

    async def _turns(self) -> None:
        while True:
            self.marks.update()
            await self.oversight.look()
            await self.oversight.protection.protect()
            await self.oversight.tend_orders()
            self.oversight.flattener.close_all()
            await asyncio.sleep(TURN_S)

    # --- the end ---

    async def finish(self) -> None:
        """A clean stop."""
        await ended(self._loops)
        await self.lanes.idle()
        await self.oversight.sweep.answered()
        await self.lanes.close()
        await self.broker.close()
        if self.journal is not None:
            await self.journal.end_session({})
            await self.journal.close()

"""A whole trading floor in memory: the engine's own rooms around a fake broker, a clock that stands still, a table of
quotes. Nothing here decides anything: what is tested is the production code.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

from qmterm.core.clock import NS
from qmterm.core.orders import AccountBalance, Action, Leg, OrderState
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import EngineSettings, Mode, OrderSettings
from qmterm.core.settings.model import Settings
from qmterm.core.settings.risk import RiskSettings
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.engine.answering import Answering
from qmterm.engine.arming import Arming
from qmterm.engine.commands import ApproveProposal
from qmterm.engine.ladder import Ladder
from qmterm.engine.latency import Percentiles
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.rolls import Rolls
from qmterm.engine.orders.tickets import Tickets
from qmterm.engine.orders.ticks import TickBook
from qmterm.engine.oversight import Oversight
from qmterm.engine.patience import DiskPatience
from qmterm.engine.runlog import RunLog
from qmterm.engine.trader import Trader
from qmterm.risk.gate import Gate
from qmterm.risk.stops import StopRules
from tests.engine.fakes import CASH, OCC, FakeBroker, MemoryJournal, TableQuotes, clock_at

STOP = 170.0
GONE = STOP - 1


class TableUnderlyings:
    """What the stops read of a stock, as a test sets it."""

    def __init__(self) -> None:
        self.closes: dict[str, tuple[float, int]] = {}  # symbol -> completed 5-minute close, when its bar began
        self.lasts: dict[str, float] = {}
        self.sessions: dict[str, object] = {}
        self.splits: dict[str, float] = {}
        self.doubts: dict[str, Reason] = {}

    def doubt(self, symbol: str) -> Reason | None:
        return self.doubts.get(symbol)

    def five_minute_close(self, symbol: str, since_ns: int) -> float | None:
        close, began_ns = self.closes.get(symbol, (None, 0))
        return close if began_ns >= since_ns else None

    def split_ratio(self, symbol: str, after: date, until: date) -> float:
        return self.splits.get(symbol, 1.0)

    def last(self, symbol: str) -> float | None:
        return self.lasts.get(symbol)

    def daily(self, symbol: str, after: date):
        found = self.sessions.get(symbol)
        return found if found is not None and found.session > after else None


class House:
    def __init__(
        self,
        mode: Mode = Mode.AUTO,
        orders: OrderSettings | None = None,
        book: Book | None = None,
        ticks: TickBook | None = None,
        patience: DiskPatience | None = None,
    ) -> None:
        self.clock = clock_at()
        self.broker = FakeBroker(self.clock)
        self.journal = MemoryJournal()
        self.patience = patience or DiskPatience()
        self.log = RunLog(self.clock)
        self.quotes = TableQuotes()
        self.underlyings = TableUnderlyings()
        self.book = book or Book(CASH)
        self.orders = orders or OrderSettings(readback_window_s=0.2, exit_reprice_s=15, walk=False)
        self.marks = Marks(self.book, self.quotes, self.clock)
        self.ladder = Ladder()
        self.open = True
        self.money_refusal = None
        self.feed_age: float | None = 0.0
        self.lag = Percentiles()
        self.lane_errors: list[Exception] = []

        async def on_fill(record, fill, after):
            await self.guards.on_fill(record, fill, after)

        async def lane_failed(error):
            self.lane_errors.append(error)
            self.oversight.lane_failed(error)

        self.desk = OrderDesk(self.broker, self.journal, self.book, self.clock, self.log, self.orders, on_fill)
        self.ticks = ticks or TickBook()
        self.guards = Guards(
            self.book, self.desk.ledger, self.marks, self.quotes, self.underlyings, self.journal, self.clock,
            StopRules(), self.orders, self.ticks, self.patience,
        )  # fmt: skip
        self.lanes = Lanes(lane_failed)
        self.trader = Trader(
            mode=mode,
            clock=self.clock,
            log=self.log,
            journal=self.journal,
            book=self.book,
            marks=self.marks,
            desk=self.desk,
            guards=self.guards,
            gate=Gate(RiskSettings()),
            ladder=self.ladder,
            lanes=self.lanes,
            quotes=self.quotes,
            settings=self.orders,
            market_open=lambda: self.open,
            ticks=self.ticks,
            real_money_refusal=lambda: self.money_refusal,
        )
        self.trader.balance = AccountBalance(CASH, CASH, CASH)
        self.approvals = Approvals(self.trader)
        self.tickets = Tickets(self.trader, lambda: ("NVDA", "AMD", "SPY", "XSP"), wait_s=0.0)
        self.rolls = Rolls(self.trader, self.tickets)
        self.edits = Edits(self.trader, self.approvals)
        self.oversight = Oversight(
            self.trader, self.broker, self.journal, EngineSettings(), RiskSettings(), lambda: self.feed_age, self.lag,
            patience=self.patience,
        )  # fmt: skip
        self.arming = Arming(self.clock, self.log, self.journal, "config-1", self.patience)
        self.parts = SimpleNamespace(
            clock=self.clock, log=self.log, journal=self.journal, on_trace=None, broker=self.broker,
            broker_word="paper", real_money=False, settings=Settings(),
        )  # fmt: skip
        self.answering = Answering(
            SimpleNamespace(
                book=self.book,
                marks=self.marks,
                arming=self.arming,
                desk=self.desk,
                ladder=self.ladder,
                trader=self.trader,
                proposals=self.trader.proposals,
                approvals=self.approvals,
                tickets=self.tickets,
                rolls=self.rolls,
                edits=self.edits,
                oversight=self.oversight,
            ),
            self.parts,
            lambda why: None,
        )
        self.quote(4.10, 4.20)
        self.quotes.set("NVDA", 177.95, 178.05, self.clock.now())

    def quote(self, bid: float, ask: float, symbol: str = OCC) -> None:
        self.quotes.set(symbol, bid, ask, self.clock.now())

    @property
    def working(self):
        return self.desk.ledger.working

    async def turn(self) -> None:
        """One turn of the engine, in its order, until the lanes are quiet."""
        await self.step()
        await self.lanes.idle()

    async def step(self) -> None:
        """A turn that leaves the lanes at work."""
        self.marks.update()
        await self.oversight.look()
        self.trader.proposals.expire(lambda proposal: None)
        await self.oversight.protection.protect()
        await self.oversight.tend_orders()
        self.oversight.flattener.close_all()
        await self.oversight.sweep.answered()

    async def filled(self, broker_id: str, quantity: int, price: str = "4.10", symbol: str | None = None) -> None:
        await self.desk.on_order(self.broker.fill(broker_id, quantity, price, symbol=symbol))

    async def filled_all(self, *orders) -> None:
        """Every working order of ours (or the given ones) fills completely, the broker's ledger with it."""
        for record in orders or self.working:
            await self.filled(record.broker_id, record.intent.quantity)

    async def ended(self, broker_id: str, state: OrderState = OrderState.CANCELLED) -> None:
        await self.desk.on_order(self.broker.set_state(broker_id, state))

    async def hold(self, contracts: int = 4) -> None:
        """Open a guarded position the way the engine does."""
        verdict = self.trader.open(plan(now_ns=self.clock.now()), self.clock.monotonic(), wanted=contracts)
        assert verdict.contracts == contracts
        await self.lanes.idle()
        await self.filled(self.working[0].broker_id, contracts)
        self.clock.advance(300)
        self.quote(4.10, 4.20)


@asynccontextmanager
async def opened(mode: Mode = Mode.AUTO, **more):
    house = House(mode, **more)
    house.lanes.start()
    try:
        yield house
    finally:
        await house.lanes.close()


def plan(plan_id: str = "P1", now_ns: int | None = None, symbol: str = OCC, net_price: str = "-4.15") -> TradePlan:
    """A long call on NVDA at 178 with its stop at 170; ATR 4 and SMA50 at 168, so 7 ATR is 196."""
    now_ns = clock_at().now() if now_ns is None else now_ns
    signal = Signal(
        "NVDA", "atr_matrix", now_ns, SignalState.ENTRY_LONG, 178.0, 4.0, 168.0, 2.5, 1.0, 0.9, STOP,
        (190.0, 196.0, 200.0), 4.0, 18, 0.4,
    )  # fmt: skip
    cost = -Decimal(net_price) * 100 + Decimal("1.26")
    return TradePlan(
        plan_id=plan_id,
        time_ns=now_ns,
        expires_ns=now_ns + 3600 * NS,
        strategy="atr_matrix",
        underlying="NVDA",
        legs=(Leg(symbol, Action.BUY_TO_OPEN, 1),),
        net_price=Decimal(net_price),
        max_loss=cost,
        buying_power=cost,
        stop=STOP,
        targets=(190.0, 196.0, 200.0),
        horizon_date=date(2026, 3, 27),
        signal=signal,
    )


def close_at(house, price):
    """A 5-minute bar of the stock has just closed at `price`."""
    house.underlyings.closes["NVDA"] = (price, house.clock.now() - 300 * NS)


async def confirmed(house, contracts=4):
    """Hold a position in confirm mode: propose, approve, fill."""
    house.trader.open(plan(now_ns=house.clock.now()), house.clock.monotonic(), wanted=contracts)
    (waiting,) = house.trader.proposals.waiting
    assert house.approvals.approve(ApproveProposal(waiting.proposal_id, str(waiting.net_price))).ok
    await house.lanes.idle()
    await house.filled(house.working[0].broker_id, contracts)
    house.clock.advance(300)
    house.quote(4.10, 4.20)

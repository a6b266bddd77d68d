"""What an engine is made of: the parts it is given, and the rooms it sets up once the account is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from qmterm.core.calendar import SessionCalendar
from qmterm.core.compute import ComputeThread
from qmterm.core.orders import BrokerEvent
from qmterm.core.protocols import Broker
from qmterm.core.settings.model import Settings
from qmterm.core.ticks import TickTable
from qmterm.engine.arming import Arming, Permit
from qmterm.engine.control import ControlSocket
from qmterm.engine.ladder import Ladder
from qmterm.engine.latency import Percentiles
from qmterm.engine.orders.approvals import Approvals
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.exits import Guards
from qmterm.engine.orders.lanes import Lanes
from qmterm.engine.orders.marks import Marks
from qmterm.engine.orders.proposals import Proposals
from qmterm.engine.orders.rolls import Rolls
from qmterm.engine.orders.shelf import Shelf
from qmterm.engine.orders.tickets import Tickets
from qmterm.engine.oversight import Oversight
from qmterm.engine.portfolio.rooms import PortfolioRooms
from qmterm.engine.runlog import RunLog
from qmterm.engine.show.chainview import ChainLook
from qmterm.engine.show.publish import Publisher
from qmterm.engine.signals.conditions import ConditionTables
from qmterm.engine.signals.entries import Entries
from qmterm.engine.signals.flow import FlowWatch
from qmterm.engine.signals.listing import Listing
from qmterm.engine.signals.scanning import Scanning
from qmterm.engine.signals.volatility import VolatilityKeeper
from qmterm.engine.trader import Trader
from qmterm.journal.journal import Journal
from qmterm.market.clock import StepClock
from qmterm.market.feed import PolygonFeed
from qmterm.market.flow.volumes import VolumeStore
from qmterm.market.history.history import History
from qmterm.market.news.desk import NewsDesk
from qmterm.market.status import PacedClock
from qmterm.market.stream.lockstep import LockstepDriver


class SteppedBroker(Broker, Protocol):
    """A broker whose events can also be taken at a step's end (lockstep)."""

    async def wait_sequence(self, sequence: int, timeout: float = 5.0) -> bool: ...

    def take_events(self) -> list[BrokerEvent]: ...

    async def tick_table(self, underlying: str) -> TickTable | None: ...


class HeldQuotes(Protocol):
    """Another source of option quotes (broker/dxlink.py), for contracts the data plan has none of."""

    def want(self, occs: Iterable[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Lockstep:
    driver: LockstepDriver
    clock: StepClock


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends by itself; `speed` paces a lockstep run (market seconds per real second, None = unbounded)."""

    for_s: float | None = None
    until_ns: int | None = None
    speed: float | None = None


async def _nothing(_now_ns: int) -> None:
    return None


async def _no_close() -> None:
    return None


@dataclass(slots=True)
class Parts:
    """Everything from outside, built by wiring.py; tests build it from fakes."""

    settings: Settings
    clock: PacedClock
    calendar: SessionCalendar
    feed: PolygonFeed
    history: History
    broker: SteppedBroker
    journal: Journal
    log: RunLog
    compute: ComputeThread
    source_word: str
    broker_word: str
    real_money: bool = False
    permit: Permit = field(default_factory=Permit)  # what the live adapter asks before each order
    hold_account: Callable[[str], None] = lambda _account: None  # against a second engine of it; its error says which
    has_screen: bool = True
    lockstep: Lockstep | None = None
    notice: str = ""  # what the person should know of the market before it begins
    limits: Limits = field(default_factory=Limits)
    control: ControlSocket | None = None
    loop_lag: Percentiles = field(default_factory=Percentiles)
    broker_on_market: Callable[[int], Awaitable[None]] = _nothing
    close: Callable[[], Awaitable[None]] = _no_close
    on_progress: Callable[[str], None] = lambda _text: None
    step_latency: Percentiles = field(default_factory=Percentiles)
    on_trace: Callable[[Exception], None] | None = None
    held_quotes: HeldQuotes | None = None
    volumes: VolumeStore = field(default_factory=lambda: VolumeStore(None))
    news: NewsDesk | None = None  # None: nothing is known of the news, and that is said


@dataclass(slots=True)
class Engaged:
    """The rooms of a started engine."""

    book: Book
    marks: Marks
    desk: OrderDesk
    guards: Guards
    ladder: Ladder
    lanes: Lanes
    trader: Trader
    proposals: Proposals
    shelf: Shelf
    approvals: Approvals
    tickets: Tickets
    rolls: Rolls
    edits: Edits
    oversight: Oversight
    scanning: Scanning
    listing: Listing
    conditions: ConditionTables
    entries: Entries
    flow: FlowWatch
    volatility: VolatilityKeeper
    look: ChainLook
    publisher: Publisher
    arming: Arming
    portfolio: PortfolioRooms

"""What a screen may see: one immutable snapshot, swapped by reference, latest wins.

Nothing here refers back into the engine. A number that is not known is None (with a reason code beside it
where the reason differs from row to row); the screen shows "–", never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from qmterm.engine.view_portfolio import ExpiryView, FindingView, PortfolioView, ProfitView, StressView

__all__ = ["ExpiryView", "FindingView", "PortfolioView", "ProfitView", "StressView"]  # of the view, too


@dataclass(frozen=True, slots=True)
class HeaderView:
    """Line 1: am I live, what is my risk, is data fresh, is the link good."""

    mode: str = "confirm"  # confirm | auto
    real_money: bool = False
    armed_s: float | None = None  # seconds of arming left; None = not armed
    source: str = "sim"  # sim | polygon
    broker: str = "sim"  # sim | paper | tastytrade-cert | tastytrade
    account: str = ""  # the tail only, e.g. "..4417"
    nlv: Decimal | None = None
    cash: Decimal | None = None
    day_pnl: Decimal | None = None
    day_pnl_pct: float | None = None
    buying_power_used_pct: float | None = None
    feed_state: str = "connecting"  # live | mute | backoff | connecting | refused | delayed
    feed_age_s: float | None = None  # seconds since the last frame
    feed_events_per_s: float | None = None
    lost_minutes: int = 0  # of this session, not known of every symbol (yet)
    lost_bars: int = 0  # symbols times minutes of which nothing is known
    repaired_minutes: int = 0
    repaired_by_bars: int = 0  # symbols times minutes, read one symbol a call
    repaired_by_snapshot: int = 0  # the same, told by the whole market's snapshot
    repair_trouble: str = ""  # why the latest repair did not get all
    calls_made: int = 0  # REST calls of the latest minute
    calls_per_minute: int | None = None  # that the plan allows
    calls_wait_s: float = 0.0  # until a new question of the scan may go; 0 = at once
    not_in_plan: tuple[str, ...] = ()  # what the data service refused, in words
    broker_state: str = "connecting"  # up | down | connecting
    broker_ms: float | None = None  # real milliseconds of the latest REST call
    market_ns: int = 0
    market_rate: float | None = 1.0  # market seconds a real second; None: it steps as fast as it goes
    session: str = "closed"  # pre | regular | post | closed
    ladder: str = "NORMAL"  # NORMAL | NO-NEW | REDUCE-ONLY | FLATTEN | HALT
    ladder_reason: str = ""
    ladder_proof: str = ""  # what the broker confirmed of HALT or FLATTEN, or what is left; or why a flatten is due
    arming: str = ""  # what holds for real money, in words; "" where none can move
    loop_lag_ms_p99: float | None = None
    coverage_pct: float | None = None  # of the vendor's active symbols, evaluated in the latest scan
    oldest_age_s: float | None = None  # market seconds since the symbol looked at longest ago was looked at
    starting: str = ""  # what the start is doing, "" once it is done ("history 120/300")


@dataclass(frozen=True, slots=True)
class ScanRow:
    symbol: str
    last: float | None
    change_pct: float | None
    atr_distance: float | None
    atr_pct_multiple: float | None
    atr_pct: float | None
    position_20d: float | None
    rvol: float | None
    hv20: float | None  # decimal
    iv_hv: float | None
    strength: float | None
    confidence: float | None
    risk_reward: float | None
    state: str  # ENTRY_LONG, HOLD, …
    failed: tuple[str, ...]  # gate names
    note: str  # "proposed", "held", "LOW_RISK_REWARD x12", …
    age_s: float | None  # of the price; None where the last close of another day stands in
    code: str = ""  # why the price is refused: the row then has the state of its last close; "" = believed


@dataclass(frozen=True, slots=True)
class ScanView:
    rows: tuple[ScanRow, ...] = ()
    symbols: int = 0  # in the universe
    live: int = 0  # with a price
    entries: int = 0  # in ENTRY_LONG
    scanned_ns: int | None = None
    scan_ms: float | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)  # reason code -> count, latest pass
    coverage_pct: float | None = None
    oldest_age_s: float | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)  # reason code -> listed symbols not evaluated


@dataclass(frozen=True, slots=True)
class OptionCell:
    """One contract as the chain shows it."""

    occ: str
    bid: float | None
    ask: float | None
    iv: float | None
    iv_status: str
    delta: float | None
    gamma: float | None
    theta: float | None
    vega: float | None
    volume: int | None
    open_interest: int | None
    age_s: float | None
    held: int = 0  # signed contracts we hold
    code: str = ""  # why the quality gate refuses bid, ask and mid; "" = may be traded on


@dataclass(frozen=True, slots=True)
class ChainRow:
    strike: float
    call: OptionCell | None
    put: OptionCell | None


@dataclass(frozen=True, slots=True)
class ChainView:
    symbol: str
    spot: float | None
    change_pct: float | None
    expiries: tuple[date, ...]
    selected: int  # index into expiries
    dte: int | None
    atm_iv: float | None
    hv20: float | None
    expected_move: float | None  # dollars, 1 sd to the expiry
    rows: tuple[ChainRow, ...]
    at_the_money: int  # index of the row nearest the spot
    age_s: float | None
    spot_age_s: float | None = None
    spot_code: str = ""  # why the spot is refused
    codes: Mapping[str, int] = field(default_factory=dict)  # reason code -> shown contracts refused
    message: str = ""  # "no options listed", the mark of a fallback rate, …
    iv_rank: str = ""  # of IV30 among 252 sessions: "34", or "12/252" while they are collected


@dataclass(frozen=True, slots=True)
class PositionView:
    position_id: str  # what ClosePosition names
    symbol: str  # OCC or ticker
    label: str  # "NVDA 17APR26 175C"
    underlying: str
    strategy: str
    quantity: int
    dte: int | None
    average_price: Decimal  # dollars per share
    mark: Decimal | None
    mark_flag: str  # "" fresh, "dxlink" fresh and told by the broker, "stale", "one-sided", "none"
    unrealized: Decimal | None
    unrealized_pct: float | None
    delta: float | None  # position, shares
    theta: float | None  # dollars a day
    vega: float | None  # dollars per point
    spot: float | None
    stop: float | None  # underlying price
    stop_distance_pct: float | None
    next_target: float | None
    horizon: date | None
    rules: str  # "stop 98.20 · 7x @ 122.4 · 18 d"
    crossing: Decimal | None = None  # dollars that closing at the far side costs against the mark
    ends: str = ""  # what the expiry desk plans: "close 15:30", "pin", "" = nothing presses
    ends_severity: str = ""  # calm | note | warn | alarm
    premium_stop: Decimal | None = None  # dollars per share of one unit of the trade; None: it has none
    trade_id: str = ""  # of all legs of one trade; ClosePosition closes them as one order. "" = a trade of its own


@dataclass(frozen=True, slots=True)
class LimitUse:
    name: str  # trade, symbol, strategy, cash
    used: Decimal | None
    limit: Decimal | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RiskView:
    delta_dollars: float | None = None
    gamma_dollars_1pct: float | None = None
    theta_day: float | None = None
    vega_point: float | None = None
    open_risk: Decimal | None = None  # worst case of positions + working + unknown orders
    limits: tuple[LimitUse, ...] = ()
    realized: Decimal | None = None
    unrealized: Decimal | None = None
    fees: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderRow:
    order_id: str  # ours (intent id), what CancelOrder names
    short_id: str
    time_ns: int
    text: str  # "BOT 2 NVDA 17APR26 175C"
    limit: str  # "4.15 db", "4.15 gtc", "st .30/.25 gtc"
    mid: str
    filled: str  # "1/2"
    state: str
    working: bool
    purpose: str
    external: bool
    age_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class ProposalView:
    """A plan that waits for a person, with everything the confirm dialog shows."""

    proposal_id: str
    time_ns: int
    expires_in_s: float  # real seconds left
    text: str  # "BUY 2 NVDA 17APR26 175C"
    purpose: str  # entry | exit | scale-out | flatten
    underlying: str
    legs: tuple[str, ...]
    limit: Decimal | None  # signed net price per unit, the worst it may be sent at; None: an order without a limit
    bid: float | None
    mid: float | None
    ask: float | None
    quote_age_s: float | None
    quantity: int
    max_loss: Decimal | None
    buying_power: Decimal | None
    delta_before: float | None
    delta_after: float | None
    binding: str  # the limit that set the size
    numbers: Mapping[str, float | None]
    why: tuple[str, ...]  # lines: signal, filters, sizing, gate
    warnings: tuple[str, ...] = ()
    alarm: bool = False  # a stop that waits for a person


@dataclass(frozen=True, slots=True)
class FlowPrint:
    """A block, or a sweep as one row."""

    number: int
    time_ns: int
    occ: str
    label: str
    what: str  # SWEEP | BLOCK | SWEEP+BLOCK
    kind: str  # REGULAR, ISO, MULTILEG, …
    side: str  # ABOVE_ASK … BELOW_BID, NA
    direction: str  # bought | sold | ''
    price: float
    size: int
    premium: float  # dollars
    prints: int
    exchanges: int
    volume: int
    open_interest: int | None
    vol_oi: float | None
    opening: str  # certain | likely | ''
    score: float  # 0 to 100
    missing: tuple[str, ...]  # terms of the score that are not known


@dataclass(frozen=True, slots=True)
class FlowContract:
    """A contract whose day is unusual; money is what was seen since `since_ns`."""

    occ: str
    label: str
    volume: int
    open_interest: int | None
    vol_oi: float | None
    mean20: float | None
    premium: float
    bought: float
    sold: float
    sweeps: int
    blocks: int
    opening: str
    score: float
    missing: tuple[str, ...]
    since_ns: int


@dataclass(frozen=True, slots=True)
class FlowView:
    prints: tuple[FlowPrint, ...] = ()  # newest first
    contracts: tuple[FlowContract, ...] = ()  # by falling score
    underlyings: tuple[str, ...] = ()  # whose chains are known
    seen: int = 0  # prints of the run
    cancelled: int = 0
    dropped: int = 0  # prints that came while nobody read


LADDER = "ladder"  # the subject of lines about the ladder; such a line names the level that it is about


@dataclass(frozen=True, slots=True)
class LogLine:
    seq: int
    time_ns: int
    level: str  # info | warn | error | alarm
    kind: str  # short: SIG, PLAN, ORD, FILL, RISK, FEED, …
    text: str
    subject: str = ""  # what it is about: an order, a symbol, LADDER


@dataclass(frozen=True, slots=True)
class Snapshot:
    version: int = 0
    header: HeaderView = field(default_factory=HeaderView)
    scan: ScanView = field(default_factory=ScanView)
    chain: ChainView | None = None
    positions: tuple[PositionView, ...] = ()
    risk: RiskView = field(default_factory=RiskView)
    orders: tuple[OrderRow, ...] = ()
    proposals: tuple[ProposalView, ...] = ()
    flow: FlowView = field(default_factory=FlowView)
    portfolio: PortfolioView = field(default_factory=PortfolioView)
    expiry: tuple[ExpiryView, ...] = ()  # the most pressing first
    log: tuple[LogLine, ...] = ()  # oldest first, bounded
    stopped: bool = False  # the engine has ended; why is the last log line

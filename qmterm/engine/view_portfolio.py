"""What a screen may see of the portfolio: trades with their lots, risk of the whole book, how each contract ends.

Part of the view (engine/view.py): immutable, nothing refers back into the engine, unknown is None with a reason code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class LotView:
    symbol: str
    label: str
    quantity: int
    price: Decimal  # dollars per share
    opened_ns: int
    fill_id: str  # "" = told by the broker
    mark: Decimal | None
    unrealized: Decimal | None  # dollars before fees
    fees: Decimal


@dataclass(frozen=True, slots=True)
class ProfitView:
    """Dollars. Realised and unrealised are before fees, net is after them; None: a lot has no mark."""

    realized: Decimal = Decimal(0)
    unrealized: Decimal | None = Decimal(0)
    fees: Decimal = Decimal(0)
    net: Decimal | None = Decimal(0)
    unmarked: int = 0  # lots without a mark
    unpriced: int = 0  # closings at a price nobody told


@dataclass(frozen=True, slots=True)
class TradeView:
    strategy: str
    trade: str
    underlying: str
    opened_ns: int
    profit: ProfitView
    lots: tuple[LotView, ...]  # empty once it is closed


@dataclass(frozen=True, slots=True)
class StrategyView:
    """`used` dollars at risk (orders that may still fill included) of what `limit` allows."""

    strategy: str
    profit: ProfitView
    trades: int
    used: Decimal
    limit: Decimal
    free: Decimal


@dataclass(frozen=True, slots=True)
class UnderlyingView:
    """Concentration; None where it is not known. `value` is what the account shows for it."""

    underlying: str
    sector: str
    value: Decimal | None
    share: float | None  # of NLV, by absolute value
    delta_dollars: float | None
    beta: float | None
    beta_assumed: bool


@dataclass(frozen=True, slots=True)
class TailView:
    method: str  # historical | cornish-fisher
    level: float
    var: float | None
    es: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StressView:
    """P/L in dollars, rows are volatility shifts, columns spot shifts; None where a position has no value."""

    mode: str = "market"  # market: the market moves and every stock by its beta; each: all alike
    spots: tuple[float, ...] = ()
    vols: tuple[float, ...] = ()
    cells: tuple[tuple[float | None, ...], ...] = ()
    worst: float | None = None


@dataclass(frozen=True, slots=True)
class PortfolioView:
    """`unknown` names positions that no total holds, with the reason; a total they belong to is None."""

    measured_ns: int | None = None
    took_ms: float | None = None
    positions: int = 0
    beta_delta: float | None = None  # shares of the market
    market: str = "SPY"
    delta_dollars: float | None = None
    gamma_dollars_1pct: float | None = None
    theta_day: float | None = None
    vega_point: float | None = None
    weighted_vega: float | None = None  # vega times √(30/days to expiry)
    stress: StressView = field(default_factory=StressView)
    stress_each: StressView = field(default_factory=lambda: StressView("each"))
    tails: tuple[TailView, ...] = ()
    tail_days: int = 0
    assumed_vols: int = 0
    unknown: Mapping[str, str] = field(default_factory=dict)
    nlv: Decimal | None = None
    buying_power: Decimal | None = None
    buying_power_used_pct: float | None = None
    maintenance: Decimal | None = None
    total: ProfitView = field(default_factory=ProfitView)
    day: ProfitView = field(default_factory=ProfitView)  # realised and fees of today
    trades: tuple[TradeView, ...] = ()
    strategies: tuple[StrategyView, ...] = ()
    underlyings: tuple[UnderlyingView, ...] = ()
    broker_fees: Decimal | None = None  # of today, by the broker's own transactions
    broker_checked_ns: int | None = None
    drift: tuple[str, ...] = ()  # where ours and the broker's figures differ


@dataclass(frozen=True, slots=True)
class FindingView:
    code: str
    severity: str  # note | warn | alarm
    text: str


@dataclass(frozen=True, slots=True)
class ExpiryView:
    """How one contract of the book ends, what may go wrong there, what is planned (risk/expiry_desk.py)."""

    symbol: str
    label: str
    strategy: str
    trade: str
    quantity: int
    severity: str  # calm | note | warn | alarm
    dte: int
    sessions_left: int
    settlement: str  # AM | PM
    cash_settled: bool
    half_day: bool
    expires_ns: int
    stops_trading_ns: int
    cutoff_ns: int
    spot: float | None
    spot_reason: str
    in_the_money: bool | None
    extrinsic: float | None
    pin_distance: float | None
    pin_band: float | None
    pin_reason: str
    assignment: str  # NONE | MEDIUM | HIGH
    assignment_cause: str
    assignment_reason: str
    ex_date: str
    shares: int | None  # that exercise brings (all legs of the stock that end together)
    cash: Decimal | None
    buying_power_after: Decimal | None
    buying_power_reason: str
    bare: tuple[str, ...]  # sold contracts that lose their cover
    alone: tuple[str, ...]
    action: str  # hold | watch | close | deliver | settle
    action_text: str
    action_by_ns: int
    closes: tuple[str, ...]
    findings: tuple[FindingView, ...] = ()

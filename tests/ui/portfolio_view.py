"""A hand-written portfolio for the pretend engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import from_et
from qmterm.engine.view_portfolio import (
    ExpiryView,
    FindingView,
    PortfolioView,
    ProfitView,
    StrategyView,
    StressView,
    TailView,
    UnderlyingView,
)

SPOTS = (-0.20, -0.15, -0.10, -0.05, -0.02, 0.0, 0.02, 0.05, 0.10, 0.15, 0.20)
VOLS = (-0.25, 0.0, 0.25, 0.50)
CUTOFF = from_et(date(2026, 3, 2), 15, 30)


def expiry_view(**changes: object) -> ExpiryView:
    base = ExpiryView(
        symbol="AMD   260302P00130000",
        label="AMD 02MAR26 130P",
        strategy="atr-matrix",
        trade="P2",
        quantity=-1,
        severity="alarm",
        dte=0,
        sessions_left=0,
        settlement="PM",
        cash_settled=False,
        half_day=False,
        expires_ns=from_et(date(2026, 3, 2), 16),
        stops_trading_ns=from_et(date(2026, 3, 2), 16),
        cutoff_ns=CUTOFF,
        spot=129.8,
        spot_reason="",
        in_the_money=True,
        extrinsic=0.21,
        pin_distance=0.2,
        pin_band=0.65,
        pin_reason="",
        assignment="NONE",
        assignment_cause="",
        assignment_reason="",
        ex_date="",
        shares=100,
        cash=Decimal("-13000.00"),
        buying_power_after=Decimal("22310.55"),
        buying_power_reason="",
        bare=(),
        alone=(),
        action="close",
        action_text="close before 15:30 ET",
        action_by_ns=CUTOFF,
        closes=("AMD   260302P00130000",),
        findings=(FindingView("PIN_RISK", "alarm", "the stock is 0.20 from the strike, inside the band of 0.65"),),
    )
    return replace(base, **changes)


def portfolio_view(**changes: object) -> PortfolioView:
    cells = tuple(tuple(round(41_000 * spot - 90_000 * spot * spot + 7_000 * vol, 2) for spot in SPOTS) for vol in VOLS)
    profit = ProfitView(Decimal("310.00"), Decimal("55.50"), Decimal("6.78"), Decimal("358.72"))
    base = PortfolioView(
        measured_ns=CUTOFF,
        took_ms=8.4,
        positions=3,
        beta_delta=61.4,
        delta_dollars=25410.0,
        gamma_dollars_1pct=812.0,
        theta_day=-61.4,
        vega_point=142.0,
        weighted_vega=121.3,
        stress=StressView("market", SPOTS, VOLS, cells, min(min(row) for row in cells)),
        tails=(
            TailView("historical", 0.95, 812.4, 1104.9),
            TailView("historical", 0.99, 1502.0, 1690.3),
            TailView("cornish-fisher", 0.95, 790.1, 1010.0),
            TailView("cornish-fisher", 0.99, None, None, "UNRELIABLE"),
        ),
        tail_days=259,
        nlv=Decimal("100842.10"),
        buying_power=Decimal("61230.55"),
        buying_power_used_pct=38.2,
        total=profit,
        day=ProfitView(Decimal("310.00"), Decimal(0), Decimal("6.78"), Decimal("303.22")),
        strategies=(
            StrategyView("atr-matrix", profit, 3, Decimal("2410.52"), Decimal("20168.42"), Decimal("17757.90")),
        ),
        underlyings=(
            UnderlyingView("NVDA", "Semiconductors", Decimal("924.00"), 0.0092, 18100.0, 1.9, False),
            UnderlyingView("AMD", "", Decimal("208.00"), 0.0021, -4400.0, 1.0, True),
            UnderlyingView("SMCI", "", None, None, None, 1.0, True),
        ),
        broker_fees=Decimal("6.79"),
        drift=("order 1003 NVDA 17APR26 175C: the broker charged fees of 2.27, our table says 2.26",),
    )
    return replace(base, **changes)

"""Whether and how much: the limits, what an order may look like, the account's rule, the stops (QUANT.md 5)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from qmterm.core.settings.base import Section


class RiskSettings(Section):
    """`[risk]`: fractions of net liquidating value (NLV) as decimals."""

    max_trade_risk: float = Field(default=0.02, gt=0, le=1, description="most one trade may lose, share of NLV")
    max_symbol_risk: float = Field(
        default=0.05, gt=0, le=1, description="most all trades in one underlying may lose, share of NLV"
    )
    max_strategy_risk: float = Field(
        default=0.20, gt=0, le=1, description="most all trades of one strategy may lose, share of NLV"
    )
    cash_reserve: float = Field(default=0.20, ge=0, lt=1, description="cash that is never spent, share of NLV")
    max_contracts: int = Field(
        default=500, ge=1, le=10_000, description="most contracts in one order, whatever the limits allow"
    )
    allow_undefined: Literal[False] = Field(
        default=False, description="trades whose loss has no bound are refused; true is not offered by this version"
    )

    max_notional: float = Field(
        default=10.0, gt=0, le=1000, description="most stock one opening order may stand for, multiple of NLV"
    )

    max_orders_per_minute: int = Field(
        default=20, ge=1, le=600, description="most opening orders a minute of market time"
    )
    price_band: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="how far a limit may lie beyond the far side of the quote besides one tick, share of it",
    )
    quote_max_age_s: float = Field(
        default=60.0, gt=0, le=86400, description="oldest quote an opening order may rest on, seconds"
    )

    theory_band: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="how far a limit may lie beyond the model value besides half a dollar, share of it",
    )
    duplicate_s: float = Field(
        default=5.0, ge=0, le=3600, description="an opening order like one made within this time is refused, seconds"
    )
    earnings_days: int = Field(
        default=1,
        ge=0,
        le=60,
        description="nothing is opened this many days before known earnings, calendar days; 0 = off",
    )
    ex_dividend_days: int = Field(
        default=5,
        ge=0,
        le=60,
        description="calls likely to be assigned for a dividend are not sold this many days before it, calendar days",
    )
    expiry_cutoff_min: float = Field(
        default=30.0, ge=0, le=390, description="a contract is not opened in its last minutes of trading, minutes"
    )
    day_trade_mode: Literal["intraday_margin", "legacy_pdt", "cash"] = Field(
        default="intraday_margin",
        description="intraday_margin = buying power must not become negative; legacy_pdt = 3 day trades in 5 sessions "
        "below $25,000; cash = only settled funds are spent",
    )
    max_day_trades: int = Field(
        default=1000, ge=0, le=1000, description="day trades in five sessions you allow yourself, whatever the rule"
    )

    daily_loss_block: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="loss of the day that blocks opening orders until next session, share of NLV",
    )
    daily_loss_flatten: float = Field(
        default=0.03, gt=0, le=1, description="loss of the day that proposes flattening, share of NLV"
    )
    weekly_loss_block: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="loss of the week that blocks opening orders until you resume, share of NLV",
    )
    drawdown_block: float = Field(
        default=0.10,
        gt=0,
        le=1,
        description="loss from the account's peak that blocks opening orders until you resume, share of the peak",
    )
    auto_flatten: bool = Field(
        default=False, description="flatten by itself at daily_loss_flatten instead of proposing it"
    )

    premium_stop: float = Field(
        default=0.50, gt=0, le=1, description="a long option is closed when it lost this share of its premium"
    )
    dte_stop: int = Field(
        default=7, ge=0, le=365, description="a losing long option is closed at this many days to expiry, calendar days"
    )
    short_dte_stop: int = Field(
        default=21, ge=0, le=365, description="sold premium is closed at this many days to expiry, calendar days"
    )
    iv_stop_ratio: float = Field(
        default=1.5,
        gt=1,
        le=10,
        description="sold premium is closed when its implied volatility reached this many times that of its entry",
    )
    iv_stop_points: float = Field(
        default=0.10,
        gt=0,
        le=5,
        description="or when it rose by this much since the entry (0.10 = ten volatility points)",
    )
    iv_alert_ratio: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="an alarm sounds when a bought option's implied volatility fell to this share of its entry",
    )
    expiry_close_lead_min: float = Field(
        default=15.0,
        ge=0,
        le=390,
        description="what the expiry desk plans to close is closed this long before its cut-off, minutes",
    )

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        """Limits that contradict each other are named in pairs: a limit that can never bind protects nobody."""
        pairs = (
            ("max_trade_risk", "max_symbol_risk"),
            ("max_symbol_risk", "max_strategy_risk"),
            ("daily_loss_block", "daily_loss_flatten"),
            ("daily_loss_block", "weekly_loss_block"),
            ("daily_loss_block", "drawdown_block"),
        )
        for smaller, larger in pairs:
            low, high = getattr(self, smaller), getattr(self, larger)
            if low > high:
                raise ValueError(f"{smaller} ({low:g}) must not be above {larger} ({high:g})")
        if self.max_strategy_risk + self.cash_reserve > 1 + 1e-9:
            raise ValueError(
                f"max_strategy_risk ({self.max_strategy_risk:g}) and cash_reserve ({self.cash_reserve:g}) "
                "must not be more than 1 together"
            )
        return self

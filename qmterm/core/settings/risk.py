"""Whether and how much: the four limits, the order rate and the stops (QUANT.md 5.1 and 5.4)."""

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

    daily_loss_block: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="loss of the day that blocks opening orders until next session, share of NLV",
    )
    daily_loss_flatten: float = Field(
        default=0.03, gt=0, le=1, description="loss of the day that proposes flattening, share of NLV"
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

    @model_validator(mode="after")
    def _order_makes_sense(self) -> Self:
        if self.daily_loss_flatten < self.daily_loss_block:
            raise ValueError("daily_loss_flatten must not be below daily_loss_block")
        if not self.max_trade_risk <= self.max_symbol_risk <= self.max_strategy_risk:
            raise ValueError("max_trade_risk ≤ max_symbol_risk ≤ max_strategy_risk must hold")
        return self

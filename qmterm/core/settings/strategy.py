"""What to trade: thresholds of the ATR Matrix, of the option choice and of the scanner (QUANT.md 1).

Trap: a `profile` overrides single thresholds; read them through `strategy.atr_matrix.thresholds`, not from here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from qmterm.core.settings.base import Section


class AtrMatrixSettings(Section):
    """`[atr_matrix]`: when a stock is a setup and how the position is managed."""

    profile: Literal["default", "strict", "original"] = Field(
        default="default",
        description="default = the values here; strict = strength 1; original = strength 0.6, no stack, no ATR floor",
    )
    distance_mode: Literal["abs", "pct"] = Field(
        default="abs",
        description="what the gates measure: abs = (close − SMA50)/ATR14, pct = ATR % multiple from the SMA50",
    )
    min_bars: int = Field(default=200, ge=50, le=2000, description="completed daily bars a symbol needs, sessions")
    max_stale: int = Field(default=1, ge=0, le=5, description="sessions that may be missing at the end of its bars")
    entry_min: float = Field(default=0.0, ge=-5, le=20, description="lower end of the entry zone, ATRs above the SMA50")
    entry_max: float = Field(default=4.0, gt=0, le=20, description="upper end of the entry zone, ATRs above the SMA50")
    atr_pct_floor: float = Field(default=2.0, ge=0, le=50, description="least ATR14 as % of the price for an entry")
    require_ma_alignment: bool = Field(
        default=True, description="entries need EMA10 ≥ SMA20 ≥ SMA50 ≥ SMA100 ≥ SMA200 (all four pairs)"
    )
    min_strength: float = Field(default=0.90, ge=0, le=1, description="least strength of an entry, 0 to 1")
    min_confidence: float = Field(
        default=0.60, ge=0, le=1, description="least confidence score of an entry, 0 to 1 (a score, not a probability)"
    )
    min_rr: float = Field(
        default=2.0, ge=0, le=50, description="least reward to risk of the stock from close to T1 and stop"
    )
    overextended: float = Field(
        default=12.0, gt=0, le=50, description="distance from which a stock is overextended, ATRs"
    )
    min_rvol: float = Field(
        default=0.0, ge=0, le=50, description="least volume of the last completed day over its 20-day mean; 0 = off"
    )
    mtf_min: float = Field(
        default=0.25, ge=-1, le=1, description="multi-timeframe score below which a long signal is flagged"
    )
    allow_short: bool = Field(
        default=False, description="also look for mirrored short setups (experimental, in no source)"
    )
    horizon_days: tuple[int, int, int] = Field(
        default=(18, 10, 5), description="days a trade may take when its distance is ≤ 2, ≤ 3, more; calendar days"
    )
    scale_out: tuple[float, ...] = Field(
        default=(7.0, 8.0, 9.0, 10.0),
        min_length=1,
        max_length=8,
        description="levels where profit is taken, ATRs above SMA50",
    )
    scale_out_fractions: tuple[float, ...] = Field(
        default=(0.25, 0.25, 0.25, 0.25),
        min_length=1,
        max_length=8,
        description="share of the position closed at each level",
    )
    stop_mode: Literal["close", "touch"] = Field(
        default="close",
        description="ATR stop fires on a completed 5-minute close (close) or on any trade at the price (touch)",
    )

    @model_validator(mode="after")
    def _levels_make_sense(self) -> Self:
        if len(self.scale_out) != len(self.scale_out_fractions):
            raise ValueError("scale_out and scale_out_fractions need the same number of entries")
        if list(self.scale_out) != sorted(set(self.scale_out)) or self.scale_out[0] <= 0:
            raise ValueError("scale_out levels must be positive and rise from one to the next")
        if min(self.scale_out_fractions) <= 0 or sum(self.scale_out_fractions) > 1 + 1e-9:
            raise ValueError("scale_out_fractions must be positive and add up to no more than 1")
        if self.entry_min >= self.entry_max:
            raise ValueError("entry_min must be below entry_max")
        if self.overextended <= self.entry_max:
            raise ValueError("overextended must be above entry_max")
        if min(self.horizon_days) < 1 or max(self.horizon_days) > 365:
            raise ValueError("horizon_days must lie between 1 and 365 calendar days")
        return self


class OptionChoiceSettings(Section):
    """`[option_choice]`: which contract expresses a signal."""

    dte_min: int = Field(default=21, ge=0, le=1000, description="fewest days to expiry, calendar days")
    dte_max: int = Field(default=45, ge=1, le=1000, description="most days to expiry, calendar days")
    dte_target: int = Field(default=30, ge=1, le=1000, description="days to expiry looked for first, calendar days")
    max_expiries: int = Field(
        default=2, ge=1, le=20, description="expiries looked at: the nearest to dte_target, then the next"
    )
    delta_min: float = Field(default=0.30, ge=0, le=1, description="least |delta|")
    delta_max: float = Field(default=0.70, ge=0, le=1, description="most |delta|")
    quote_max_age_s: float = Field(default=60.0, gt=0, le=86400, description="oldest quote that may decide, seconds")
    min_open_interest: int = Field(default=500, ge=0, description="least open interest, contracts")
    min_volume: int = Field(
        default=100, ge=0, description="least volume of the day (previous session's before 10:30 ET), contracts"
    )
    max_spread_pct: float = Field(default=0.10, gt=0, le=2, description="widest (ask − bid)/mid, decimal")
    max_iv_hv: float = Field(default=1.5, gt=0, le=20, description="most implied volatility over HV20, ratio")
    max_iv_rank: float = Field(
        default=50.0, ge=0, le=100, description="most IV rank, 0 to 100; skipped below 60 observations"
    )
    max_theta_burden: float = Field(default=0.03, gt=0, le=1, description="most time decay a day over the mid, decimal")
    min_liquidity_score: float = Field(default=50.0, ge=0, le=100, description="least liquidity score, 0 to 100")
    min_risk_reward: float = Field(
        default=2.0, ge=0, le=100, description="least scenario profit at T1 over loss at the stop"
    )
    allow_earnings: bool = Field(default=False, description="allow earnings before the horizon's end or the expiry")
    require_positive_ev: bool = Field(default=False, description="refuse contracts whose expected P/L is negative")
    rank_by: Literal["risk_reward", "rr_pop", "ev_per_risk"] = Field(
        default="risk_reward",
        description="order of candidates: risk_reward, rr_pop = × POP, ev_per_risk = expected P/L/max loss",
    )
    slip_frac: float = Field(default=0.5, ge=0, le=1, description="share of the half-spread paid on each side, decimal")
    fee_per_contract: float = Field(
        default=1.15, ge=0, le=20, description="flat fee when the fee table has none, $ a contract and side"
    )
    hit_time_frac: float = Field(
        default=0.5, ge=0, le=1, description="when target or stop is hit, share of the horizon"
    )
    mu: float = Field(
        default=0.0, ge=-2, le=2, description="assumed drift of the stock in the scenarios, decimal a year"
    )
    iv_shift: float = Field(
        default=0.0, ge=-1, le=1, description="change of implied volatility in the scenarios, decimal points"
    )
    prob_vol: Literal["hv20", "iv"] = Field(
        default="hv20", description="volatility behind the hit probabilities: hv20 of the stock, or the contract's iv"
    )

    @model_validator(mode="after")
    def _ranges_make_sense(self) -> Self:
        if not self.dte_min <= self.dte_target <= self.dte_max:
            raise ValueError("dte_min ≤ dte_target ≤ dte_max must hold")
        if self.delta_min > self.delta_max:
            raise ValueError("delta_min must not be above delta_max")
        return self


class ScannerSettings(Section):
    """`[scanner]`: the universe and the order of its rows."""

    min_price: float = Field(default=5.0, ge=0, description="least price of the stock, $")
    min_dollar_volume: float = Field(
        default=1_000_000.0, ge=0, description="least mean(close × volume, 20), $ a day; 20,000,000 is advised"
    )
    require_options: bool = Field(default=True, description="only stocks with listed options")
    sort: Literal["confidence", "atr_distance"] = Field(
        default="confidence", description="order of the rows: confidence falling, or atr_distance rising"
    )

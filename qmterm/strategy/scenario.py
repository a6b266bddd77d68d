"""What a bought option makes at the target, at the stop and when neither is hit (QUANT.md 1.5), on arrays.

Trap: these are three scenarios under one model with unchanged volatility, not a forecast. Far targets give a reward
to risk of 5 with a probability of 5 %, and the expected P/L is usually negative when IV ≥ HV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.quant.options import american, black_scholes

DAYS = 365.0
SHARES = 100.0
HONEST_NOTE = (
    "far targets show a high reward to risk with a small chance; expected P/L is usually negative when IV ≥ HV: "
    "reward to risk alone is not an edge"
)


@dataclass(frozen=True, slots=True)
class ScenarioInputs:
    """Columns over contracts (or one number for all): dollars per share, decimals a year, `horizon` in years."""

    spot: float
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    iv: FloatArray
    is_call: BoolArray
    bid: FloatArray
    ask: FloatArray
    target: float  # underlying price
    stop: float  # underlying price
    horizon: float
    p_target: FloatArray  # chance of the target first, within the horizon
    p_stop: FloatArray
    european: bool = False  # how these options are exercised; the chain's own pricer is used


@dataclass(frozen=True, slots=True)
class Scenarios:
    """Dollars per contract. NaN where it does not exist (no time left after the horizon, no loss at the stop)."""

    entry: FloatArray  # per share, fee included
    pnl_target: FloatArray
    pnl_stop: FloatArray
    pnl_time: FloatArray
    risk_reward: FloatArray  # NaN when the stop loses nothing
    p_target: FloatArray
    p_stop: FloatArray
    p_neither: FloatArray
    expected_pnl: FloatArray
    max_loss: FloatArray
    breakeven: FloatArray
    pop: FloatArray


def scenarios(
    inputs: ScenarioInputs,
    slip_frac: float,
    fee_per_contract: float,
    hit_time_frac: float = 0.5,
    mu: float = 0.0,
    iv_shift: float = 0.0,
) -> Scenarios:
    """All columns for one bought contract each; needs years > horizon, otherwise the P/L columns are NaN."""
    fee = fee_per_contract / SHARES
    slip = slip_frac * (inputs.ask - inputs.bid) / 2.0
    entry = (inputs.bid + inputs.ask) / 2.0 + slip + fee
    after_hit = inputs.years - hit_time_frac * inputs.horizon
    after_all = inputs.years - inputs.horizon
    enough = after_all > 0
    vol = inputs.iv + iv_shift
    pricer = black_scholes.price if inputs.european else american.price

    def pnl(spot: float, years: FloatArray) -> FloatArray:
        value = pricer(spot, inputs.strike, years, inputs.rate, inputs.dividend_yield, vol, inputs.is_call)
        proceeds = np.maximum(0.0, value - slip) - fee
        return np.where(enough, SHARES * (proceeds - entry), np.nan)

    pnl_target = pnl(inputs.target, after_hit)
    pnl_stop = pnl(inputs.stop, after_hit)
    pnl_time = pnl(inputs.spot * float(np.exp(mu * inputs.horizon)), after_all)
    p_neither = 1.0 - inputs.p_target - inputs.p_stop
    breakeven = inputs.strike + np.where(inputs.is_call, entry, -entry)
    with np.errstate(invalid="ignore", divide="ignore"):
        risk_reward = np.where(pnl_stop < 0, pnl_target / -pnl_stop, np.nan)
    return Scenarios(
        entry=entry,
        pnl_target=pnl_target,
        pnl_stop=pnl_stop,
        pnl_time=pnl_time,
        risk_reward=risk_reward,
        p_target=inputs.p_target,
        p_stop=inputs.p_stop,
        p_neither=p_neither,
        expected_pnl=inputs.p_target * pnl_target + inputs.p_stop * pnl_stop + p_neither * pnl_time,
        max_loss=SHARES * entry,
        breakeven=breakeven,
        pop=black_scholes.probability_in_the_money(
            inputs.spot, breakeven, inputs.years, inputs.rate, inputs.dividend_yield, inputs.iv, inputs.is_call
        ),
    )

"""One contract that passed every filter, with all the numbers that decided. Unknown is None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from qmterm.core.chain import Chain


@dataclass(frozen=True, slots=True)
class Candidate:
    """Prices in dollars per share, P/L and loss in dollars per contract, Greeks in the units of QUANT.md 3.3."""

    occ: str
    expiry: date
    dte: int
    years: float
    strike: float
    is_call: bool
    bid: float
    ask: float
    bid_size: int
    ask_size: int
    quote_ns: int
    quote_age_s: float
    volume: int
    open_interest: int
    spot: float
    iv: float
    delta: float
    gamma: float | None
    theta: float
    vega: float | None
    spread_pct: float
    liquidity: float
    theta_burden: float
    iv_hv: float | None
    entry: float  # mid + slip + fee, per share
    pnl_target: float
    pnl_stop: float
    pnl_time: float
    risk_reward: float
    p_target: float
    p_stop: float
    p_neither: float
    expected_pnl: float
    max_loss: float
    breakeven: float
    pop: float

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


def known(value: float) -> float | None:
    """A number for an edge: None instead of NaN or infinity."""
    return value if math.isfinite(value) else None


def build_candidate(
    chain: Chain,
    row: int,
    scenario: Mapping[str, float],
    *,
    spread: float,
    volume: int,
    liquidity: float,
    theta_burden: float,
    iv_hv: float,
    quote_age_s: float,
) -> Candidate:
    """The candidate of one chain row; `scenario` holds its scenario numbers by name."""
    return Candidate(
        occ=chain.occ[row],
        expiry=chain.expiry[row].astype(object),
        dte=int(chain.dte[row]),
        years=float(chain.years[row]),
        strike=float(chain.strike[row]),
        is_call=bool(chain.is_call[row]),
        bid=float(chain.bid[row]),
        ask=float(chain.ask[row]),
        bid_size=int(chain.bid_size[row]),
        ask_size=int(chain.ask_size[row]),
        quote_ns=int(chain.quote_ns[row]),
        quote_age_s=quote_age_s,
        volume=volume,
        open_interest=int(chain.open_interest[row]),
        spot=chain.spot,
        iv=float(chain.iv[row]),
        delta=float(chain.delta[row]),
        gamma=known(float(chain.gamma[row])),
        theta=float(chain.theta[row]),
        vega=known(float(chain.vega[row])),
        spread_pct=spread,
        liquidity=liquidity,
        theta_burden=theta_burden,
        iv_hv=known(iv_hv),
        **scenario,
    )

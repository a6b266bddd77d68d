"""Greeks of what we hold, for the positions pane and the portfolio line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qmterm.core.calendar import days_to_expiry, years_to
from qmterm.core.clock import from_et
from qmterm.core.instruments import Right, is_option, parse_option
from qmterm.engine.book import Position
from qmterm.engine.marks import Marks
from qmterm.quant.options.black_scholes import greeks
from qmterm.quant.options.implied_vol import IvStatus, implied_vol

RATE = 0.04  # only for the positions pane: the chain pane uses the yield curve


@dataclass(frozen=True, slots=True)
class PositionGreeks:
    """Of the whole position: delta in shares, gamma in shares per $1, theta $ a day, vega $ a point."""

    delta: float
    gamma: float
    theta: float
    vega: float


def position_greeks(
    positions: tuple[Position, ...], marks: Marks, spots: dict[str, float | None], now_ns: int
) -> dict[str, PositionGreeks]:
    """One array call for all held options; positions whose volatility cannot be found are left out."""
    out: dict[str, PositionGreeks] = {}
    options: list[tuple[Position, float, float, float, float, bool]] = []
    for position in positions:
        spot = spots.get(position.underlying)
        if not is_option(position.symbol):
            out[position.symbol] = PositionGreeks(float(position.quantity), 0.0, 0.0, 0.0)
            continue
        mark = marks.of(position.symbol)
        if spot is None or mark is None:
            continue
        contract = parse_option(position.symbol)
        years = years_to(now_ns, from_et(contract.expiry, 16))
        options.append((position, float(mark.price), spot, float(contract.strike), years, contract.right is Right.CALL))
    if not options:
        return out
    price, spot_column, strike, years_column = (
        np.array([row[i] for row in options], dtype=float) for i in (1, 2, 3, 4)
    )
    is_call = np.array([row[5] for row in options])
    vol, status = implied_vol(price, spot_column, strike, years_column, RATE, 0.0, is_call)
    found = greeks(spot_column, strike, years_column, RATE, 0.0, vol, is_call)
    for i, row in enumerate(options):
        if status[i] == IvStatus.OK and np.isfinite(found.delta[i]):
            size = row[0].quantity * row[0].multiplier
            out[row[0].symbol] = PositionGreeks(
                float(found.delta[i]) * size,
                float(found.gamma[i]) * size,
                float(found.theta[i]) * size,
                float(found.vega[i]) * size,
            )
    return out


def days_left(symbol: str, now_ns: int) -> int | None:
    return days_to_expiry(now_ns, parse_option(symbol).expiry) if is_option(symbol) else None

"""Greeks of what we hold, for the positions pane and the portfolio line, by the chain's own pricers and rates.

The trap: the volatility comes from the mark of the position, not from a fresh quote; it is as old as that mark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.calendar import SessionCalendar, days_to_expiry, years_to
from qmterm.core.expiry import expiry_instant
from qmterm.core.instruments import Right, is_option, parse_option
from qmterm.core.settlement import terms_of
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.marks import Marks
from qmterm.quant.options import american, european
from qmterm.quant.options.solved import IvStatus, Solved

# Continuously compounded rates for maturities in years, at an instant.
RatesAt = Callable[[FloatArray, int], FloatArray]


@dataclass(frozen=True, slots=True)
class PositionGreeks:
    """Of the whole position: delta in shares, gamma in shares per $1, theta $ a day, vega $ a point."""

    delta: float
    gamma: float
    theta: float | None  # None on the last day of an American option: there is no tomorrow to compare with
    vega: float


class _Held(NamedTuple):
    position: Position
    price: float
    spot: float
    strike: float
    years: float
    is_call: bool


class HeldGreeks:
    def __init__(self, calendar: SessionCalendar, rates: RatesAt) -> None:
        self._calendar = calendar
        self._rates = rates

    def of(
        self, positions: tuple[Position, ...], marks: Marks, spots: dict[str, float | None], now_ns: int
    ) -> dict[str, PositionGreeks]:
        """One array call for each style of exercise; positions whose volatility cannot be found are left out."""
        out: dict[str, PositionGreeks] = {}
        styles: dict[bool, list[_Held]] = {}
        for position in positions:
            spot = spots.get(position.underlying)
            if not is_option(position.symbol):
                out[position.symbol] = PositionGreeks(float(position.quantity), 0.0, 0.0, 0.0)
                continue
            mark = marks.of(position.symbol)
            if spot is None or mark is None:
                continue
            contract = parse_option(position.symbol)
            terms = terms_of(contract.root)
            expires = expiry_instant(self._calendar, contract.expiry, terms.settlement)
            held = _Held(
                position,
                float(mark.price),
                spot,
                float(contract.strike),
                years_to(now_ns, expires),
                contract.right is Right.CALL,
            )
            styles.setdefault(terms.european, []).append(held)
        for is_european, held_options in styles.items():
            found = self._solve(held_options, now_ns, is_european=is_european)
            for i, option in enumerate(held_options):
                if found.status[i] == IvStatus.OK and np.isfinite(found.delta[i]):
                    size = option.position.quantity * option.position.multiplier
                    theta = float(found.theta[i])
                    out[option.position.symbol] = PositionGreeks(
                        delta=float(found.delta[i]) * size,
                        gamma=float(found.gamma[i]) * size,
                        theta=theta * size if np.isfinite(theta) else None,
                        vega=float(found.vega[i]) * size,
                    )
        return out

    def _solve(self, held: list[_Held], now_ns: int, *, is_european: bool) -> Solved:
        price, spot, strike, years = (np.array([row[i] for row in held], dtype=float) for i in (1, 2, 3, 4))
        is_call = np.array([row.is_call for row in held])
        solve = european.solve if is_european else american.solve
        return solve(price, spot, strike, years, self._rates(years, now_ns), 0.0, is_call)


def days_left(symbol: str, now_ns: int) -> int | None:
    return days_to_expiry(now_ns, parse_option(symbol).expiry) if is_option(symbol) else None

"""Greeks of what we hold, for the positions pane and the portfolio, by the chain's own pricers and rates.

The trap: the volatility comes from the mark of the position, not from a fresh quote; it is as old as that mark. A mark
without time value has none: then the stock's own volatility may stand in, and the position says that it was assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.calendar import SessionCalendar, days_to_expiry, years_to
from qmterm.core.expiry import expiry_instant
from qmterm.core.instruments import Right, is_option, parse_option
from qmterm.core.reasons import Reason
from qmterm.core.settlement import terms_of
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.marks import Marks
from qmterm.quant.options import american, black_scholes, european
from qmterm.quant.options.solved import IvStatus, Solved

# Continuously compounded rates for maturities in years, at an instant.
RatesAt = Callable[[FloatArray, int], FloatArray]
# A mark at its bounds: it has no volatility of its own, yet its value hardly depends on one.
_AT_BOUNDS = (IvStatus.NO_TIME_VALUE, IvStatus.BELOW_INTRINSIC, IvStatus.LOW_VEGA)


@dataclass(frozen=True, slots=True)
class PositionGreeks:
    """Of the whole position: delta in shares, gamma in shares per $1, theta $ a day, vega $ a point."""

    delta: float
    gamma: float
    theta: float | None  # None on the last day of an American option: there is no tomorrow to compare with
    vega: float
    iv: float | None = None  # decimal; None for stock
    assumed: bool = False  # the volatility is the stock's: the mark has none


class HeldOption(NamedTuple):
    symbol: str
    size: int  # signed shares it stands for
    price: float
    spot: float
    strike: float
    years: float
    rate: float
    is_call: bool
    european: bool
    spare_vol: float | None


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the pricers need, taken from the book in one go: safe to hand to another thread."""

    stocks: Mapping[str, int] = field(default_factory=dict)
    options: Sequence[HeldOption] = ()
    unpriced: Mapping[str, Reason] = field(default_factory=dict)  # by position, why it cannot be valued


class HeldGreeks:
    def __init__(self, calendar: SessionCalendar, rates: RatesAt) -> None:
        self._calendar = calendar
        self._rates = rates

    def of(
        self, positions: tuple[Position, ...], marks: Marks, spots: Mapping[str, float | None], now_ns: int
    ) -> dict[str, PositionGreeks]:
        """Positions whose volatility cannot be found are left out."""
        return solve_held(self.gather(positions, marks, spots, now_ns))[0]

    def gather(
        self,
        positions: Sequence[Position],
        marks: Marks,
        spots: Mapping[str, float | None],
        now_ns: int,
        spare_vol: Callable[[str], float | None] = lambda _underlying: None,
    ) -> Gathered:
        """`spare_vol` of an underlying stands in where a mark has no volatility of its own."""
        stocks: dict[str, int] = {}
        options: list[HeldOption] = []
        unpriced: dict[str, Reason] = {}
        for position in positions:
            spot, mark = spots.get(position.underlying), marks.of(position.symbol)
            if not is_option(position.symbol):
                stocks[position.symbol] = position.quantity
                continue
            if spot is None or mark is None:
                unpriced[position.symbol] = Reason.NO_QUOTE
                continue
            contract = parse_option(position.symbol)
            terms = terms_of(contract.root)
            years = years_to(now_ns, expiry_instant(self._calendar, contract.expiry, terms.settlement))
            options.append(
                HeldOption(
                    position.symbol,
                    position.quantity * position.multiplier,
                    float(mark.price),
                    spot,
                    float(contract.strike),
                    years,
                    0.0,
                    contract.right is Right.CALL,
                    terms.european,
                    spare_vol(position.underlying),
                )
            )
        rated: list[HeldOption] = []
        for style in (False, True):  # one question for the rates of each style of exercise
            rows = [option for option in options if option.european is style]
            if rows:
                rates = self._rates(np.array([row.years for row in rows]), now_ns)
                rated += [row._replace(rate=float(rate)) for row, rate in zip(rows, rates, strict=True)]
        return Gathered(stocks, tuple(rated), unpriced)


def solve_held(held: Gathered) -> tuple[dict[str, PositionGreeks], dict[str, Reason]]:
    """One array call for each style of exercise: the Greeks, and why some positions have none."""
    found = {symbol: PositionGreeks(float(quantity), 0.0, 0.0, 0.0) for symbol, quantity in held.stocks.items()}
    why = dict(held.unpriced)
    for style in (False, True):
        rows = [option for option in held.options if option.european is style]
        if not rows:
            continue
        solved = _solve(rows, is_european=style)
        for i, row in enumerate(rows):
            status = IvStatus(int(solved.status[i]))
            numbers = solved.delta[i], solved.gamma[i], solved.theta[i], solved.vega[i]
            if status is IvStatus.OK and np.isfinite(solved.delta[i]):
                found[row.symbol] = _scaled(row, numbers, float(solved.iv[i]))
            elif status in _AT_BOUNDS and row.spare_vol is not None and row.years > 0:
                greeks = _at_vol(row)
                if np.isfinite(greeks[0]):
                    found[row.symbol] = _scaled(row, greeks, row.spare_vol, assumed=True)
            if row.symbol not in found:
                why[row.symbol] = status.reason or Reason.NO_CONVERGENCE
    return found, why


def _scaled(
    row: HeldOption, greeks: tuple[float, float, float, float], iv: float, *, assumed: bool = False
) -> PositionGreeks:
    delta, gamma, theta, vega = (float(value) * row.size for value in greeks)
    return PositionGreeks(delta, gamma, theta if np.isfinite(theta) else None, vega, iv, assumed)


def _at_vol(row: HeldOption) -> tuple[float, float, float, float]:
    price = black_scholes.greeks if row.european else american.greeks
    given = price(row.spot, row.strike, row.years, row.rate, 0.0, row.spare_vol or 0.0, row.is_call)
    return float(given.delta), float(given.gamma), float(given.theta), float(given.vega)


def _solve(held: Sequence[HeldOption], *, is_european: bool) -> Solved:
    def column(name: str) -> FloatArray:
        return np.array([getattr(row, name) for row in held], dtype=float)

    is_call: BoolArray = np.array([row.is_call for row in held])
    solve = european.solve if is_european else american.solve
    return solve(column("price"), column("spot"), column("strike"), column("years"), column("rate"), 0.0, is_call)


def days_left(symbol: str, now_ns: int) -> int | None:
    return days_to_expiry(now_ns, parse_option(symbol).expiry) if is_option(symbol) else None

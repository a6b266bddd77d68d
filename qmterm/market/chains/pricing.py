"""Implied volatilities and Greeks of a whole chain at once from its quotes (QUANT.md 3.4, 3.5), on arrays.

Options on shares are American, on cash-settled indices European: the root tells. The trap: a contract without a
volatility still needs Greeks (an untraded wing is held by somebody). Its IV stays unknown, with the code why; its
Greeks come from the volatilities of its neighbours on the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.settlement import terms_of
from qmterm.core.ticks import program_for, table_of
from qmterm.market.quality.quotes import mids
from qmterm.quant.kernel import SMALL
from qmterm.quant.options import american, black_scholes, european
from qmterm.quant.options.black_scholes import display_theta
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.solved import IvStatus, Solved
from qmterm.quant.surface.ladder import Ladder
from qmterm.quant.surface.smile import smile_vols

LOW_VEGA_TICKS = 0.1  # below this many ticks a volatility point moves nothing that can be quoted


@dataclass(frozen=True, slots=True)
class ChainNumbers:
    iv: FloatArray  # NaN unless the status is OK or LOW_VEGA
    iv_status: NDArray[np.int8]
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray  # of American options NaN on the last day, when there is no tomorrow to compare with
    vega: FloatArray
    rho: FloatArray


def price_chain(
    root: str,
    spot: float,
    strike: FloatArray,
    years: FloatArray,
    is_call: BoolArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    wrong: BoolArray | None = None,
    dividends: DividendTable | None = None,
) -> ChainNumbers:
    """Everything of all contracts of one underlying, in their order; of `wrong` prices no volatility is made.

    Cash dividends belong to shares: an index pays a yield.
    """
    is_european = terms_of(root).european
    middle, crossed, wide = mids(bid, ask)
    if wrong is not None:
        middle = np.where(wrong, np.nan, middle)
    market = (spot, strike, years, rate, dividend_yield)
    if is_european:
        dividends = None
        found = european.solve(middle, *market, is_call)
    else:
        found = american.solve(middle, *market, is_call, dividends)
    status = found.status.copy()
    unquoted = status == IvStatus.NO_QUOTE
    status[unquoted & crossed] = IvStatus.CROSSED
    status[unquoted & wide] = IvStatus.WIDE_SPREAD
    found = _with_neighbours(found, market, is_call, dividends, is_european=is_european)
    with np.errstate(invalid="ignore"):
        flat = (status == IvStatus.OK) & (found.vega < LOW_VEGA_TICKS * _ticks(root, middle))
    status[flat] = IvStatus.LOW_VEGA
    return ChainNumbers(
        iv=found.iv,
        iv_status=status,
        delta=found.delta,
        gamma=found.gamma,
        theta=display_theta(found.theta, years) if is_european else found.theta,
        vega=found.vega,
        rho=found.rho,
    )


def warm_up() -> None:
    """Load the compiled kernels (seconds on a fresh machine): once, before the market needs the loop."""
    many = np.full(SMALL + 1, 1.0)
    paying = DividendTable.shared([(0.5, 0.1)])
    for right in (many > 0, many < 0):
        price_chain("X", 100.0, 100.0 * many, many, right, 0.04 * many, 0.0 * many, 9.9 * many, 10.1 * many)
        american.greeks(100.0, 100.0 * many, many, 0.04, 0.0, 0.2, right)
        quotes = (9.9 * many, 10.1 * many)
        price_chain("X", 100.0, 100.0 * many, many, right, 0.04 * many, 0.0 * many, *quotes, dividends=paying)
        american.greeks(100.0, 100.0 * many, many, 0.04, 0.0, 0.2, right, paying)


def _with_neighbours(
    found: Solved,
    market: tuple[float, FloatArray, FloatArray, FloatArray, FloatArray],
    is_call: BoolArray,
    dividends: DividendTable | None,
    *,
    is_european: bool,
) -> Solved:
    """The Greeks of contracts without a volatility of their own, at the surface's; their IV stays unknown."""
    unknown = np.flatnonzero(np.isnan(found.iv))
    if not unknown.size or unknown.size == found.iv.size:
        return found
    spot, strike, years, rate, dividend_yield = market
    vols = smile_vols(Ladder.arrange(years, strike, is_call), found.iv, spot).vol[unknown]
    some = (spot, strike[unknown], years[unknown], rate[unknown], dividend_yield[unknown], vols, is_call[unknown])
    greeks = black_scholes.greeks(*some) if is_european else american.greeks(*some, dividends)
    columns = {name: getattr(found, name).copy() for name in ("delta", "gamma", "theta", "vega", "rho")}
    for name, column in columns.items():
        column[unknown] = getattr(greeks, name)
    return found._replace(**columns)


def _ticks(root: str, price: FloatArray) -> FloatArray:
    """The tick at each price of one option class."""
    out = np.full(price.shape, np.nan)
    for threshold, size in reversed(table_of(program_for(root)).steps):
        out[price < (np.inf if threshold is None else float(threshold))] = float(size)
    return out

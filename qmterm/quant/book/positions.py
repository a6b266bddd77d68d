"""A portfolio as columns: what is held in what, and its value at other spots, volatilities and times.

The trap: a position that cannot be valued is NaN and named with its reason; whoever adds up must not leave it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.core.reasons import Reason
from qmterm.quant.arrays import common_shape, to_float
from qmterm.quant.options import black_scholes
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.implied_vol import MIN_YEARS

YEAR_DAYS = 365.0


class Unvalued(NamedTuple):
    """Row of a position without a value, and why."""

    row: int
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """One row per position, all columns (n,). Made by `positions`.

    `quantity` signed contracts or shares, `multiplier` shares per contract (1 for stock); prices in dollars per share,
    `years` to expiry, `rate`, `dividend_yield` and `vol` decimals; a stock reads only quantity, multiplier, spot and
    beta. `american` rows use the American pricer. `dividends` has a row for each position, or one shared by all.
    """

    quantity: FloatArray
    multiplier: FloatArray
    spot: FloatArray
    is_stock: BoolArray
    is_call: BoolArray
    strike: FloatArray
    years: FloatArray
    rate: FloatArray
    dividend_yield: FloatArray
    vol: FloatArray
    american: BoolArray
    beta: FloatArray
    dividends: DividendTable | None = None

    def __len__(self) -> int:
        return self.quantity.size

    @property
    def size(self) -> FloatArray:
        """Signed shares each position stands for."""
        return self.quantity * self.multiplier


def positions(
    *,
    quantity: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike = np.nan,
    years: ArrayLike = np.nan,
    vol: ArrayLike = np.nan,
    is_call: ArrayLike = True,
    is_stock: ArrayLike = False,
    american: ArrayLike = False,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
    multiplier: ArrayLike | None = None,
    beta: ArrayLike = 1.0,
    dividends: DividendTable | None = None,
) -> Positions:
    """Columns from single values and (n,) arrays; BadInput naming the argument whose shape or kind does not fit.

    The multiplier is 100 for options and 1 for stock unless given.
    """
    flags = {"is_call": np.asarray(is_call), "is_stock": np.asarray(is_stock), "american": np.asarray(american)}
    for name, flag in flags.items():
        if flag.dtype != np.bool_ and flag.size:
            raise BadInput(f"argument {name} must be True or False (or an array of them), not {flag.dtype}")
    if multiplier is None:
        multiplier = np.where(flags["is_stock"].astype(np.bool_), 1.0, 100.0)
    given: dict[str, ArrayLike] = {
        "quantity": quantity, "spot": spot, "strike": strike, "years": years, "vol": vol, "rate": rate,
        "dividend_yield": dividend_yield, "multiplier": multiplier, "beta": beta,
    }  # fmt: skip
    numbers = {name: to_float(name, value) for name, value in given.items()}
    shape = common_shape(**{name: value.shape for name, value in (numbers | flags).items()})
    if len(shape) > 1:
        raise BadInput(f"positions are one row each: shape {shape} has more than one dimension")
    length = shape or (1,)
    columns = {name: np.broadcast_to(value, length).copy() for name, value in numbers.items()}
    rights = {name: np.broadcast_to(flag.astype(np.bool_), length).copy() for name, flag in flags.items()}
    if dividends is not None:
        dividends.fits(length[0])
    return Positions(
        quantity=columns["quantity"],
        multiplier=columns["multiplier"],
        spot=columns["spot"],
        is_stock=rights["is_stock"],
        is_call=rights["is_call"],
        strike=columns["strike"],
        years=columns["years"],
        rate=columns["rate"],
        dividend_yield=columns["dividend_yield"],
        vol=columns["vol"],
        american=rights["american"],
        beta=columns["beta"],
        dividends=dividends,
    )


@np.errstate(all="ignore")
def value_grid(book: Positions, spots: FloatArray, vols: FloatArray, days: float = 0.0) -> FloatArray:
    """Value per share of each position at each of its (n, s) spots with each of its (n, v) volatilities: (n, s, v).

    `days` from now. Stock is worth its spot, an option in its last minute or past its expiry by then its intrinsic
    value. NaN where it cannot be valued.
    """
    left = _left(book, days)
    running = ~book.is_stock & ~(left < MIN_YEARS)
    intrinsic = np.where(book.is_call[:, np.newaxis], 1.0, -1.0) * (spots - book.strike[:, np.newaxis])
    known = np.where(book.is_stock[:, np.newaxis], spots, np.maximum(intrinsic, 0.0))
    known = np.where(running[:, np.newaxis] | ~(spots > 0.0), np.nan, known)
    out = np.repeat(known[:, :, np.newaxis], vols.shape[1], axis=2)
    for style in (False, True):
        rows = np.flatnonzero(running & (book.american == style))
        if rows.size:
            out[rows] = _model(book, rows, spots[rows], vols[rows], left[rows], days)
    return out


def value_now(book: Positions) -> FloatArray:
    """Value per share of each position as it stands, (n,)."""
    return value_grid(book, book.spot[:, np.newaxis], book.vol[:, np.newaxis])[:, 0, 0]


def _left(book: Positions, days: float) -> FloatArray:
    """Years to expiry then: none left for options that have expired by then; NaN for those that have already."""
    now = np.where(book.years >= 0.0, book.years, np.nan)
    return np.asarray(np.maximum(0.0, now - days / YEAR_DAYS))


def _model(
    book: Positions, rows: IntArray, spots: FloatArray, vols: FloatArray, left: FloatArray, days: float
) -> FloatArray:
    """The pricer of these rows, which are all of one style."""

    def down(column: FloatArray) -> FloatArray:
        return column[rows, np.newaxis]

    fixed = (down(book.strike), left[:, np.newaxis], down(book.rate), down(book.dividend_yield))
    calls = book.is_call[rows, np.newaxis]
    if not book.american[rows[0]]:
        k, t, r, q = (column[..., np.newaxis] for column in fixed)
        return black_scholes.price(spots[:, :, np.newaxis], k, t, r, q, vols[:, np.newaxis, :], calls[..., np.newaxis])
    # Only here: a book of European options and stock does not wait for the American kernels.
    from qmterm.quant.options import american

    table = book.dividends
    if table is not None:
        table = table.take(np.repeat(rows, vols.shape[1]))
        if days:
            table = DividendTable(table.times - days / YEAR_DAYS, table.amounts)
    ladder = np.broadcast_to(spots[:, np.newaxis, :], (rows.size, vols.shape[1], spots.shape[1]))
    values = american.price_at_spots(ladder, *fixed, vols, calls, dividends=table)
    return np.swapaxes(values, 1, 2)


def unvalued(book: Positions, values: FloatArray) -> tuple[Unvalued, ...]:
    """The rows of (n, …) `values` that hold a NaN, with the first reason found for each."""
    missing = np.isnan(values).any(axis=tuple(range(1, values.ndim)))
    return tuple(Unvalued(int(row), _reason(book, int(row))) for row in np.flatnonzero(missing))


def _reason(book: Positions, row: int) -> Reason:
    if not np.isfinite(book.spot[row]):
        return Reason.NO_QUOTE
    if not np.isfinite(book.size[row]) or not book.spot[row] > 0.0:
        return Reason.BAD_INPUT
    if not np.isfinite(book.beta[row]):
        return Reason.NO_HISTORY
    if book.is_stock[row]:
        return Reason.BAD_INPUT
    if book.years[row] < 0.0:
        return Reason.EXPIRED
    if not book.vol[row] > 0.0 or not np.isfinite(book.vol[row]):
        return Reason.NO_DATA
    if not book.strike[row] > 0.0 or not np.isfinite(book.strike[row] + book.years[row] + book.rate[row]):
        return Reason.BAD_INPUT
    return Reason.NO_CONVERGENCE

"""The contracts of a chain arranged by expiry and strike: the call and the put of each strike side by side.

An expiry is told by its years to the expiry instant, so the morning and the evening expiry of one date stay apart.
The trap: adjusted contracts share strikes with standard ones; leave them out before. Of contracts with equal expiry,
strike and right the first given counts; those without a strike or a time left are in no row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten_options, to_float


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rows are strikes, ascending inside an expiry; expiries ascend. Contract numbers refer to the arrays arranged."""

    contracts: int
    years: FloatArray  # (expiries,)
    starts: IntArray  # (expiries + 1,) where each expiry's rows begin
    expiry: IntArray  # (rows,) number of the expiry
    strike: FloatArray  # (rows,)
    call: IntArray  # (rows,) contract number, −1 when not listed
    put: IntArray  # (rows,)
    row: IntArray  # (contracts,) the row of each contract, −1 when it has none

    @classmethod
    def arrange(cls, years: ArrayLike, strike: ArrayLike, is_call: ArrayLike) -> Ladder:
        """From one-dimensional columns in any order; single values broadcast."""
        _, calls, (times, strikes) = flatten_options(is_call, years=years, strike=strike)
        order = _order(times, strikes)
        t, k = times[order], strikes[order]
        new_expiry = np.r_[np.ones(min(1, t.size), np.bool_), t[1:] != t[:-1]]
        new_row = new_expiry | np.r_[np.ones(min(1, t.size), np.bool_), k[1:] != k[:-1]]
        first = np.flatnonzero(new_row)
        number = np.cumsum(new_row) - 1
        row = np.full(times.size, -1)
        row[order] = number
        expiry = (np.cumsum(new_expiry) - 1)[first]
        expiries = int(new_expiry.sum())
        return cls(
            contracts=times.size,
            years=t[new_expiry],
            starts=np.searchsorted(expiry, np.arange(expiries + 1)),
            expiry=expiry,
            strike=k[first],
            call=_first_of(order[calls[order]], row, first.size),
            put=_first_of(order[~calls[order]], row, first.size),
            row=row,
        )

    @property
    def expiries(self) -> int:
        return int(self.years.size)

    @property
    def rows(self) -> int:
        return int(self.strike.size)

    def column(self, name: str, values: ArrayLike) -> FloatArray:
        """Values as one number a contract; BadInput naming the argument when the length is another."""
        array = to_float(name, values)
        try:
            return np.broadcast_to(array, (self.contracts,))
        except ValueError as error:
            raise BadInput(
                f"argument {name} has shape {array.shape}: one value for each of the {self.contracts} contracts, "
                "or a single one, is needed"
            ) from error

    def vol_column(self, name: str, values: ArrayLike) -> FloatArray:
        """As `column`, for volatilities: one that is not above 0 and finite counts as unknown (NaN)."""
        vols = self.column(name, values)
        return np.where((vols > 0.0) & (vols < np.inf), vols, np.nan)

    def expiry_column(self, name: str, values: ArrayLike) -> FloatArray:
        """Values as one number an expiry; BadInput naming the argument when the length is another."""
        array = to_float(name, values)
        try:
            return np.broadcast_to(array, (self.expiries,))
        except ValueError as error:
            raise BadInput(
                f"argument {name} has shape {array.shape}: one value for each of the {self.expiries} expiries, "
                "or a single one, is needed"
            ) from error

    def calls(self, values: FloatArray) -> FloatArray:
        """The calls' values by row, NaN where none is listed."""
        return _taken(values, self.call)

    def puts(self, values: FloatArray) -> FloatArray:
        """The puts' values by row, NaN where none is listed."""
        return _taken(values, self.put)

    def outside(self, values: FloatArray, forward: FloatArray) -> FloatArray:
        """By row, the value of the option that is out of the money: the call from the forward up, the put below.

        It knows its volatility better than the other side, because its price is all time value.
        """
        return np.where(self.strike >= forward[self.expiry], self.calls(values), self.puts(values))

    def either(self, values: FloatArray, forward: FloatArray) -> FloatArray:
        """As `outside`, with the other side's value where that is unknown."""
        own = self.outside(values, forward)
        calls, puts = self.calls(values), self.puts(values)
        return np.where(np.isnan(own), np.where(np.isnan(calls), puts, calls), own)

    def by_expiry(self, values: FloatArray) -> FloatArray:
        """A column that is the same for all contracts of an expiry (rate, DTE), once an expiry."""
        if not self.rows:
            return np.empty(0)
        first = self.starts[:-1]
        return np.asarray(values[np.where(self.call[first] >= 0, self.call[first], self.put[first])])


def _order(times: FloatArray, strikes: FloatArray) -> IntArray:
    """Contract numbers by expiry and strike, equals in their own order; unusable ones left out."""
    usable = np.isfinite(times) & np.isfinite(strikes) & (times > 0) & (strikes > 0)
    numbers = np.flatnonzero(usable)
    t, k = times[numbers], strikes[numbers]
    if ((t[1:] > t[:-1]) | ((t[1:] == t[:-1]) & (k[1:] >= k[:-1]))).all():
        return numbers
    return np.asarray(numbers[np.lexsort((k, t))])


def _first_of(contracts: IntArray, row: IntArray, rows: int) -> IntArray:
    out = np.full(rows, -1)
    backwards = contracts[::-1]
    out[row[backwards]] = backwards
    return out


def _taken(values: FloatArray, contract: IntArray) -> FloatArray:
    if not values.size:
        return np.full(contract.shape, np.nan)
    return np.where(contract >= 0, values[contract], np.nan)

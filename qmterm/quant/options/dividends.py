"""Cash dividends of the options of one call: when each goes ex, how much it pays, and what they are worth today.

The trap: times are years from now, as the options' own; a dividend at or before now is past and counts for nothing,
one after an option's expiry is nothing to that option.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.errors import BadInput
from qmterm.quant.arrays import flatten, to_float

Schedule = Iterable[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class DividendTable:
    """Ex-dates and amounts, one row for each option (in flattened order) or one row that all options share.

    `times` (rows, k): years from now, ascending in each row once made. `amounts` (rows, k): dollars per share; 0 pads.
    BadInput when the shapes differ, a number is not finite, or an amount is negative.
    """

    times: FloatArray
    amounts: FloatArray

    def __post_init__(self) -> None:
        times = to_float("dividends.times", self.times)
        amounts = to_float("dividends.amounts", self.amounts)
        if times.ndim != 2 or times.shape != amounts.shape:
            raise BadInput(
                f"argument dividends: times and amounts must both be (rows, k), not {times.shape} and {amounts.shape}"
            )
        if not np.isfinite(times).all():
            raise BadInput("argument dividends: a time is not a finite number of years")
        if not np.isfinite(amounts).all():
            raise BadInput("argument dividends: an amount is not a finite number of dollars")
        if (amounts < 0.0).any():
            raise BadInput("argument dividends: an amount is negative")
        order = np.argsort(times, axis=1, kind="stable")
        # Copies, so that a caller who changes its arrays afterwards changes nothing here.
        object.__setattr__(self, "times", np.take_along_axis(times, order, axis=1))
        object.__setattr__(self, "amounts", np.take_along_axis(amounts, order, axis=1))

    @classmethod
    def none(cls) -> DividendTable:
        """No dividends, for any number of options."""
        return cls.shared(())

    @classmethod
    def shared(cls, schedule: Schedule) -> DividendTable:
        """One schedule of (years from now, dollars per share) for all options."""
        return cls.by_option([schedule])

    @classmethod
    def by_option(cls, schedules: Sequence[Schedule]) -> DividendTable:
        """A schedule of (years from now, dollars per share) for each option, in flattened order."""
        listed = [list(schedule) for schedule in schedules]
        width = max((len(schedule) for schedule in listed), default=0)
        times = np.zeros((len(listed), width))
        amounts = np.zeros((len(listed), width))
        for row, schedule in enumerate(listed):
            for number, entry in enumerate(schedule):
                try:
                    years, dollars = entry
                    times[row, number], amounts[row, number] = float(years), float(dollars)
                except (TypeError, ValueError) as error:
                    raise BadInput(
                        f"argument dividends: entry {number} of schedule {row} is not (years, dollars): {entry!r}"
                    ) from error
        return cls(times, amounts)

    @property
    def rows(self) -> int:
        return int(self.times.shape[0])

    def fits(self, size: int) -> None:
        """BadInput unless one row is shared or each of `size` options has its own."""
        if self.rows not in (1, size):
            raise BadInput(f"argument dividends has {self.rows} rows for {size} options: pass one row or one for each")

    def take(self, options: IntArray | BoolArray) -> DividendTable:
        """The rows of some of the options (indices or a mask); a shared row stays shared."""
        if self.rows == 1:
            return self
        return DividendTable(self.times[options], self.amounts[options])

    def counted(self, years: ArrayLike) -> BoolArray:
        """(options, k): which dividends each option's expiry, in years, lies at or after."""
        expiry = to_float("years", years).reshape(-1, 1)
        self.fits(expiry.shape[0])
        return np.asarray((self.times > 0.0) & (self.times <= expiry) & (self.amounts > 0.0))

    def any_before(self, years: ArrayLike) -> BoolArray:
        """For each option, in the shape of `years`: whether it has a dividend to come before or at its expiry."""
        return np.asarray(self.counted(years).any(axis=1)).reshape(np.shape(years))

    def present_value(self, rate: ArrayLike, years: ArrayLike) -> FloatArray:
        """PV(D) = Σ D·exp(−r·t) over 0 < t ≤ T, dollars per share, in the common shape (QUANT.md 3.4, escrowed)."""
        shape, (rates, expiry) = flatten(rate=rate, years=years)
        counted = self.counted(expiry)
        with np.errstate(all="ignore"):
            worth = self.amounts * np.exp(-rates.reshape(-1, 1) * self.times)
        return np.asarray(np.where(counted, worth, 0.0).sum(axis=1)).reshape(shape)

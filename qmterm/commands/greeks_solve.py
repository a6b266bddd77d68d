"""Prices, volatilities and Greeks of a table's rows: one array call for each kind of option in it.

The trap: rows of one table differ in style, in dividends and in what is given, but answers go back to their own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmterm.commands.greeks_inputs import Inputs
from qmterm.core.bars import FloatArray
from qmterm.quant.options.dividends import DividendTable
from qmterm.quant.options.implied_vol import MIN_YEARS, IvStatus

COLUMNS = ("iv", "price", "delta", "gamma", "theta", "vega", "rho")


@dataclass(frozen=True, slots=True)
class Answers:
    """One number a row and column, NaN where there is none; units of QUANT.md 3.3, per share."""

    numbers: dict[str, FloatArray]
    status: NDArray[np.int8]
    models: list[str]


class _Kind(NamedTuple):
    american: bool
    dividends: bool
    from_price: bool

    @property
    def model(self) -> str:
        if self.american:
            return "American, escrowed dividends" if self.dividends else "American"
        return "Black-Scholes-Merton, escrowed dividends" if self.dividends else "Black-Scholes-Merton"


def answer(inputs: Inputs) -> Answers:
    """Solves every row that has a price for its volatility, and prices the others from their volatility."""
    numbers = {name: np.full(len(inputs), np.nan) for name in COLUMNS}
    status = inputs.status.copy()
    models = [""] * len(inputs)
    usable = status == IvStatus.OK
    numbers["price"][usable] = inputs.price[usable]
    has_dividends = np.array([bool(paid) for paid in inputs.dividends], dtype=np.bool_)
    has_price = ~np.isnan(inputs.price)
    for american in (False, True):
        for dividends in (False, True):
            for from_price in (False, True):
                kind = _Kind(american, dividends, from_price)
                mine = usable & (inputs.american == american)
                mine &= (has_dividends == dividends) & (has_price == from_price)
                rows = np.flatnonzero(mine)
                if not rows.size:
                    continue
                for row in rows.tolist():
                    models[row] = kind.model
                if from_price:
                    _solve(inputs, kind, rows, numbers, status)
                else:
                    _value(inputs, kind, rows, numbers, status)
    return Answers(numbers, status, models)


def _terms(inputs: Inputs, rows: NDArray[np.int64]) -> tuple[FloatArray, ...]:
    """spot, strike, years, rate, dividend_yield of the rows."""
    columns = (inputs.spot, inputs.strike, inputs.years, inputs.rate, inputs.dividend_yield)
    return tuple(column[rows] for column in columns)


def _solve(
    inputs: Inputs, kind: _Kind, rows: NDArray[np.int64], numbers: dict[str, FloatArray], status: NDArray[np.int8]
) -> None:
    price, is_call = inputs.price[rows], inputs.is_call[rows]
    spot, strike, years, rate, dividend_yield = _terms(inputs, rows)
    if kind.american:
        from qmterm.quant.options import american

        table = _table(inputs, rows) if kind.dividends else None
        solved = american.solve(price, spot, strike, years, rate, dividend_yield, is_call, table)
        found = solved._asdict()
    else:
        from qmterm.quant.options import european

        paid = _paid(inputs, kind, rows, rate)
        solved = european.solve(price, spot - paid.value, strike, years, rate, dividend_yield, is_call)
        found = solved._asdict()
        _european_extras(found, paid, years, rate)
    status[rows] = found.pop("status")
    for name, values in found.items():
        numbers[name][rows] = values


def _value(
    inputs: Inputs, kind: _Kind, rows: NDArray[np.int64], numbers: dict[str, FloatArray], status: NDArray[np.int8]
) -> None:
    status[rows[inputs.years[rows] < MIN_YEARS]] = IvStatus.EXPIRING
    status[rows[inputs.years[rows] <= 0.0]] = IvStatus.EXPIRED
    expiring = rows[status[rows] == IvStatus.EXPIRING]
    sign = np.where(inputs.is_call[expiring], 1.0, -1.0)
    numbers["price"][expiring] = np.maximum(0.0, sign * (inputs.spot[expiring] - inputs.strike[expiring]))
    rows = rows[status[rows] == IvStatus.OK]
    if not rows.size:
        return
    vol, is_call = inputs.vol[rows], inputs.is_call[rows]
    spot, strike, years, rate, dividend_yield = _terms(inputs, rows)
    if kind.american:
        from qmterm.quant.options import american

        table = _table(inputs, rows) if kind.dividends else None
        found = american.greeks(spot, strike, years, rate, dividend_yield, vol, is_call, table)._asdict()
    else:
        from qmterm.quant.options import black_scholes

        paid = _paid(inputs, kind, rows, rate)
        terms = (spot - paid.value, strike, years, rate, dividend_yield, vol, is_call)
        found = black_scholes.greeks(*terms)._asdict()
        found["price"] = black_scholes.price(*terms)
        _european_extras(found, paid, years, rate)
    found["iv"] = vol
    bad = ~np.isfinite(found["price"])
    status[rows[bad]] = IvStatus.BAD_INPUT
    for name in COLUMNS:
        numbers[name][rows] = np.where(bad, np.nan, found[name])


def _table(inputs: Inputs, rows: NDArray[np.int64]) -> DividendTable:
    return DividendTable.by_option([inputs.dividends[row] for row in rows.tolist()])


class _Paid(NamedTuple):
    """Present value of each row's dividends, and the sum of years·value, in dollars per share."""

    value: FloatArray
    weighted: FloatArray


def _paid(inputs: Inputs, kind: _Kind, rows: NDArray[np.int64], rate: FloatArray) -> _Paid:
    if not kind.dividends:
        return _Paid(np.zeros(rows.size), np.zeros(rows.size))
    table = _table(inputs, rows)
    present = table.amounts * np.exp(-rate.reshape(-1, 1) * table.times)
    return _Paid(present.sum(axis=1), (table.times * present).sum(axis=1))


def _european_extras(found: dict[str, FloatArray], paid: _Paid, years: FloatArray, rate: FloatArray) -> None:
    """The spot without its dividends moves by itself: their value grows with time and shrinks with the rate."""
    from qmterm.quant.options.black_scholes import display_theta

    raw = found["theta"] - found["delta"] * rate * paid.value / 365.0
    found["theta"] = display_theta(raw, years)
    found["rho"] = found["rho"] + found["delta"] * paid.weighted / 100.0

"""American options through QuantLib's QdFp engines: the reference, and the loop a Python user would write.

The trap: building SWIG objects costs more than pricing; the process is built once and its quotes are moved, which is
the fastest a user can do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qmterm.bench.option_data import Options
from qmterm.core.bars import FloatArray

SPOT_BUMP = 0.001  # relative; the bumps of QUANT.md 3.4
VOL_BUMP = 0.001
RATE_BUMP = 1e-4
GREEKS = ("price", "delta", "gamma", "theta", "vega", "rho")


class QuantLibAmerican:
    """One engine; `scheme` is fast, accurate or high (precision). `quantlib` is the module."""

    def __init__(self, quantlib: Any, scheme: str) -> None:
        ql = quantlib
        self._ql = ql
        self._today = ql.Date(2, 3, 2026)
        ql.Settings.instance().evaluationDate = self._today
        counter = ql.Actual365Fixed()
        self.spot, self.rate = ql.SimpleQuote(100.0), ql.SimpleQuote(0.04)
        self.dividend_yield, self.vol = ql.SimpleQuote(0.02), ql.SimpleQuote(0.3)

        def curve(quote: Any) -> Any:
            return ql.YieldTermStructureHandle(ql.FlatForward(self._today, ql.QuoteHandle(quote), counter))

        surface = ql.BlackConstantVol(self._today, ql.NullCalendar(), ql.QuoteHandle(self.vol), counter)
        self.process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(self.spot),
            curve(self.dividend_yield),
            curve(self.rate),
            ql.BlackVolTermStructureHandle(surface),
        )
        schemes = {
            "fast": ql.QdFpAmericanEngine.fastScheme,
            "accurate": ql.QdFpAmericanEngine.accurateScheme,
            "high": ql.QdFpAmericanEngine.highPrecisionScheme,
        }
        self._engine = ql.QdFpAmericanEngine(self.process, schemes[scheme]())

    def option(self, strike: float, days: int, is_call: bool, engine: Any = None) -> Any:
        ql = self._ql
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
        made = ql.VanillaOption(payoff, ql.AmericanExercise(self._today, self._today + days))
        made.setPricingEngine(engine or self._engine)
        return made

    def move(self, spot: float, rate: float, dividend_yield: float, vol: float) -> None:
        self.spot.setValue(spot)
        self.rate.setValue(rate)
        self.dividend_yield.setValue(dividend_yield)
        self.vol.setValue(vol)

    def prices(self, options: Options) -> FloatArray:
        found = np.empty(options.size)
        for row, (terms, days, is_call) in enumerate(rows_of(options)):
            spot, strike, rate, dividend_yield, vol = terms
            self.move(spot, rate, dividend_yield, vol)
            found[row] = self.option(strike, days, is_call).NPV()
        return found

    def greeks(self, options: Options) -> FloatArray:
        """(6, options) in the order of GREEKS, by bumps."""
        found = np.empty((len(GREEKS), options.size))
        for row, (terms, days, is_call) in enumerate(rows_of(options)):
            spot, strike, rate, dividend_yield, vol = terms
            self.move(spot, rate, dividend_yield, vol)
            found[:, row] = self._bumped(self.option(strike, days, is_call), strike, days, is_call)
        return found

    def solve(self, options: Options, prices: FloatArray) -> FloatArray:
        """(6, options): the volatility by scipy's brentq to 1e-5, and five Greeks by six more prices.

        As fast as this loop gets: the bracket fits the benchmark's volatilities, and vega and rho are one-sided.
        """
        from scipy.optimize import brentq

        found = np.empty((len(GREEKS), options.size))
        for row, (terms, days, is_call) in enumerate(rows_of(options)):
            spot, strike, rate, dividend_yield, _ = terms
            self.move(spot, rate, dividend_yield, 0.3)
            option = self.option(strike, days, is_call)
            target = float(prices[row])

            def miss(vol: float, option: Any = option, target: float = target) -> float:
                self.vol.setValue(vol)
                return float(option.NPV()) - target

            found[0, row] = root = brentq(miss, 0.05, 2.0, xtol=1e-5)
            self.vol.setValue(root)
            price = option.NPV()  # not the target: gamma divides what is left by a small square
            step = SPOT_BUMP * spot
            up, down = _both(self.spot, spot, step, option)
            found[1, row] = (up - down) / (2.0 * step)
            found[2, row] = (up - 2.0 * price + down) / (step * step)
            found[3, row] = self.option(strike, days - 1, is_call).NPV() - price
            self.rate.setValue(rate + RATE_BUMP)
            found[5, row] = (option.NPV() - price) / (100.0 * RATE_BUMP)
            self.rate.setValue(rate)
            self.vol.setValue(root + VOL_BUMP)
            found[4, row] = (option.NPV() - price) / (100.0 * VOL_BUMP)
        return found

    def _bumped(self, option: Any, strike: float, days: int, is_call: bool) -> tuple[float, ...]:
        spot, vol, rate = self.spot.value(), self.vol.value(), self.rate.value()
        price = option.NPV()
        step = SPOT_BUMP * spot
        up, down = _both(self.spot, spot, step, option)
        more, less = _both(self.vol, vol, VOL_BUMP, option)
        dear, cheap = _both(self.rate, rate, RATE_BUMP, option)
        tomorrow = self.option(strike, days - 1, is_call).NPV()
        return (
            price,
            (up - down) / (2.0 * step),
            (up - 2.0 * price + down) / (step * step),
            tomorrow - price,
            (more - less) / (200.0 * VOL_BUMP),
            (dear - cheap) / (200.0 * RATE_BUMP),
        )

    def escrowed_prices(self, options: Options, times: FloatArray, amounts: FloatArray, grid: int) -> FloatArray:
        """Finite differences with cash dividends, escrowed; `times` and `amounts` are (options, k), 0 pads."""
        ql = self._ql
        found = np.empty(options.size)
        for row, (terms, days, is_call) in enumerate(rows_of(options)):
            spot, strike, rate, dividend_yield, vol = terms
            self.move(spot, rate, dividend_yield, vol)
            paid = [(round(t * 365.0), a) for t, a in zip(times[row].tolist(), amounts[row].tolist(), strict=True) if a]
            schedule = [ql.FixedDividend(amount, self._today + day) for day, amount in paid if day <= days]
            model = ql.FdBlackScholesVanillaEngine.Escrowed
            engine = ql.FdBlackScholesVanillaEngine(
                self.process, schedule, grid, grid, 0, ql.FdmSchemeDesc.Douglas(), False, 0.0, model
            )
            found[row] = self.option(strike, days, is_call, engine).NPV()
        return found


def rows_of(options: Options) -> list[tuple[tuple[float, ...], int, bool]]:
    """((spot, strike, rate, dividend_yield, vol), days, is_call) of each option; QuantLib knows whole days only."""
    columns = (options.spot, options.strike, options.rate, options.dividend_yield, options.vol)
    terms = zip(*(column.tolist() for column in columns), strict=True)
    days = np.rint(options.years * 365.0).astype(int).tolist()
    return list(zip(terms, days, options.is_call.tolist(), strict=True))


def _both(quote: Any, at: float, step: float, option: Any) -> tuple[float, float]:
    """The option's values with a quote moved up and down."""
    quote.setValue(at + step)
    up = option.NPV()
    quote.setValue(at - step)
    down = option.NPV()
    quote.setValue(at)
    return up, down

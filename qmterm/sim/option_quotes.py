"""What options cost at one instant: bid and ask on the tick grid around a model value, sizes, volume, interest.

Everything is a function of (contract, instant, spot): asking twice, or for a part, gives the same numbers. The trap:
quotes outside the regular session are the last ones of the session before, with its time stamp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmterm.core.bars import BoolArray, FloatArray, IntArray
from qmterm.core.calendar import SECONDS_PER_YEAR
from qmterm.core.clock import NS, from_et
from qmterm.core.ticks import TickProgram, program_for
from qmterm.sim.corporate import Dividend
from qmterm.sim.listing import Contracts, years_left
from qmterm.sim.randomness import chance, mix
from qmterm.sim.rates import rate
from qmterm.sim.surface import Surface
from qmterm.sim.universe import Universe

QUOTE_LIFE_S = 5  # a contract's quote noise changes this often


@dataclass(frozen=True)
class OptionQuotes:
    """One entry a contract. Dollars per share; Greeks in the vendor's units (theta a day, vega a point)."""

    time_ns: int | IntArray  # one instant for all, or one a contract
    spot: FloatArray
    value: FloatArray
    bid: FloatArray
    ask: FloatArray
    bid_size: IntArray
    ask_size: IntArray
    implied: FloatArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray


def tick_sizes(price: FloatArray, every_cent: BoolArray) -> FloatArray:
    """The tick at each price: a cent below $3 and a nickel above, a cent everywhere for index funds."""
    return np.asarray(np.where((price < 3.0) | every_cent, 0.01, 0.05), dtype=np.float64)


class OptionPricer:
    """Options are worth what the share is worth without the dividends before their expiry, or exercise at once."""

    def __init__(self, universe: Universe, seed: int, dividends_of: Mapping[int, Sequence[Dividend]]) -> None:
        self._universe = universe
        self._dividends_of = dividends_of
        self._seed = seed
        every_cent = [program_for(ticker) is TickProgram.PENNY_ALL for ticker in universe.tickers]
        self._every_cent = np.array(every_cent, dtype=np.bool_)

    def quotes(self, contracts: Contracts, surface: Surface, spots: FloatArray, now_ns: int) -> OptionQuotes:
        """Price `contracts` with `spots` (dollars by symbol number); all must expire after `now_ns`."""
        return self.at(contracts, surface, spots[contracts.symbol], now_ns)

    def at(self, contracts: Contracts, surface: Surface, spot: FloatArray, now_ns: int | IntArray) -> OptionQuotes:
        """The same with one spot for each row, and one instant where `now_ns` is a column."""
        from qmterm.quant.options import american, black_scholes  # compiled kernels: not on the start path

        symbol = contracts.symbol
        years = np.maximum(years_left(now_ns, contracts.expiry_ns), 60.0 / 31_536_000)
        r = rate(years)
        implied = surface.implied(symbol, spot, spot * np.exp(r * years), contracts.strike, years)
        without = spot - self.dividends_before(contracts, now_ns)
        arguments = (without, contracts.strike, years, r, 0.0, implied, contracts.is_call)
        sensitivity = american.greeks(*arguments)
        exercise = np.where(contracts.is_call, spot - contracts.strike, contracts.strike - spot)
        value = np.maximum(sensitivity.price, exercise)
        # On the last day the boundary method has no tomorrow to compare with; the vendor shows the formula's theta.
        theta = np.where(np.isnan(sensitivity.theta), black_scholes.greeks(*arguments).theta, sensitivity.theta)
        bid, ask = self._sides(contracts, value, np.abs(sensitivity.delta), now_ns)
        depth = self._universe.option_depth[symbol]
        slot = now_ns // (QUOTE_LIFE_S * NS)
        size = 4 + 90 * depth * np.exp(-3.0 * np.abs(np.abs(sensitivity.delta) - 0.4))
        sizes = [
            np.maximum(1, np.rint(size * (0.4 + 1.6 * chance(contracts.key, slot, side)))).astype(np.int64)
            for side in (1, 2)
        ]
        return OptionQuotes(
            time_ns=now_ns,
            spot=spot,
            value=value,
            bid=bid,
            ask=ask,
            bid_size=np.where(bid > 0, sizes[0], 0),
            ask_size=sizes[1],
            implied=implied,
            delta=sensitivity.delta,
            gamma=sensitivity.gamma,
            theta=theta,
            vega=sensitivity.vega,
        )

    def take_universe(self, universe: Universe) -> None:
        self._universe = universe

    def ticks(self, contracts: Contracts, price: FloatArray) -> FloatArray:
        return tick_sizes(price, self._every_cent[contracts.symbol])

    def dividends_before(self, contracts: Contracts, now_ns: int | IntArray) -> FloatArray:
        """Present value of the dividends that go ex before each contract's expiry."""
        out = np.zeros(len(contracts))
        for number in np.unique(contracts.symbol).tolist():
            for dividend in self._dividends_of.get(number, ()):
                ex_ns = from_et(dividend.ex_date, 9, 30)
                years = np.asarray((ex_ns - now_ns) / NS / SECONDS_PER_YEAR)
                if not (years > 0).any():
                    continue
                worth = dividend.amount * np.exp(-rate(years) * years)
                pays = (contracts.symbol == number) & (contracts.expiry_ns > ex_ns) & (years > 0)
                out += np.where(pays, worth, 0.0)
        return out

    def _sides(
        self, contracts: Contracts, value: FloatArray, delta: FloatArray, now_ns: int | IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Bid down and ask up to the grid; wider for thin names, away from the money and deep in it."""
        thin = 1.0 - self._universe.option_depth[contracts.symbol]
        away = np.maximum(delta - 0.6, 0.0) * 2.0 + np.maximum(0.25 - delta, 0.0) * 4.0
        half = 0.004 + value * (0.006 + 0.02 * thin) * (1.0 + away) + 0.012 * thin
        slot = now_ns // (QUOTE_LIFE_S * NS)
        centre = value + half * 0.3 * (chance(contracts.key, slot, 3) - 0.5)
        every_cent = self._every_cent[contracts.symbol]
        low, high = np.maximum(centre - half, 0.0), centre + half
        bid = grid(low, tick_sizes(low, every_cent), up=False)
        ask = grid(high, tick_sizes(high, every_cent), up=True)
        above = np.rint((bid + tick_sizes(bid, every_cent)) * 100.0) / 100.0
        return bid, np.maximum(ask, above)

    def open_interest(self, contracts: Contracts, surface: Surface, day: int) -> IntArray:
        """Contracts open at the end of the previous session; `day` is the running session's ordinal."""
        symbol = contracts.symbol
        reference = surface.reference[symbol]
        years = np.maximum(years_left(surface.day_ns, contracts.expiry_ns), 1 / 365)
        deviations = np.log(contracts.strike / reference) / (self._universe.volatility[symbol] * np.sqrt(years))
        side = np.where(contracts.is_call, 0.3, -0.3)
        busy = 9_000.0 * self._universe.option_depth[symbol] ** 1.6
        shape = np.exp(-0.5 * ((deviations - side) / 0.9) ** 2) * np.exp(-0.6 * years)
        round_strike = np.where(np.mod(contracts.strike, 5.0) == 0, 1.6, 0.8)
        luck = np.exp(1.1 * (chance(contracts.key, 61) + chance(contracts.key, 62) - 1.0) * 2.0)
        drift = 0.9 + 0.2 * chance(contracts.key, 63, day)
        return np.asarray(busy * shape * round_strike * luck * drift, dtype=np.int64)

    def session_volume(
        self, contracts: Contracts, interest: IntArray, day: int, busy: NDArray[np.floating] | float
    ) -> IntArray:
        """Contracts that trade over a whole session: what a share of goes by as the day passes."""
        luck = 0.15 + 0.7 * chance(contracts.key, 64, day) ** 2
        return np.asarray(interest * luck * busy, dtype=np.int64)


def grid(price: FloatArray, tick: FloatArray, *, up: bool) -> FloatArray:
    """Prices on their tick, rounded to whole hundredths so that they print as such."""
    steps = np.ceil(price / tick - 1e-9) if up else np.floor(price / tick + 1e-9)
    return np.asarray(np.rint(steps * tick * 100.0) / 100.0)


def contract_number(contracts: Contracts, salt: int) -> IntArray:
    """A stable positive number per contract (sequence and exchange ids)."""
    return np.asarray(mix(contracts.key, salt) >> np.uint64(40), dtype=np.int64)

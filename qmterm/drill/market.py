"""The small market of a drill: four stocks that wander, three calls on each, seeded; and its clock, which jumps.

Prices are a smooth function of the stock's, so that a spread is always worth between nothing and its width.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from math import exp, log1p
from random import Random
from time import perf_counter

from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option
from qmterm.core.quotes import Quote
from qmterm.core.reasons import Reason
from qmterm.drill.loop import VirtualLoop
from qmterm.engine.orders.underlyings import Daily

DAY = date(2026, 3, 2)
EXPIRY = date(2026, 4, 17)
START_NS = from_et(DAY, 10)
STOCKS = {"AAPL": 230.0, "AMD": 155.0, "MSFT": 410.0, "NVDA": 178.0}
STRIKES = (0, 5, 10)  # above the stock's first price
_SOFT = 6.0  # dollars: how far from the strike time value reaches


@cache
def calendar() -> SessionCalendar:
    return SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))


def call(stock: str, number: int) -> str:
    """The OCC symbol of the stock's call with this strike (0, 1, 2 from the money outwards)."""
    return OptionContract(stock, EXPIRY, Right.CALL, Decimal(int(STOCKS[stock]) + STRIKES[number])).occ


CONTRACTS: Mapping[str, OptionContract] = {
    symbol: parse_option(symbol) for symbol in (call(stock, number) for stock in STOCKS for number in range(3))
}


class DrillMarket:
    """BrokerageWorld for the simulator, QuoteSource and Underlyings for the engine: both see the same market."""

    def __init__(
        self, random: Random, origin: float = 0.0, contracts: Mapping[str, OptionContract] = CONTRACTS
    ) -> None:
        """`origin` is the loop's time at which the market stands at START_NS."""
        self._contracts = contracts
        self._random = random
        self._origin = origin
        self._spots = dict(STOCKS)
        self._quotes: dict[str, Quote] = {}  # of this step, made when they are asked for
        self._sizes: dict[str, tuple[int, int]] = {}
        self.step()

    # --- time ---

    @property
    def now_ns(self) -> int:
        return START_NS + int((asyncio.get_running_loop().time() - self._origin) * NS)

    @property
    def phase(self) -> Phase:
        return Phase.REGULAR

    @property
    def calendar(self) -> SessionCalendar:
        return calendar()

    # --- prices ---

    def step(self) -> None:
        """Half a second of trading."""
        for stock, spot in self._spots.items():
            self._spots[stock] = spot * (1 + self._random.gauss(0, 0.0003))
        self._quote_all()

    def jump(self, stock: str, share: float) -> None:
        """News: the stock moves at once."""
        self._spots[stock] *= 1 + share
        self._quote_all()

    def _quote_all(self) -> None:
        """Only what is random is drawn now: of a step's quotes few are ever looked at."""
        self._quoted_ns = self.now_ns
        self._quotes.clear()
        for symbol in self._contracts:
            self._sizes[symbol] = self._random.randint(1, 12), self._random.randint(1, 12)

    def _quote_of(self, symbol: str) -> Quote | None:
        now, contract = self._quoted_ns, self._contracts.get(symbol)
        if contract is None:
            spot = self._spots.get(symbol)
            if spot is None:
                return None
            return Quote(symbol, round(spot - 0.01, 2), round(spot + 0.01, 2), 900, 900, now, now)
        distance = (self._spots[contract.root] - float(contract.strike)) / _SOFT
        value = _SOFT * (log1p(exp(-abs(distance))) + max(0.0, distance))
        tick = 0.01 if value < 3 else 0.05
        half = max(tick, round(value * 0.01 / tick) * tick)
        middle = round(value / tick) * tick
        bid, ask = max(0.0, round(middle - half, 2)), round(middle + half, 2)
        return Quote(symbol, bid, ask, *self._sizes[symbol], now, now)

    def take(self, quotes: Iterable[Quote]) -> None:
        """Show what another process's market shows (drills over sockets)."""
        self._quotes.update((quote.symbol, quote) for quote in quotes)

    @property
    def quotes(self) -> tuple[Quote, ...]:
        found = (self.quote(symbol) for symbol in (*self._spots, *self._contracts))
        return tuple(quote for quote in found if quote is not None)

    def quote(self, symbol: str) -> Quote | None:
        quote = self._quotes.get(symbol)
        if quote is None:
            quote = self._quote_of(symbol)
            if quote is not None:
                self._quotes[symbol] = quote
        return quote

    def last(self, symbol: str) -> float | None:
        quote = self.quote(symbol)
        return None if quote is None else (quote.bid + quote.ask) / 2

    # --- instruments ---

    def contract(self, occ: str) -> OptionContract | None:
        return self._contracts.get(occ)

    def symbol_exists(self, ticker: str) -> bool:
        return ticker in STOCKS

    def is_optionable(self, ticker: str) -> bool:
        return ticker in STOCKS

    def previous_close(self, symbol: str) -> float | None:
        return STOCKS.get(symbol)

    def settlement(self, occ: str) -> float | None:
        return None

    # --- what stops read of a stock (engine.orders.underlyings) ---

    def doubt(self, symbol: str) -> Reason | None:
        return None

    def five_minute_close(self, symbol: str, since_ns: int) -> float | None:
        return None

    def split_ratio(self, symbol: str, after: date, until: date) -> float:
        return 1.0

    def daily(self, symbol: str, after: date) -> Daily | None:
        return None


class DrillClock:
    """Both clocks of the engine, from the loop's one clock."""

    def __init__(self, origin: float = 0.0) -> None:
        self._origin = origin

    def now(self) -> int:
        return START_NS + int((self.monotonic() - self._origin) * NS)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def beside(self, began: float) -> float:
        """Real seconds since `began` (perf_counter) that the loop's own clock does not show: a virtual one's work."""
        return perf_counter() - began if isinstance(asyncio.get_running_loop(), VirtualLoop) else 0.0


def option_symbols() -> tuple[str, ...]:
    return tuple(symbol for symbol in CONTRACTS if is_option(symbol))

"""What the broker's side needs to know of the market it trades in.

The market's side of the simulator implements this; tests use a table. Prices are floats in dollars per share.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Protocol, runtime_checkable

from qmterm.core.calendar import Phase, SessionCalendar
from qmterm.core.instruments import OptionContract, is_option, parse_option
from qmterm.core.quotes import Quote, mid_decimal


class BrokerageWorld(Protocol):
    """The market as an order sees it. Symbols are tickers or OCC 21-character symbols."""

    @property
    def now_ns(self) -> int: ...

    @property
    def phase(self) -> Phase: ...

    @property
    def calendar(self) -> SessionCalendar: ...

    def quote(self, symbol: str) -> Quote | None: ...

    def contract(self, occ: str) -> OptionContract | None:
        """The listed contract, None when it is not (or no longer) listed."""
        ...

    def symbol_exists(self, ticker: str) -> bool: ...

    def is_optionable(self, ticker: str) -> bool: ...

    def last(self, symbol: str) -> float | None: ...

    def previous_close(self, symbol: str) -> float | None: ...

    def settlement(self, occ: str) -> float | None:
        """The underlying's settlement price of an expired contract, None before it is known."""
        ...


@runtime_checkable
class ChainWorld(Protocol):
    """A world that can also list an underlying's contracts."""

    def chain_symbols(self, ticker: str) -> Mapping[date, tuple[float, ...]]:
        """Strikes by expiry."""
        ...


@runtime_checkable
class EarningsWorld(Protocol):
    """A world that knows when companies report."""

    def next_report(self, ticker: str) -> date | None: ...


def known_symbol(world: BrokerageWorld, symbol: str) -> bool:
    return world.contract(symbol) is not None if is_option(symbol) else world.symbol_exists(symbol)


def price_of(world: BrokerageWorld, symbol: str) -> Decimal | None:
    """The mark: mid of a two-sided market, else the last price, else yesterday's close, else unknown."""
    quote = world.quote(symbol)
    if quote is not None:
        middle = mid_decimal(quote)
        if middle is not None:
            return middle
        if quote.ask > 0 and quote.bid == 0:  # nobody bids: half the ask, as the broker marks worthless options
            return Decimal(str(round(quote.ask, 4))) / 2
    for price in (world.last(symbol), world.previous_close(symbol)):
        if price is not None and price > 0:
            return Decimal(str(round(price, 4)))
    return _expired_value(world, symbol) if is_option(symbol) else None


def _expired_value(world: BrokerageWorld, occ: str) -> Decimal | None:
    """What an option between its expiry and its settlement is worth: its exercise value."""
    contract = parse_option(occ)
    if world.calendar.expiry_ns(contract.expiry) > world.now_ns:
        return None
    spot = price_of(world, contract.root)
    return None if spot is None else max(Decimal(0), contract.right.sign * (spot - contract.strike))

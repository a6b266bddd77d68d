"""The latest bid and ask of one instrument, and when it was true."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from qmterm.core.clock import NS


@dataclass(frozen=True, slots=True)
class Quote:
    """Dollars per share; sizes in shares or contracts; times UTC ns. Zero bid means nobody bids."""

    symbol: str
    bid: float
    ask: float
    bid_size: int
    ask_size: int
    time_ns: int  # exchange (SIP) time
    arrival_ns: int  # market time when we had it

    @property
    def two_sided(self) -> bool:
        return self.bid > 0 and self.ask > self.bid

    @property
    def mid(self) -> float | None:
        """Dollars per share; None unless two-sided."""
        return (self.bid + self.ask) / 2 if self.two_sided else None

    def age_s(self, now_ns: int) -> float:
        """Seconds of market time since the exchange stamped it (never negative)."""
        return max(0, now_ns - self.time_ns) / NS


def mid_decimal(quote: Quote) -> Decimal | None:
    """The mid as an exact Decimal (both sides rounded to a hundredth of a cent first), for marks and cash."""
    if not quote.two_sided:
        return None
    bid = Decimal(str(round(quote.bid, 4)))
    ask = Decimal(str(round(quote.ask, 4)))
    return (bid + ask) / 2

"""What companies do to their shares, and what holders do with their options, as the paper broker is told of it.

The trap: "nothing happens that day" and "not known yet" are not alike; a day that is not known is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class DayActions:
    """Of one stock on one day: dollars a share that goes ex, (new, old) shares of a split that takes effect."""

    dividend: Decimal = Decimal(0)
    split: tuple[int, int] | None = None


class CorporateFacts(Protocol):
    """Given to the paper broker by the engine, which knows the market's reference data."""

    def ticker(self, root: str) -> str:
        """The stock's own spelling of an option root."""
        ...

    def actions(self, ticker: str, day: date, *, shares: bool) -> DayActions | None:
        """None while it is not known; without `shares` nobody asks for the dividend, and it may be left out."""
        ...

    def close(self, ticker: str, day: date) -> Decimal | None:
        """Dollars a share at the close of a past session; None where it is not known."""
        ...

    def early_exercise(self, symbol: str) -> str:
        """Why the holder of a sold American option should exercise it tonight; "" when he should not."""
        ...


@runtime_checkable
class TakesFacts(Protocol):
    """A broker that has to be told of companies."""

    facts: CorporateFacts | None

"""What stops need to know of a stock, and whether its price may be believed.

The trap: a stop must not fire on a refused price (halted, stale, feed down), and must not go blind in silence either.
Whoever cannot see says so once, and once more when it sees again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from qmterm.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Daily:
    """One completed session of a stock; dollars per share."""

    session: date
    close: float
    sma50: float
    atr: float


class Underlyings(Protocol):
    """None where something is not known."""

    def doubt(self, symbol: str) -> Reason | None:
        """Why its price must decide nothing now; None when it may."""
        ...

    def five_minute_close(self, symbol: str, since_ns: int) -> float | None: ...

    def last(self, symbol: str) -> float | None: ...

    def split_ratio(self, symbol: str, after: date, until: date) -> float:
        """New shares for one old share between two dates; 1.0 without a split."""
        ...

    def daily(self, symbol: str, after: date) -> Daily | None:
        """The last completed session if it is later than `after`."""
        ...


class Sight:
    """Which positions' stops see their stock, by position id."""

    def __init__(self, underlyings: Underlyings) -> None:
        self._underlyings = underlyings
        self._blind: dict[str, Reason] = {}

    def of(self, position_id: str) -> Reason | None:
        """Why this one is blind, as of its last look."""
        return self._blind.get(position_id)

    def look(self, position_id: str, underlying: str, changed: Callable[[Reason | None], None]) -> Reason | None:
        """Why the stock's price may not decide now; `changed` hears of it when that is news."""
        why = self._underlyings.doubt(underlying)
        if why is not self._blind.get(position_id):
            self.forget(position_id)
            if why is not None:
                self._blind[position_id] = why
            changed(why)
        return why

    def forget(self, position_id: str) -> None:
        self._blind.pop(position_id, None)

"""What the paper broker is told of companies: dividends and splits of a day, closes, and who should exercise early.

The trap: a day's splits are read before its session begins; until shortly before the open the day is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from qmterm.core.clock import Clock, from_et
from qmterm.core.corporate import DayActions
from qmterm.risk.assignment import Chance
from qmterm.risk.expiry_line import ExpiryLine

LARGEST_RATIO = 10_000  # of a split, either way


class Stocks(Protocol):
    def ticker(self, symbol: str) -> str: ...

    def split_ratio(self, symbol: str, after: date, until: date) -> float: ...

    def close_on(self, symbol: str, day: date) -> float | None: ...


class Declared(Protocol):
    """Dividends as declared (market/chains/cash.py)."""

    def known(self, underlying: str) -> bool: ...

    def declared(self, underlying: str, day: date) -> Decimal: ...


class PaperFacts:
    """See core.corporate.CorporateFacts; `lines` are the expiry desk's, as last looked at."""

    def __init__(self, stocks: Stocks, cash: Declared, clock: Clock, lines: Callable[[], Sequence[ExpiryLine]]) -> None:
        self._stocks = stocks
        self._cash = cash
        self._clock = clock
        self._lines = lines

    def ticker(self, root: str) -> str:
        return self._stocks.ticker(root)

    def actions(self, ticker: str, day: date, *, shares: bool) -> DayActions | None:
        if self._clock.now() < from_et(day, 9, 25) or (shares and not self._cash.known(ticker)):
            return None
        ratio = self._stocks.split_ratio(ticker, day - timedelta(days=1), day)
        split = None if ratio == 1.0 else Fraction(ratio).limit_denominator(LARGEST_RATIO)
        return DayActions(
            self._cash.declared(ticker, day) if shares else Decimal(0),
            None if split is None or not split else (split.numerator, split.denominator),
        )

    def close(self, ticker: str, day: date) -> Decimal | None:
        found = self._stocks.close_on(ticker, day)
        return None if found is None else Decimal(str(round(found, 4)))

    def early_exercise(self, symbol: str) -> str:
        line = next((line for line in self._lines() if line.symbol == symbol), None)
        return line.assignment.cause if line is not None and line.assignment.chance is Chance.HIGH else ""

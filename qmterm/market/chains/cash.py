"""The cash dividends that a chain's options will live through, from what companies declared and from their habit.

The trap: "no dividend" and "dividends not known" price alike but are not alike; `known` tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from qmterm.core.calendar import years_to
from qmterm.core.clock import et_date, from_et
from qmterm.market.records import Dividend
from qmterm.quant.options.dividend_forecast import ExpectedDividend, PaidDividend, expected_dividends
from qmterm.quant.options.dividends import DividendTable

LOOK_BACK_DAYS = 400  # two regular dates of a company that pays once a year
_REGULAR = frozenset({"CD"})
_YEARLY = frozenset({1, 2, 4, 12})  # payments a year; other numbers are the vendor's codes for something else


class CashDividends:
    def __init__(self) -> None:
        self._paid: dict[str, tuple[Dividend, ...]] = {}
        self._expected: dict[str, tuple[date, date, list[ExpectedDividend]]] = {}  # made on, until, what

    def set(self, underlying: str, dividends: Iterable[Dividend]) -> None:
        """What is declared or was paid in the last year or so; none at all means that the company pays none."""
        found = tuple(dividends)
        if self._paid.get(underlying) != found:
            self._paid[underlying] = found
            self._expected.pop(underlying, None)

    def known(self, underlying: str) -> bool:
        return underlying in self._paid

    def expected(self, underlying: str, today: date, until: date) -> list[ExpectedDividend]:
        """Ex-dates after today up to a day, the undeclared ones as estimates."""
        made = self._expected.get(underlying)
        if made is None or made[0] != today or made[1] < until:
            made = self._expected[underlying] = (today, until, self._forecast(underlying, today, until))
        return [dividend for dividend in made[2] if dividend.ex_date <= until]

    def table(self, underlying: str, now_ns: int, last_expiry: date) -> DividendTable | None:
        """For the pricing of a chain up to its last expiry; None when no ex-date lies before it."""
        if not self._paid.get(underlying):
            return None
        # A share goes ex when its market opens; what is bought today before an ex-date of tomorrow has the dividend.
        schedule = [
            (years, dividend.amount)
            for dividend in self.expected(underlying, et_date(now_ns) - timedelta(days=1), last_expiry)
            if (years := years_to(now_ns, from_et(dividend.ex_date, 9, 30))) > 0
        ]
        return DividendTable.shared(schedule) if schedule else None

    def _forecast(self, underlying: str, today: date, until: date) -> list[ExpectedDividend]:
        rows = self._paid.get(underlying, ())
        regular = [row for row in rows if row.kind in _REGULAR and row.frequency in _YEARLY]
        per_year = max(regular, key=lambda row: row.ex_date).frequency if regular else None
        paid = [PaidDividend(row.ex_date, row.amount, row.kind in _REGULAR) for row in rows]
        return expected_dividends(paid, today, until, per_year)

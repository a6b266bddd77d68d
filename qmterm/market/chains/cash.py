"""The cash dividends that a chain's options will live through, from what companies declared and from their habit.

The traps: "no dividend" and "dividends not known" price alike but are not alike; `known` tells them apart. And the
service tells amounts as they were paid: of the share count of that day, and in the company's own currency.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from qmterm.core.calendar import years_to
from qmterm.core.clock import et_date, from_et
from qmterm.market.records import Dividend, Split
from qmterm.quant.options.dividend_forecast import ExpectedDividend, PaidDividend, expected_dividends
from qmterm.quant.options.dividends import DividendTable

LOOK_BACK_DAYS = 400  # two regular dates of a company that pays once a year
_REGULAR = frozenset({"CD"})
_YEARLY = frozenset({1, 2, 4, 12})  # payments a year; other numbers are the vendor's codes for something else


class CashDividends:
    def __init__(self) -> None:
        self._paid: dict[str, tuple[Dividend, ...]] = {}
        self._splits: dict[str, list[Split]] = {}
        self._expected: dict[str, tuple[date, date, list[ExpectedDividend]]] = {}  # made on, until, what

    def set(self, underlying: str, dividends: Iterable[Dividend]) -> None:
        """What is declared or was paid in the last year or so; none at all means that the company pays none."""
        found = tuple(dividends)
        if self._paid.get(underlying) != found:
            self._paid[underlying] = found
            self._expected.pop(underlying, None)

    def set_splits(self, splits: Iterable[Split]) -> None:
        """All splits of the time that dividends are looked back for; they put what was paid on today's share count."""
        self._splits = {}
        for split in dict.fromkeys(splits):  # services tell a split twice at times
            self._splits.setdefault(split.symbol, []).append(split)
        self._expected.clear()

    def known(self, underlying: str) -> bool:
        """False, too, where some are in another currency: what they are in dollars on their day nobody knows."""
        paid = self._paid.get(underlying)
        return paid is not None and all(map(_in_dollars, paid))

    def expected(self, underlying: str, today: date, until: date) -> list[ExpectedDividend]:
        """Ex-dates after today up to a day, the undeclared ones as estimates; dollars per share of today."""
        return [dividend for dividend in self._ahead(underlying, today, until) if dividend.ex_date > today]

    def declared(self, underlying: str, day: date) -> Decimal:
        """Dollars that a share as it was that morning goes ex on a day; 0 without any. Meaningless unless `known`."""
        rows = {row for row in self._paid.get(underlying, ()) if row.ex_date == day and _in_dollars(row)}
        return sum((Decimal(str(row.amount)) for row in rows), Decimal(0))

    def table(self, underlying: str, now_ns: int, last_expiry: date) -> DividendTable | None:
        """For the pricing of a chain up to its last expiry; None when no ex-date lies before it."""
        if not self._paid.get(underlying):
            return None
        # A share goes ex when its market opens: before that, what goes ex today is still ahead.
        schedule = [
            (years, dividend.amount)
            for dividend in self._ahead(underlying, et_date(now_ns), last_expiry)
            if (years := years_to(now_ns, from_et(dividend.ex_date, 9, 30))) > 0
        ]
        return DividendTable.shared(schedule) if schedule else None

    def _ahead(self, underlying: str, today: date, until: date) -> list[ExpectedDividend]:
        """Ex-dates from today on."""
        made = self._expected.get(underlying)
        if made is None or made[0] != today or made[1] < until:
            made = self._expected[underlying] = (today, until, self._forecast(underlying, today, until))
        return [dividend for dividend in made[2] if dividend.ex_date <= until]

    def _forecast(self, underlying: str, today: date, until: date) -> list[ExpectedDividend]:
        rows = [row for row in self._paid.get(underlying, ()) if _in_dollars(row)]
        regular = [row for row in rows if row.kind in _REGULAR and row.frequency in _YEARLY]
        per_year = max(regular, key=lambda row: row.ex_date).frequency if regular else None
        paid = [PaidDividend(row.ex_date, row.amount / self._shares(row, today), row.kind in _REGULAR) for row in rows]
        return expected_dividends(paid, today - timedelta(days=1), until, per_year)

    def _shares(self, row: Dividend, today: date) -> float:
        """What one share of its ex-date has become."""
        ratio = 1.0
        for split in self._splits.get(row.symbol, ()):
            if row.ex_date < split.day <= today:
                ratio *= split.ratio
        return ratio


def _in_dollars(row: Dividend) -> bool:
    return row.currency == "USD"

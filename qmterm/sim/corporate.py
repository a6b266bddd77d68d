"""Corporate actions and reports: dividends, splits and earnings dates of every name, past and coming.

All of it follows from the seed and the start day by hash, so it can be asked for in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from qmterm.core.bars import FloatArray
from qmterm.core.calendar import SessionCalendar
from qmterm.sim.companies import FUND
from qmterm.sim.randomness import chance
from qmterm.sim.universe import Universe

QUARTER = 91  # days
PAST_QUARTERS, COMING_QUARTERS = 5, 2
SPLIT_RATIOS = ((1, 2), (1, 3), (1, 10), (10, 1), (1, 4))  # (from, to); 10 for 1 is a reverse split
FISCAL_PERIODS = ("Q1", "Q2", "Q3", "Q4")


@dataclass(frozen=True, slots=True)
class Dividend:
    symbol: int
    ex_date: date
    amount: float  # dollars per share of the start's count, or of the ex-date's where that is later
    declared: date | None = None
    record: date | None = None
    paid: date | None = None
    frequency: int | None = None  # payments a year
    shares: float = 1.0  # of the start's count that one share of the ex-date has become

    @property
    def as_paid(self) -> float:
        """What the company declared: the service never changes it for a later split."""
        return self.amount * self.shares


@dataclass(frozen=True, slots=True)
class Split:
    symbol: int
    day: date  # first session at the new count
    old: float
    new: float


@dataclass(frozen=True, slots=True)
class Earnings:
    symbol: int
    day: date
    after_close: bool
    quarter: str
    fiscal_year: int
    estimated_eps: float
    actual_eps: float | None  # None until reported


class Corporate:
    def __init__(self, universe: Universe, calendar: SessionCalendar, seed: int, start: date, first_day: date) -> None:
        self._universe = universe
        self._calendar = calendar
        self._seed = seed
        self._start = start
        number = np.arange(len(universe))
        self._report_offset = (chance(seed, 11, number) * QUARTER).astype(int)
        self.splits = self._splits(first_day)
        split = {split.symbol for split in self.splits}
        self.dividends = [
            replace(dividend, shares=self.split_factor(dividend.symbol, dividend.ex_date))
            if dividend.symbol in split
            else dividend
            for dividend in self._dividends()
        ]
        self.dividends_of: dict[int, list[Dividend]] = {}
        for dividend in self.dividends:
            self.dividends_of.setdefault(dividend.symbol, []).append(dividend)

    def _session(self, day: date) -> date:
        """The day itself when it is a session, else the next one."""
        return day if self._calendar.is_session(day) else self._calendar.next(day)

    def _dividends(self) -> list[Dividend]:
        universe, seed = self._universe, self._seed
        number = np.arange(len(universe))
        share = np.where(universe.volatility < 0.35, 0.7, 0.12)
        pays = np.flatnonzero(chance(seed, 21, number) < share)
        yearly = 0.005 + 0.03 * chance(seed, 22, pays)
        offset = (chance(seed, 23, pays) * QUARTER).astype(int)
        out: list[Dividend] = []
        for i, rate, days in zip(pays.tolist(), yearly.tolist(), offset.tolist(), strict=True):
            amount = max(0.01, round(float(universe.price[i]) * rate / 4, 2))
            for quarter in range(-PAST_QUARTERS, COMING_QUARTERS):
                ex = self._session(self._start + timedelta(days=days + QUARTER * quarter))
                paid = ex + timedelta(days=18)
                out.append(Dividend(i, ex, amount, ex - timedelta(days=24), ex, paid, 4))
        return out

    def _splits(self, first_day: date) -> list[Split]:
        seed, count = self._seed, len(self._universe)
        number = np.arange(count)
        happens = np.flatnonzero(chance(seed, 31, number) < 0.015)
        span = (self._start - first_day).days - 20
        days = (10 + chance(seed, 32, happens) * span).astype(int)
        ratio = (chance(seed, 33, happens) * len(SPLIT_RATIOS)).astype(int)
        out = []
        for i, after, which in zip(happens.tolist(), days.tolist(), ratio.tolist(), strict=True):
            old, new = SPLIT_RATIOS[which]
            out.append(Split(i, self._session(first_day + timedelta(days=after)), old, new))
        return out

    def ex_dividends(self) -> dict[date, FloatArray]:
        """Dollars that fall off each symbol on each ex-date."""
        out: dict[date, FloatArray] = {}
        for dividend in self.dividends:
            column = out.setdefault(dividend.ex_date, np.zeros(len(self._universe)))
            column[dividend.symbol] += dividend.amount
        return out

    def execute(self, split: Split) -> None:
        """A split takes effect: dividends still to come are of the new shares."""
        self.splits.append(split)
        ratio = split.new / split.old
        self.dividends = [
            replace(dividend, amount=round(dividend.amount / ratio, 4))
            if dividend.symbol == split.symbol and dividend.ex_date >= split.day
            else dividend
            for dividend in self.dividends
        ]
        self.dividends_of[split.symbol] = [d for d in self.dividends if d.symbol == split.symbol]

    def take_universe(self, universe: Universe) -> None:
        self._universe = universe

    def split_factor(self, symbol: int, day: date) -> float:
        """What an adjusted price of `day` is multiplied by to read as it traded then."""
        factor = 1.0
        for split in self.splits:
            if split.symbol == symbol and day < split.day:
                factor *= split.new / split.old
        return factor

    def earnings_of(self, symbol: int, now: date) -> list[Earnings]:
        """Reports from five quarters back to two ahead, oldest first; funds have none."""
        if self._universe.is_fund(symbol):
            return []
        seed, out = self._seed, []
        base = float(self._universe.price[symbol]) / 22.0 / 4.0
        for quarter in range(-PAST_QUARTERS, COMING_QUARTERS):
            day = self._session(self._start + timedelta(days=int(self._report_offset[symbol]) + QUARTER * quarter))
            luck = float(chance(seed, 41, symbol, day.toordinal())[0])
            estimate = round(base * (0.8 + 0.4 * float(chance(seed, 42, symbol, quarter)[0])), 2)
            actual = round(estimate * (0.85 + 0.35 * luck), 2) if day < now else None
            ended = day - timedelta(days=40)
            out.append(
                Earnings(
                    symbol=symbol,
                    day=day,
                    after_close=bool(chance(seed, 43, symbol)[0] < 0.6),
                    quarter=FISCAL_PERIODS[(ended.month - 1) // 3],
                    fiscal_year=ended.year,
                    estimated_eps=estimate,
                    actual_eps=actual,
                )
            )
        return out

    def reporting_between(self, low: str, high: str) -> list[int]:
        """Symbols with a report on or between two dates (YYYY-MM-DD); weekends move a report by at most four days."""
        starts = self._start.toordinal() + self._report_offset
        first = date.fromisoformat(low).toordinal() if low > "0000" else starts.min() - QUARTER * PAST_QUARTERS
        last = date.fromisoformat(high).toordinal() if high < "9999" else starts.max() + QUARTER * COMING_QUARTERS
        hit = np.zeros(len(starts), dtype=np.bool_)
        for quarter in range(-PAST_QUARTERS, COMING_QUARTERS):
            day = starts + QUARTER * quarter
            hit |= (day >= first - 4) & (day <= last)
        return [int(i) for i in np.flatnonzero(hit & (self._universe.sector != FUND))]

    def next_earnings(self, symbol: int, now: date) -> date | None:
        """The first report on or after a day."""
        return next((report.day for report in self.earnings_of(symbol, now) if report.day >= now), None)

    def next_earnings_days(self, now: date) -> FloatArray:
        """Calendar days from `now` to each name's next report (for funds: none, infinite)."""
        offset = self._report_offset + (self._start - now).days
        days = np.mod(offset, QUARTER).astype(np.float64)
        return np.asarray(np.where(self._universe.sector == FUND, np.inf, days), dtype=np.float64)

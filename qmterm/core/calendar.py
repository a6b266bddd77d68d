"""Sessions of the US market: when it opens and closes, half days, expiries, time to expiry.

The trap: exchange_calendars costs 0.4 s to import and its default range ends a year ahead, too short for LEAPS.
It is asked once per process and range, with explicit ends; what stays are plain tuples.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate

from qmterm.core.clock import NS, et_date, from_et
from qmterm.core.errors import BadInput

SECONDS_PER_YEAR = 31_536_000
SESSION_MINUTES = 390
TRADING_MINUTES_PER_YEAR = 252 * SESSION_MINUTES

# No change of summer time falls between 04:00 and 20:00, so both are fixed distances from the 09:30 open.
_PRE_NS = 330 * 60 * NS  # 04:00 to 09:30
_POST_NS = 630 * 60 * NS  # 09:30 to 20:00
_MINUTE_NS = 60 * NS


class Phase(StrEnum):
    PRE = "pre-market"
    REGULAR = "regular"
    POST = "after-hours"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class SessionCalendar:
    """Trading sessions of XNYS over a range; dates are New York dates, instants UTC nanoseconds.

    A date outside the loaded range is BadInput, never a silent "closed".
    """

    first: date
    last: date
    days: tuple[date, ...]
    opens: tuple[int, ...]
    closes: tuple[int, ...]
    index: Mapping[date, int]
    minutes_before: tuple[int, ...]  # regular minutes of all sessions before this one, one entry more than days

    @classmethod
    def load(cls, first: date, last: date, closures: Mapping[date, time | None] | None = None) -> SessionCalendar:
        """The calendar over [first, last], in whole years.

        `closures` overrides the library for exceptional days: None closes the day, a time is its close in New York.
        """
        if last < first:
            raise BadInput(f"calendar from {first} to {last}: the end lies before the start")
        rows = _library_sessions(first.year, last.year)
        if closures:
            changed = {
                day: (open_ns, close_ns) for day, open_ns, close_ns in rows if closures.get(day, time.max) is not None
            }
            for day, closing in closures.items():
                if day in changed and closing is not None:
                    changed[day] = (changed[day][0], from_et(day, closing.hour, closing.minute))
            rows = tuple((day, *times) for day, times in changed.items())
        days = tuple(row[0] for row in rows)
        minutes = ((close_ns - open_ns) // _MINUTE_NS for _, open_ns, close_ns in rows)
        return cls(
            first=date(first.year, 1, 1),
            last=date(last.year, 12, 31),
            days=days,
            opens=tuple(row[1] for row in rows),
            closes=tuple(row[2] for row in rows),
            index={day: number for number, day in enumerate(days)},
            minutes_before=tuple(accumulate(minutes, initial=0)),
        )

    # --- days ---

    def is_session(self, day: date) -> bool:
        self._check(day)
        return day in self.index

    def open_ns(self, day: date) -> int:
        """09:30 New York of a session; BadInput when the day is not one."""
        return self.opens[self._at(day)]

    def close_ns(self, day: date) -> int:
        """16:00 New York of a session, 13:00 on a half day; BadInput when the day is not a session."""
        return self.closes[self._at(day)]

    def half_day(self, day: date) -> bool:
        """True for a session that closes early."""
        number = self.index.get(day)
        self._check(day)
        return number is not None and self.closes[number] - self.opens[number] < SESSION_MINUTES * _MINUTE_NS

    def previous(self, day: date) -> date:
        """The latest session before a day (itself a session or not)."""
        return self._day(bisect_left(self.days, day) - 1, f"before {day}")

    def next(self, day: date) -> date:
        """The first session after a day."""
        return self._day(bisect_right(self.days, day), f"after {day}")

    def sessions(self, first: date, last: date) -> tuple[date, ...]:
        """All sessions in [first, last]."""
        self._check(first)
        self._check(last)
        return self.days[bisect_left(self.days, first) : bisect_right(self.days, last)]

    def last_n(self, day: date, n: int) -> tuple[date, ...]:
        """The n sessions that end at or before a day, oldest first."""
        self._check(day)
        end = bisect_right(self.days, day)
        if end < n:
            raise BadInput(f"{n} sessions up to {day} start before the calendar ({self.first}): load it from earlier")
        return self.days[end - n : end]

    # --- instants ---

    def phase(self, ns: int) -> Phase:
        """What the market is doing at an instant: 04:00, 09:30, the close and 20:00 are the borders."""
        self._check(et_date(ns))
        number = bisect_right(self.opens, ns + _PRE_NS) - 1
        if number < 0 or ns >= self.opens[number] + _POST_NS:
            return Phase.CLOSED
        if ns < self.opens[number]:
            return Phase.PRE
        return Phase.REGULAR if ns < self.closes[number] else Phase.POST

    def last_completed(self, ns: int) -> date:
        """The latest session whose close is at or before an instant."""
        self._check(et_date(ns))
        return self._day(bisect_right(self.closes, ns) - 1, "that had closed by then")

    def next_open_ns(self, ns: int) -> int:
        """The first regular open after an instant."""
        number = bisect_right(self.opens, ns)
        self._day(number, "after that instant")
        return self.opens[number]

    def regular_minutes(self, from_ns: int, to_ns: int) -> float:
        """Regular-session minutes between two instants, 0 when the second is not later."""
        if to_ns <= from_ns:
            return 0.0
        self._check(et_date(from_ns))
        self._check(et_date(to_ns))
        return self._minutes_up_to(to_ns) - self._minutes_up_to(from_ns)

    # --- expiries ---

    def expiry_ns(self, expiry: date, am_settled: bool = False) -> int:
        """The instant an option stops having time value: the close of its expiry session, 09:30 when AM-settled.

        An expiry dated on a closed day (old Saturday expiries) means the session before it.
        """
        day = expiry if self.is_session(expiry) else self.previous(expiry)
        return self.open_ns(day) if am_settled else self.close_ns(day)

    def monthly_expiry(self, year: int, month: int) -> date:
        """The third Friday, or the session before when that is closed."""
        first = date(year, month, 1)
        friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
        return friday if self.is_session(friday) else self.previous(friday)

    def minutes_left(self, ns: int, expiry: date, am_settled: bool = False) -> float:
        """Regular-session minutes until the expiry instant: the trading clock."""
        return self.regular_minutes(ns, self.expiry_ns(expiry, am_settled))

    def trading_years_to(self, ns: int, expiry: date, am_settled: bool = False) -> float:
        """Time to expiry on the trading clock, for display near expiry; never for carry."""
        return self.minutes_left(ns, expiry, am_settled) / TRADING_MINUTES_PER_YEAR

    @staticmethod
    def years_to(now_ns: int, expiry_ns: int) -> float:
        """Same as the module's `years_to`."""
        return years_to(now_ns, expiry_ns)

    # --- inside ---

    def _check(self, day: date) -> None:
        if not self.first <= day <= self.last:
            raise BadInput(f"{day} lies outside the loaded session calendar ({self.first} to {self.last})")

    def _at(self, day: date) -> int:
        self._check(day)
        number = self.index.get(day)
        if number is None:
            raise BadInput(f"{day} ({day:%A}) is not a trading session")
        return number

    def _day(self, number: int, which: str) -> date:
        if not 0 <= number < len(self.days):
            raise BadInput(f"no session {which} in the loaded calendar ({self.first} to {self.last})")
        return self.days[number]

    def _minutes_up_to(self, ns: int) -> float:
        number = bisect_right(self.opens, ns)
        if number == 0:
            return 0.0
        in_session = min(ns, self.closes[number - 1]) - self.opens[number - 1]
        return self.minutes_before[number - 1] + in_session / _MINUTE_NS


def years_to(now_ns: int, expiry_ns: int) -> float:
    """Year fraction of 365 days from now to the expiry instant, 0 once it has passed (safe across summer time)."""
    return max(0, expiry_ns - now_ns) / NS / SECONDS_PER_YEAR


def days_to_expiry(now_ns: int, expiry: date) -> int:
    """DTE: the difference of New York dates, which may be negative."""
    return (expiry - et_date(now_ns)).days


@lru_cache(maxsize=8)
def _library_sessions(first_year: int, last_year: int) -> tuple[tuple[date, int, int], ...]:
    """(day, open, close) of every session in whole years, from exchange_calendars."""
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start=f"{first_year}-01-01", end=f"{last_year}-12-31")
    days = [stamp.date() for stamp in calendar.sessions]
    return tuple(zip(days, calendar.opens_nanos.tolist(), calendar.closes_nanos.tolist(), strict=True))

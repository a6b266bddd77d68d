"""How long an option still has: the expiry instant, and the time left on the calendar and on the trading clock.

The trap: carry (rates, dividends) runs on calendar time only. The trading clock exists so that the volatilities of
the last week can be compared with each other; a volatility shown on it is never priced with calendar years.
"""

from __future__ import annotations

import math
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from qmterm.core.calendar import TRADING_MINUTES_PER_YEAR, SessionCalendar, days_to_expiry, years_to
from qmterm.core.clock import NS, from_et
from qmterm.core.reasons import Reason
from qmterm.core.settlement import Settlement

EXPIRING_SECONDS = 60.0  # from here on an option is worth its intrinsic value and has no Greeks
TRADING_CLOCK_DTE = 7


class VolClock(StrEnum):
    AUTO = "auto"  # the trading clock from TRADING_CLOCK_DTE days on
    CALENDAR = "calendar"
    TRADING = "trading"


class TimeLeft(NamedTuple):
    """`seconds` is negative once expired; `years` stops at 0. Trading time is None beyond the loaded calendar."""

    seconds: float
    years: float
    dte: int
    trading_minutes: float | None

    @property
    def trading_years(self) -> float | None:
        return None if self.trading_minutes is None else self.trading_minutes / TRADING_MINUTES_PER_YEAR

    @property
    def reason(self) -> Reason | None:
        """EXPIRED, EXPIRING in the last minute, None while the option has a time value."""
        if self.seconds <= 0:
            return Reason.EXPIRED
        return Reason.EXPIRING if self.seconds < EXPIRING_SECONDS else None


class ShownVol(NamedTuple):
    """A volatility as the screen shows it, and the clock it is per year of."""

    vol: float
    clock: VolClock


def expiry_instant(calendar: SessionCalendar, expiry: date, settlement: Settlement = Settlement.PM) -> int:
    """UTC nanoseconds at which the option's time value ends: the session's close, 09:30 New York when AM-settled.

    Beyond the loaded calendar (the far LEAPS) no half days are known: 16:00, or 09:30, of the date itself.
    """
    am_settled = settlement is Settlement.AM
    if expiry > calendar.last:
        return from_et(expiry, 9, 30) if am_settled else from_et(expiry, 16)
    return calendar.expiry_ns(expiry, am_settled)


def last_trading_day(calendar: SessionCalendar, expiry: date, settlement: Settlement = Settlement.PM) -> date:
    """The last session the option trades in: its expiry session, the one before when AM-settled."""
    session = expiry if calendar.is_session(expiry) else calendar.previous(expiry)
    return calendar.previous(session) if settlement is Settlement.AM else session


def time_left(calendar: SessionCalendar, now_ns: int, expiry: date, settlement: Settlement = Settlement.PM) -> TimeLeft:
    """Everything about the time between an instant and an expiry (QUANT.md 3.1)."""
    instant = expiry_instant(calendar, expiry, settlement)
    return TimeLeft(
        seconds=(instant - now_ns) / NS,
        years=years_to(now_ns, instant),
        dte=days_to_expiry(now_ns, expiry),
        trading_minutes=calendar.regular_minutes(now_ns, instant) if expiry <= calendar.last else None,
    )


def shown_vol(vol: float, left: TimeLeft, clock: VolClock = VolClock.AUTO) -> ShownVol:
    """The volatility on the clock that is wanted: σ·√(T/T_trading), so that the price stays the same.

    The calendar's where there is no trading time left (the evening before an AM settlement) or none is known.
    """
    near = clock is VolClock.TRADING or (clock is VolClock.AUTO and left.dte <= TRADING_CLOCK_DTE)
    trading_years = left.trading_years
    if not near or not trading_years or left.years <= 0:
        return ShownVol(vol, VolClock.CALENDAR)
    return ShownVol(vol * math.sqrt(left.years / trading_years), VolClock.TRADING)

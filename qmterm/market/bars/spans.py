"""Longer bars from minutes: 5 and 60 minutes aligned to the open, days, weeks (QUANT.md 2.2).

The trap: the vendor's own hour bars begin at the full hour and mix the half hour before the open with the half hour
after it, so hours are always made here, from minutes of the regular session. A bar is complete by the clock only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from qmterm.core.bars import DailyPanel
from qmterm.core.calendar import SessionCalendar
from qmterm.market.bars.trades import BarColumns
from qmterm.quant.indicators.intraday import GRACE_S, IntradayPanel, Minutes, intraday_bars
from qmterm.quant.indicators.timeframes import weekly_bars

__all__ = ["day_of", "intraday", "weekly"]


def intraday(
    minutes: BarColumns,
    symbols: tuple[str, ...],
    length: int,
    calendar: SessionCalendar,
    sessions: Sequence[date],
    now_ns: int,
    grace_s: float = GRACE_S,
    count: int = 300,
) -> IntradayPanel:
    """Complete bars of `length` minutes of these sessions; the last of each ends at its close, early on half days."""
    given = Minutes.of(
        symbols,
        minutes.row,
        minutes.start_ns,
        minutes.open,
        minutes.high,
        minutes.low,
        minutes.close,
        minutes.volume,
    )
    opens = np.array([calendar.open_ns(day) for day in sessions], dtype=np.int64)
    closes = np.array([calendar.close_ns(day) for day in sessions], dtype=np.int64)
    return intraday_bars(given, length, opens, closes, now_ns, grace_s, count)


def day_of(
    minutes: BarColumns,
    symbols: tuple[str, ...],
    calendar: SessionCalendar,
    day: date,
    now_ns: int,
    grace_s: float = GRACE_S,
) -> IntradayPanel:
    """One bar a symbol: the session's minutes together, once it is over. Half days make a shorter bar."""
    length = (calendar.close_ns(day) - calendar.open_ns(day)) // 60_000_000_000
    return intraday(minutes, symbols, length, calendar, (day,), now_ns, grace_s, count=1)


def weekly(panel: DailyPanel, calendar: SessionCalendar) -> DailyPanel:
    """Weeks that are over, ending on their last session."""
    return weekly_bars(panel, calendar)

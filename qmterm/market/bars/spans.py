"""Longer bars from minutes: 5 and 60 minutes aligned to the open (QUANT.md 2.2).

The trap: the vendor's own hour bars begin at the full hour and mix the half hour before the open with the half hour
after it, so hours are always made here, from minutes of the regular session. A bar is complete by the clock only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from qmterm.core.calendar import SessionCalendar
from qmterm.market.bars.trades import BarColumns
from qmterm.quant.indicators.intraday import GRACE_S, IntradayPanel, Minutes, intraday_bars


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

"""Hours aligned to the open, the short last one, half days."""

from datetime import date

import numpy as np

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.market.bars.spans import intraday
from qmterm.market.bars.trades import MINUTE_NS, BarColumns

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
FULL, HALF = date(2026, 11, 25), date(2026, 11, 27)


def minutes_of(day, count, before=0):
    start = CALENDAR.open_ns(day) + MINUTE_NS * np.arange(-before, count)
    price = 10.0 + np.arange(len(start)) / 100
    whole = np.zeros(len(start), dtype=np.int64)
    return BarColumns(whole, start, price, price + 1, price - 1, price, np.full(len(start), 100.0), price, whole + 1)


def test_hours_begin_at_half_past_and_the_last_is_half_an_hour() -> None:
    close = CALENDAR.close_ns(FULL)
    found = intraday(minutes_of(FULL, 390, before=30), ("A",), 60, CALENDAR, (FULL,), close + 2 * NS)
    assert found.start_ns[0, -7:].tolist() == [from_et(FULL, hour, 30) for hour in range(9, 16)]
    assert found.end_ns[0, -1] == close
    assert found.bars.tolist() == [7]
    assert found.volume[0, -7:].tolist() == [6000.0] * 6 + [3000.0]


def test_a_half_day_ends_at_one_and_a_bar_needs_its_grace() -> None:
    close = CALENDAR.close_ns(HALF)
    bars = minutes_of(HALF, 210)
    assert intraday(bars, ("A",), 60, CALENDAR, (HALF,), close + 1 * NS).bars.tolist() == [3]
    found = intraday(bars, ("A",), 60, CALENDAR, (HALF,), close + 2 * NS)
    assert (found.start_ns[0, -1], found.end_ns[0, -1]) == (from_et(HALF, 12, 30), from_et(HALF, 13, 0))

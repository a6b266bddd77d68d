"""Time to expiry equals the golden rows, and the trading clock prices like the calendar."""

from datetime import date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.core.errors import BadInput
from qmterm.core.expiry import VolClock, expiry_instant, last_trading_day, shown_vol, time_left
from qmterm.core.reasons import Reason
from qmterm.core.settlement import Settlement
from qmterm.quant.options.black_scholes import price
from tests import golden

AM, PM = Settlement.AM, Settlement.PM


@pytest.fixture(scope="module")
def calendar():
    return SessionCalendar.load(date(2025, 1, 1), date(2028, 12, 31))


@pytest.mark.parametrize("row", golden.rows("calendar", what="time_to_expiry"), ids=lambda row: row["now_et"])
def test_golden_time_to_expiry(calendar, row):
    local = datetime.fromisoformat(row["now_et"])
    now = from_et(local.date(), local.hour, local.minute)
    left = time_left(calendar, now, date.fromisoformat(row["expiry"]), Settlement(row["settlement"]))
    golden.assert_close("calendar", left.seconds, row["seconds"])
    golden.assert_close("calendar", left.years, row["T_calendar"])
    assert left.dte == int(row["dte"])
    golden.assert_close("calendar", left.trading_minutes, row["trading_minutes"])
    golden.assert_close("calendar", left.trading_years, row["T_trading"])
    assert left.reason is (Reason.EXPIRED if left.seconds < 0 else None)


def test_an_expiry_is_the_close_of_its_session_or_its_morning(calendar):
    assert expiry_instant(calendar, date(2026, 4, 17)) == from_et(date(2026, 4, 17), 16)
    assert expiry_instant(calendar, date(2026, 4, 17), AM) == from_et(date(2026, 4, 17), 9, 30)
    assert expiry_instant(calendar, date(2026, 11, 27)) == from_et(date(2026, 11, 27), 13)  # half day
    assert expiry_instant(calendar, date(2026, 6, 19)) == from_et(date(2026, 6, 18), 16)  # closed: the session before


def test_an_expiry_beyond_the_calendar_is_taken_at_its_own_date_and_one_before_it_is_refused(calendar):
    assert expiry_instant(calendar, date(2029, 1, 19)) == from_et(date(2029, 1, 19), 16)
    assert expiry_instant(calendar, date(2029, 1, 19), AM) == from_et(date(2029, 1, 19), 9, 30)
    left = time_left(calendar, from_et(date(2026, 1, 19), 16), date(2029, 1, 19))
    assert left.years == pytest.approx(1096 / 365)
    assert left.trading_minutes is None
    assert left.trading_years is None
    assert shown_vol(0.3, left, VolClock.TRADING) == (0.3, VolClock.CALENDAR)
    with pytest.raises(BadInput):
        expiry_instant(calendar, date(2024, 1, 19))


def test_an_am_settled_option_stops_trading_the_session_before(calendar):
    assert last_trading_day(calendar, date(2026, 4, 17)) == date(2026, 4, 17)
    assert last_trading_day(calendar, date(2026, 4, 17), AM) == date(2026, 4, 16)
    assert last_trading_day(calendar, date(2026, 7, 6), AM) == date(2026, 7, 2)  # over a holiday and a weekend


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(61, None), (60, None), (59, Reason.EXPIRING), (1, Reason.EXPIRING), (0, Reason.EXPIRED), (-5, Reason.EXPIRED)],
)
def test_the_last_minute_is_expiring(calendar, seconds, reason):
    expiry = date(2026, 4, 17)
    left = time_left(calendar, expiry_instant(calendar, expiry) - seconds * NS, expiry)
    assert left.reason is reason
    assert left.seconds == seconds
    assert left.years == max(0, seconds) / 31_536_000


def test_the_clock_is_the_trading_clock_in_the_last_week_only(calendar):
    now = from_et(date(2026, 4, 9), 12)
    week, later = (time_left(calendar, now, day) for day in (date(2026, 4, 16), date(2026, 4, 17)))
    assert (week.dte, later.dte) == (7, 8)
    assert shown_vol(0.3, week).clock is VolClock.TRADING
    assert shown_vol(0.3, later) == (0.3, VolClock.CALENDAR)
    assert shown_vol(0.3, week, VolClock.CALENDAR) == (0.3, VolClock.CALENDAR)
    assert shown_vol(0.3, later, VolClock.TRADING).clock is VolClock.TRADING


def test_a_volatility_on_the_trading_clock_prices_the_same(calendar):
    left = time_left(calendar, from_et(date(2026, 4, 16), 12), date(2026, 4, 17))
    shown = shown_vol(0.4, left)
    on_calendar = price(100, 101, left.years, 0.0, 0.0, 0.4, True)
    assert price(100, 101, left.trading_years, 0.0, 0.0, shown.vol, True) == pytest.approx(float(on_calendar))


def test_without_trading_time_the_calendar_volatility_is_shown(calendar):
    evening = time_left(calendar, from_et(date(2026, 4, 16), 18), date(2026, 4, 17), AM)
    assert evening.trading_minutes == 0
    assert shown_vol(0.3, evening) == (0.3, VolClock.CALENDAR)
    gone = time_left(calendar, from_et(date(2026, 4, 17), 17), date(2026, 4, 17))
    assert shown_vol(0.3, gone) == (0.3, VolClock.CALENDAR)


@given(minutes=st.lists(st.integers(0, 900_000), min_size=2, max_size=20))
def test_time_only_runs_out(minutes):
    calendar = SessionCalendar.load(date(2025, 1, 1), date(2028, 12, 31))
    expiry = date(2027, 6, 17)
    start = from_et(date(2026, 1, 2), 9, 30)
    lefts = [time_left(calendar, start + m * 60 * NS, expiry, PM) for m in sorted(minutes)]
    for before, after in pairwise(lefts):
        assert after.years <= before.years
        assert after.dte <= before.dte
        assert 0 <= after.trading_minutes <= before.trading_minutes

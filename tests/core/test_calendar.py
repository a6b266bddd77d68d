"""Sessions, half days and expiries agree with the exchange's own calendar."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.core.calendar import Phase, SessionCalendar, days_to_expiry, years_to
from qmterm.core.clock import NS, from_et, to_et
from qmterm.core.errors import BadInput
from tests import golden

FIRST, LAST = date(2025, 1, 1), date(2028, 12, 31)


@pytest.fixture(scope="module")
def calendar():
    return SessionCalendar.load(FIRST, LAST)


@pytest.mark.parametrize("row", golden.rows("calendar", what="time_to_expiry"), ids=lambda row: row["now_et"])
def test_golden_time_to_expiry(calendar, row):
    local = datetime.fromisoformat(row["now_et"])
    now = from_et(local.date(), local.hour, local.minute)
    expiry, am = date.fromisoformat(row["expiry"]), row["settlement"] == "AM"
    instant = calendar.expiry_ns(expiry, am)
    golden.assert_close("calendar", (instant - now) / NS, row["seconds"])
    golden.assert_close("calendar", years_to(now, instant), row["T_calendar"])
    assert days_to_expiry(now, expiry) == int(row["dte"])
    golden.assert_close("calendar", calendar.minutes_left(now, expiry, am), row["trading_minutes"])
    golden.assert_close("calendar", calendar.trading_years_to(now, expiry, am), row["T_trading"])


@pytest.mark.parametrize("row", golden.rows("calendar", what="monthly_expiry"), ids=lambda row: row["now_et"])
def test_golden_monthly_expiry(calendar, row):
    year, month = map(int, row["now_et"].split("-"))
    assert calendar.monthly_expiry(year, month) == date.fromisoformat(row["expiry"])


@pytest.mark.parametrize("row", golden.rows("calendar", what="session"), ids=lambda row: row["now_et"])
def test_golden_sessions(calendar, row):
    day = date.fromisoformat(row["now_et"])
    assert calendar.is_session(day) == (row["expiry"] == "open")
    if row["expiry"] == "open":
        assert f"{to_et(calendar.close_ns(day)):%H:%M}" == row["settlement"]
        assert calendar.half_day(day) == (row["settlement"] == "13:00")


def test_neighbours_and_ranges_skip_weekends_and_holidays(calendar):
    assert calendar.next(date(2026, 4, 2)) == date(2026, 4, 6)  # Good Friday, weekend
    assert calendar.previous(date(2026, 4, 6)) == date(2026, 4, 2)
    assert calendar.previous(date(2026, 4, 4)) == date(2026, 4, 2)
    assert calendar.sessions(date(2026, 4, 1), date(2026, 4, 6)) == (
        date(2026, 4, 1),
        date(2026, 4, 2),
        date(2026, 4, 6),
    )
    assert calendar.last_n(date(2026, 4, 5), 2) == (date(2026, 4, 1), date(2026, 4, 2))
    assert calendar.last_n(date(2026, 4, 6), 1) == (date(2026, 4, 6),)


@pytest.mark.parametrize(
    ("day", "clock", "phase"),
    [
        (date(2026, 3, 2), (3, 59), Phase.CLOSED),
        (date(2026, 3, 2), (4, 0), Phase.PRE),
        (date(2026, 3, 2), (9, 29), Phase.PRE),
        (date(2026, 3, 2), (9, 30), Phase.REGULAR),
        (date(2026, 3, 2), (15, 59), Phase.REGULAR),
        (date(2026, 3, 2), (16, 0), Phase.POST),
        (date(2026, 3, 2), (20, 0), Phase.CLOSED),
        (date(2026, 11, 27), (12, 59), Phase.REGULAR),
        (date(2026, 11, 27), (13, 0), Phase.POST),
        (date(2026, 2, 28), (11, 0), Phase.CLOSED),
        (date(2026, 3, 9), (4, 0), Phase.PRE),  # the first session of summer time
        (date(2026, 3, 9), (3, 59), Phase.CLOSED),
    ],
)
def test_phases_of_the_day(calendar, day, clock, phase):
    assert calendar.phase(from_et(day, *clock)) is phase


def test_a_session_is_complete_at_its_close_and_not_before(calendar):
    monday = date(2026, 3, 2)
    close = calendar.close_ns(monday)
    assert calendar.last_completed(close - 1) == date(2026, 2, 27)
    assert calendar.last_completed(close) == monday
    assert calendar.last_completed(from_et(date(2026, 3, 1), 12)) == date(2026, 2, 27)
    assert calendar.next_open_ns(close) == calendar.open_ns(date(2026, 3, 3))


def test_exceptional_closures_win_over_the_library():
    closed, early = date(2026, 3, 3), date(2026, 3, 4)
    calendar = SessionCalendar.load(FIRST, LAST, {closed: None, early: time(14, 30)})
    assert not calendar.is_session(closed)
    assert calendar.next(date(2026, 3, 2)) == early
    assert calendar.half_day(early)
    assert calendar.close_ns(early) == from_et(early, 14, 30)
    assert calendar.regular_minutes(from_et(date(2026, 3, 2), 9, 30), from_et(date(2026, 3, 5), 9, 30)) == 390 + 300
    assert SessionCalendar.load(FIRST, LAST).is_session(closed)


@given(
    start=st.integers(0, 780_000),
    first=st.integers(0, 400_000),
    second=st.integers(0, 400_000),
)
def test_regular_minutes_add_up_over_any_split(start, first, second):
    calendar = SessionCalendar.load(FIRST, LAST)
    a = from_et(date(2026, 1, 1)) + start * 60 * NS
    b = a + first * 60 * NS
    c = b + second * 60 * NS
    whole = calendar.regular_minutes(a, c)
    assert whole == pytest.approx(calendar.regular_minutes(a, b) + calendar.regular_minutes(b, c), abs=1e-6)
    assert 0 <= whole <= (c - a) / (60 * NS)


def test_time_to_expiry_ignores_the_change_to_summer_time(calendar):
    before, after = date(2026, 3, 6), date(2026, 3, 9)
    hours = (calendar.close_ns(after) - calendar.close_ns(before)) / NS / 3600
    assert hours == 71  # three calendar days less the lost hour
    assert years_to(calendar.close_ns(before), calendar.close_ns(after)) == 71 * 3600 / 31_536_000
    assert years_to(calendar.close_ns(after), calendar.close_ns(before)) == 0


def test_an_expiry_on_a_closed_day_means_the_session_before(calendar):
    assert calendar.expiry_ns(date(2026, 6, 20)) == calendar.close_ns(date(2026, 6, 18))


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.is_session(date(2040, 1, 2)),
        lambda c: c.close_ns(date(2026, 2, 28)),
        lambda c: c.last_n(date(2025, 1, 3), 5),
        lambda c: c.next(date(2028, 12, 31)),
        lambda c: c.phase(from_et(date(2031, 1, 2), 12)),
        lambda c: SessionCalendar.load(LAST, FIRST),
    ],
)
def test_a_date_the_calendar_cannot_answer_is_an_error_not_a_closed_day(calendar, ask):
    with pytest.raises(BadInput):
        ask(calendar)


def test_the_calendar_reaches_leaps_and_old_data():
    calendar = SessionCalendar.load(date(1998, 1, 1), date(2031, 1, 1))
    assert calendar.is_session(date(1998, 1, 2))
    assert not calendar.is_session(date(2001, 9, 12))
    assert calendar.monthly_expiry(2029, 1) == date(2029, 1, 19)
    assert calendar.last - calendar.first > timedelta(days=33 * 365)

"""New York's date of an instant, asked by the hour, is the date of its wall clock."""

from datetime import date

import pytest

from qmterm.core.clock import NS, et_date, from_et, to_et

DAYS = [
    date(2026, 3, 2),
    date(2026, 3, 8),
    date(2026, 7, 1),
    date(2026, 11, 1),
    date(2026, 12, 31),
]  # both changes


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("away", [-3600 * NS, -1, 0, 1, 1800 * NS, 3600 * NS - 1, 3600 * NS, 7 * 3600 * NS])
def test_the_date_of_an_instant_is_that_of_new_yorks_wall_clock(day, away):
    instant = from_et(day) + away
    assert et_date(instant) == to_et(instant // 1000 * 1000).date()


def test_a_day_ends_with_its_last_nanosecond():
    midnight = from_et(date(2026, 3, 3))
    assert (et_date(midnight - 1), et_date(midnight)) == (date(2026, 3, 2), date(2026, 3, 3))

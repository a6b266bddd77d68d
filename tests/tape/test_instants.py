"""Days and moments as files spell them; what could be of two days is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from qmterm.core.clock import from_et
from qmterm.tape.instants import all_midnights, session_days

DAYS = [date(2026, 2, 27), date(2026, 3, 9)]  # winter and summer time in New York
UTC_MIDNIGHTS = pa.array(
    [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in DAYS], pa.timestamp("us", "UTC")
)
NEW_YORK_NS = [from_et(day) for day in DAYS]


@pytest.mark.parametrize(
    "column",
    [
        UTC_MIDNIGHTS,
        UTC_MIDNIGHTS.cast(pa.timestamp("us", "America/New_York")),
        pa.array(NEW_YORK_NS, pa.timestamp("ns", "UTC")),
        pa.array(NEW_YORK_NS, pa.timestamp("ns", "America/New_York")),
        pa.array([from_et(day, 16) for day in DAYS], pa.timestamp("ns", "UTC")),  # stamped with the close
        pa.array(NEW_YORK_NS),
        pa.array([str(ns // 10**6) for ns in NEW_YORK_NS]),
        pa.array([20260227, 20260309], pa.int32()),
        pa.array(["20260227", "20260309"]),
        pa.array(["2026-02-27", "2026-03-09"]).dictionary_encode(),
        pa.array(["2026-02-27T00:00:00Z", "2026-03-09T00:00:00Z"]),
        pa.array(["2026-02-27 00:00:00", "2026-03-09 00:00:00"]),
        pa.chunked_array([pa.array(DAYS[:1]), pa.array(DAYS[1:])]),
    ],
    ids=lambda column: str(column.type),
)
def test_every_spelling_of_a_day_is_that_day(column) -> None:
    assert session_days(column).to_pylist() == DAYS


@pytest.mark.parametrize("hour", [1, 4, 23])
def test_an_instant_that_is_of_two_days_is_refused(hour: int) -> None:
    moment = datetime(2026, 2, 27, hour, 30, tzinfo=UTC)
    column = pa.array([moment], pa.timestamp("us", "UTC"))
    if hour == 23:  # 18:30 in New York, of the same day
        assert session_days(column).to_pylist() == [date(2026, 2, 27)]
        return
    with pytest.raises(ValueError, match=f"2026-02-27 0{hour}:30 UTC is of one day in New York and of another in UTC"):
        session_days(column)


def test_midnight_utc_among_other_times_is_refused() -> None:
    column = pa.array([*UTC_MIDNIGHTS.to_pylist(), datetime(2026, 3, 9, 15, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    with pytest.raises(ValueError, match="2026-02-27 00:00 UTC"):
        session_days(column)


def test_a_day_that_is_not_known_stays_unknown() -> None:
    assert session_days(pa.array([None, UTC_MIDNIGHTS[0].as_py()], pa.timestamp("us", "UTC"))).to_pylist() == [
        None, DAYS[0],
    ]  # fmt: skip
    assert session_days(pa.array([None], pa.timestamp("us", "UTC"))).to_pylist() == [None]


def test_day_stamps_are_told_from_minutes() -> None:
    assert all_midnights(pa.array(NEW_YORK_NS))
    assert all_midnights(UTC_MIDNIGHTS)
    assert not all_midnights(pa.array([*NEW_YORK_NS, from_et(DAYS[0], 9, 30)]))
    assert not all_midnights(pa.array([], pa.int64()))

"""When a row of a file is: UTC nanoseconds or a New York session, from all the ways that files spell them.

The trap: midnight UTC is the evening before in New York, so a day written as an instant is not simply the day that New
York calls it. Only an instant whose day cannot be mistaken is taken for one.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from qmterm.core.bars import IntArray
from qmterm.core.clock import et_date

_ZONE = "America/New_York"
_DAY_S = 86_400
_HOUR_NS = 3_600_000_000_000
_FIRST, _LAST = 19_000_101, 21_001_231  # days written as one number


def instants(column: Any) -> Any:
    """UTC nanoseconds; numbers by their size (seconds to nanoseconds), timestamps without a zone are UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_text(column):
        try:
            column = pc.cast(column, pa.int64())
        except pa.ArrowInvalid:
            try:
                column = pc.cast(column, pa.timestamp("ns", "UTC"))  # texts with an offset
            except pa.ArrowInvalid:
                column = pc.cast(column, pa.timestamp("ns"))
    if column.null_count:
        raise ValueError(f"{column.null_count} rows have none")
    if pa.types.is_timestamp(column.type):
        zone = column.type.tz
        return pc.cast(pc.cast(column, pa.timestamp("ns", zone), safe=True), pa.int64())
    whole = pc.cast(column, pa.int64())
    top = pc.max(whole).as_py()
    scale = 1 if top is None or top > 10**17 else 10**3 if top > 10**14 else 10**6 if top > 10**11 else 10**9
    return pc.multiply_checked(whole, scale)


def session_days(column: Any) -> Any:
    """Dates, from dates, text, numbers such as 20260227, or instants; ValueError for an instant of no certain day.

    A timestamp without a zone is of its own date, whatever its time.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if _is_text(column):
        try:
            return pc.cast(column, pa.date32())
        except pa.ArrowInvalid:
            try:
                column = pc.cast(column, pa.int64())
            except pa.ArrowInvalid:
                column = pc.cast(instants(column), pa.timestamp("ns", "UTC"))
    if pa.types.is_integer(column.type):
        ends = pc.min_max(column).as_py()
        if ends["min"] is not None and ends["min"] >= _FIRST and ends["max"] <= _LAST:
            return pc.cast(pc.strptime(pc.cast(column, pa.string()), format="%Y%m%d", unit="s"), pa.date32())
        column = pc.cast(instants(column), pa.timestamp("ns", "UTC"))
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return _of_both_zones(pc.cast(column, pa.timestamp("s", "UTC"), safe=False))
    return pc.cast(column, pa.date32(), safe=False)


def all_midnights(column: Any) -> bool:
    """Is every instant a midnight, all of New York or all of UTC: the stamp of day bars."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(column):
        return False
    seconds = pc.cast(pc.cast(instants(column), pa.timestamp("ns", "UTC")), pa.timestamp("s", "UTC"), safe=False)
    return any(pc.all(_midnight(seconds, zone)).as_py() for zone in (_ZONE, "UTC"))


def days_of(start_ns: IntArray) -> IntArray:
    """New York dates of instants as days since 1970; the market is shut when the two offsets would differ."""
    hours, where = np.unique(start_ns // _HOUR_NS, return_inverse=True)
    ordinals = [(et_date(int(hour) * _HOUR_NS) - date(1970, 1, 1)).days for hour in hours]
    return np.array(ordinals, dtype=np.int64)[where]


def _of_both_zones(seconds: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    days = {zone: pc.cast(_local(seconds, zone), pa.date32(), safe=False) for zone in (_ZONE, "UTC")}
    utc = _midnight(seconds, "UTC")
    if pc.any(utc).as_py() and pc.all(utc).as_py():
        return days["UTC"]
    clear = pc.and_not(pc.or_(_midnight(seconds, _ZONE), pc.equal(days[_ZONE], days["UTC"])), utc)
    if not pc.all(clear).as_py() and pc.count(seconds).as_py():
        row = pc.index(clear, pa.scalar(False)).as_py()
        raise ValueError(f"{seconds[row].as_py():%Y-%m-%d %H:%M} UTC is of one day in New York and of another in UTC")
    return days[_ZONE]


def _local(seconds: Any, zone: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.local_timestamp(pc.cast(seconds, pa.timestamp("s", zone)))


def _midnight(seconds: Any, zone: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    local = pc.cast(_local(seconds, zone), pa.int64())
    return pc.equal(local, pc.multiply(pc.floor(pc.divide(pc.cast(local, pa.float64()), _DAY_S)), _DAY_S))


def _is_text(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))

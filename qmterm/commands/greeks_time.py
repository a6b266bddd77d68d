"""How long each row's option has, from whichever way its expiry is written.

The trap: the calendar of sessions costs half a second to load, so it is asked only for dates that lie ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from qmterm.commands.greeks_cells import Unreadable
from qmterm.commands.greeks_columns import Field
from qmterm.commands.greeks_dates import day_or_instant, instant
from qmterm.commands.greeks_reader import LONGEST_YEARS, ColumnReader
from qmterm.core.bars import FloatArray
from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.clock import et_date
from qmterm.core.errors import BadInput
from qmterm.core.instruments import OptionContract
from qmterm.core.settlement import terms_of


def years_left(
    reader: ColumnReader, contracts: list[OptionContract | None], roots: list[str | None], now: list[int]
) -> tuple[FloatArray, list[str]]:
    """Years to expiry: as given, else to the expiry's instant, else from days, else from the OCC symbol's date."""
    years = reader.numbers(Field.YEARS)
    days = reader.numbers(Field.DAYS)
    expiries = reader.each(Field.EXPIRY, day_or_instant)
    source = ["years given"] * reader.size
    wanted: dict[tuple[date | int, bool, int], list[int]] = {}
    for at in np.flatnonzero(np.isnan(years)).tolist():
        contract = contracts[at]
        expiry: date | int | None = expiries[at]
        if expiry is None and not np.isnan(days[at]):
            years[at] = days[at] / 365.0
            source[at] = "days / 365"
            continue
        if contract is not None:
            if expiry is None:
                expiry = contract.expiry
            elif not isinstance(expiry, int) and abs((expiry - contract.expiry).days) > 1:  # old symbols said Saturday
                reader.wrong(at, Field.EXPIRY, f"{expiry}, but the symbol says {contract.expiry}")
        if expiry is not None:
            wanted.setdefault((expiry, _morning(roots[at], contract, expiry), now[at]), []).append(at)
    calendar = _calendar([(expiry, moment) for expiry, _, moment in wanted])
    for (expiry, morning, moment), rows in wanted.items():
        value, said = _years_until(calendar, expiry, morning, moment)
        for at in rows:
            years[at] = value
            source[at] = said
            if value > LONGEST_YEARS:
                reader.wrong(at, Field.EXPIRY, f"lies more than {LONGEST_YEARS:.0f} years ahead; write a listed expiry")
    missing = Field.EXPIRY if Field.YEARS not in reader.fields else Field.YEARS
    given = ~np.isnan(years)
    source = [said if known else "" for said, known in zip(source, given.tolist(), strict=True)]
    for field in (Field.EXPIRY, Field.YEARS, Field.DAYS):  # a cell that was unreadable is the reason, not an empty one
        for at in np.flatnonzero(~given).tolist():
            given[at] = any(f"column {reader.name(field)}:" in problem for problem in reader.problems.get(at, ()))
    reader.need(missing, given, "is empty; write an expiry such as 2026-04-17, or years such as 0.25")
    return years, source


def _morning(root: str | None, contract: OptionContract | None, expiry: date | int) -> bool:
    """Settled at the open. A bare SPX that is no OCC root may mean SPXW as well: the morning on third Fridays only."""
    if root is None or isinstance(expiry, int) or not terms_of(root).am_settled:
        return False
    return contract is not None or root == "VIX" or (expiry.weekday() == 4 and 15 <= expiry.day <= 21)


def _calendar(wanted: Sequence[tuple[date | int, int]]) -> SessionCalendar | None:
    """Sessions over the expiries that lie ahead; None when there is no date among them."""
    ahead = [expiry for expiry, now in wanted if isinstance(expiry, date) and _ahead(expiry, now)]
    if not ahead:
        return None
    return SessionCalendar.load(min(ahead) - timedelta(days=10), max(ahead))


def _ahead(expiry: date, now: int) -> bool:
    return 0 <= (expiry - et_date(now)).days + 5 <= (LONGEST_YEARS + 1) * 366


def _years_until(calendar: SessionCalendar | None, expiry: date | int, morning: bool, now: int) -> tuple[float, str]:
    if isinstance(expiry, int):
        return years_to(now, expiry), "to the instant given"
    if calendar is None or not _ahead(expiry, now):
        left = (expiry - et_date(now)).days
        return max(0.0, left / 365.0), "expired" if left < 0 else "days / 365"
    return years_to(
        now, calendar.expiry_ns(expiry, morning)
    ), "to 09:30 New York" if morning else "to the session's close"


def as_of_instant(text: str | None, now_ns: int) -> int:
    """The instant of `--as-of`, now without it."""
    if text is None:
        return now_ns
    try:
        return instant(text.strip())
    except Unreadable as error:
        raise BadInput(f"--as-of: {error}; or an instant, 2026-03-02T15:30 (New York time)") from error

"""Whether a sold option is likely to be exercised before its end (QUANT.md 5.5): the dividend, and the deep put.

The trap: the holder of a call exercises the evening **before** the ex-date; on the day itself it is over. A number that
is not known (a dividend nobody declared, a put nobody quotes) is said, never taken for "no risk".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum

from qmterm.core.calendar import SessionCalendar, years_to
from qmterm.core.clock import et_date, from_et
from qmterm.core.reasons import Reason

WITHIN_SESSIONS = 5
DEEP = 0.05  # of the strike
Numbers = Mapping[str, float | None]


class Chance(IntEnum):
    NONE = 0
    MEDIUM = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class EarlyAssignment:
    """`reason` is why it could not be judged; then `chance` is only what is certain. Numbers are dollars per share."""

    chance: Chance = Chance.NONE
    cause: str = ""  # dividend | deep put
    reason: Reason | None = None
    ex_date: date | None = None
    numbers: Numbers = field(default_factory=dict)


def short_call(
    calendar: SessionCalendar,
    now_ns: int,
    *,
    strike: float,
    expires_ns: int,
    spot: float | None,
    mark: float | None,
    put_mid: float | None,
    rate: float,
    dividends: tuple[tuple[date, float], ...],
    dividends_known: bool,
) -> EarlyAssignment:
    """A sold American call; `dividends` are (ex-date, dollars a share) after today.

    HIGH: in the money, the next session is an ex-date, and the dividend is worth more than the same-strike put plus
    the interest on the strike from then on. MEDIUM: it is worth more than the time value, within five sessions. Where
    nobody quotes the put, the call's own time value (which parity makes the same) stands in.
    """
    today = et_date(now_ns)
    ahead = [(day, cash) for day, cash in dividends if day > today and from_et(day, 9, 30) < expires_ns]
    if not ahead:
        return EarlyAssignment(reason=None if dividends_known else Reason.NO_DATA)
    ex_date, dividend = min(ahead)
    if spot is None:
        return EarlyAssignment(reason=Reason.NO_QUOTE, ex_date=ex_date, numbers={"dividend": dividend})
    intrinsic = max(0.0, spot - strike)
    extrinsic = None if mark is None else max(0.0, mark - intrinsic)
    numbers = {"dividend": dividend, "intrinsic": intrinsic, "extrinsic": extrinsic, "put_mid": put_mid}
    if intrinsic <= 0.0:
        return EarlyAssignment(ex_date=ex_date, numbers=numbers)
    after_ex = max(0.0, years_to(now_ns, expires_ns) - years_to(now_ns, from_et(ex_date, 9, 30)))
    interest = strike * -math.expm1(-rate * after_ex)
    kept = put_mid + interest if put_mid is not None else extrinsic
    numbers |= {"interest": interest, "given_up": kept}
    tomorrow = date.fromordinal(today.toordinal() + 1)
    sessions = len(calendar.sessions(tomorrow, ex_date)) if ex_date <= calendar.last else 0
    if sessions == 1 and kept is not None and dividend > kept:
        return EarlyAssignment(Chance.HIGH, "dividend", None, ex_date, numbers)
    if extrinsic is None:
        return EarlyAssignment(reason=Reason.NO_QUOTE, ex_date=ex_date, numbers=numbers)
    if 1 <= sessions <= WITHIN_SESSIONS and extrinsic < dividend:
        return EarlyAssignment(Chance.MEDIUM, "dividend", None, ex_date, numbers)
    return EarlyAssignment(ex_date=ex_date, numbers=numbers)


def short_put(
    now_ns: int, *, strike: float, expires_ns: int, spot: float | None, mark: float | None, rate: float
) -> EarlyAssignment:
    """A sold American put. HIGH: more than 5 % in the money, its time value less than the interest on the strike."""
    if spot is None or mark is None:
        return EarlyAssignment(reason=Reason.NO_QUOTE)
    intrinsic = max(0.0, strike - spot)
    extrinsic = max(0.0, mark - intrinsic)
    interest = strike * -math.expm1(-rate * years_to(now_ns, expires_ns))
    numbers = {"intrinsic": intrinsic, "extrinsic": extrinsic, "interest": interest}
    if intrinsic > DEEP * strike and extrinsic < interest:
        return EarlyAssignment(Chance.HIGH, "deep put", None, None, numbers)
    return EarlyAssignment(numbers=numbers)

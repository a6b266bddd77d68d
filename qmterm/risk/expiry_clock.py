"""The clock of a contract's end: when it stops trading, when it settles, and when the desk wants to be out of it.

The trap: an AM-settled index option stops trading the session before its expiry date and settles on prices nobody can
trade on; and on a half day everything is three hours earlier. So every hour here counts back from a close.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, et_date
from qmterm.core.expiry import expiry_instant, last_trading_day
from qmterm.core.instruments import OptionContract
from qmterm.core.settlement import Settlement, terms_of

MINUTE_NS = 60 * NS
PIN_WATCH_NS = 2 * 60 * MINUTE_NS  # 14:00 of a full day


@dataclass(frozen=True, slots=True)
class ContractEnd:
    """Instants are UTC nanoseconds; `sessions_left` counts those after today up to the last trading day."""

    expiry: date
    last_day: date
    settlement: Settlement
    cash_settled: bool
    european: bool
    half_day: bool
    expires_ns: int
    stops_trading_ns: int
    cutoff_ns: int  # from here on the broker opens nothing in it, and a close may find nobody
    close_from_ns: int  # when a planned close is sent
    today_cutoff_ns: int | None  # the same of today's session: before an ex-date; None when today has none left
    today_from_ns: int | None
    dte: int
    sessions_left: int

    @property
    def last_session(self) -> bool:
        """Today is the last day it trades."""
        return self.sessions_left == 0

    def pin_watched(self, now_ns: int) -> bool:
        """The last two hours of a contract that delivers shares on this day's close."""
        return (
            self.last_session
            and not self.cash_settled
            and self.stops_trading_ns - PIN_WATCH_NS <= now_ns < self.expires_ns
        )


def contract_end(
    calendar: SessionCalendar, contract: OptionContract, now_ns: int, cutoff_min: float, lead_min: float
) -> ContractEnd:
    """`cutoff_min` before the end of trading nothing is opened; planned closes go `lead_min` before that."""
    terms = terms_of(contract.root)
    expires = expiry_instant(calendar, contract.expiry, terms.settlement)
    known = contract.expiry <= calendar.last
    last_day = last_trading_day(calendar, contract.expiry, terms.settlement) if known else contract.expiry
    stops = calendar.close_ns(last_day) if known else expires
    cutoff = stops - int(cutoff_min * MINUTE_NS)
    today, lead = et_date(now_ns), int(lead_min * MINUTE_NS)
    today_close = calendar.close_ns(today) if calendar.is_session(today) else 0
    today_cutoff = today_close - int(cutoff_min * MINUTE_NS) if now_ns < today_close else None
    return ContractEnd(
        expiry=contract.expiry,
        last_day=last_day,
        settlement=terms.settlement,
        cash_settled=terms.cash_settled,
        european=terms.european,
        half_day=known and calendar.half_day(last_day),
        expires_ns=expires,
        stops_trading_ns=stops,
        cutoff_ns=cutoff,
        close_from_ns=cutoff - lead,
        today_cutoff_ns=today_cutoff,
        today_from_ns=None if today_cutoff is None else today_cutoff - lead,
        dte=(contract.expiry - today).days,
        sessions_left=_sessions_after(calendar, today, last_day) if known else (last_day - today).days,
    )


def _sessions_after(calendar: SessionCalendar, today: date, last: date) -> int:
    if last <= today:
        return 0 if last == today else -1
    return len(calendar.sessions(date.fromordinal(today.toordinal() + 1), last))

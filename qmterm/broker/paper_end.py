"""When an order of the paper account is over: day orders at the close, GTD orders at theirs, any with its options."""

from __future__ import annotations

from qmterm.broker.paper_book import PaperOrder
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date, from_et
from qmterm.core.expiry import last_trading_day
from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import TimeInForce
from qmterm.core.settlement import terms_of


def order_over(order: PaperOrder, now_ns: int, calendar: SessionCalendar) -> bool:
    """A day order lives until its session's close, a GTD one until its date's; any until its first option expires."""
    contracts = [parse_option(leg.symbol) for leg in order.intent.legs if is_option(leg.symbol)]
    last = [last_trading_day(calendar, c.expiry, terms_of(c.root).settlement) for c in contracts]
    if last and now_ns >= calendar.close_ns(min(last)):
        return True
    if order.intent.time_in_force is TimeInForce.GTC:
        return False
    until = order.intent.good_until
    if until is not None:  # a day without a session has no close: the evening before it ends the order
        return now_ns >= (calendar.close_ns(until) if calendar.is_session(until) else from_et(until))
    received = order.report.received_ns
    day = et_date(received)
    if not calendar.is_session(day) or received >= calendar.close_ns(day):
        day = calendar.next(day)
    return now_ns >= calendar.close_ns(day)

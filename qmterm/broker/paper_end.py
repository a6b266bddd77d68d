"""How things end in the paper account: day orders at the close, options at their expiry, in cash at intrinsic value.

A real account would get shares for an option that ends in the money; here every expiry settles in cash, reported as
one filled order so that the engine books it like any other fill.
"""

from __future__ import annotations

from decimal import Decimal

from qmterm.broker.paper_book import PaperBook, PaperOrder
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import et_date, from_et
from qmterm.core.instruments import OptionContract, is_option, parse_option, underlying_of
from qmterm.core.orders import (
    Action,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Fill,
    Leg,
    OrderState,
    TimeInForce,
)
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import mid_decimal

CENT = Decimal("0.01")


def order_over(order: PaperOrder, now_ns: int, calendar: SessionCalendar) -> bool:
    """A day order lives until its session's close, a GTD one until its date's; any until its first option expires."""
    expiries = [parse_option(leg.symbol).expiry for leg in order.intent.legs if is_option(leg.symbol)]
    if expiries and now_ns >= calendar.expiry_ns(min(expiries)):
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


def settle_expired(
    book: PaperBook, account: str, now_ns: int, calendar: SessionCalendar, quotes: QuoteSource
) -> list[BrokerEvent]:
    """Positions in expired options become cash; one without a price of its underlying waits."""
    events: list[BrokerEvent] = []
    for symbol, position in list(book.positions.items()):
        if not is_option(symbol) or now_ns < calendar.expiry_ns(parse_option(symbol).expiry):
            continue
        quote = quotes.quote(underlying_of(symbol))
        spot = None if quote is None else mid_decimal(quote)
        if spot is not None:
            events.extend(_settle(book, account, position, intrinsic(parse_option(symbol), spot), now_ns))
    return events


def intrinsic(contract: OptionContract, spot: Decimal) -> Decimal:
    """Dollars per share, to the cent."""
    return max(Decimal(0), contract.right.sign * (spot - contract.strike)).quantize(CENT)


def _settle(
    book: PaperBook, account: str, position: BrokerPosition, price: Decimal, now_ns: int
) -> tuple[BrokerEvent, BrokerEvent]:
    action = Action.SELL_TO_CLOSE if position.quantity > 0 else Action.BUY_TO_CLOSE
    quantity = abs(position.quantity)
    broker_id = f"expiry-{book.next_order}"
    fill = Fill(f"{account}-{book.next_fill}", broker_id, position.symbol, action, quantity, price, now_ns)
    book.next_order += 1
    book.next_fill += 1
    report = BrokerOrder(
        broker_id=broker_id,
        external_id=None,
        account=account,
        underlying=underlying_of(position.symbol),
        state=OrderState.FILLED,
        legs=(Leg(position.symbol, action, quantity),),
        fills=(fill,),
        net_price=-action.sign * price,
        time_in_force=TimeInForce.DAY.value,
        received_ns=now_ns,
        updated_ns=now_ns,
        remaining=(0,),
    )
    book.settlements[broker_id] = report
    return report, book.book(fill)

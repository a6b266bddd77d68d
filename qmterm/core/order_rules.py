"""What each kind of order must and must not carry (PROTOCOLS.md 10.2): one table, asked before anything is sent.

Pure: the day that "in the future" is measured from is the day the order was made.
"""

from __future__ import annotations

from qmterm.core.clock import et_date
from qmterm.core.orders import BracketRole, OrderIntent, OrderKind, TimeInForce

_NAME = {
    OrderKind.LIMIT: "a limit order",
    OrderKind.MARKET: "a market order",
    OrderKind.STOP: "a stop order",
    OrderKind.STOP_LIMIT: "a stop limit order",
}


def rules_fault(intent: OrderIntent) -> str | None:
    """Why no broker would take such an order, in one sentence; None when it is one."""
    return _price_fault(intent) or _trigger_fault(intent) or _time_fault(intent)


def bracket_fault(intents: tuple[OrderIntent, ...]) -> str | None:
    """Why these are no bracket, in one sentence; None: a trigger with one or two exits, or a target and a stop.

    A lone exit for what is held is a simple order, not a bracket.
    """
    roles = [intent.role for intent in intents]
    if len(set(roles)) != len(roles) or None in roles or len({intent.bracket_id for intent in intents}) != 1:
        return "its orders do not have one role each in one bracket"
    if len(roles) < 2:
        return "one order alone is no bracket"
    exits = [intent for intent in intents if intent.rests]
    if any(leg.action.opens for intent in exits for leg in intent.legs):
        return "an exit of a bracket must only close"
    if any(intent.kind is not OrderKind.LIMIT for intent in exits if intent.role is BracketRole.TARGET):
        return "the target of a bracket is a limit order"
    if any(not intent.kind.stopped for intent in exits if intent.role is BracketRole.STOP):
        return "the stop of a bracket is a stop order"
    if len({tuple((leg.symbol, leg.quantity) for leg in intent.legs) for intent in intents}) != 1:
        return "its orders are not for the same contracts"
    return None


def _price_fault(intent: OrderIntent) -> str | None:
    kind, price = intent.kind, intent.net_price
    if kind.priced and price is None:
        return f"{_NAME[kind]} needs a price"
    if not kind.priced and price is not None:
        return f"{_NAME[kind]} takes no price, this one carries {price}"
    if price is not None and (not price.is_finite() or price == 0):
        return f"the price {price} cannot be sent (zero has no side)"
    if kind is OrderKind.MARKET and len(intent.legs) != 1:
        return f"a market order has one leg, this one {len(intent.legs)}"
    return None


def _trigger_fault(intent: OrderIntent) -> str | None:
    kind, trigger = intent.kind, intent.stop_trigger
    if not kind.stopped:
        return None if trigger is None else f"{_NAME[kind]} takes no stop trigger, this one carries {trigger}"
    if trigger is None:
        return f"{_NAME[kind]} needs a trigger"
    if not trigger.is_finite() or trigger <= 0:
        return f"the stop trigger {trigger} is no price"
    return None


def _time_fault(intent: OrderIntent) -> str | None:
    kind, force, until = intent.kind, intent.time_in_force, intent.good_until
    if force is not TimeInForce.GTD and until is not None:
        return f"only a GTD order carries a date, this one is {force.value} until {until}"
    if force is TimeInForce.GTD and until is None:
        return "a GTD order needs the date it is good until"
    if until is not None and until <= et_date(intent.created_ns):
        return f"a GTD order needs a date in the future, not {until}"
    if kind is OrderKind.MARKET and force.outlives_day:
        return f"a market order cannot be {force.value}: it does not wait"
    if kind.stopped and force is TimeInForce.IOC:
        return f"{_NAME[kind]} cannot be IOC: it waits for its trigger"
    if kind is OrderKind.STOP and force.outlives_day and any(leg.action.opens for leg in intent.legs):
        return f"a stop order that opens cannot be {force.value}: Day only"
    return None

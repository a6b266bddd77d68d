"""How orders, fills and prices read in the log and on the screen: the field's own short forms."""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import Action, Fill, Leg, OrderIntent
from qmterm.core.signals import Signal

_VERB = {
    Action.BUY_TO_OPEN: "BUY",
    Action.BUY_TO_CLOSE: "BUY to close",
    Action.SELL_TO_OPEN: "SELL to open",
    Action.SELL_TO_CLOSE: "SELL",
}


def label(symbol: str) -> str:
    """`NVDA 17APR26 175C` for an option, the ticker for a stock."""
    return str(parse_option(symbol)) if is_option(symbol) else symbol


def describe_leg(leg: Leg) -> str:
    return f"{_VERB[leg.action]} {leg.quantity} {label(leg.symbol)}"


def price_text(net_price: Decimal) -> str:
    """`4.15 db` or `2.70 cr`: dollars per share of one unit."""
    return f"{abs(net_price):.2f} {'cr' if net_price > 0 else 'db'}"


def describe_order(intent: OrderIntent) -> str:
    return f"{' / '.join(describe_leg(leg) for leg in intent.legs)} @ {price_text(intent.net_price)}"


def describe_fill(fill: Fill) -> str:
    side = "BOT" if fill.action.buys else "SLD"
    return f"{side} {fill.quantity} {label(fill.symbol)} @ {fill.price:.2f} fees {fill.fees:.2f}"


def describe_signal(signal: Signal) -> str:
    return (
        f"{signal.state.value} {signal.symbol} {signal.close:.2f} "
        f"d={signal.atr_distance:.2f} conf={signal.confidence:.2f}"
    )

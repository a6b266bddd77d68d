"""An order intent as the SDK's order. Everything that can be wrong with it is refused here, before it can leave.

The traps: the price's sign is its effect (a positive price on a buy becomes a credit), and a close without the
strict flag is turned into an open when the position is already gone.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import gcd
from typing import Any

from tastytrade.order import (
    AdvancedInstructions,
    InstrumentType,
    LimitOrder,
    MarketOrder,
    OrderAction,
    OrderTimeInForce,
    StopLimitOrder,
    StopOrder,
)
from tastytrade.order import Leg as SdkLeg

from qmterm.core.errors import BrokerError
from qmterm.core.instruments import is_option, parse_option
from qmterm.core.order_rules import rules_fault
from qmterm.core.orders import OrderIntent, OrderKind

BAD_ORDER = "bad_order"
MAX_LEGS = 4
_CENT = Decimal("0.01")
_SUB_PENNY = Decimal("0.0001")
SdkOrder = LimitOrder | MarketOrder | StopOrder | StopLimitOrder
_CLASSES: dict[OrderKind, type[LimitOrder | MarketOrder | StopOrder | StopLimitOrder]] = {
    OrderKind.LIMIT: LimitOrder,
    OrderKind.MARKET: MarketOrder,
    OrderKind.STOP: StopOrder,
    OrderKind.STOP_LIMIT: StopLimitOrder,
}


def check(intent: OrderIntent) -> None:
    """BrokerError(bad_order) with the reason when the broker would refuse or misread it."""
    price, legs = intent.net_price, intent.legs
    if not legs or len(legs) > MAX_LEGS:
        _refuse(intent, f"an order has 1 to {MAX_LEGS} legs, this one {len(legs)}")
    symbols, quantities, buys = [], [], set()
    for leg in legs:
        symbols.append(leg.symbol)
        quantities.append(leg.quantity)
        buys.add(leg.action.buys)
    if len(set(symbols)) != len(legs):
        _refuse(intent, "each symbol may stand in one leg only")
    if min(quantities) <= 0 or intent.quantity <= 0:
        _refuse(intent, "every quantity must be above zero")
    if gcd(*quantities) != intent.quantity:
        # The broker counts units by itself: a price for another unit would be paid for several of its own.
        _refuse(intent, f"its leg quantities are not those of {intent.quantity} whole units of the smallest ratio")
    if len(legs) > 1 and not all(map(is_option, symbols)):
        _refuse(intent, "stock and options cannot share an order here")
    fault = rules_fault(intent)
    if fault is not None:
        _refuse(intent, fault)
    for what, amount in (("price", price), ("stop trigger", intent.stop_trigger)):
        if amount is not None:
            grid = _CENT if is_option(legs[0].symbol) or abs(amount) >= 1 else _SUB_PENNY
            if amount % grid:
                _refuse(intent, f"the {what} {amount} is not on the grid of {grid}")
    if price is not None and len(buys) == 1 and legs[0].action.buys != (price < 0):
        side = "a debit (negative)" if legs[0].action.buys else "a credit (positive)"
        _refuse(intent, f"{legs[0].action.value} needs {side}, the price is {price}")
    for symbol in symbols:
        if is_option(symbol) and _occ(symbol) != symbol:
            _refuse(intent, f"{symbol!r} is not spelled as the broker does (OCC, 21 characters)")


@lru_cache(maxsize=4096)
def _occ(symbol: str) -> str:
    return parse_option(symbol).occ


def to_sdk(intent: OrderIntent) -> SdkOrder:
    """The order that goes out, tagged with our id; strict on every order that closes anything."""
    check(intent)
    closes, legs = False, []
    for leg in intent.legs:
        closes = closes or not leg.action.opens
        legs.append(
            SdkLeg(
                instrument_type=InstrumentType.EQUITY_OPTION if is_option(leg.symbol) else InstrumentType.EQUITY,
                symbol=leg.symbol,
                action=OrderAction(leg.action.value),
                quantity=leg.quantity,
            )
        )
    terms: dict[str, Any] = {}
    if intent.net_price is not None:
        terms["price"] = intent.net_price
    if intent.stop_trigger is not None:
        terms["stop_trigger"] = intent.stop_trigger
    return _CLASSES[intent.kind](
        time_in_force=OrderTimeInForce(intent.time_in_force.value),
        gtc_date=intent.good_until,
        legs=legs,
        external_identifier=intent.intent_id,
        advanced_instructions=AdvancedInstructions(strict_position_effect_validation=True) if closes else None,
        **terms,
    )


def _refuse(intent: OrderIntent, reason: str) -> None:
    raise BrokerError(f"order {intent.intent_id} was not sent: {reason}", BAD_ORDER)

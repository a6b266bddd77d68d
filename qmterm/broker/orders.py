"""An order intent as the SDK's order. Everything that can be wrong with it is refused here, before it can leave.

The traps: the price's sign is its effect (a positive price on a buy becomes a credit), and a close without the
strict flag is turned into an open when the position is already gone.
"""

from __future__ import annotations

from decimal import Decimal
from math import gcd

from tastytrade.order import AdvancedInstructions, InstrumentType, LimitOrder, OrderAction, OrderTimeInForce
from tastytrade.order import Leg as SdkLeg

from qmterm.core.errors import BrokerError
from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import OrderIntent, TimeInForce

BAD_ORDER = "bad_order"
MAX_LEGS = 4
_CENT = Decimal("0.01")
_SUB_PENNY = Decimal("0.0001")
_TIME_IN_FORCE = {TimeInForce.DAY: OrderTimeInForce.DAY, TimeInForce.GTC: OrderTimeInForce.GTC}


def check(intent: OrderIntent) -> None:
    """BrokerError(bad_order) with the reason when the broker would refuse or misread it."""
    price, legs = intent.net_price, intent.legs
    if not legs or len(legs) > MAX_LEGS:
        _refuse(intent, f"an order has 1 to {MAX_LEGS} legs, this one {len(legs)}")
    if len({leg.symbol for leg in legs}) != len(legs):
        _refuse(intent, "each symbol may stand in one leg only")
    if any(leg.quantity <= 0 for leg in legs) or intent.quantity <= 0:
        _refuse(intent, "every quantity must be above zero")
    if gcd(*(leg.quantity for leg in legs)) != intent.quantity:
        # The broker counts units by itself: a price for another unit would be paid for several of its own.
        _refuse(intent, f"its leg quantities are not those of {intent.quantity} whole units of the smallest ratio")
    if len(legs) > 1 and not all(is_option(leg.symbol) for leg in legs):
        _refuse(intent, "stock and options cannot share an order here")
    if not price.is_finite() or price == 0:
        _refuse(intent, f"the price {price} cannot be sent (zero has no side)")
    grid = _CENT if is_option(legs[0].symbol) or abs(price) >= 1 else _SUB_PENNY
    if price % grid:
        _refuse(intent, f"the price {price} is not on the grid of {grid}")
    buys = {leg.action.buys for leg in legs}
    if len(buys) == 1 and legs[0].action.buys != (price < 0):
        side = "a debit (negative)" if legs[0].action.buys else "a credit (positive)"
        _refuse(intent, f"{legs[0].action.value} needs {side}, the price is {price}")
    for leg in legs:
        if is_option(leg.symbol) and parse_option(leg.symbol).occ != leg.symbol:
            _refuse(intent, f"{leg.symbol!r} is not spelled as the broker does (OCC, 21 characters)")


def to_sdk(intent: OrderIntent) -> LimitOrder:
    """The limit order that goes out, tagged with our id; strict on every order that closes anything."""
    check(intent)
    closes = any(not leg.action.opens for leg in intent.legs)
    return LimitOrder(
        time_in_force=_TIME_IN_FORCE[intent.time_in_force],
        legs=[
            SdkLeg(
                instrument_type=InstrumentType.EQUITY_OPTION if is_option(leg.symbol) else InstrumentType.EQUITY,
                symbol=leg.symbol,
                action=OrderAction(leg.action.value),
                quantity=leg.quantity,
            )
            for leg in intent.legs
        ],
        price=intent.net_price,
        external_identifier=intent.intent_id,
        advanced_instructions=AdvancedInstructions(strict_position_effect_validation=True) if closes else None,
    )


def _refuse(intent: OrderIntent, reason: str) -> None:
    raise BrokerError(f"order {intent.intent_id} was not sent: {reason}", BAD_ORDER)

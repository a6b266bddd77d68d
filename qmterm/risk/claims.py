"""What one unit of an opening order claims: the most it can lose and the buying power it takes, fees included.

The trap: a claim is taken at the worst price the order may get, with the fees of the way out as well; the gate refuses
a plan that claims less than it can lose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.fees import leg_fees
from qmterm.core.matching import net_mid
from qmterm.core.orders import Action, Leg
from qmterm.core.quotes import Quote
from qmterm.core.signals import TradePlan
from qmterm.risk.book import ZERO, RiskBook, part_of
from qmterm.risk.buying_power import buying_power_effect
from qmterm.risk.worst_case import worst_loss

_BACK = {
    Action.BUY_TO_OPEN: Action.SELL_TO_CLOSE,
    Action.SELL_TO_OPEN: Action.BUY_TO_CLOSE,
    Action.BUY_TO_CLOSE: Action.SELL_TO_OPEN,
    Action.SELL_TO_CLOSE: Action.BUY_TO_OPEN,
}


def round_trip_fees(legs: tuple[Leg, ...], price: Decimal, day: date) -> Decimal:
    """Dollars one unit pays to get in and out again; a spread's legs are reckoned without the charge on proceeds."""
    each = abs(price) if len(legs) == 1 else ZERO
    actions = ((leg, action) for leg in legs for action in (leg.action, _BACK[leg.action]))
    return sum((leg_fees(leg.symbol, action, leg.quantity, each, day).total for leg, action in actions), ZERO)


def with_claims(
    plan: TradePlan, look: Callable[[], RiskBook], quotes: Mapping[str, Quote], spot: float | None, day: date
) -> TradePlan:
    """The plan with `max_loss` and `buying_power` of one unit at its net price.

    What has no bound by itself (a call against shares) claims what it adds to the book (only then `look` is asked for
    it); the gate judges whether the book bounds it.
    """
    part = part_of(plan.legs, 1, plan.net_price)
    fees = round_trip_fees(plan.legs, plan.net_price, day)
    alone = worst_loss((), (part,))
    loss = alone.dollars
    if alone.unbounded:
        book = look()
        loss = book.filled(plan.strategy, part).dollars - book.effect(plan.strategy, (part,)).before.dollars
    loss = max(loss, ZERO) + fees
    paid = max(part.paid, ZERO) + fees
    effect = buying_power_effect(replace(plan, buying_power=ZERO), quotes, spot)
    mid = net_mid(plan.legs, quotes)
    if effect > 0 and mid is not None:  # the estimate takes the mid's credit, the order may get less
        effect += max(ZERO, mid - plan.net_price) * part.multiplier + fees
    return replace(plan, max_loss=loss, buying_power=max(paid, effect))

"""What one unit of a plan takes of buying power: our Reg-T estimate beside the broker's, the worse of them rules."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import DryRun
from qmterm.core.quotes import Quote
from qmterm.core.settlement import CASH_SETTLED_ROOTS
from qmterm.core.signals import TradePlan
from qmterm.quant.book.legs import Leg, option_leg
from qmterm.quant.book.margin import EQUITY_TASTY, TASTY_INDEX
from qmterm.quant.book.margin_pairing import estimate_margin


def buying_power_effect(plan: TradePlan, quotes: Mapping[str, Quote], spot: float | None) -> Decimal:
    """Dollars one unit takes: the larger of what the plan says and what Reg-T asks (QUANT.md 5.2)."""
    estimate = _reg_t(plan, quotes, spot)
    return plan.buying_power if estimate is None else max(plan.buying_power, estimate)


def beyond_power(answer: DryRun, counted: Decimal, left: Decimal | None) -> Decimal | None:
    """Dollars the broker's dry run lacks; None when it is carried.

    `left` is the buying power once this order, at `counted`, and all others are taken off; None = not known.
    """
    if left is None:
        return None
    short = -answer.buying_power_change - counted - left
    return short if short > 0 else None


def _reg_t(plan: TradePlan, quotes: Mapping[str, Quote], spot: float | None) -> Decimal | None:
    """None for what is only bought (its cost, which the plan knows) and for legs the estimate cannot pair."""
    if all([leg.action.buys for leg in plan.legs]) or not all([is_option(leg.symbol) for leg in plan.legs]):
        return None
    contracts = [parse_option(leg.symbol) for leg in plan.legs]
    if len({contract.expiry for contract in contracts}) > 1:
        return None  # a long that ends first covers nothing, and the pairing sees no dates
    legs: list[Leg] = []
    for leg, contract in zip(plan.legs, contracts, strict=True):
        quote = quotes.get(leg.symbol)
        if quote is None or quote.mid is None:
            return None
        legs.append(
            option_leg(contract.right == "C", leg.action.sign * leg.quantity, float(contract.strike), quote.mid)
        )
    profile = TASTY_INDEX if contracts[0].root in CASH_SETTLED_ROOTS else EQUITY_TASTY
    margin = estimate_margin(legs, spot, profile).margin
    return None if margin is None else Decimal(str(round(margin.effect, 2)))

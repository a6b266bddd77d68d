"""How orders, fills and prices read in the log and on the screen: the field's own short forms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from qmterm.core.instruments import is_option, parse_option
from qmterm.core.orders import Action, Fill, Leg, OrderIntent, OrderKind, TimeInForce
from qmterm.core.signals import Signal
from qmterm.risk.protect import ProtectState

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


def structure_label(legs: tuple[Leg, ...]) -> str:
    """`NVDA 17APR26 175C`, or `+1 NVDA 17APR26 175C / -1 NVDA 17APR26 180C` of several legs."""
    if len(legs) == 1:
        return label(legs[0].symbol)
    return " / ".join(f"{leg.action.sign * leg.quantity:+d} {label(leg.symbol)}" for leg in legs)


def price_text(net_price: Decimal) -> str:
    """`4.15 db` or `2.70 cr`: dollars per share of one unit."""
    return f"{abs(net_price):.2f} {'cr' if net_price > 0 else 'db'}"


def terms_text(intent: OrderIntent) -> str:
    """`4.15 db`, `market`, `stop 3.20`, `4.10 db stop 4.00`; anything but Day is named behind it."""
    parts = [price_text(intent.net_price)] if intent.net_price is not None else []
    if intent.kind is OrderKind.MARKET or (not parts and not intent.kind.stopped):
        parts.append("market")
    if intent.stop_trigger is not None:
        parts.append(f"stop {intent.stop_trigger:.2f}")
    if intent.time_in_force is not TimeInForce.DAY:
        parts.append(f"{intent.time_in_force.value}{f' {intent.good_until}' if intent.good_until else ''}")
    return " ".join(parts)


def terms_short(intent: OrderIntent) -> str:
    """`4.15 db`, `4.15 gtc`, `st .30/.25 gtc` (trigger, then limit): the terms where a column has to hold them.

    With more behind it a price of one leg says no db or cr: the leg's side has said it.
    """
    limit, time = intent.net_price, intent.time_in_force
    day = time is TimeInForce.DAY
    if intent.stop_trigger is not None:
        prices = [intent.stop_trigger] if limit is None else [intent.stop_trigger, limit]
        text = "st " + "/".join(_digits(price).removeprefix("0") for price in prices)
    elif limit is None:
        text = "market"
    else:
        text = _digits(limit) if not day and len(intent.legs) == 1 else price_text(limit)
    return text if day else f"{text} {time.value.lower()}"


def _digits(price: Decimal) -> str:
    """Two places, and more where a price of less than a dollar has more."""
    text = f"{abs(price):.2f}"
    return text if Decimal(text) == abs(price) else f"{abs(price).normalize():f}"


def premium_level(state: ProtectState, share: float) -> Decimal | None:
    """The price of one unit, whole cents, at which its premium stop hits; what was sold has none."""
    level = (state.entry_premium * (1 - Decimal(str(share)))).quantize(Decimal("0.01"), ROUND_FLOOR)
    return None if state.sold or level <= 0 else level


def walk_line(intent: OrderIntent) -> tuple[str, ...]:
    """What a proposal says of a price that will be walked; nothing of one that stands."""
    start, worst = intent.net_price, intent.worst_price
    if start is None or worst is None or start == worst:
        return ()
    return (f"starts at {price_text(start)}, walks to {price_text(worst)} at worst",)


def describe_order(intent: OrderIntent) -> str:
    role = f" ({intent.role})" if intent.role else ""
    return f"{' / '.join(describe_leg(leg) for leg in intent.legs)} @ {terms_text(intent)}{role}"


def describe_fill(fill: Fill) -> str:
    side = "BOT" if fill.action.buys else "SLD"
    return f"{side} {fill.quantity} {label(fill.symbol)} @ {fill.price:.2f} fees {fill.fees:.2f}"


def describe_signal(signal: Signal) -> str:
    return (
        f"{signal.state.value} {signal.symbol} {signal.close:.2f} "
        f"d={signal.atr_distance:.2f} conf={signal.confidence:.2f}"
    )


def expectation(numbers: Mapping[str, object]) -> tuple[str, ...]:
    """A plan whose expected P/L is negative says so, and which rule lets it pass (QUANT.md 1.5); no line for others."""
    expected, reward, target = (numbers.get(name) for name in ("expected_pnl", "risk_reward", "p_target"))
    if not isinstance(expected, int | float) or expected >= 0:
        return ()
    told = f" (the target is reached in {target:.0%} of cases)" if isinstance(target, int | float) else ""
    ratio = f"{reward:.1f}" if isinstance(reward, int | float) else "–"
    return (
        f"expected P/L {expected:,.2f} a contract is negative{told}: R:R {ratio} decides, by [option_choice] "
        "min_risk_reward; require_positive_ev is off",
    )

"""The plan of a trade that a person picked: any legs that open, at their worst price, with what they claim.

There is no setup behind it: the premium, time, volatility and days-to-expiry stops guard it, where it is made of
options. For anything with shares the plan says that nothing does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import cast

from qmterm.core.clock import NS, et_date
from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.matching import net_mid
from qmterm.core.orders import Leg
from qmterm.core.signals import MANUAL, Signal, SignalState, TradePlan
from qmterm.engine.orders.structure import volatility
from qmterm.engine.trader import Trader
from qmterm.risk.claims import with_claims
from qmterm.risk.protect import guarded_legs, premium_sold

UNGUARDED = "no stop guards it: watch it yourself"


def manual_plan(
    trader: Trader,
    legs: tuple[Leg, ...],
    worst: Decimal,
    mid: Decimal | None,
    strategy: str = MANUAL,
    letter: str = "m",
    *,
    bounded: bool = True,
) -> TradePlan:
    """`legs` of one unit; `worst` is the signed net price at which it is judged, whatever it is sent at.

    Not `bounded`: the order has no limit, and a sale of which nothing says what it brings counts as bringing nothing.
    """
    market = net_mid(legs, trader.quotes_of(legs))
    sold = premium_sold(legs, worst if market is None else market)
    if not bounded:
        worst = min(worst, Decimal(0))
    now = trader.clock.now()
    today = et_date(now)
    underlying = underlying_of(legs[0].symbol)
    expiries = [parse_option(leg.symbol).expiry for leg in legs if is_option(leg.symbol)]
    stock = trader.quotes.quote(underlying)
    spot = stock.mid if stock else None
    close = spot or next((float(parse_option(leg.symbol).strike) for leg in legs if is_option(leg.symbol)), 0.0)
    signal = Signal(
        underlying, strategy, now, SignalState.HOLD, close, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 0, None
    )
    plan = TradePlan(
        plan_id=unused_id(trader, f"{letter}{now:x}"),
        time_ns=now,
        expires_ns=now + 3600 * NS,
        strategy=strategy,
        underlying=underlying,
        legs=legs,
        net_price=worst,
        max_loss=Decimal(0),
        buying_power=Decimal(0),
        stop=0.0,
        targets=(),
        horizon_date=max(today, min(expiries, default=today) - timedelta(days=7)),
        signal=signal,
        numbers={"bid_ask_mid": None if mid is None else float(abs(mid)), **_chain_numbers(trader, legs, sold)},
    )
    return with_claims(plan, trader.risk_book, trader.quotes_of(legs), spot, today)


def unused_id(trader: Trader, wanted: str) -> str:
    """`wanted`, or the first of its kind that no order, no close that waits for its way and no proposal had: market
    time can stand still."""
    for number in count(2):
        ordered = any(trader.desk.ledger.get(name) for name in (f"e{wanted}", wanted)) or trader.way.holds(wanted)
        if not ordered and not trader.proposals.was_seen(f"p{wanted}"):
            return wanted
        wanted = f"{wanted.partition('.')[0]}.{number}"
    raise AssertionError("numbers do not end")


def _chain_numbers(trader: Trader, legs: tuple[Leg, ...], sold: bool) -> dict[str, float | None]:
    """As the chain prices the legs: `delta`, the shares behind one share's price of a unit, and `iv`, the volatility
    that the position's own is later compared with; None where one leg's is not known."""
    evidence = trader.desk.priced(legs, underlying_of(legs[0].symbol)) or {}
    bodies = {leg.symbol: body for leg, body in zip(legs, _rows(evidence), strict=False)}

    def of(name: str) -> Callable[[str], float | None]:
        def number(symbol: str) -> float | None:
            value = bodies.get(symbol, {}).get(name)
            return value if isinstance(value, float) else None

        return number

    delta_of = of("delta")
    deltas = [(leg.action.sign * leg.quantity, delta_of(leg.symbol)) for leg in legs]
    known = [count * delta for count, delta in deltas if delta is not None]
    return {
        "delta": sum(known) if len(known) == len(legs) else None,
        "iv": volatility(legs, of("iv"), sold=sold),
    }


def _rows(evidence: Mapping[str, object]) -> list[Mapping[str, object]]:
    return cast("list[Mapping[str, object]]", evidence.get("legs", []))


def warned(plan: TradePlan) -> tuple[str, ...]:
    return () if guarded_legs(plan.legs) else (UNGUARDED,)

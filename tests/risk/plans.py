"""Plans, books and quotes for the gate's tests: a long call on AAPL, an account of $100,000, changed at will."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from qmterm.core.clock import NS, from_et
from qmterm.core.orders import Action, Leg, OrderIntent, Purpose
from qmterm.core.quotes import Quote
from qmterm.core.signals import Signal, SignalState, TradePlan
from qmterm.risk.book import RiskBook
from qmterm.risk.worst_case import Holding

TODAY = date(2026, 3, 2)
NOW = from_et(TODAY, 11, 0)
CALL = "AAPL  260402C00105000"
HIGHER = "AAPL  260402C00110000"
PUT = "AAPL  260402P00100000"
LOWER_PUT = "AAPL  260402P00095000"
SIGNAL = Signal(
    "AAPL", "atr_matrix", NOW, SignalState.ENTRY_LONG, 103.0, 3.2, 100.0, 0.94, 1.0, 0.86, 98.2, (122.4, 132.0, 138.4),
    4.04, 18, 0.4,
)  # fmt: skip


def legs(*signed):
    """`(symbol, +1)` buys to open, `(symbol, −1)` sells to open."""
    return tuple(Leg(s, Action.BUY_TO_OPEN if n > 0 else Action.SELL_TO_OPEN, abs(n)) for s, n in signed)


def plan(*signed, price="-4.15", loss="416.15", **changes):
    base = TradePlan(
        plan_id="p1",
        time_ns=NOW,
        expires_ns=NOW + 3600 * NS,
        strategy="atr_matrix",
        underlying="AAPL",
        legs=legs(*(signed or ((CALL, 1),))),
        net_price=Decimal(price),
        max_loss=Decimal(loss),
        buying_power=Decimal(loss),
        stop=98.2,
        targets=(122.4, 132.0, 138.4),
        horizon_date=date(2026, 3, 20),
        signal=SIGNAL,
    )
    return replace(base, **changes)


def book(*held, **changes):
    """`held` are (strategy, symbol, quantity, cost)."""
    holdings: dict = {}
    for strategy, symbol, quantity, cost in held:
        group = (strategy, "AAPL")
        holdings[group] = (*holdings.get(group, ()), Holding(symbol, quantity, Decimal(cost)))
    base = RiskBook(
        nlv=Decimal(100_000),
        cash=Decimal(80_000),
        option_buying_power=Decimal(80_000),
        day_pnl=Decimal(0),
        previous_nlv=Decimal(100_000),
        holdings=holdings,
    )
    return replace(base, **changes)


def quote(symbol=CALL, bid=4.10, ask=4.20, age_s=1):
    return Quote(symbol, bid, ask, 10, 10, NOW - int(age_s * NS), NOW)


def quotes(*given):
    return {q.symbol: q for q in given or (quote(),)}


def closing(*signed, price="1.00", units=1, strategy="one"):
    """A close: `(symbol, +1)` buys back, `(symbol, −1)` sells."""
    return OrderIntent(
        "x1", NOW, strategy, "AAPL", Purpose.EXIT,
        tuple(Leg(s, Action.BUY_TO_CLOSE if n > 0 else Action.SELL_TO_CLOSE, abs(n)) for s, n in signed),
        units, Decimal(price),
    )  # fmt: skip

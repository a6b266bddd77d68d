"""A guarded structure: the legs of one unit, and how many units the book, the ledger and the marks know of it.

The trap: legs fill one by one and may be shared with other trades, so a unit counts only where every leg is there; what
of it belongs to which guard: guard_units.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from math import gcd

from qmterm.core.orders import Action, Leg, OrderState, Purpose
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.ledger import Ledger, OrderRecord

_CLOSED_BY = {Action.BUY_TO_OPEN: Action.SELL_TO_CLOSE, Action.SELL_TO_OPEN: Action.BUY_TO_CLOSE}


def units_held(book: Book, legs: tuple[Leg, ...]) -> int:
    """Whole units that the account holds; what is held the other way round is none."""
    return min(max(0, leg.action.sign * book.quantity(leg.symbol)) // leg.quantity for leg in legs)


def units_closable(book: Book, ledger: Ledger, legs: tuple[Leg, ...]) -> int:
    """Whole units that are settled and that no working order closes; what rests at the broker gives way."""
    free = (leg.action.sign * closable(book, ledger, leg.symbol, resting=False) // leg.quantity for leg in legs)
    return max(0, min(free))


def units_leaving(ledger: Ledger, plan_id: str, legs: tuple[Leg, ...]) -> int:
    """Whole units that working exits of the machine's own still close (one that rests gives way: making_way.py)."""
    own = ([record for record in chain if _is_exit(record, plan_id)] for chain in ledger.chains)
    return sum(max((_still_closes(record, legs) for record in chain), default=0) for chain in own)


def may_still_fill(record: OrderRecord) -> bool:
    """It works, it may turn up yet, or it is filled and not all of its fills were told."""
    if record.state is OrderState.FILLED:
        return any(record.filled(leg.symbol) < leg.quantity for leg in record.intent.legs)
    return record.working or record.state is OrderState.NOT_ACCEPTED


def ended_short(record: OrderRecord) -> bool:
    """It opened something, and ended with less than it was to open: news of a fill before its end may still come."""
    ended = record.state in (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REMOVED)
    return ended and any(leg.action.opens and record.filled(leg.symbol) < leg.quantity for leg in record.intent.legs)


def reduced(legs: tuple[Leg, ...]) -> tuple[Leg, ...]:
    """The smallest unit: 2:2 is 1:1, two of one leg are one."""
    common = gcd(*[leg.quantity for leg in legs])
    if common == 1:
        return legs
    return tuple(replace(leg, quantity=leg.quantity // common) for leg in legs)


def closed(leg: Leg, count: int) -> Leg:
    """The leg that closes `count` contracts of an opening one."""
    return replace(leg, action=_CLOSED_BY[leg.action], quantity=count)


def unit_value(legs: tuple[Leg, ...], each: Callable[[str], Decimal | None]) -> Decimal | None:
    """Dollars per share of one unit, positive for what is owned and negative for what is owed; None where one leg's
    price is not known."""
    total = Decimal(0)
    for leg in legs:
        price = each(leg.symbol)
        if price is None:
            return None
        total += leg.action.sign * leg.quantity * price
    return total


def unit_cost(book: Book, legs: tuple[Leg, ...]) -> Decimal | None:
    """`unit_value` at what was paid and received; None where a leg is not held."""

    def average(symbol: str) -> Decimal | None:
        position = book.position(symbol)
        return None if position is None else position.average

    return unit_value(legs, average)


def needed(structures: Iterable[tuple[tuple[Leg, ...], int]]) -> Callable[[str], int]:
    """Contracts that whole units of these positions hold, by symbol."""
    counts: dict[str, int] = {}
    for legs, units in structures:
        for leg in legs:
            counts[leg.symbol] = counts.get(leg.symbol, 0) + leg.quantity * units
    return lambda symbol: counts.get(symbol, 0)


def volatility(legs: tuple[Leg, ...], iv_of: Callable[[str], float | None], *, sold: bool) -> float | None:
    """A position's implied volatility, decimal: the mean over the contracts that give it its vega (of sold premium
    what was sold, else what was bought); None where one is not known."""
    total, count = 0.0, 0
    for leg in legs:
        if leg.action.buys is sold:
            continue
        iv = iv_of(leg.symbol)
        if iv is None:
            return None
        total += iv * leg.quantity
        count += leg.quantity
    return total / count if count else None


def _is_exit(record: OrderRecord, plan_id: str) -> bool:
    intent = record.intent
    mine = intent.plan_id == plan_id and intent.purpose in (Purpose.EXIT, Purpose.SCALE_OUT)
    return mine and intent.reason not in (Reason.USER, Reason.ORPHAN_LEG) and not intent.rests


def _still_closes(record: OrderRecord, legs: tuple[Leg, ...]) -> int:
    """Units of which it may still take a leg."""
    whole = [closed(leg, leg.quantity) for leg in legs]
    return max(-(-record.remaining(leg.symbol) // leg.quantity) if _has(record, leg) else 0 for leg in whole)


def _has(record: OrderRecord, wanted: Leg) -> bool:
    return any(leg.symbol == wanted.symbol and leg.action is wanted.action for leg in record.intent.legs)

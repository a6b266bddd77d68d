"""What a guard counts: the units that its plan's fills opened, less those broken by closes that name the plan, and less
what closes that name no guard took, which is shared out: a guard of just these legs first, then the older ones.

`loose` are contracts of the plan in no whole unit: an uneven entry's, or the rest of a unit of which a leg was closed.
The trap: the other legs of one and the same close come later; they take what is loose and break no second unit. An
orphan's closer takes what is loose only. What the account does not hold any more guards nothing (`fit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from qmterm.core.orders import Fill, Leg
from qmterm.core.reasons import Reason
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.guard import Guard
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.structure import closed, needed, unit_value
from qmterm.risk.protect import premium_sold

CostOf = Callable[[Guard], Decimal | None]


def after_fill(guards: Sequence[Guard], record: OrderRecord, fill: Fill, cost_of: CostOf) -> list[Guard]:
    """The guards that a fill changed, as they are now; `cost_of` is what one unit of an entry cost (received:
    negative), dollars per share.
    """
    alike = [guard for guard in guards if guard.moved_by(fill.symbol, fill.action)]
    named = next((guard for guard in alike if guard.state.position_id == record.intent.plan_id), None)
    if fill.action.opens:
        # Placed elsewhere, or our own entry edited there: it is looked after by who guards that contract alone.
        single = [guard for guard in alike if len(guard.legs) == 1 and record.external]
        watching = next((guard for guard in single if guard.state.quantity), next(iter(single), None))
        guard = watching if named is None else named
        return [] if guard is None else [opened(guard, fill.symbol, fill.quantity, cost_of)]
    return _after_close(alike, named, record, fill)


def _after_close(alike: list[Guard], named: Guard | None, record: OrderRecord, fill: Fill) -> list[Guard]:
    closing = {leg.symbol for leg in record.intent.legs if not leg.action.opens}
    others = sorted((guard for guard in alike if guard is not named), key=lambda guard: guard.symbols != closing)
    whole = record.intent.reason is not Reason.ORPHAN_LEG
    # Who is named first; then what is loose with the others; only then a whole unit of theirs.
    turns = [(guard, whole) for guard in (named,) if guard is not None] + [(guard, False) for guard in others]
    turns += [(guard, True) for guard in others if whole]
    now, rest = {guard.state.position_id: guard for guard in alike}, fill.quantity
    for guard, may_break in turns:
        name = guard.state.position_id
        now[name], rest = took(now[name], fill.symbol, rest, whole=may_break)
    return [now[guard.state.position_id] for guard in alike if now[guard.state.position_id] != guard]


def opened(guard: Guard, symbol: str, count: int, cost_of: CostOf) -> Guard:
    """After the plan's entry bought or sold `count` contracts of one leg."""
    loose = _with(guard, symbol, count)
    units = min(have // leg.quantity for have, leg in zip(loose, guard.legs, strict=True))
    guard = _with_loose(guard, _less(loose, guard.legs, units))
    return _entered(guard, units, cost_of) if units else guard


def _entered(guard: Guard, units: int, cost_of: CostOf) -> Guard:
    cost = cost_of(guard)
    if cost is None:
        return replace(guard, state=guard.state.filled_entry(units, guard.state.entry_premium))
    state = guard.state if guard.state.opened else _signed(guard, cost).state  # the first unit says what it is
    return replace(guard, state=state.filled_entry(units, -cost if state.sold else cost))


def _signed(guard: Guard, cost: Decimal) -> Guard:
    """Bought or sold as its fills say; the volatility that it was planned with is that of the other legs then."""
    state = guard.state
    sold = premium_sold(guard.legs, -cost) if cost or len(guard.legs) == 1 else state.sold
    if sold is state.sold:
        return guard
    iv = state.entry_iv if len(guard.legs) == 1 else None
    return replace(guard, state=replace(state, sold=sold, entry_iv=iv, entry_premium=abs(cost)))


def took(guard: Guard, symbol: str, count: int, *, whole: bool = True) -> tuple[Guard, int]:
    """After a close of `count` contracts of one leg: first what is loose, then (`whole`) of units, each of which
    leaves its other legs loose; the rest is not this guard's.
    """
    index = [leg.symbol for leg in guard.legs].index(symbol)
    from_loose = min(count, _loose(guard)[index])
    rest = count - from_loose
    ratio = guard.legs[index].quantity
    units = min(guard.state.quantity, -(-rest // ratio)) if whole else 0
    from_units = min(rest, units * ratio)
    loose = _less(_with(guard, symbol, -from_loose - from_units), guard.legs, -units)
    return _less_units(_with_loose(guard, loose), units), rest - from_units


def _less_units(guard: Guard, units: int) -> Guard:
    """After `units` were closed, whoever sent it."""
    if not units:
        return guard
    goal = max(0, guard.goal - units)
    return replace(
        guard,
        state=guard.state.filled_exit(units),
        goal=goal,
        reason=guard.reason if goal else None,
        attempts=guard.attempts if goal else 0,
    )


# --- after a restart ---


def recounted(guard: Guard, ledger: Ledger, cost_of: CostOf) -> Guard:
    """With the fills of its own orders whose guard was not written any more (killed between the two).

    The ledger of a later day does not have its orders any more: then only what they still say more counts.
    """
    own = [record for record in ledger.records if record.intent.plan_id == guard.state.position_id]
    came = [_filled(own, leg) for leg in guard.legs]
    went = [_filled(own, closed(leg, leg.quantity)) for leg in guard.legs]
    ratios = [leg.quantity for leg in guard.legs]
    cost = entry_cost(ledger, guard)
    if cost is not None and guard.state.opened:  # an earlier version read it from the order's worst price
        guard = _signed(guard, cost)
    fresh = min(count // ratio for count, ratio in zip(came, ratios, strict=True)) - guard.state.opened
    if fresh > 0:
        guard = _entered(guard, fresh, cost_of)
    if any(count < guard.state.opened * ratio for count, ratio in zip(came, ratios, strict=True)):
        return guard
    left = [max(0, entered - gone) for entered, gone in zip(came, went, strict=True)]
    units = min(count // ratio for count, ratio in zip(left, ratios, strict=True))
    missed = guard.state.quantity - units
    loose = _less(tuple(left), guard.legs, units)
    if missed < 0:  # others broke units of it: what they left loose is known to the guard alone
        loose = tuple(max(pair) for pair in zip(loose, _loose(guard), strict=True))
    return _less_units(_with_loose(guard, loose), max(0, missed))


def fit(guards: Iterable[Guard], book: Book) -> list[Guard]:
    """Those whole units that the account holds: where guards need more of a contract, those that were on their way
    out give up theirs first, then the older ones.
    """
    order = sorted(guards, key=lambda guard: guard.goal == 0)
    for symbol in dict.fromkeys(leg.symbol for guard in order for leg in guard.legs):
        held = book.quantity(symbol)
        need = needed((guard.legs, guard.state.quantity) for guard in order)(symbol)
        missing = need - abs(held)
        for index, guard in enumerate(order):
            leg = next((leg for leg in guard.legs if leg.symbol == symbol), None)
            if leg is None:
                continue
            short = missing if leg.action.sign * held > 0 else need
            units = min(guard.state.quantity, max(0, -(-short // leg.quantity)))
            missing -= units * leg.quantity
            order[index] = _less_units(guard, units)
    whole = needed((guard.legs, guard.state.quantity) for guard in order)
    spare = {symbol: max(0, abs(book.quantity(symbol)) - whole(symbol)) for guard in order for symbol in guard.symbols}
    return [_held_loose(guard, spare) for guard in order]


def _held_loose(guard: Guard, spare: dict[str, int]) -> Guard:
    """No more of it is loose than `spare` has, which it is taken from."""
    loose = []
    for leg, have in zip(guard.legs, _loose(guard), strict=True):
        loose.append(min(have, spare[leg.symbol]))
        spare[leg.symbol] -= loose[-1]
    return _with_loose(guard, tuple(loose))


# --- what a unit cost ---


def entry_cost(ledger: Ledger, guard: Guard) -> Decimal | None:
    """Dollars per share of one unit at the average of the plan's own opening fills, negative for what was received;
    None where a leg has none.
    """
    own = [record for record in ledger.records if record.intent.plan_id == guard.state.position_id]

    def average(symbol: str) -> Decimal | None:
        fills = [f for record in own for f in record.fills.values() if f.symbol == symbol and f.action.opens]
        count = sum(fill.quantity for fill in fills)
        return sum((fill.price * fill.quantity for fill in fills), Decimal(0)) / count if count else None

    return unit_value(guard.legs, average)


def _filled(records: Iterable[OrderRecord], leg: Leg) -> int:
    fills = (fill for record in records for fill in record.fills.values())
    return sum(fill.quantity for fill in fills if (fill.symbol, fill.action) == (leg.symbol, leg.action))


def loose_of(guard: Guard, symbol: str) -> int | None:
    """Contracts of one leg in no whole unit; None where it has no such leg."""
    return {leg.symbol: have for leg, have in zip(guard.legs, _loose(guard), strict=True)}.get(symbol)


def _loose(guard: Guard) -> tuple[int, ...]:
    return guard.loose or (0,) * len(guard.legs)


def _with_loose(guard: Guard, loose: tuple[int, ...]) -> Guard:
    return replace(guard, loose=loose if any(loose) else ())


def _with(guard: Guard, symbol: str, more: int) -> tuple[int, ...]:
    return tuple(
        have + (more if leg.symbol == symbol else 0) for have, leg in zip(_loose(guard), guard.legs, strict=True)
    )


def _less(loose: tuple[int, ...], legs: tuple[Leg, ...], units: int) -> tuple[int, ...]:
    return tuple(have - units * leg.quantity for have, leg in zip(loose, legs, strict=True))

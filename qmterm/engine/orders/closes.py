"""A person's close of a position or of a whole trade, by name: all legs of a trade leave as one order.

The trap: a trade's legs closed one by one leave what was sold without its cover for a while; so a trade is named by its
id and closed whole, and a single leg only when it is named itself. And trades may share a contract: a trade's id
closes what is the trade's, never the position that carries its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import gcd

from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Leg, OrderIntent, OrderKind, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ClosePosition, CommandResult, Terms
from qmterm.engine.orders.book import Position
from qmterm.engine.orders.exit_orders import exit_price
from qmterm.engine.orders.exposure import closable
from qmterm.engine.orders.manual_plan import unused_id
from qmterm.engine.show.wording import describe_order, label
from qmterm.engine.trader import Trader
from qmterm.risk.order_checks import MOST_LEGS
from qmterm.risk.rolls import crossing_price


def positions_named(trader: Trader, name: str) -> list[Position]:
    """One position by symbol; the part of every position that a trade holds by its id; what the screen shows or the
    underlying where that names one position, or the legs of one trade. Empty when it names none, or several trades."""
    positions = trader.book.positions
    plain = " ".join(name.split())  # a symbol's blanks do not survive a command line
    exact = [p for p in positions if " ".join(p.symbol.split()) == plain]
    if exact:
        return exact
    traded = _held_by(trader, name) if name else None
    if traded is not None:
        return traded
    shown = [p for p in positions if name.upper() in (label(p.symbol), p.underlying)]
    if len(shown) < 2:
        return shown
    trades = {p.plan_id for p in shown}
    one = _held_by(trader, shown[0].plan_id) if len(trades) == 1 and shown[0].plan_id else None
    return shown if one is not None and _counts(one) == _counts(shown) else []


def _held_by(trader: Trader, trade: str) -> list[Position] | None:
    """What of each position is the trade's: its guard knows, else its lots, else whose the book says the whole is.

    A contract may be shared by trades, and the book's position then carries the name of the first. None: no such trade.
    """
    guard = trader.guards.of(trade)
    if guard is not None:
        units = guard.state.quantity
        counts: Mapping[str, int] = {leg.symbol: leg.action.sign * leg.quantity * units for leg in guard.legs}
    else:
        counts = trader.lots_of(trade) or {p.symbol: p.quantity for p in trader.book.positions if p.plan_id == trade}
        if not counts:
            return None
    parts = []
    for symbol, count in counts.items():
        whole = trader.book.position(symbol) or Position(symbol, 0, Decimal(0), "external", trade, 0)
        if count:
            parts.append(replace(whole, quantity=count, plan_id=trade))
    return parts


def name_of(trader: Trader, position: Position) -> str:
    """What a screen names a position by to close what it shows: its trade's id, but the contract itself where other
    trades hold some of it too."""
    parts = _held_by(trader, position.plan_id) if position.plan_id else None
    if parts is None:
        return position.symbol
    counts = _counts(parts)
    of_this_alone = counts.keys() <= {position.symbol}
    return position.symbol if of_this_alone and counts != _counts([position]) else position.plan_id


def _counts(positions: Iterable[Position]) -> dict[str, int]:
    return {position.symbol: position.quantity for position in positions}


def free_parts(trader: Trader, held: Sequence[Position], *, resting: bool = False) -> tuple[int, ...] | str:
    """Signed contracts of each leg that may leave, in equal units; else why not.

    An order of which nobody knows whose contracts it closes (a roll, a ticket) counts against every trade.
    """
    most = gcd(*(part.quantity for part in held))
    free = [_free(trader, part, resting=resting) for part in held]
    units = [count * most // abs(part.quantity) for part, count in zip(held, free, strict=True)]
    least = min(units)
    if least and least == max(units):
        return tuple(part.quantity // most * least for part in held)
    short = held[units.index(least)]
    closing = trader.desk.ledger.closing(short.symbol, resting=resting)
    why = "a working order closes it already" if closing else "the broker does not show it (yet)"
    return why if len(held) == 1 else f"not all of its legs are free ({label(short.symbol)}: {why}): name each leg"


def _free(trader: Trader, part: Position, *, resting: bool) -> int:
    ledger = trader.desk.ledger
    free = closable(trader.book, ledger, part.symbol, resting=resting)
    others = {guard.state.position_id for guard in trader.guards.all if guard.state.quantity} - {part.plan_id}
    own = ledger.closing(part.symbol, resting=resting, beside=others)
    return max(0, min(abs(part.quantity) - own, free if part.quantity > 0 else -free))


def close_position(trader: Trader, command: ClosePosition) -> CommandResult:
    """Stage a close of all that nothing closes already."""
    held = positions_named(trader, command.position_id)
    if not held:
        return CommandResult(False, _nobody(trader, command.position_id))
    names = " / ".join(label(each.symbol) for each in held)
    terms = command.terms or Terms()
    free = free_parts(trader, held)
    fault = free if isinstance(free, str) else "" if len(held) == 1 else _whole_fault(held, terms)
    if isinstance(free, str) or fault:
        return CommandResult(False, f"{names}: {fault}")
    units = gcd(*free)
    legs = tuple(
        Leg(each.symbol, Action.SELL_TO_CLOSE if count > 0 else Action.BUY_TO_CLOSE, abs(count))
        for each, count in zip(held, free, strict=True)
    )
    natural = _natural(trader, legs, units)
    if natural is None and (terms == Terms() or len(held) > 1):
        return CommandResult(False, f"{names}: nobody is quoting the other side right now")
    now, first = trader.clock.now(), held[0]
    intent = OrderIntent(
        intent_id=unused_id(trader, f"c{first.plan_id or 'ext'}-{now:x}"),
        created_ns=now,
        strategy=first.strategy,
        underlying=first.underlying,
        purpose=Purpose.EXIT,
        legs=legs,
        quantity=units,
        net_price=natural if terms == Terms() else _signed(terms.limit, legs, natural),
        plan_id=first.plan_id,
        reason=Reason.USER,
        kind=terms.kind,
        stop_trigger=terms.trigger,
        time_in_force=terms.time_in_force,
        good_until=terms.good_until,
    )
    verdict = trader.close(intent, by_person=True, propose=not command.send)
    if not verdict.approved:
        why = f"{verdict.reason.value}: {verdict.sentence}" if verdict.reason else "no reason was given"
        return CommandResult(False, f"refused: {why}", refused=True)
    sends = command.send and trader.mode is not Mode.CONFIRM
    if not sends and trader.proposals.get(f"p{intent.intent_id}") is None:
        return CommandResult(False, trader.proposals.asked_already(intent))
    text = f"{trader.way.words(intent, 'sending' if sends else 'proposed')} {describe_order(intent)}"
    return CommandResult(True, text, named(intent, sent=sends))


def named(intent: OrderIntent, *, sent: bool) -> dict[str, object]:
    """What an answer says of its order to programs: its id, or the id of the proposal that it waits as."""
    return {
        "proposal": None if sent else f"p{intent.intent_id}",
        "order": intent.intent_id if sent else None,
        "quantity": intent.quantity,
        "limit": None if intent.counted_price is None else str(intent.counted_price),
    }


def _nobody(trader: Trader, name: str) -> str:
    """That nothing is named so, and what to name instead."""
    guard = trader.guards.of(name)
    left = [] if guard is None else [label(symbol) for symbol in sorted(guard.symbols) if trader.book.quantity(symbol)]
    if left:
        return f"no position {name!r}: what is held of {' / '.join(left)} is other trades'; name the contract itself"
    several = any(p.underlying == name.upper() for p in trader.book.positions)
    return f"no position {name!r}{': it has several, name one' if several else ''}"


def _whole_fault(held: list[Position], terms: Terms) -> str:
    """Why a trade of several legs cannot be closed as one order; "" when it can."""
    if len(held) > MOST_LEGS or not all(is_option(each.symbol) for each in held):
        return f"only option legs, {MOST_LEGS} at most, leave as one order: name each leg"
    if terms.kind is not OrderKind.LIMIT:
        return "several legs close at a limit"
    return ""


def _natural(trader: Trader, legs: tuple[Leg, ...], units: int) -> Decimal | None:
    """Signed net price of one unit that crosses the market."""
    if len(legs) > 1:
        unit = tuple(Leg(leg.symbol, leg.action, leg.quantity // units) for leg in legs)
        return crossing_price(unit, trader.quotes_of(unit), trader.ticks.of(unit[0].symbol))
    (leg,) = legs
    quote, selling = trader.quotes.quote(leg.symbol), not leg.action.buys
    price = exit_price(quote, 0, trader.ticks.of(leg.symbol), selling=selling) if quote else None
    return None if price is None else price if selling else -price


def _signed(limit: Decimal | None, legs: tuple[Leg, ...], natural: Decimal | None) -> Decimal | None:
    """A price typed without a sign: received when a single leg is sold; for several legs, as the market has it."""
    if limit is None:
        return None
    received = natural > 0 if len(legs) > 1 and natural is not None else not legs[0].action.buys
    return limit if received else -limit

"""A person's close of a position or of a whole trade, by name: all legs of a trade leave as one order.

The trap: a trade's legs closed one by one leave what was sold without its cover for a while; so a trade is named by its
id and closed whole, and a single leg only when it is named itself.
"""

from __future__ import annotations

from decimal import Decimal
from math import gcd

from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, Leg, OrderIntent, OrderKind, Purpose
from qmterm.core.reasons import Reason
from qmterm.core.settings.engine import Mode
from qmterm.engine.commands import ClosePosition, CommandResult, Terms
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.exit_orders import exit_price
from qmterm.engine.orders.exposure import closable
from qmterm.engine.show.wording import describe_order, label
from qmterm.engine.trader import Trader
from qmterm.risk.order_checks import MOST_LEGS
from qmterm.risk.rolls import crossing_price


def positions_named(book: Book, name: str) -> list[Position]:
    """One position by symbol; all legs of a trade by its id; what the screen shows or the underlying where that names
    one position, or the legs of one trade. Empty when it names none, or several trades."""
    positions = book.positions
    plain = " ".join(name.split())  # a symbol's blanks do not survive a command line
    for exact in (
        [p for p in positions if " ".join(p.symbol.split()) == plain],
        [p for p in positions if name and p.plan_id == name],
    ):
        if exact:
            return exact
    shown = [p for p in positions if name.upper() in (label(p.symbol), p.underlying)]
    one_trade = len({p.plan_id for p in shown}) == 1 and bool(shown[0].plan_id)
    return shown if len(shown) == 1 or one_trade else []


def close_position(trader: Trader, command: ClosePosition) -> CommandResult:
    """Stage a close of all that nothing closes already."""
    held = positions_named(trader.book, command.position_id)
    if not held:
        return CommandResult(False, f"no position {command.position_id!r}")
    free = [closable(trader.book, trader.desk.ledger, each.symbol, resting=False) for each in held]
    names = " / ".join(label(each.symbol) for each in held)
    units = gcd(*free)
    if not all(free):
        return CommandResult(False, f"{names}: a working order closes it already")
    terms = command.terms or Terms()
    if len(held) > 1:
        fault = _whole_fault(held, terms)
        if fault:
            return CommandResult(False, f"{names}: {fault}")
    else:
        units = abs(free[0])
    legs = tuple(
        Leg(each.symbol, Action.SELL_TO_CLOSE if count > 0 else Action.BUY_TO_CLOSE, abs(count))
        for each, count in zip(held, free, strict=True)
    )
    natural = _natural(trader, legs, units)
    if natural is None and (terms == Terms() or len(held) > 1):
        return CommandResult(False, f"{names}: nobody is quoting the other side right now")
    now, first = trader.clock.now(), held[0]
    intent = OrderIntent(
        intent_id=f"c{first.plan_id or 'ext'}-{now:x}",
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
        return CommandResult(False, "the same question waits in pane 5 already: answer it first")
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
